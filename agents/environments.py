"""Which environment: problems, tokenizer and vector envs from command-line settings."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv
from transformers import AutoTokenizer

import codegym
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet, load_mini, load_problems
from codegym.start_states import StartStates
from codegym.tokenization import Tokenizer

__all__ = ["TaskSettings", "load_split", "make_envs", "make_grader", "make_tokenizer"]

_OWN_TOKENIZERS = ("mini", "byte")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """The environment."""

    env_id: str = "CodeGen-Mini-v0"
    """any id that codegym registers"""
    split: str | None = "train"
    """split that is trained on; None: all problems of the source"""
    data: str | None = None
    """data file of sources that need one"""
    difficulty: str | None = None
    """one difficulty; None: all"""
    conditionals: tuple[int, int] | None = None
    """Mini: fewest and most conditional statements, in place of a difficulty"""
    tokenizer: str = "mini"
    """"mini", "byte", or the hub name or folder of a Hugging Face tokenizer"""
    prompt_format: str = "auto"
    """what the model is shown of a problem"""
    reward: str = "stepcoder"
    """name of a codegym reward"""
    max_new_tokens: int = 192
    """budget of generated tokens"""
    context_length: int = 384
    """prompt, given code and generated tokens"""
    cpu_seconds: float = 1.0
    """CPU time of a program, per test"""
    num_envs: int = 128
    """sub-environments"""
    workers: int | None = None
    """processes that run programs; None: one for each CPU"""
    calls_per_child: int = 16
    """tests of a program that may share a process: several times faster on small functions; 1
    isolates each test"""

    @property
    def is_mini(self) -> bool:
        """Whether the problems are Mini's, which are generated."""
        return "-Mini-" in self.env_id


def load_split(settings: TaskSettings, *, split: str | None, size: int, seed: int) -> ProblemSet:
    """Problems of a split.

    Args:
        settings: Source and selection.
        split: Its name; None: all.
        size: How many, 0 for all. Mini generates them; of other sources a shuffled part is taken.
        seed: Which ones.

    Returns:
        The problems.

    Raises:
        ConfigurationError: If no problem is left.
        UnknownNameError: If there is no such split or difficulty.
    """
    if settings.is_mini:
        problems = load_mini(
            split=split or "train",  # type: ignore[arg-type]  # checked by load_mini
            difficulty=settings.difficulty,  # type: ignore[arg-type]  # checked by load_mini
            conditionals=settings.conditionals,
            size=size or 10_000,
            seed=seed,
        )
    else:
        source = str(codegym.ENVIRONMENTS[settings.env_id]["source"])
        problems = load_problems(
            source, data=settings.data, split=split, difficulty=settings.difficulty
        )
        if size and size < len(problems):
            problems = problems.shuffle(seed).take(size)
    if not len(problems):
        raise ConfigurationError(
            f"No problem is left of {settings.env_id} with split={split!r} and "
            f"difficulty={settings.difficulty!r}: {problems.report}"
        )
    return problems


def make_tokenizer(name: str) -> Tokenizer:
    """One of codegym's tokenizers, or a Hugging Face one behind codegym's protocol.

    Args:
        name: ``"mini"``, ``"byte"``, a hub name or a folder.

    Returns:
        The tokenizer.
    """
    if name in _OWN_TOKENIZERS:
        return codegym.tokenization.make_tokenizer(name)
    return codegym.tokenization.make_tokenizer(AutoTokenizer.from_pretrained(name))


def make_grader(settings: TaskSettings) -> codegym.Grader:
    """A grader that several vector envs may share. The caller closes it.

    Args:
        settings: Limits and number of workers.

    Returns:
        A grader with a local pool.
    """
    limits = codegym.ExecutionLimits(
        cpu_seconds=settings.cpu_seconds, wall_seconds=10.0 * settings.cpu_seconds
    )
    workers = settings.workers or os.cpu_count() or 1
    executor = codegym.LocalExecutor(workers=workers, calls_per_child=settings.calls_per_child)
    return codegym.Grader(executor=executor, limits=limits)


def make_envs(
    settings: TaskSettings,
    problems: ProblemSet,
    *,
    start: str | StartStates,
    grader: codegym.Grader,
    tokenizer: Tokenizer,
    num_envs: int | None = None,
) -> VectorEnv[Any, Any, Any]:
    """A vector env without autoreset, as :mod:`agents.rollout` needs it.

    Args:
        settings: Id, reward, lengths.
        problems: What is asked.
        start: Name or object of a start distribution.
        grader: Judges; shared.
        tokenizer: Of the policy.
        num_envs: Overrides the settings.

    Returns:
        The environment; the caller closes it.
    """
    return gymnasium.make_vec(
        settings.env_id,
        num_envs=num_envs or settings.num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.DISABLED,
        problems=problems,
        tokenizer=tokenizer,
        prompt_format=settings.prompt_format,
        start=start,
        reward=settings.reward,
        max_new_tokens=settings.max_new_tokens,
        context_length=settings.context_length,
        grader=grader,
    )
