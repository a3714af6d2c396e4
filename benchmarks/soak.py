"""Does a long-lived pool grow, or change its mind? Thousands of grades, a tenth of them hostile.

One pool and one grader without a memory grade a seeded mixture: the honest and the merely wrong
programs of the conformance suite and programs that a model wrote, and, for every tenth grade, an
attack or a cheat of that suite under short limits. After each block of grades, when all have been
answered, everything that the pool occupies is noted (`footprint.py`).

Before that, every program is graded a few times, for its first grade and to leave out those whose
verdict or time is near one of our short limits: these are not told apart by any machine.

Growth is the slope of a straight line over the second half of the samples. A verdict that differs
from the first one, or from the suite's, is an error.

    python -m benchmarks.soak --data FOLDER [--grades 20000]
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tyro

from benchmarks import footprint, page
from benchmarks.processes import below
from benchmarks.programs import model_written
from benchmarks.soak_report import draw, lines, passed
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grade, Grader
from codegym.problems import Problem
from conformance.table import CASES

HOSTILE = ExecutionLimits(
    cpu_seconds=0.2, wall_seconds=0.4, memory_bytes=160 * 2**20, output_bytes=2**16
)
HONEST = ExecutionLimits(cpu_seconds=1.0, wall_seconds=3.0)
_LONG = 0.06
"""CPU seconds above which an honest program is left out: a soak counts grades, not seconds."""
_NEAR = (0.5, 0.97)
"""Shares of a CPU limit between which a hostile program is near it."""
_SETTLING = 5.0
_LARGE = 2**20
"""Characters of source above which a program is graded apart: C's allocator keeps or returns such
blocks as it likes, and jumps of megabytes would hide a leak of kilobytes."""
_BURST = 20


@dataclasses.dataclass(frozen=True)
class Args:
    """Soak of a long-lived pool."""

    grades: int = 20_000
    """how many"""
    hostile: float = 0.1
    """share of them that attack or cheat"""
    workers: int = 2
    """processes of the pool"""
    every: int = 200
    """grades between two samples"""
    written: int = 300
    """programs of the model to take, if the data folder has them"""
    most: float = 32.0
    """KiB of growth for each 1,000 grades, above which a sum of memory fails"""
    seed: int = 0
    """of the mixture"""
    data: Path | None = None
    """folder of the data sets; default: $CODEGYM_DATA; without one: no programs of the model"""
    results: Path = page.RESULTS
    """where to write"""


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """One program of the mixture, and what may come of it (nothing: whatever came first)."""

    name: str
    problem: Problem
    text: str
    hostile: bool
    verdicts: tuple[str, ...] = ()


Outcome = tuple[str, int, str | None]
"""Verdict, number of tests passed, type of the error."""


def programs(args: Args, folder: Path) -> list[Program]:
    """All that can be drawn from."""
    found = [
        Program(case.name, case.problem(), text, hostile, tuple(map(str, case.verdicts)))
        for case in CASES
        if case.tests and not case.lengthy
        for hostile in [case.name.startswith(("attack:", "cheat:"))]
        for text in [case.text(str(folder), port=9, signal=0)]
    ]
    data = args.data or os.environ.get("CODEGYM_DATA")
    if data is not None:
        found += [
            Program(f"model: {job.problem.id}, {number}", job.problem, job.program, False)
            for number, job in enumerate(model_written(Path(data), args.written, args.seed))
        ]
    return found


class Soak:
    """A pool, its graders, and what each program's grade was at first."""

    def __init__(self, pool: LocalExecutor) -> None:
        self._graders = {
            True: Grader(pool, HOSTILE, cache_size=0),
            False: Grader(pool, HONEST, cache_size=0),
        }
        self._first: dict[str, Outcome] = {}
        self.changes: list[dict[str, Any]] = []

    def submit(self, program: Program) -> Future[Grade]:
        """Starts one grade."""
        return self._graders[program.hostile].submit(program.problem, program.text)

    def note(self, program: Program, grade: Grade, number: int) -> None:
        """Compares a grade with the first one of this program."""
        seen = outcome(grade)
        first = self._first.setdefault(program.name, seen)
        if seen != first:
            change = {"program": program.name, "grade": number, "first": first, "now": seen}
            self.changes.append({**change, "message": grade.error_message})

    def burst(self, program: Program) -> None:
        """Grades one program many times."""
        for future in [self.submit(program) for _ in range(_BURST)]:
            self.note(program, future.result(), -1)

    def sift(self, candidates: list[Program]) -> tuple[list[Program], dict[str, str]]:
        """Those that can be judged under short limits, and why the others cannot."""
        kept, left = [], {}
        rounds = [[self.submit(program) for program in candidates] for _ in range(2)]
        for program, *futures in zip(candidates, *rounds, strict=True):
            grades = [future.result() for future in futures]
            reason = _unfit(program, grades)
            if reason is None:
                kept.append(program)
                self.note(program, grades[0], 0)
            else:
                left[program.name] = reason
        return kept, left


def outcome(grade: Grade) -> Outcome:
    """What must be the same each time."""
    return grade.verdict.value, grade.tests_passed, grade.error_type


def _unfit(program: Program, grades: list[Grade]) -> str | None:
    most = [max(test.cpu_seconds for test in grade.tests if test) for grade in grades]
    if program.hostile:
        low, high = (share * HOSTILE.cpu_seconds for share in _NEAR)
        if any(low < seconds < high for seconds in most):
            return f"needs {max(most):.2f} s of CPU time, which is near the limit"
    elif sum((test.cpu_seconds for test in grades[0].tests if test), 0.0) > _LONG:
        return f"needs more than {_LONG:g} s of CPU time"
    if program.verdicts and not all(grade.verdict.value in program.verdicts for grade in grades):
        return f"got {' and '.join(g.verdict.value for g in grades)} under these limits"
    if outcome(grades[0]) != outcome(grades[1]):
        return f"got {outcome(grades[0])}, then {outcome(grades[1])}"
    return None


def mixture(kept: list[Program], args: Args) -> Iterator[Program]:
    """An endless, seeded sequence."""
    rng = random.Random(args.seed)
    hostile = [program for program in kept if program.hostile]
    honest = [program for program in kept if not program.hostile]
    while True:
        yield rng.choice(hostile if rng.random() < args.hostile else honest)


def block(soak: Soak, drawn: list[Program], number: int) -> int:
    """Grades some programs; returns the most processes that were seen below this one."""
    futures = [soak.submit(program) for program in drawn]
    most, waiting = 0, set(futures)
    while waiting:
        waiting = wait(waiting, timeout=0.5).not_done
        most = max(most, len(below()))
    for offset, (program, future) in enumerate(zip(drawn, futures, strict=True)):
        soak.note(program, future.result(), number + offset)
    return most


def settle(rest: int | None = None) -> int:
    """Waits until no more processes are below than at rest (None: than a while ago), or too long.

    Returns:
        How many there are.
    """
    deadline = time.monotonic() + _SETTLING
    since, count = time.monotonic(), len(below())
    while time.monotonic() < deadline:
        now = len(below())
        if now != count:
            since, count = time.monotonic(), now
        if count <= rest if rest is not None else time.monotonic() - since > 1.0:
            break
        time.sleep(0.01)
    gc.collect()
    return count


def measure(args: Args, folder: Path) -> dict[str, Any]:
    """The whole soak."""
    host = folder / "host"
    host.mkdir()
    (host / "victim").write_text("untouched")
    count = args.grades // args.every
    # Made beforehand: the notes of a soak must not be what grows.
    samples = np.full((count, len(footprint.NAMES)), np.nan)
    grades, seconds, busiest, hostile = np.arange(1.0, count + 1) * args.every, 0.0, 0, 0
    with LocalExecutor(workers=args.workers) as pool:
        soak = Soak(pool)
        candidates = programs(args, host)
        large = [program for program in candidates if len(program.text) > _LARGE]
        kept, left = soak.sift([program for program in candidates if program not in large])
        sequence = mixture(kept, args)
        rest, first_workers = settle(), _workers()
        began = time.perf_counter()
        for index in range(count):
            drawn = list(itertools.islice(sequence, args.every))
            hostile += sum(program.hostile for program in drawn)
            busiest = max(busiest, block(soak, drawn, index * args.every + 1))
            settle(rest)
            samples[index] = footprint.footprint(folder)
            print(f"\r{(index + 1) * args.every} grades ", end="", flush=True)
        seconds = time.perf_counter() - began
        apart = [footprint.footprint(folder)]
        for program in large or kept[:1]:
            soak.burst(program)
        settle(rest)
        apart.append(footprint.footprint(folder))
        for program in itertools.islice(sequence, args.every // _BURST):
            if not program.hostile:
                soak.burst(program)
        settle(rest)
        apart.append(footprint.footprint(folder))
        replaced = len(first_workers - _workers())
    return {
        "settings": {k: v for k, v in dataclasses.asdict(args).items() if k not in _PLACES},
        "limits": {"hostile": dataclasses.asdict(HOSTILE), "honest": dataclasses.asdict(HONEST)},
        "grades_a_second": count * args.every / seconds,
        "hostile_grades": hostile,
        "programs": dict(sorted(Counter(map(_kind, kept)).items())),
        "left_out": left,
        "changes": soak.changes,
        "workers_replaced": replaced,
        "most_processes_while_busy": busiest,
        "host_untouched": os.listdir(host) == ["victim"]
        and (host / "victim").read_text() == "untouched",
        "names": footprint.NAMES,
        "grades": grades.tolist(),
        "samples": samples.tolist(),
        "large": {"programs": [p.name for p in large], "times": _BURST, "least": _LARGE},
        "around_large": apart,
        "growth": [dataclasses.asdict(one) for one in footprint.growth(grades, samples, args.most)],
    }


_PLACES = ("data", "results")


def _workers() -> set[psutil.Process]:
    return set(psutil.Process().children())


def _kind(program: Program) -> str:
    return program.name.partition(":")[0]


def main(args: Args) -> None:
    """Runs the benchmark and writes its results."""
    if args.grades < 4 * args.every:
        raise SystemExit(f"--grades must be at least 4 times --every, got {args.grades}.")
    results = page.environment("soak")
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="codegym-soak-") as folder:
        tempfile.tempdir = folder
        try:
            results |= measure(args, Path(folder))
        finally:
            tempfile.tempdir = before
    page.write(args.results / "soak", results, lines, draw, indent=None)
    raise SystemExit(0 if passed(results) else 1)


if __name__ == "__main__":
    main(tyro.cli(Args))
