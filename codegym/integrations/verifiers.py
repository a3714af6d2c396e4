"""What the taskset package for verifiers rests on, without verifiers itself.

verifiers (v1, since 0.4) finds a taskset by importing a module of its id, which has to be one of
the top level, and asks that module for exactly one subclass of its own ``Taskset``. That module is
``codegym_taskset`` in ``integrations/codegym_taskset`` of the checkout; what does not need
verifiers is here.

A task of verifiers is written into traces, which are published, and handed to harnesses. So it does
not hold its problem: it says where the problem is found, and what it must be.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from codegym.errors import ConfigurationError, ProblemError
from codegym.grading.grader import Grader
from codegym.integrations.completions import grade_completion_async
from codegym.problems.load import load_problems
from codegym.problems.problem import Problem
from codegym.problems.problem_set import ProblemSet

__all__ = ["ProblemReference", "is_sound", "references"]

_SETS = 4
_Arguments = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ProblemReference:
    """Where a problem is found.

    Attributes:
        source: As in :func:`codegym.load_problems`.
        arguments: What else it was loaded with: ``split``, ``data``, ... as plain data.
        problem_id: Its id in that set.
        content_hash: What :attr:`codegym.Problem.content_hash` must be.
    """

    source: str
    arguments: Mapping[str, Any]
    problem_id: str
    content_hash: str

    def problem(self) -> Problem:
        """The problem. Each set is loaded once in a process, and the last few are kept.

        Raises:
            ProblemError: If the set has no such problem any more, or another one of this id.
            CodegymError: As :func:`codegym.load_problems` does.
        """
        problems = _load(self.source, _frozen(self.arguments))
        if self.problem_id not in problems:
            raise ProblemError(self._complaint("has no problem of this id"))
        problem = problems.by_id(self.problem_id)
        if problem.content_hash != self.content_hash:
            raise ProblemError(self._complaint("has another problem of this id"))
        return problem

    def _complaint(self, what: str) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return (
            f"Problem {self.problem_id!r} cannot be graded: load_problems({self.source!r}"
            f"{', ' * bool(told)}{told}) {what}. Give this machine the files that the task was "
            "made from, and the same version of codegym."
        )


def references(source: str, **arguments: Any) -> Iterator[tuple[ProblemReference, Problem]]:
    """The problems of a source, each with what finds it again.

    Args:
        source: As in :func:`codegym.load_problems`.
        arguments: What else that takes, as plain data; None is as if it was not given.

    Raises:
        CodegymError: As :func:`codegym.load_problems` does.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for problem in _load(source, _frozen(given)):
        yield ProblemReference(source, given, problem.id, problem.content_hash), problem


async def is_sound(problem: Problem, grader: Grader | None = None) -> bool | None:
    """Whether the canonical solution, given as an answer, passes all tests; None without one.

    Raises:
        ExecutionError: If codegym could not run it.
    """
    solution = problem.canonical_solution
    if not solution.strip():
        return None
    end = "" if solution.endswith("\n") else "\n"
    answer = f"```python\n{solution}{end}```\n"
    return (await grade_completion_async(answer, problem, grader=grader)).solved


def _frozen(arguments: Mapping[str, Any]) -> _Arguments:
    """Arguments as a key: lists become tuples."""
    return tuple(sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in arguments.items()))


@functools.lru_cache(maxsize=_SETS)
def _load(source: str, arguments: _Arguments) -> ProblemSet:
    try:
        return load_problems(source, **dict(arguments))
    except TypeError as error:
        raise ConfigurationError(
            f"load_problems() does not take these arguments: {dict(arguments)!r:.200} ({error})"
        ) from error
