"""What is graded: trivial programs, programs of a model, reference solutions.

A job has two halves that say the same: codegym's problem, and plain data for the other graders.
"""

from __future__ import annotations

import ast
import dataclasses
import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codegym.problems import CallTest, Problem, StdinTest, UnitTest, load_problems

_HUMANEVAL = "HumanEval.jsonl.gz"
_SAMPLES = "humaneval_codegen16b_samples.jsonl.gz"
_LEETCODE = "LeetCodeDataset-v0.2.0-train.jsonl.gz"
_VARIANTS = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One program and the tests it is graded on.

    Attributes:
        problem: For codegym.
        program: Python source.
        told: For the servers: `id`, `prelude`, `program`, `entry_point`, `untrusted`,
            `tests` (lists of kind, text, expected output; a fork of the floor each),
            `check` (source of `check(candidate)`, or None) and
            `pairs` (a literal of arguments and expected values, or None).
    """

    problem: Problem
    program: str
    told: dict[str, Any]


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
    asserts = "".join(f"    assert candidate({x}) == {y}\n" for x, y in cases)
    return [
        _job(
            problem,
            f"def double(x):\n    return 2 * x\n# {variant}\n",
            tests=[["value", f"double({x})", repr(y)] for x, y in cases],
            check=f"def check(candidate):\n{asserts}",
        )
        for variant in range(_VARIANTS)
    ]


def trivial_stdin(tests: int) -> list[Job]:
    """Adding two numbers from standard input."""
    cases = [(f"{k} 2\n", f"{k + 2}\n") for k in range(1, tests + 1)]
    problem = Problem(
        id=f"add-{tests}",
        description="Add two numbers.",
        canonical_solution="",
        tests=tuple(StdinTest(text, output) for text, output in cases),
    )
    return [
        _job(
            problem,
            f"a, b = map(int, input().split())\nprint(a + b)\n# {variant}\n",
            tests=[["stdin", text, output] for text, output in cases],
            check=None,
        )
        for variant in range(_VARIANTS)
    ]


def wrong(job: Job) -> Job:
    """The same job with a program that is wrong, which every grader must reject."""
    program = "print(0)\n" if job.problem.entry_point is None else "def double(x):\n    return 1\n"
    return Job(job.problem, program, {**job.told, "program": program})


def model_written(data: Path, most: int | None, seed: int) -> list[Job]:
    """Programs that a language model wrote for HumanEval, in a seeded order.

    Args:
        data: The folder of the data sets.
        most: How many; None: all.
        seed: Of the order.
    """
    problems = {
        problem.id: problem for problem in load_problems("humaneval", data=data / _HUMANEVAL)
    }
    rows = {row["task_id"]: row for row in _rows(data / _HUMANEVAL)}
    pairs = [
        (written["task_id"], program)
        for written in _rows(data / _SAMPLES)
        for program in written["programs"]
    ]
    random.Random(seed).shuffle(pairs)
    return [
        _job(
            problems[name],
            program,
            tests=_pieces(rows[name]["test"]),
            check=rows[name]["test"],
            untrusted=True,
        )
        for name, program in pairs[:most]
    ]


def leetcode(data: Path, most: int | None, seed: int) -> list[Job]:
    """Canonical solutions of LeetCodeDataset's training split, a seeded sample.

    Args:
        data: The folder of the data sets.
        most: How many; None: all.
        seed: Of the sample.
    """
    rows = {row["task_id"]: row for row in _rows(data / _LEETCODE)}
    problems = list(load_problems("leetcode", data=data / _LEETCODE))
    random.Random(seed).shuffle(problems)
    return [
        _job(
            problem,
            problem.canonical_solution,
            tests=_pieces(rows[problem.id]["test"]),
            check=rows[problem.id]["test"],
        )
        for problem in problems[:most]
    ]


def _job(
    problem: Problem,
    program: str,
    *,
    tests: list[list[str]],
    check: str | None,
    untrusted: bool = False,
) -> Job:
    told = {
        "id": problem.id,
        "prelude": problem.prelude,
        "program": program,
        "entry_point": problem.entry_point,
        "untrusted": untrusted,
        "tests": tests,
        "check": check,
        "pairs": _pairs(problem.tests, check),
    }
    return Job(problem, program, told)


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _pieces(check: str) -> list[list[str]]:
    """The asserts on `candidate` one by one; where the check is more than asserts, all at once."""
    body = next(
        node.body
        for node in ast.parse(check).body
        if isinstance(node, ast.FunctionDef) and node.name == "check"
    )
    if all(isinstance(statement, ast.Assert) for statement in body):
        texts = [ast.unparse(statement) for statement in body]
        return [["check", text, ""] for text in texts if "candidate" in text]
    return [["check", f"{check}\ncheck(candidate)\n", ""]]


def _pairs(tests: tuple[UnitTest, ...], check: str | None) -> str | None:
    """The tests as `(arguments, expected)` in one literal; None where they are more than that."""
    pairs = []
    if check is not None:
        for _, text, _ in _pieces(check):
            pair = _pair(text)
            if pair is None:
                return None
            pairs.append(pair)
    for test in tests if check is None else ():
        if not isinstance(test, CallTest) or test.kwargs or test.alternatives:
            return None
        pairs.append((test.args, test.expected))
    text = repr(pairs)
    try:
        return text if ast.literal_eval(text) == pairs else None
    except (ValueError, SyntaxError):
        return None  # values without a literal: nodes of lists and trees, inf


def _pair(text: str) -> tuple[tuple[Any, ...], Any] | None:
    """`assert candidate(1, 2) == 3` as arguments and expected value; None for anything else."""
    match ast.parse(text).body:
        case [
            ast.Assert(
                test=ast.Compare(
                    left=ast.Call(func=ast.Name(id="candidate"), args=args, keywords=[]),
                    ops=[ast.Eq()],
                    comparators=[right],
                )
            )
        ]:
            try:
                return tuple(map(ast.literal_eval, args)), ast.literal_eval(right)
            except ValueError:
                return None
    return None
