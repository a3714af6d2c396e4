"""What is graded: trivial programs, programs of a model, reference solutions."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.task import Task
from codegym.problems import CallTest, Problem, StdinTest, load_problems

__all__ = ["DATA", "Job", "leetcode", "model_written", "trivial_call", "trivial_stdin", "wrong"]

DATA = Path(os.environ.get("CODEGYM_DATA", "../shared/data"))
"""Folder of the data sets where a command line names none."""
_HUMANEVAL = "HumanEval.jsonl.gz"
_SAMPLES = "humaneval_codegen16b_samples.jsonl.gz"
_LEETCODE = "LeetCodeDataset-v0.2.0-train.jsonl.gz"
_VARIANTS = 64
_LIMITS = (1.0, 3.0, 2**28)


class Job(NamedTuple):
    """One program and the tests it is graded on: codegym's problem, and a task for all others."""

    problem: Problem
    program: str
    task: Task


def trivial_call(tests: int) -> list[Job]:
    """Doubling a number; programs that differ in a comment, so that none is known from before."""
    cases = [(3 + k, 6 + 2 * k) for k in range(tests)]
    problem = Problem(
        id=f"double-{tests}",
        description="Double x.",
        canonical_solution="",
        tests=tuple(CallTest((x,), y) for x, y in cases),
        entry_point="double",
    )
    texts = tuple((f"({x},)", repr(y)) for x, y in cases)
    program = "def double(x):\n    return 2 * x\n# {}\n"
    return [
        Job(problem, text, Task("calls", text, texts, "double", _LIMITS))
        for text in map(program.format, range(_VARIANTS))
    ]


def trivial_stdin(tests: int) -> list[Job]:
    """Adding two numbers from standard input."""
    cases = tuple((f"{k} 2\n", f"{k + 2}\n") for k in range(1, tests + 1))
    problem = Problem(
        id=f"add-{tests}",
        description="Add two numbers.",
        canonical_solution="",
        tests=tuple(StdinTest(text, output) for text, output in cases),
    )
    program = "a, b = map(int, input().split())\nprint(a + b)\n# {}\n"
    return [
        Job(problem, text, Task("lines", text, cases, None, _LIMITS))
        for text in map(program.format, range(_VARIANTS))
    ]


def wrong(job: Job) -> Job:
    """The same job with a program that is wrong, which every grader must reject."""
    program = "print(0)\n" if job.problem.entry_point is None else "def double(x):\n    return 1\n"
    return Job(job.problem, program, job.task._replace(program=program))


def model_written(data: Path, most: int | None, seed: int) -> list[Job]:
    """Programs that a language model wrote for HumanEval, in a seeded order.

    Args:
        data: The folder of the data sets.
        most: How many; None: all.
        seed: Decides the order.
    """
    problems = {one.id: one for one in load_problems("humaneval", data=data / _HUMANEVAL)}
    checks = {row["task_id"]: row["test"] for row in _rows(data / _HUMANEVAL)}
    pairs = [
        (written["task_id"], program)
        for written in _rows(data / _SAMPLES)
        for program in written["programs"]
    ]
    random.Random(seed).shuffle(pairs)
    return [_job(problems[name], program, checks[name]) for name, program in pairs[:most]]


def leetcode(data: Path, most: int | None, seed: int) -> list[Job]:
    """Canonical solutions of LeetCodeDataset's training split, a seeded sample.

    Args:
        data: The folder of the data sets.
        most: How many; None: all.
        seed: Decides the sample.
    """
    checks = {row["task_id"]: row["test"] for row in _rows(data / _LEETCODE)}
    problems = list(load_problems("leetcode", data=data / _LEETCODE))
    random.Random(seed).shuffle(problems)
    return [_job(one, one.canonical_solution, checks[one.id]) for one in problems[:most]]


def _job(problem: Problem, program: str, check: str) -> Job:
    entry_point = problem.entry_point or ""
    tests, text = ((check, entry_point),), f"{problem.prelude}\n{program}"
    return Job(problem, program, Task("check", text, tests, entry_point, _LIMITS))


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
