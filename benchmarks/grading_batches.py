"""Batches: two workers against one, and what a trainer's settings save."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.grading_rounds import WALL_FACTOR
from benchmarks.intervals import median_of_ratios
from benchmarks.programs import Job
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grader

__all__ = ["scaling", "trainer"]

_STOPPING: dict[str, Any] = {"stop_at_first_failure": True, "shortest_first": True}
_TRAINER: dict[str, dict[str, Any]] = {
    "all tests": {},
    "stop at the first failure": {"stop_at_first_failure": True},
    "stop, shortest tests first": _STOPPING,
}
_REPEATS = 4


def scaling(jobs: Sequence[Job], *, batch: int, rounds: int, core: int) -> dict[str, Any]:
    """Times batches with one and with two workers in turns.

    Args:
        jobs: What is graded, again and again.
        batch: Grades in a batch.
        rounds: Batches of each setting.
        core: The core that everything of the first setting shares.

    Returns:
        Median grades a second by setting (`rates`), and how many times as fast two workers are,
        with intervals: as one whose processes all share one core (`two_on_two_cores`), and as one
        that may use all cores with its parent (`two_against_free`).
    """
    free = os.sched_getaffinity(0)
    two = set(sorted(free)[:2])
    settings = {
        "one worker, one core": (1, {core}),
        "one worker": (1, two),
        "two workers": (2, two),
    }
    pairs = [(jobs[k % len(jobs)].problem, jobs[k % len(jobs)].program) for k in range(batch)]
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    with contextlib.ExitStack() as stack:
        graders = {}
        for name, (workers, cores) in settings.items():
            # Threads and workers inherit the cores of the thread that starts them.
            os.sched_setaffinity(0, cores)
            executor = stack.enter_context(LocalExecutor(workers=workers, isolation="strict"))
            graders[name] = Grader(executor, cache_size=0)
            graders[name].grade_many(pairs[: 4 * workers])
        for _ in range(rounds):
            for name, (_, cores) in settings.items():
                os.sched_setaffinity(0, cores)
                started = time.perf_counter()
                graders[name].grade_many(pairs)
                seconds[name].append(time.perf_counter() - started)
    os.sched_setaffinity(0, free)
    on_one_core, with_all, two_workers = seconds.values()
    return {
        "rates": {name: batch / sorted(taken)[len(taken) // 2] for name, taken in seconds.items()},
        "two_on_two_cores": dataclasses.astuple(median_of_ratios(on_one_core, two_workers)),
        "two_against_free": dataclasses.astuple(median_of_ratios(with_all, two_workers)),
    }


def trainer(jobs: Sequence[Job], *, time_limit: float) -> list[dict[str, Any]]:
    """Grades a whole batch on all cores with each of a trainer's settings.

    Args:
        jobs: One batch.
        time_limit: CPU seconds of a test.

    Returns:
        A row for each setting: name, grades, seconds, grades a second, how many were solved, and
        tests that were run. The last row has the cache on, and each program several times, in a
        seeded order.
    """
    limits = ExecutionLimits(cpu_seconds=time_limit, wall_seconds=WALL_FACTOR * time_limit)
    pairs = [(job.problem, job.program) for job in jobs]
    repeated = pairs * _REPEATS
    random.Random(0).shuffle(repeated)
    with LocalExecutor(isolation="strict") as executor:
        rows = [
            _timed(name, Grader(executor, limits, cache_size=0, **options), pairs)
            for name, options in _TRAINER.items()
        ]
        name = f"stop, shortest first, cache, each program {_REPEATS} times"
        return [*rows, _timed(name, Grader(executor, limits, **_STOPPING), repeated)]


def _timed(name: str, grader: Grader, pairs: Sequence[tuple[Any, str]]) -> dict[str, Any]:
    print(f"trainer: {name}", file=sys.stderr, flush=True)
    started = time.perf_counter()
    grades = grader.grade_many(pairs)
    seconds = time.perf_counter() - started
    return {
        "name": name,
        "grades": len(grades),
        "seconds": seconds,
        "grades_per_second": len(grades) / seconds,
        "solved": sum(grade.solved for grade in grades),
        "tests_run": sum(test is not None for grade in grades for test in grade.tests),
    }
