"""What a grader under test looks like to the benchmark, and codegym as one."""

from __future__ import annotations

import dataclasses
import inspect
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from benchmarks.grading_peers.jobs import Job
from benchmarks.grading_peers.processes import Usage, usage
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grader

WALL_FACTOR = 3
"""Wall limit over CPU limit of codegym's rows, for programs that sleep."""


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """What a contender did with some jobs in a row.

    Attributes:
        seconds: Time from a program to its verdict, by index of the job.
        passed: The verdicts.
    """

    seconds: tuple[float, ...]
    passed: tuple[bool, ...]


class Contender(Protocol):
    """A grader that can be timed. Used by one thread, one block at a time."""

    name: str

    def load(self, jobs: Sequence[Job], time_limit: float) -> list[bool]:
        """Takes the jobs that blocks then name by index.

        Args:
            jobs: All jobs of a case.
            time_limit: Seconds, for a test or for a program, as the grader has it.

        Returns:
            Which of the jobs it can grade.
        """
        ...

    def run(self, indices: Sequence[int]) -> Block:
        """Grades some of the jobs, one after the other."""
        ...

    def usage(self) -> Usage:
        """What all its processes used so far."""
        ...

    def close(self) -> None:
        """Ends it and everything that it started."""
        ...


class ContenderError(Exception):
    """A contender cannot be had here; the text says why."""


def understood(options: Mapping[str, Any]) -> bool:
    """Whether this version's grader has the arguments."""
    return options.keys() <= inspect.signature(Grader).parameters.keys()


class Codegym:
    """codegym with one worker, coverage on, no cache, all isolation enforced.

    Args:
        name: Of the row.
        grader: Further keyword arguments of :class:`~codegym.grading.Grader`.
    """

    def __init__(self, name: str, **grader: Any) -> None:
        self.name = name
        self._options: dict[str, Any] = {"cache_size": 0, **grader}
        self._executor = LocalExecutor(workers=1, isolation="strict")
        self._grader = Grader(self._executor, **self._options)
        self._jobs: Sequence[Job] = ()

    def load(self, jobs: Sequence[Job], time_limit: float) -> list[bool]:
        """All jobs."""
        self._jobs = jobs
        limits = ExecutionLimits(cpu_seconds=time_limit, wall_seconds=WALL_FACTOR * time_limit)
        self._grader = Grader(self._executor, limits, **self._options)
        return [True] * len(jobs)

    def run(self, indices: Sequence[int]) -> Block:
        """Grades in this process; the time includes what the parent does."""
        seconds, passed = [], []
        for index in indices:
            job = self._jobs[index]
            started = time.perf_counter()
            grade = self._grader.grade(job.problem, job.program)
            seconds.append(time.perf_counter() - started)
            passed.append(grade.solved)
        return Block(tuple(seconds), tuple(passed))

    def usage(self) -> Usage:
        """Of this process and everything below it; of use between two moments only."""
        return usage(os.getpid())

    def close(self) -> None:
        """Ends the worker."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
