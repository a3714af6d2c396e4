"""Interleaved measurement: contenders take turns in short blocks, in an order that rotates."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence

from benchmarks.grading_peers.contender import Contender
from benchmarks.grading_peers.jobs import Job
from benchmarks.intervals import Interval, median_of_ratios, ratio_of_sums

_WARM_UP = 3
_MOST_PER_BLOCK = 400


@dataclasses.dataclass(slots=True)
class Series:
    """What one contender did in all blocks of a case.

    Attributes:
        name: Of the contender.
        blocks: For each block, seconds by index of the job.
        passed: Verdict by index of the job (the last one, where there are several).
        cpu_seconds: CPU time of all blocks together.
    """

    name: str
    blocks: list[dict[int, float]] = dataclasses.field(default_factory=list)
    passed: dict[int, bool] = dataclasses.field(default_factory=dict)
    cpu_seconds: float = 0.0
    _all: list[float] = dataclasses.field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """All times, in the order in which they were taken."""
        return self._all

    def means(self) -> list[float]:
        """Mean seconds for each block."""
        return [sum(block.values()) / len(block) for block in self.blocks]


class Case:
    """Contenders with the same jobs loaded.

    Args:
        name: Of the case.
        contenders: Who takes part.
        jobs: What is graded.
        time_limit: Seconds, for a test or for a program, as the grader has it.
    """

    def __init__(
        self, name: str, contenders: Sequence[Contender], jobs: Sequence[Job], time_limit: float
    ) -> None:
        self.name = name
        self.jobs = jobs
        self._contenders = []
        self._supported: dict[str, list[int]] = {}
        for contender in contenders:
            supported = contender.load(jobs, time_limit)
            indices = [index for index, able in enumerate(supported) if able]
            if indices:
                self._contenders.append(contender)
                self._supported[contender.name] = indices
        self.series = {contender.name: Series(contender.name) for contender in self._contenders}

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
            first = k % len(self._contenders)
            for contender in (*self._contenders[first:], *self._contenders[:first]):
                indices = indices_of(k, contender)
                before = contender.cpu_seconds()
                block = contender.run(indices)
                self.series[contender.name].cpu_seconds += contender.cpu_seconds() - before
                self._note(contender.name, indices, block.seconds, block.passed)
            print(f"\r{self.name}: {k + 1}/{rounds} ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def _note(
        self,
        name: str,
        indices: Sequence[int],
        seconds: Iterable[float],
        passed: Iterable[bool],
    ) -> None:
        series = self.series[name]
        total: dict[int, list[float]] = {}
        for index, taken in zip(indices, seconds, strict=True):
            total.setdefault(index, []).append(taken)
            series.seconds.append(taken)
        series.blocks.append({index: sum(t) / len(t) for index, t in total.items()})
        series.passed.update(zip(indices, passed, strict=True))

    def ratio(self, top: str, bottom: str, *, alike: bool) -> Interval:
        """How many times the time of `bottom` `top` took, on the jobs that both can grade.

        Args:
            top: Name of a contender.
            bottom: Name of another.
            alike: Whether the jobs are alike: then the median over blocks, else the totals.
        """
        one, other = self.series[top], self.series[bottom]
        if alike:
            return median_of_ratios(one.means(), other.means())
        pairs = [
            (sum(a[i] for i in both), sum(b[i] for i in both))
            for a, b in zip(one.blocks, other.blocks, strict=True)
            if (both := a.keys() & b.keys())
        ]
        return ratio_of_sums([a for a, _ in pairs], [b for _, b in pairs])
