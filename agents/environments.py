"""Which environment: problems, tokenizer and vector envs from command-line settings."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv
from transformers import AutoTokenizer

import codegym
from agents.command import refuse_unused
from agents.hub import loading
from codegym.envs import make_prompt_format, prompt_tokens
from codegym.errors import ConfigurationError, TokenizationError, UnknownNameError
from codegym.problems import Problem, ProblemSet, load_mini, load_problems
from codegym.start_states import StartStates
from codegym.tokenization import Tokenizer

__all__ = ["TaskSettings", "fitting", "load_split", "make_envs", "make_grader", "make_tokenizer"]

_OWN_TOKENIZERS = ("mini", "byte")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """The environment."""

    env_id: str = "CodeGen-Mini-v0"
    """any id that codegym registers"""
    split: str | None = "train"
    """split that is trained on; None: all problems of the source"""
    data: str | None = None
    """data file of sources that need one; "sample": codegym's own problems in APPS+'s format"""
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
    sampler: Literal["stages", "uniform"] = "stages"
    """problems are drawn in proportion to their number of stages, or uniformly"""
    max_new_tokens: int = 192
    """budget of generated tokens"""
    context_length: int = 384
    """prompt, given code and generated tokens"""
    cpu_seconds: float = 1.0
    """CPU time of a program, per test"""
    num_envs: int = 128
    """sub-environments"""
    judging: Literal["sync", "async"] = "async"
    """whether programs are run while others are still being written; the episodes are the same"""
    workers: int | None = None
    """processes that run programs; None: one for each CPU"""

    def refuse_unused_task(self) -> None:
        """Refuses settings of a task that this task has no use for.

        Raises:
            ConfigurationError: If one was given.
        """
        if self.env_id not in codegym.ENVIRONMENTS:
            raise UnknownNameError("environment", self.env_id, codegym.ENVIRONMENTS)
        refuse_unused(self, ("conditionals",), self.is_mini, "problems of CodeGen-Mini")
        refuse_unused(self, ("data",), not self.is_mini, "a source that is read from a file")
        refuse_unused(self, ("difficulty",), self.conditionals is None, "conditionals=None")

    @property
    def is_mini(self) -> bool:
        """Whether the problems are Mini's, which are generated."""
        return "-Mini-" in self.env_id


def load_split(settings: TaskSettings, *, split: str | None, size: int, seed: int) -> ProblemSet:
    """Problems of a split.

    Args:
        settings: Source and selection.
        split: Its name; None: all.
        size: How many, 0 for all. Mini generates them, without an end; of other sources a shuffled
            part is taken.
        seed: Which ones.

    Returns:
        The problems.

    Raises:
        ConfigurationError: If no problem is left.
        UnknownNameError: If there is no such split or difficulty.
    """
    if settings.is_mini:
        if size < 1:
            raise ConfigurationError(
                f"CodeGen-Mini's problems have no end: expected a number of them, got {size}."
            )
        problems = load_mini(
            split=split or "train",  # type: ignore[arg-type]  # checked by load_mini
            difficulty=settings.difficulty,  # type: ignore[arg-type]  # checked by load_mini
            conditionals=settings.conditionals,
            size=size,
            seed=seed,
        )
    else:
        source = str(codegym.ENVIRONMENTS[settings.env_id]["source"])
        problems = load_problems(
            source,
            data=settings.data,
            split=split,
            difficulty=settings.difficulty,
            allow_sample=False,  # a result must not be one on other problems than it says
        )
        if size and size < len(problems):
            problems = problems.shuffle(seed).take(size)
    if not len(problems):
        raise ConfigurationError(
            f"No problem is left of {settings.env_id} with split={split!r} and "
            f"difficulty={settings.difficulty!r}: {problems.report}"
        )
    return problems


def fitting(problems: ProblemSet, settings: TaskSettings, tokenizer: Tokenizer) -> ProblemSet:
    """The problems whose prompt and canonical program fit the context, wherever an episode begins.

    A program that the tokenizer cannot spell to the byte does not fit.

    Args:
        problems: Candidates; all are built.
        settings: Prompt format and context length.
        tokenizer: Of the policy.

    Returns:
        Those that fit.

    Raises:
        ConfigurationError: If none does.
    """
    prompt_format = make_prompt_format(settings.prompt_format, tokenizer)

    def fits(problem: Problem) -> bool:
        prompt = prompt_format.render(problem)
        program = problem.canonical_solution or prompt.header
        try:
            shown = len(prompt_tokens(dataclasses.replace(prompt, header=""), tokenizer))
            return shown + len(tokenizer.encode(program)) < settings.context_length
        except TokenizationError:  # the program cannot be spelled to the byte
            return False

    chosen = problems.filter(fits)
    if not len(chosen):
        raise ConfigurationError(
            f"None of {len(problems)} problems fits context_length={settings.context_length} with "
            "its prompt and canonical program. Raise it."
        )
    return chosen


def make_tokenizer(name: str) -> Tokenizer:
    """One of codegym's tokenizers, or a Hugging Face one behind codegym's protocol.

    Args:
        name: ``"mini"``, ``"byte"``, a hub name or a folder, with or without ``"hf:"``.

    Returns:
        The tokenizer.

    Raises:
        ConfigurationError: If it cannot be loaded.
    """
    if name in _OWN_TOKENIZERS:
        return codegym.tokenization.make_tokenizer(name)
    with loading(name.removeprefix("hf:"), "a tokenizer") as found:
        return codegym.tokenization.make_tokenizer(AutoTokenizer.from_pretrained(found))


@contextlib.contextmanager
def make_grader(settings: TaskSettings) -> Iterator[codegym.Grader]:
    """A grader that several vector envs may share, with a local pool; both are closed at the end.

    Args:
        settings: Limits and number of workers.

    Yields:
        The grader.
    """
    limits = codegym.ExecutionLimits(
        cpu_seconds=settings.cpu_seconds, wall_seconds=10.0 * settings.cpu_seconds
    )
    executor = codegym.LocalExecutor(workers=settings.workers)
    try:
        with codegym.Grader(executor=executor, limits=limits) as grader:
            yield grader
    finally:
        executor.close()


def make_envs(
    settings: TaskSettings,
    problems: ProblemSet,
    *,
    start: str | StartStates,
    grader: codegym.Grader,
    tokenizer: Tokenizer,
    num_envs: int | None = None,
    reward: Any = None,
) -> VectorEnv[Any, Any, Any]:
    """A vector env without autoreset, as :mod:`agents.rollout` needs it.

    Args:
        settings: Id, reward, lengths.
        problems: What is asked.
        start: Name or object of a start distribution.
        grader: Judges; shared.
        tokenizer: Of the policy.
        num_envs: Overrides the settings.
        reward: A reward of codegym; overrides the settings.

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
        sampler=settings.sampler,
        reward=reward or settings.reward,
        max_new_tokens=settings.max_new_tokens,
        context_length=settings.context_length,
        grader=grader,
        judging=settings.judging,
        copy=False,
    )
