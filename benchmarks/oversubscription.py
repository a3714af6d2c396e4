"""Do verdicts depend on how busy the machine is? The same programs with one and with more workers.

Programs that a model wrote for HumanEval, and programs whose time is known (they burn or sleep a
given share of a limit), are graded with as many workers as cores, with several times as many, and
once more with as many as cores. The last run is the control: what differs there is not the
number of workers. Every test's verdict is compared; every difference is listed.

    python -m benchmarks.oversubscription --data FOLDER [--factor 4]
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tyro

from benchmarks import page
from benchmarks.programs import DATA, model_written
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grade, Grader, Verdict
from codegym.problems import Problem, StdinTest

LIMITS = ExecutionLimits(cpu_seconds=0.5, wall_seconds=1.5)
"""In the proportion of the default limits."""
_COPIES = 8
_BURN = "import time\nwhile time.process_time() < {seconds}: pass\nprint('done')\n# {copy}\n"
_THREADS = (
    "import threading, time\ndef burn():\n    while time.process_time() < {seconds}: pass\n"
    "threads = [threading.Thread(target=burn) for _ in range(4)]\n"
    "for each in threads: each.start()\nfor each in threads: each.join()\n"
    "print('done')\n# {copy}\n"
)
_SLEEP = "import time\ntime.sleep({seconds})\nprint('done')\n# {copy}\n"
SHARES = (0.5, 0.8, 1.5)
"""Of a limit, that programs of known time use."""


@dataclasses.dataclass(frozen=True)
class Args:
    """The same verdicts with one and with several workers for each core."""

    data: Path = DATA
    """folder of the data sets"""
    programs: int | None = None
    """programs of the model; default: all"""
    factor: int = 4
    """workers for each core in the busy run"""
    seed: int = 0
    """of the order"""
    results: Path = page.RESULTS
    """where to write"""


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """A program, and its verdict if that is known."""

    name: str
    problem: Problem
    text: str
    verdict: Verdict | None = None


def of_known_time() -> list[Program]:
    """Programs that use a share of the limit of CPU time, or of time on the clock."""
    problem = Problem("time", "", "", (StdinTest("", "done\n"),))
    kinds = {
        "burns": (_BURN, LIMITS.cpu_seconds),
        "burns in four threads": (_THREADS, LIMITS.cpu_seconds),
        "sleeps": (_SLEEP, LIMITS.wall_seconds),
    }
    return [
        Program(
            f"{kind} {share:.0%} of its limit, {copy}",
            problem,
            text.format(seconds=share * limit, copy=copy),
            Verdict.ACCEPTED if share < 1 else Verdict.TIME_LIMIT,
        )
        for kind, (text, limit) in kinds.items()
        for share in SHARES
        for copy in range(_COPIES)
    ]


def of_a_model(data: Path, most: int | None, seed: int) -> list[Program]:
    """Programs that a model wrote."""
    jobs = model_written(data, most, seed)
    return [Program(f"{j.problem.id}, {n}", j.problem, j.program) for n, j in enumerate(jobs)]


def run(programs: list[Program], workers: int) -> tuple[list[Grade], float]:
    """All grades, and the seconds they took."""
    began = time.perf_counter()
    with LocalExecutor(workers=workers) as pool:
        grader = Grader(pool, LIMITS, cache_size=0)
        grades = grader.grade_many([(each.problem, each.text) for each in programs])
    return grades, time.perf_counter() - began


def differences(
    programs: list[Program], one: list[Grade], other: list[Grade]
) -> list[dict[str, Any]]:
    """Tests whose verdicts differ, with the CPU seconds of both runs."""
    found = []
    for program, before, after in zip(programs, one, other, strict=True):
        for number, (x, y) in enumerate(zip(before.tests, after.tests, strict=True)):
            if x is None or y is None or (x.verdict, x.error_type) == (y.verdict, y.error_type):
                continue
            found.append(
                {
                    "program": program.name,
                    "test": number,
                    "before": [x.verdict.value, x.error_type, round(x.cpu_seconds, 3)],
                    "after": [y.verdict.value, y.error_type, round(y.cpu_seconds, 3)],
                    "program_verdicts": [before.verdict.value, after.verdict.value],
                }
            )
    return found


def wrong(programs: list[Program], grades: list[Grade]) -> list[str]:
    """Programs of known time with another verdict than theirs."""
    return [
        f"{program.name}: {grade.verdict.value}, not {program.verdict.value}"
        for program, grade in zip(programs, grades, strict=True)
        if program.verdict not in (None, grade.verdict) and program.verdict is not None
    ]


def measure(args: Args) -> dict[str, Any]:
    """All runs and what differs between them."""
    programs = of_a_model(args.data, args.programs, args.seed) + of_known_time()
    cores = len(os.sched_getaffinity(0))
    names = {"as cores": cores, f"{args.factor} times": args.factor * cores, "control": cores}
    grades: dict[str, list[Grade]] = {}
    runs: dict[str, dict[str, Any]] = {}
    for name, workers in names.items():
        print(f"{name}: {workers} workers", flush=True)
        grades[name], seconds = run(programs, workers)
        verdicts = [grade.verdict for grade in grades[name]]
        runs[name] = {
            "workers": workers,
            "seconds": seconds,
            "tests": sum(len(grade.tests) for grade in grades[name]),
            "verdicts": {str(v): verdicts.count(v) for v in Verdict},
            "wrong": wrong(programs, grades[name]),
        }
    first = grades["as cores"]
    return {
        "limits": dataclasses.asdict(LIMITS),
        "programs": len(programs),
        "known": sum(program.verdict is not None for program in programs),
        "runs": runs,
        "differences": {
            name: differences(programs, first, other)
            for name, other in grades.items()
            if other is not first
        },
    }


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    limits, known = results["limits"], results["known"]
    asked = (
        "Do verdicts depend on how busy the machine is? The same programs with as many workers as "
        f"cores, with more, and once more with as many (the control). {results['programs']} "
        f"programs: {results['programs'] - known} that a model wrote for HumanEval, and {known} "
        f"that burn or sleep a known share ({', '.join(f'{share:.0%}' for share in SHARES)}) of a "
        f"limit. Limits: {limits['cpu_seconds']:g} s of CPU time, {limits['wall_seconds']:g} s on "
        "the clock."
    )
    yield from page.head("Verdicts with one and with several workers for each core", asked, results)
    columns = ("run", "workers", "seconds", "tests", "tests that differ", "programs that differ")
    runs, differ = results["runs"], results["differences"]
    yield from page.table(
        (*columns, "wrong, of known time"),
        (
            [
                *(name, run["workers"], f"{run['seconds']:.0f}", run["tests"]),
                *(_counts(differ[name]) if name in differ else ("-", "-")),
                len(run["wrong"]),
            ]
            for name, run in runs.items()
        ),
    )
    yield ""
    verdicts = [verdict for verdict in Verdict if verdict is not Verdict.JUDGE_ERROR]
    rows = ([name, *(run["verdicts"][v] for v in verdicts)] for name, run in runs.items())
    yield from page.table(("run", *verdicts), rows)
    yield from ("", "Differences from the first run (verdict, type of the error, CPU seconds):", "")
    told = [
        f"- {name}: {d['program']}, test {d['test']}: {d['before']}, then {d['after']}"
        for name, each in differ.items()
        for d in each
    ]
    told += [f"- {name}: {text}" for name, run in runs.items() for text in run["wrong"]]
    yield from told or ["- none"]


def _counts(differences: list[dict[str, Any]]) -> tuple[int, int]:
    changed = {d["program"] for d in differences if len(set(d["program_verdicts"])) > 1}
    return len(differences), len(changed)


def main(args: Args) -> None:
    """Runs the benchmark and writes its results."""
    results = page.environment("oversubscription")
    page.write(args.results / "oversubscription", results | measure(args), lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
