"""What does each hardening of the sandbox cost? Trivial programs, with one of them taken away.

A worker is started through a launcher that switches one protection off before the worker begins:
what programs may read (Landlock), which system calls there are (seccomp), the question before each
new thread, namespaces, the watch on memory; and all of them (`isolation="none"`). Coverage, which
is no protection, is switched off for comparison. The workers grade the same programs in short
blocks, one after the other on one core, in an order that changes.

    python -m benchmarks.hardening [--before CHECKOUT]

`CHECKOUT` is one of this repository at another commit, whose grader takes turns with the others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tyro

from benchmarks import page
from benchmarks.intervals import median_of_ratios
from benchmarks.programs import trivial_call, trivial_stdin
from benchmarks.turns import rotated
from codegym.execution import LocalExecutor
from codegym.grading import Grader
from codegym.problems import CodeTest, Problem

WHOLE = "everything, as it is"
TAKEN_AWAY = {
    "files (Landlock)": "from sandbox.fence import landlock; landlock.abi = lambda: 0",
    "system calls and threads (seccomp)": (
        "from sandbox.fence import seccomp; seccomp.supported = lambda: False"
    ),
    "threads alone": "from sandbox.fence import threads; threads.supported = lambda: False",
    "namespaces": "from sandbox.fence import namespaces; namespaces.enter = lambda box: False",
    "the watch on memory": (
        "from sandbox.fence import memory; memory.Watch.look = lambda *_: float('inf'); "
        "memory.Watch.exceeded = lambda *_: False"
    ),
}
"""Statements that a worker runs before its own, by the name of what they switch off."""
_BEGIN = "from sandbox.worker import main; "
_LAUNCHER = """#!{python} -I
import os, sys
arguments = [each.replace({begin!r}, {begin!r} + {statement!r} + "; ") for each in sys.argv[1:]]
assert arguments != sys.argv[1:], "nothing was switched off"
os.execv({python!r}, [{python!r}, *arguments])
"""
_OTHER = """
import sys, time
import codegym
from codegym.problems.problem import CallTest, Problem, StdinTest
grader = codegym.Grader(executor=codegym.LocalExecutor(workers=1), cache_size=0)
def problem(number, tests, entry_point):
    return Problem(str(number), "Trivial.", "", tuple(tests), entry_point=entry_point)
kinds = {
    "a call, 1 test": (
        problem(1, [CallTest((3,), 6)], "double"), "def double(x):\\n    return 2 * x\\n# {}\\n"),
    "a call, 3 tests": (
        problem(2, [CallTest((3 + k,), 6 + 2 * k) for k in range(3)], "double"),
        "def double(x):\\n    return 2 * x\\n# {}\\n"),
    "standard input, 3 tests": (
        problem(3, [StdinTest(f"{k} 2\\n", f"{k + 2}\\n") for k in (1, 2, 3)], None),
        "a, b = map(int, input().split())\\nprint(a + b)\\n# {}\\n"),
}
for line in sys.stdin:
    kind, _, count = line.strip().rpartition("/")
    if kind not in kinds:
        print(-1, flush=True)
        continue
    began = time.perf_counter()
    for number in range(int(count)):
        assert grader.grade(kinds[kind][0], kinds[kind][1].format(number)).solved
    print(time.perf_counter() - began, flush=True)
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """What each hardening of the sandbox costs."""

    before: Path | None = None
    """a checkout of another commit, to be compared with this one"""
    rounds: int = 50
    """blocks of each"""
    grades: int = 20
    """in a block"""
    out: Path = page.RESULTS / "hardening"
    """path of the results without suffix: .json and .md are written"""


Kinds = Mapping[str, Sequence[tuple[Problem, str]]]


def kinds() -> Kinds:
    """Problems and programs that solve them, by what the tests are."""
    code = Problem(
        id="double-code",
        description="Double x.",
        canonical_solution="",
        tests=(CodeTest("assert candidate(3) == 6", "candidate"),),
        entry_point="double",
    )
    jobs = {
        "a call, 1 test": trivial_call(1),
        "a call, 3 tests": trivial_call(3),
        "standard input, 3 tests": trivial_stdin(3),
    }
    return {
        **{name: [(job.problem, job.program) for job in each] for name, each in jobs.items()},
        "test code, 1 assert": [(code, job.program) for job in jobs["a call, 1 test"]],
    }


class Contender(Protocol):
    """A grader whose blocks are timed."""

    def seconds(self, kind: str, grades: int) -> float | None:
        """What so many grades of a kind take; None if it does not know that kind."""
        ...


class Ours:
    """The grader of this checkout with one worker, and perhaps without something.

    Args:
        jobs: Of :func:`kinds`.
        python: The interpreter or launcher of the worker; default: this one.
        isolation: Of the executor.
        coverage: Of the grader.
    """

    def __init__(
        self,
        jobs: Kinds,
        *,
        python: str | None = None,
        isolation: Any = "auto",
        coverage: bool = True,
    ) -> None:
        self._jobs = jobs
        self._executor = LocalExecutor(workers=1, python=python, isolation=isolation)
        self._grader = Grader(self._executor, coverage=coverage, cache_size=0)

    def seconds(self, kind: str, grades: int) -> float:
        """Grades one after the other."""
        jobs = self._jobs[kind]
        began = time.perf_counter()
        for number in range(grades):
            if not self._grader.grade(*jobs[number % len(jobs)]).solved:
                raise RuntimeError(f"Expected a solved problem: {kind}.")
        return time.perf_counter() - began

    def close(self) -> None:
        """Ends the worker."""
        self._executor.close()


class Other:
    """The grader of another checkout, in a process of its own.

    Args:
        checkout: Its root.
    """

    def __init__(self, checkout: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER],
            env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, kind: str, grades: int) -> float | None:
        """Asks the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind}/{grades}\n")
        self._process.stdin.flush()
        seconds = float(self._process.stdout.readline())
        return None if seconds < 0 else seconds

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def launcher(folder: Path, number: int, statement: str) -> str:
    """A program that starts an interpreter whose worker runs a statement before it begins.

    Args:
        folder: Where it is written.
        number: Makes its name.
        statement: Python code without line breaks.

    Returns:
        The path, for `LocalExecutor(python=...)`.
    """
    path = folder / f"python-{number}"
    path.write_text(_LAUNCHER.format(python=sys.executable, begin=_BEGIN, statement=statement))
    path.chmod(0o700)
    return str(path)


def measure(args: Args) -> dict[str, Any]:
    """Seconds of each block, by kind of test and by what was taken away."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    jobs = kinds()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contenders: dict[str, Contender] = {}

        def add(name: str, contender: Ours | Other) -> None:
            stack.callback(contender.close)
            contenders[name] = contender

        add(WHOLE, Ours(jobs))
        for number, (name, statement) in enumerate(TAKEN_AWAY.items()):
            add(name, Ours(jobs, python=launcher(folder, number, statement)))
        add("all of these", Ours(jobs, isolation="none"))
        add("coverage", Ours(jobs, coverage=False))
        if args.before is not None:
            add(_name_of(args.before), Other(args.before))
        for kind in jobs:  # warm
            for contender in contenders.values():
                contender.seconds(kind, args.grades)
        blocks: dict[str, dict[str, list[float]]] = {kind: {} for kind in jobs}
        for number in range(args.rounds):
            for kind in jobs:
                for name in rotated(list(contenders), number):
                    seconds = contenders[name].seconds(kind, args.grades)
                    if seconds is not None:
                        blocks[kind].setdefault(name, []).append(seconds)
    # In the order of the page, not in that of the last round.
    return {
        "grades": args.grades,
        "other": None if args.before is None else _name_of(args.before),
        "blocks": {
            kind: {name: each[name] for name in contenders if name in each}
            for kind, each in blocks.items()
        },
    }


def _name_of(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return f"the grader of {commit}"


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    asked = (
        "What does each hardening of the sandbox cost? The same trivial programs are graded with "
        "one of them taken away, in short blocks that take turns on one core."
    )
    yield from page.head("What each hardening costs", asked, results)
    yield (
        f"Milliseconds for a grade, the median of blocks of {results['grades']}, and what the "
        "protection adds to the time of a grade without it, in %: the median over pairs of blocks, "
        "with its 95 % interval. Programs that are not trivial pay less in proportion. Without "
        "seccomp a program could leave a process behind; so each test has a child of its own then, "
        "and each is looked after when it has ended, which takes longer than what seccomp costs."
    )
    for kind, blocks in results["blocks"].items():
        yield from ("", f"## {kind[0].upper()}{kind[1:]}", "")
        yield from page.table(("without", "ms", "adds, % (95 %)"), _rows(results, blocks))


def _rows(
    results: Mapping[str, Any], blocks: Mapping[str, Sequence[float]]
) -> Iterator[tuple[str, str, str]]:
    for name, seconds in blocks.items():
        ms = f"{1000 * float(np.median(seconds)) / results['grades']:.2f}"
        if name == WHOLE:
            yield f"(nothing: {name})", ms, "-"
            continue
        ratio = median_of_ratios(blocks[WHOLE], seconds)
        added = [100 * (each - 1) for each in (ratio.value, ratio.low, ratio.high)]
        told = f"{added[0]:+.1f} ({added[1]:+.1f} to {added[2]:+.1f})"
        yield (f"({name})" if name == results["other"] else name), ms, told


def main(args: Args) -> None:
    """Runs the benchmark and writes its results."""
    results = page.environment("hardening")
    page.write(args.out, results | measure(args), lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
