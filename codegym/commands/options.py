"""What the command lines of several commands share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from codegym.errors import ConfigurationError
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grader
from codegym.problems import ProblemSet, load_problems

__all__ = ["Common", "Judging", "SourceOptions"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every command."""

    json: bool = False
    """print one JSON object on standard output instead of tables"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judging(Common):
    """Options of every command that runs programs."""

    workers: int | None = None
    """programs that run at a time; default: the CPUs that this process may use"""
    cpu_seconds: float = ExecutionLimits().cpu_seconds
    """CPU time that one test may use"""
    memory_mib: int = ExecutionLimits().memory_bytes >> 20
    """memory that one test may use"""

    def limits(self) -> ExecutionLimits:
        """What a test may use; time on the clock is three times its CPU time, as by default.

        Raises:
            ConfigurationError: If a number is not positive.
        """
        default = ExecutionLimits()
        return ExecutionLimits(
            cpu_seconds=self.cpu_seconds,
            wall_seconds=self.cpu_seconds * default.wall_seconds / default.cpu_seconds,
            memory_bytes=self.memory_mib << 20,
        )

    def executor(self) -> LocalExecutor:
        """Workers; the caller closes them.

        Raises:
            ConfigurationError: If the number of workers is not positive.
            IsolationError: If this is no Linux.
        """
        return LocalExecutor(workers=self.workers)

    def grader(self, executor: LocalExecutor, *, cache_size: int = 4_096) -> Grader:
        """A grader with these limits; the caller closes it."""
        return Grader(executor, self.limits(), cache_size=cache_size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions(Judging):
    """Options of every command that grades samples: whose problems they are solutions of."""

    source: str
    """source of the problems, such as humaneval; `codegym envs` lists them"""
    data: str | None = None
    """file or folder of the source, or "sample" (apps_plus); default: $CODEGYM_DATA, the user's
    cache, the network"""
    split: str | None = None
    """split of the source; default: all"""
    out: Path | None = None
    """file of the results; default: beside what is read, ending in .codegym.jsonl (of regrade: in
    .codegym.regrade.jsonl)"""
    resume: bool = False
    """go on with results that are there already"""
    overwrite: bool = False
    """replace results that are there already"""
    k: tuple[int, ...] = ()
    """which pass@k; default: those of 1, 10 and 100 that there are samples enough for"""

    def problems(self) -> ProblemSet:
        """The problems of the source.

        Raises:
            CodegymError: As `load_problems` does.
        """
        if any(k < 1 for k in self.k):
            raise ConfigurationError(f"k must be 1 or more, got {self.k}.")
        return load_problems(self.source, data=self.data, split=self.split, allow_sample=False)

    def settings(self, samples: Path) -> dict[str, object]:
        """What results depend on, apart from programs and problems themselves."""
        return {
            "samples": samples.name,
            "source": self.source,
            "split": self.split,
            "cpu_seconds": self.cpu_seconds,
            "memory_mib": self.memory_mib,
        }
