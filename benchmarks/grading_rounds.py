"""Graders that are timed take turns in short blocks on the same jobs; codegym is one of them."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self

from benchmarks.grading_report import OURS
from benchmarks.intervals import Interval, median_of_ratios, percentiles, ratio_of_sums
from benchmarks.peers.remote import Block, PeerError
from benchmarks.processes import Usage, usage
from benchmarks.programs import Job
from benchmarks.turns import rotated
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grader

__all__ = ["WALL_FACTOR", "Case", "Codegym", "Contender"]

WALL_FACTOR = 3
"""Wall limit over CPU limit of codegym's rows, for programs that sleep."""
_WARM_UP = 3
_MOST_PER_BLOCK = 400


class Contender(Protocol):
    """A grader that can be timed. Used by one thread, one block at a time."""

    name: str

    def load(self, jobs: Sequence[Job], time_limit: float) -> list[bool]:
        """Takes the jobs that blocks then name by index; tells which of them it can grade."""
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


class Codegym:
    """codegym with one worker, coverage on, no cache, all isolation enforced.

    Args:
        name: The name of its row.
        grader: Further keyword arguments of :class:`~codegym.grading.Grader`.
    """

    def __init__(self, name: str, **grader: Any) -> None:
        self.name = name
        self._options: dict[str, Any] = {"cache_size": 0, **grader}
        self._executor = LocalExecutor(workers=1, isolation="strict")
        self._grader = Grader(self._executor, **self._options)
        self._jobs: Sequence[Job] = ()

    def load(self, jobs: Sequence[Job], time_limit: float) -> list[bool]:
        """Takes all jobs."""
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
        """What this process and everything below it used; for use between two moments only."""
        return usage(os.getpid())

    def close(self) -> None:
        """Ends the worker."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclasses.dataclass(slots=True)
class Series:
    """What one contender did in all blocks of a case.

    Attributes:
        blocks: By round, seconds by index of the job.
        passed: Verdict by index of the job (the last one, where there are several).
        used: CPU time and page faults of the blocks in which they are known, together.
        known: Grades in these blocks.
        seconds: All times, in the order in which they were taken.
    """

    blocks: dict[int, dict[int, float]] = dataclasses.field(default_factory=dict)
    passed: dict[int, bool] = dataclasses.field(default_factory=dict)
    used: Usage = dataclasses.field(default_factory=lambda: Usage(0.0, 0))
    known: int = 0
    seconds: list[float] = dataclasses.field(default_factory=list)

    def per_grade(self, used: float) -> float | None:
        """What was used, by grade; None if it is known of no block."""
        return used / self.known if self.known else None

    def note(self, index: int, jobs: Sequence[int], block: Block, used: Usage | None) -> None:
        """Adds what was measured in a round."""
        if used is not None:
            self.used = Usage(
                self.used.cpu_seconds + used.cpu_seconds, self.used.page_faults + used.page_faults
            )
            self.known += len(block.seconds)
        taken: dict[int, list[float]] = {}
        for job, seconds in zip(jobs, block.seconds, strict=True):
            taken.setdefault(job, []).append(seconds)
        self.blocks[index] = {job: sum(times) / len(times) for job, times in taken.items()}
        self.seconds += block.seconds
        self.passed.update(zip(jobs, block.passed, strict=True))

    def times(self) -> dict[int, float]:
        """Seconds of the last block that graded it, by index of the job."""
        return {job: taken for block in self.blocks.values() for job, taken in block.items()}


class Case:
    """Contenders with the same jobs loaded.

    Args:
        name: The case's.
        contenders: Who takes part.
        jobs: What is graded.
        time_limit: Seconds, for a test or for a program, as the grader has it.
        first_only: By name of a contender, how many of the jobs it gets; all where it has no entry.

    Attributes:
        series: What was measured, by name of the contender.
        lost: Which contenders did not come through, in sentences.
    """

    def __init__(
        self,
        name: str,
        contenders: Sequence[Contender],
        jobs: Sequence[Job],
        time_limit: float,
        first_only: Mapping[str, int] | None = None,
    ) -> None:
        self.name = name
        self.jobs = jobs
        self.lost: list[str] = []
        self._contenders = []
        self._supported: dict[str, list[int]] = {}
        for contender in contenders:
            supported = contender.load(jobs, time_limit)
            most = (first_only or {}).get(contender.name, len(jobs))
            indices = [index for index, able in enumerate(supported) if able and index < most]
            if indices:
                self._contenders.append(contender)
                self._supported[contender.name] = indices
        self.series = {contender.name: Series() for contender in self._contenders}

    def repeat(self, rounds: int, block_seconds: float) -> None:
        """Jobs that are alike: in each round, every contender grades for about `block_seconds`."""
        counts = {}
        for contender in self._contenders:
            warm = contender.run(self._supported[contender.name][:_WARM_UP])
            each = min(warm.seconds)
            counts[contender.name] = min(_MOST_PER_BLOCK, max(2, round(block_seconds / each)))
        position = dict.fromkeys(counts, 0)

        def next_indices(contender: Contender) -> list[int]:
            indices, first = self._supported[contender.name], position[contender.name]
            count = counts[contender.name]
            position[contender.name] = first + count
            return [indices[k % len(indices)] for k in range(first, first + count)]

        self._take_turns(rounds, lambda _round, contender: next_indices(contender))

    def cover(self, block_size: int) -> None:
        """Jobs that differ: every contender grades each once, `block_size` of them in a row."""
        slices = [
            set(range(first, first + block_size)) for first in range(0, len(self.jobs), block_size)
        ]
        self._take_turns(
            len(slices),
            lambda k, contender: [i for i in self._supported[contender.name] if i in slices[k]],
        )

    def _take_turns(self, rounds: int, indices_of: Callable[[int, Contender], list[int]]) -> None:
        for k in range(rounds):
            for contender in rotated(self._contenders, k):
                indices = indices_of(k, contender)
                if not indices:
                    continue
                before = contender.usage()
                try:
                    block = contender.run(indices)
                except PeerError as error:
                    self.lost.append(f"Lost in ({self.name}): {error}.")
                    self._contenders.remove(contender)
                    continue
                used = contender.usage().since(before)
                self.series[contender.name].note(k, indices, block, used)
            print(f"\r{self.name}: {k + 1}/{rounds} ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def ratio(self, top: str, bottom: str, *, alike: bool) -> Interval:
        """How many times the time of `bottom` `top` took, on the jobs that both can grade.

        Args:
            top: Name of a contender.
            bottom: Name of another.
            alike: Whether the jobs are alike: then the median over blocks, else the totals.
        """
        one, other = self.series[top], self.series[bottom]
        tops, bottoms = [], []
        for k in sorted(one.blocks.keys() & other.blocks.keys()):
            a, b = one.blocks[k], other.blocks[k]
            if alike:
                tops.append(sum(a.values()) / len(a))
                bottoms.append(sum(b.values()) / len(b))
            elif both := a.keys() & b.keys():
                tops.append(sum(a[job] for job in both))
                bottoms.append(sum(b[job] for job in both))
        return (median_of_ratios if alike else ratio_of_sums)(tops, bottoms)

    def typical_ratio(self, top: str, bottom: str) -> Interval:
        """The median over programs of how many times the time of `bottom` `top` took."""
        one, other = self.series[top].times(), self.series[bottom].times()
        both = sorted(one.keys() & other.keys())
        return median_of_ratios([one[job] for job in both], [other[job] for job in both])

    def result(self, title: str, *, alike: bool) -> dict[str, Any]:
        """The case as plain data.

        Args:
            title: Its heading on the page.
            alike: Whether its jobs are alike (see :meth:`ratio`).

        Returns:
            `rows` by contender; `ratio` in them is its time over codegym's, with interval, on the
            jobs that both can grade.
        """
        rows = {}
        ours = self.series[OURS]
        for name, series in self.series.items():
            both = ours.passed.keys() & series.passed.keys()
            differ = sorted(k for k in both if ours.passed[k] != series.passed[k])
            rows[name] = {
                "jobs": len(series.passed),
                "grades": len(series.seconds),
                "blocks": len(series.blocks),
                "seconds": sum(series.seconds),
                "grades_per_second": len(series.seconds) / sum(series.seconds),
                **percentiles(series.seconds),
                "cpu_ms": series.per_grade(1e3 * series.used.cpu_seconds),
                "page_faults": series.per_grade(series.used.page_faults),
                "passed": sum(series.passed.values()),
                "differs": [self.jobs[k].problem.id for k in differ],
                "ratio": dataclasses.astuple(self.ratio(name, OURS, alike=alike)),
                "typical": dataclasses.astuple(self.typical_ratio(name, OURS)),
            }
        return {"name": self.name, "title": title, "alike": alike, "rows": rows}
