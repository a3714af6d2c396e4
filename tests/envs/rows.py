"""A few rows in the format of each source, so that every id can be made without its data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import codegym
from codegym.problems import ProblemSet
from tests.problems.sources.made_rows import READING, TASK, kodcode

ABS = """\
def size(x):
    if x < 0:
        return -x
    if x > 9:
        return 9
    return x
"""
SUM = """\
def size(x):
    s = 0
    for i in range(x):
        if i % 2:
            s += i
    return s
"""
LOOP = """\
n = int(input())
for i in range(n):
    if i:
        print(i)
    elif n:
        print(n)
"""
METHOD = """\
class Solution:
    def size(self, x: int) -> int:
        if x < 0:
            return -x
        for _ in range(2):
            x = x
        return x
"""
CHECK = """\
def check(candidate):
    assert candidate(-3) == 3
    assert candidate(5) == 5
"""


def _apps_plus() -> str:
    call = {
        "id": 1, "question": "Size.", "fn_name": "size", "difficulty": "Interview",
        "starter_code": "def size(x):\n", "canonical_solution": ABS,
        "inputs": [[-3], [4]], "outputs": [3, 4],
    }  # fmt: skip
    stdin = {
        "id": 2, "question": "Count.", "starter_code": "", "canonical_solution": LOOP,
        "inputs": ["2\n", "3\n"], "outputs": ["2\n1\n", "3\n1\n2\n"],
    }  # fmt: skip
    return json.dumps([call, stdin])


def _apps() -> str:
    return _lines(
        {
            "problem_id": k, "question": f"Count {k}.", "solutions": json.dumps([LOOP]),
            "input_output": json.dumps({"inputs": ["2\n"], "outputs": ["2\n1\n"]}),
            "difficulty": "interview", "url": "", "starter_code": "",
        }
        for k in range(2)
    )  # fmt: skip


def _humaneval() -> str:
    head, _, body = ABS.partition("\n")
    rows = [(head, body), (head, SUM.partition("\n")[2])]
    return _lines(
        {
            "task_id": f"HumanEval/{k}", "prompt": f'{head}\n    """Size {k}."""\n',
            "entry_point": "size", "canonical_solution": body, "test": CHECK,
        }
        for k, (head, body) in enumerate(rows)
    )  # fmt: skip


def _mbpp() -> str:
    tests = ["assert size(-3) == 3", "assert size(4) == 4"]
    return json.dumps(
        [
            {
                "task_id": 602 + k, "prompt": f"Size {k}.", "code": code,
                "test_imports": [], "test_list": tests,
            }
            for k, code in enumerate((ABS, SUM))
        ]
    )  # fmt: skip


def _leetcode() -> str:
    return _lines(
        {
            "task_id": f"size-{k}", "prompt": "import math\n", "completion": METHOD,
            "entry_point": "Solution().size", "test": CHECK, "query": f"Size {k}.",
            "meta": {"difficulty": "Easy"},
        }
        for k in range(2)
    )  # fmt: skip


def _livecodebench() -> str:
    return _lines(
        {
            "question_title": "Echo", "question_content": f"Print the line {k}.",
            "platform": "atcoder", "question_id": f"abc_{k}", "contest_id": "abc",
            "contest_date": "2024-01-01T00:00:00", "starter_code": "", "difficulty": "easy",
            "public_test_cases": json.dumps([{"input": "a", "output": "a", "testtype": "stdin"}]),
            "private_test_cases": "[]", "metadata": "{}",
        }
        for k in range(2)
    )  # fmt: skip


def _custom() -> str:
    return _lines(
        {
            "id": f"size/{k}", "description": "Size.", "starter_code": "def size(x):\n",
            "entry_point": "size", "canonical_solution": solution,
            "tests": [{"args": [1], "expected": 1}, {"args": [-2], "expected": 2}],
        }
        for k, solution in enumerate((ABS, SUM))
    )  # fmt: skip


def _twice(row: dict[str, Any]) -> Callable[[], str]:
    """A row, and another one whose task and id differ."""

    def make() -> str:
        first = json.dumps(row)
        other = first.replace(TASK, "Sum up.")
        for key in ("id", "name", "problem_id", "hash_id", "question_id"):
            other = other.replace(json.dumps(row.get(key) or TASK), '"another"')
        return f"{first}\n{other}\n"

    return make


def _lines(rows: Any) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


TEXTS: dict[str, Callable[[], str] | None] = {
    "CodeGen-Mini-v0": None,
    "CodeGen-APPSPlus-v0": _apps_plus,
    "CodeGen-APPS-v0": _apps,
    "CodeGen-HumanEval-v0": _humaneval,
    "CodeGen-MBPP-v0": _mbpp,
    "CodeGen-LeetCode-v0": _leetcode,
    "CodeGen-LiveCodeBench-v0": _livecodebench,
    "CodeGen-DeepCoder-v0": _twice(READING["deepcoder"]),
    "CodeGen-INTELLECT3-v0": _twice(READING["intellect3"]),
    "CodeGen-SYNTHETIC-v0": _twice(READING["synthetic"]),
    "CodeGen-Eurus2-v0": _twice(READING["eurus2"]),
    "CodeGen-Verl-v0": _twice(READING["verl"]),
    "CodeGen-TACO-v0": _twice(READING["taco"]),
    "CodeGen-CodeContests-v0": _twice(READING["codecontests"]),
    "CodeGen-Codeforces-v0": _twice(READING["codeforces"]),
    "CodeGen-Nemotron-v0": _twice(READING["nemotron"]),
    "CodeGen-KodCode-v0": _twice(kodcode()),
    "CodeGen-Custom-v0": _custom,
}


def problems_of(env_id: str, folder: Path) -> ProblemSet:
    """The problems that the environment of an id has, read from a made-up file."""
    make = TEXTS[env_id]
    if make is None:
        return codegym.load_problems("mini", size=4, difficulty="interview")
    path = folder / "rows.json"
    path.write_text(make())
    source = str(codegym.ENVIRONMENTS[env_id]["source"])
    return codegym.load_problems(source, data=path)
