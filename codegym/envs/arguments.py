"""The arguments that every environment takes, checked and turned into the objects they name.

Plain values (names, numbers, paths) keep an environment's spec JSON-able; wherever a name is
accepted, an object of that kind is accepted as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from codegym.envs.prompt_format import PromptFormat
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.execution.executor import Executor
from codegym.execution.limits import ExecutionLimits
from codegym.grading.grader import Grader
from codegym.grading.verdict import Grade
from codegym.problems.load import SOURCES, load_problems
from codegym.problems.problem_set import ProblemSet
from codegym.problems.source import GeneratedSource
from codegym.rewards.process import ProcessReward
from codegym.start_states.start_state import StartStates
from codegym.tokenization.tokenizer import Tokenizer

__all__ = [
    "TaskArguments",
    "Weighting",
    "boolean",
    "check_arguments",
    "make_problems",
    "positive",
]

# Drawing by number of stages looks at every problem of the set once, and generators have no end.
_GENERATED_SIZE = 1000

Weighting = Literal["stages", "uniform"]
"""How problems are drawn: in proportion to their number of stages, or uniformly."""


class TaskArguments(TypedDict, total=False):
    """Keyword arguments of :class:`~codegym.envs.CodeEnv` and its vector counterpart.

    They are documented in :class:`~codegym.envs.task.CodeTask`.
    """

    source: str
    split: str | None
    difficulty: str | None
    data: str | Path | None
    allow_sample: bool
    packages: Sequence[str]
    size: int | None
    seed: int | None
    problems: ProblemSet | None
    tokenizer: str | Tokenizer | Any
    prompt_format: str | PromptFormat
    start: str | StartStates
    reward: str | Callable[[Grade], float | Mapping[str, float]] | ProcessReward
    max_new_tokens: int
    context_length: int
    limits: ExecutionLimits | Mapping[str, float] | None
    executor: Executor | None
    grader: Grader | None
    weighting: Weighting


def make_problems(
    problems: ProblemSet | None,
    *,
    source: str,
    split: str | None,
    difficulty: str | None,
    data: str | Path | None,
    allow_sample: bool,
    packages: Sequence[str],
    size: int | None,
    seed: int | None,
) -> ProblemSet:
    """The problems handed in, or those of a source.

    Raises:
        ConfigurationError: If both a problem set and a way to load one are given, or if no
            problem is left to draw.
    """
    if problems is None:
        if size is None and isinstance(SOURCES.get(source), GeneratedSource):
            size = _GENERATED_SIZE
        problems = load_problems(
            source,
            data=data,
            split=split,
            difficulty=difficulty,
            size=size,
            seed=seed,
            allow_sample=allow_sample,
            packages=packages,
        )
    elif packages or any(a is not None for a in (split, difficulty, data, size, seed)):
        raise ConfigurationError(
            "Give either problems=<a ProblemSet> or split, difficulty, data, packages, size, seed "
            "to load one, not both. A ProblemSet has filter(), shuffle() and take()."
        )
    if not isinstance(problems, ProblemSet):
        raise ConfigurationError(
            f"problems must be a ProblemSet, got {type(problems).__name__}. Make one with "
            "codegym.load_problems(...) or ProblemSet.of([...])."
        )
    if len(problems) == 0:
        raise ConfigurationError(
            f"There is no problem to draw: source {source!r}, split {split!r}, difficulty "
            f"{difficulty!r} select nothing. {problems.report}"
        )
    return problems


def positive(name: str, value: object) -> int:
    """`value` if it is a positive int.

    Raises:
        ConfigurationError: Otherwise.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ConfigurationError(f"{name} must be a positive int, got {value!r}.")
    return value


def boolean(name: str, value: object) -> bool:
    """`value` if it is True or False.

    Raises:
        ConfigurationError: Otherwise.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, got {value!r}.")
    return value


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raises an UnknownNameError that suggests the nearest argument if one is not known."""
    for name in arguments:
        if name not in TaskArguments.__annotations__:
            raise UnknownNameError("argument", name, TaskArguments.__annotations__)
