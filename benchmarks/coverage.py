"""What does coverage cost, and does it change a verdict? On LeetCodeDataset's canonical solutions.

Every solution is graded with coverage on and with coverage off, one right after the other, in an
order that alternates, on each interpreter; a seeded sample also under a plain trace function
(`sys.settrace`) that notes every line, for comparison.

Three costs: CPU time of the call of the solution alone, taken by a stopwatch around it in its own
process; CPU time of the processes that ran the tests, from fork to exit; and the time that
grading took on the clock, parent included. The first is the strict one: the others are thinned
by what a process costs anyway.

    python -m benchmarks.coverage --data FOLDER [--pythons python3.11 python3.12 python3.13]

Each interpreter needs numpy and sortedcontainers, which the data set's judge has.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import tyro

from benchmarks import page
from benchmarks.intervals import ratio_of_sums
from benchmarks.programs import DATA
from benchmarks.turns import rotated
from codegym.execution import LocalExecutor, Observation, Request, Result, describe_isolation
from codegym.grading import Grade, Grader
from codegym.problems import Problem, load_problems

_FILE = "LeetCodeDataset-v0.2.0-train.jsonl.gz"
_VERSIONS = ("3.11", "3.12", "3.13")
BARS: dict[tuple[int, ...], float] = {(3, 11): 60.0}
"""Largest overhead in %, by version of the interpreter; :data:`BAR` for all others."""
BAR = 10.0
_STOPWATCH = """
import os as _os, time as _time

class _Stopwatch:
    def run(self, *args, **kwargs):
        called = {entry_point}
        started = _time.thread_time_ns()
        try:
            return called(*args, **kwargs)
        finally:
            _os.write(2, b"\\nstopwatch %d\\n" % (_time.thread_time_ns() - started))
"""
_SETTRACE = """
import sys as _sys

_lines = set()

def _trace(frame, event, argument):
    if frame.f_code.co_filename != "program.py":
        return None
    if event == "line":
        _lines.add(frame.f_lineno)
    return _trace

_sys.settrace(_trace)
"""
MODES = ("off", "on", "settrace")
_KINDS = ("call", "child", "wall")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Cost of coverage."""

    data: Path = DATA
    """folder of the data sets"""
    pythons: tuple[str, ...] = ()
    """interpreters; default: 3.11, 3.12 and 3.13 where they are found"""
    problems: int | None = None
    """how many, a seeded sample; default: all"""
    settrace: int = 300
    """how many of them also run under a plain trace function"""
    seed: int = 0
    """of the sample and the order"""
    out: Path = page.RESULTS / "coverage"
    """path of the results without suffix: .json and .md are written"""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One grading of one solution.

    Attributes:
        verdict: The verdict and those of its tests.
        call: CPU seconds of the calls of the solution; None if one did not end by itself.
        child: CPU seconds of the tests' processes.
        wall: Seconds on the clock.
        lines: Number of executed lines.
    """

    verdict: tuple[str, ...]
    call: float | None
    child: float
    wall: float
    lines: int


class Timed:
    """An executor that puts a stopwatch around each call of the entry point.

    Args:
        inner: Runs the programs.

    Attributes:
        prelude: Code that is put before the stopwatch.
        seen: The observations of the last request.
    """

    def __init__(self, inner: LocalExecutor) -> None:
        self._inner = inner
        self.prelude = ""
        self.seen: tuple[Observation, ...] = ()

    def submit(self, request: Request) -> Future[Result]:
        """Runs the request under the stopwatch and waits for it."""
        watch = _STOPWATCH.format(entry_point=request.entry_point)
        timed = dataclasses.replace(
            request,
            prelude=f"{request.prelude}\n{watch}{self.prelude}",
            entry_point="_Stopwatch().run",
        )
        answer: Future[Result] = Future()
        result = self._inner.run(timed)
        self.seen = result.observations
        answer.set_result(result)
        return answer

    def close(self) -> None:
        """Does nothing: the inner executor is its owner's."""


class Bench:
    """Grades on one interpreter in any of :data:`MODES`.

    Args:
        executor: One worker on that interpreter.
    """

    def __init__(self, executor: LocalExecutor) -> None:
        self._executor = Timed(executor)
        self._graders = {
            mode: Grader(self._executor, coverage=mode == "on", cache_size=0) for mode in MODES
        }

    def grade(self, problem: Problem, mode: str) -> Run:
        """Grades the canonical solution of a problem."""
        self._executor.prelude = _SETTRACE if mode == "settrace" else ""
        started = time.perf_counter()
        grade = self._graders[mode].grade(problem, problem.canonical_solution)
        wall = time.perf_counter() - started
        seen = self._executor.seen
        calls = [_stopwatch(observation) for observation in seen]
        return Run(
            verdict=_verdicts(grade),
            call=None if None in calls else sum(filter(None, calls)),
            child=sum(observation.cpu_seconds for observation in seen),
            wall=wall,
            lines=len(grade.executed_lines),
        )


def _stopwatch(observation: Observation) -> float | None:
    for line in observation.stderr.splitlines():
        if line.startswith("stopwatch "):
            return int(line.removeprefix("stopwatch ")) / 1e9
    return None


def _verdicts(grade: Grade) -> tuple[str, ...]:
    tests = ["not run" if test is None else test.verdict.value for test in grade.tests]
    return (grade.verdict.value, *tests)


def find_pythons() -> list[str]:
    """This interpreter, and others of the supported versions that are installed."""
    found = []
    for version in _VERSIONS:
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            found.append(sys.executable)
            continue
        pattern = os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python3")
        here = shutil.which(f"python{version}", path=os.defpath)
        found += [here] if here else glob.glob(pattern)[:1]
    return found


def measure(python: str, problems: Sequence[Problem], args: Args) -> dict[str, Any]:
    """Grades all problems on one interpreter; returns its row of the results."""
    version = describe_isolation(python).python
    runs: dict[str, list[Run | None]] = {mode: [] for mode in MODES}
    with LocalExecutor(workers=1, python=python) as executor:
        bench = Bench(executor)
        for index, problem in enumerate(problems):
            modes = list(MODES if index < args.settrace else MODES[:2])
            taken = {mode: bench.grade(problem, mode) for mode in rotated(modes, index)}
            for mode in MODES:
                runs[mode].append(taken.get(mode))
            if index % 50 == 49 or index + 1 == len(problems):
                done = f"{index + 1}/{len(problems)}"
                print(f"\r{'.'.join(map(str, version))}: {done} ", end="", file=sys.stderr)
    print(file=sys.stderr)
    names = [problem.id for problem in problems]
    bar = BARS.get(version[:2], BAR)
    return {
        "python": ".".join(map(str, version)),
        "bar": bar,
        "problems": len(problems),
        "accepted": sum(run is not None and run.verdict[0] == "accepted" for run in runs["on"]),
        "differences": list(_differences(names, runs["off"], runs["on"])),
        "without_lines": [
            n for n, run in zip(names, runs["on"], strict=True) if run and not run.lines
        ],
        "overhead": {
            mode: {kind: _overhead(runs["off"], runs[mode], kind) for kind in _KINDS}
            for mode in MODES[1:]
        },
        "seconds_off": {
            kind: sum(getattr(run, kind) or 0.0 for run in runs["off"] if run) for kind in _KINDS
        },
    }


def _differences(
    names: Sequence[str], off: Sequence[Run | None], on: Sequence[Run | None]
) -> Iterator[dict[str, Any]]:
    for name, one, other in zip(names, off, on, strict=True):
        if one and other and one.verdict != other.verdict:
            yield {"problem": name, "off": one.verdict, "on": other.verdict}


def _overhead(
    base: Sequence[Run | None], other: Sequence[Run | None], kind: str
) -> tuple[float, float, float] | None:
    """Overhead in % with its interval, over the problems that both ran to the end."""
    pairs = [
        (getattr(b, kind), getattr(a, kind))
        for a, b in zip(base, other, strict=True)
        if a and b and None not in (getattr(a, kind), getattr(b, kind))
    ]
    if not pairs:
        return None
    ratio = ratio_of_sums([top for top, _ in pairs], [bottom for _, bottom in pairs])
    return 100 * (ratio.value - 1), 100 * (ratio.low - 1), 100 * (ratio.high - 1)


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    asked = (
        "What does coverage cost, and does it change a verdict? LeetCodeDataset's canonical "
        "solutions, graded with and without it; one worker, a child for each test. Overhead in % "
        "over no coverage, with 95 % interval (problems resampled). *Call*: CPU time of the "
        "solution's calls alone. *Process*: CPU time of the tests' processes. *Clock*: time until "
        "the grade is there. *Met*: for each of the three, in this order."
    )
    yield from page.head("Cost of coverage", asked, results)
    columns = ["Python", "problems", "call", "process", "clock", "bar", "met"]
    columns += ["settrace: call", "process", "accepted", "other verdict"]

    def cells(row: Mapping[str, Any]) -> Iterator[object]:
        on, plain = row["overhead"]["on"], row["overhead"]["settrace"]
        yield from (row["python"], row["problems"], *(page.interval(on[kind]) for kind in _KINDS))
        yield from (f"{row['bar']:g}", ", ".join(_met(on[kind], row["bar"]) for kind in _KINDS))
        yield from (page.interval(plain["call"]), page.interval(plain["child"]))
        yield from (row["accepted"], len(row["differences"]))

    yield from page.table(columns, (list(cells(row)) for row in results["rows"]))
    for row in results["rows"]:
        for found in row["differences"]:
            yield (
                f"- {row['python']}, `{found['problem']}`: {found['off']} without, "
                f"{found['on']} with"
            )


def _met(overhead: Sequence[float] | None, bar: float) -> str:
    if overhead is None:
        return "not measured"
    return "yes" if overhead[0] <= bar else "**no**"


def main(args: Args) -> None:
    """Measures, and writes the results."""
    results = page.environment("coverage")
    problems = list(load_problems("leetcode", data=args.data / _FILE))
    random.Random(args.seed).shuffle(problems)
    named = [os.path.abspath(shutil.which(name) or name) for name in args.pythons]
    pythons = named or find_pythons()
    results["rows"] = [measure(python, problems[: args.problems], args) for python in pythons]
    page.write(args.out, results, lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
