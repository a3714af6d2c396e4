"""Rows of every form, all the way to a verdict."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from codegym.grading import Grader
from codegym.problems.reading.preludes import NODE_CLASSES
from codegym.problems.source import Row
from codegym.problems.sources.apps import APPS
from codegym.problems.sources.apps_plus import APPS_PLUS
from codegym.problems.sources.custom import CUSTOM
from codegym.problems.sources.humaneval import HUMANEVAL
from codegym.problems.sources.leetcode import LEETCODE
from codegym.problems.sources.livecodebench import LIVECODEBENCH
from codegym.problems.sources.mbpp import MBPP

SOURCES = {s.name: s for s in (APPS, APPS_PLUS, CUSTOM, HUMANEVAL, LEETCODE, LIVECODEBENCH, MBPP)}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


def plus(starter: str, solution: str, inputs: Any, outputs: Any, **more: Any) -> dict[str, Any]:
    return {
        "question": "?",
        "starter_code": starter,
        "canonical_solution": solution,
        "inputs": inputs,
        "outputs": outputs,
        **more,
    }


def apps(solution: str, **cases: Any) -> dict[str, Any]:
    return {
        "question": "?",
        "solutions": json.dumps([solution]),
        "input_output": json.dumps(cases),
        "starter_code": "",
    }


def humaneval(test: str, solution: str = "    return x\n") -> dict[str, Any]:
    return {
        "task_id": "x",
        "prompt": 'import math\ndef helper(x):\n    return x + 1\n\ndef g(x):\n    """Same."""\n',
        "canonical_solution": solution,
        "entry_point": "g",
        "test": f"def check(candidate):\n{test}",
    }


def livecodebench(kind: str, given: str, wanted: str, starter: str = "") -> dict[str, Any]:
    tests = json.dumps([{"input": given, "output": wanted, "testtype": kind}])
    return {
        "question_content": "?",
        "question_id": "x",
        "starter_code": starter,
        "public_test_cases": tests,
        "private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(tests))).decode(),
        "metadata": json.dumps({"func_name": "f"} if starter else {}),
    }


def leetcode(test: str, helpers: str = "") -> dict[str, Any]:
    return {
        "task_id": "x",
        "query": "?",
        "prompt": "from typing import *\n" + NODE_CLASSES + helpers,
        "completion": ECHO + "        return x\n",
        "entry_point": "Solution().f",
        "test": f"def check(candidate):\n    {test}\n",
    }


LIST_HELPERS = """
def list_node(values):
    return ListNode(values[0], list_node(values[1:])) if values else None
def is_same_list(a, b):
    return a is b or bool(a and b and a.val == b.val and is_same_list(a.next, b.next))
"""
ECHO = "class Solution:\n    def f(self, x: Optional[ListNode]) -> Optional[ListNode]:\n"
TREE = "class Solution:\n    def f(self, x: TreeNode) -> List[TreeNode]:\n"
SUM = "class Solution:\n    def f(self, a: List[int], k: int) -> int:\n        "

RIGHT_AND_WRONG = {
    "call": (
        "apps_plus",
        plus("def f(a, b):\n", "def f(a, b):\n    return a + b\n", [[1, 2]], [3]),
        "def f(a, b): return 4",
    ),
    "stdin function": (
        "apps_plus",
        plus("def f():\n", "def f():\n    print(input())\n", ["a"], ["a"]),
        "def f(): print('b')",
    ),
    "stdin that calls itself": (
        "apps_plus",
        plus("def f():\n", "def f():\n    print(input())\nf()\n", ["a"], ["a"]),
        "pass",
    ),
    "stdin lines": (
        "apps",
        apps("print(input(), input())", inputs=[["a", "b", ""]], outputs=[["a b", ""]]),
        "print('a')",
    ),
    "linked list": (
        "apps_plus",
        plus(ECHO, ECHO + "        return x\n", [[[1, 2]], [[]]], [[1, 2], []]),
        ECHO + "        return x and x.next\n",
    ),
    "tree": (
        "apps_plus",
        plus(TREE, TREE + "        return [x.right]\n", [[[1, None, 2]]], [[[2]]]),
        TREE + "        return [x]\n",
    ),
    "integer keys": (
        "apps_plus",
        plus("def f(d):\n", "def f(d): return {1 + k: 2 for k in d}", [[{"1": 2}]], [{"2": 2}]),
        "def f(d): return d",
    ),
    "wrapped": (
        "apps",
        apps("def f(x): return x > 1", fn_name="f", inputs=[[1], [2]], outputs=[[False], [True]]),
        "def f(x): return x < 2",
    ),
    "annotations need imports": (
        "apps",
        apps(SUM + "return sum(a) + k", fn_name="f", inputs=[[[1, 2], 3]], outputs=[6]),
        SUM + "return 5",
    ),
    "identity": (
        "humaneval",
        humaneval("    assert candidate(1) is True\n", "    return x == 1\n"),
        "def g(x): return 1",
    ),
    "truth": (
        "humaneval",
        humaneval("    assert candidate(2)\n    assert not candidate(0)\n"),
        "def g(x): return 1",
    ),
    "helper of the prompt": (
        "humaneval",
        humaneval(
            "    for i in range(3):\n        assert candidate(helper(i)) == helper(i) == g(i + 1)\n"
        ),
        "def g(x): return 2 * x",
    ),
    "distance": (
        "humaneval",
        humaneval("    assert abs(candidate(0.5) - 0.5) < 1e-6\n"),
        "def g(x): return 0.50001",
    ),
    "no list is a tuple": (
        "humaneval",
        humaneval("    assert candidate([1]) == [1]\n"),
        "def g(x): return (1,)",
    ),
    "isclose": (
        "mbpp",
        {
            "task_id": 1,
            "prompt": "?",
            "code": "def f(x): return x * 1.0005",
            "test_imports": ["import math"],
            "test_list": ["assert math.isclose(f(1), 1, rel_tol=0.001)"],
        },
        "def f(x): return 1.0011",
    ),
    "same list": (
        "leetcode",
        leetcode(
            "assert is_same_list(candidate(x = list_node([1,2])), list_node([1,2]))", LIST_HELPERS
        ),
        "class Solution:\n    def f(self, x): return x.next",
    ),
    "functional": (
        "livecodebench",
        livecodebench("functional", "[1, 2]\n3", "6", SUM),
        SUM + "return 5",
    ),
    "stdin": ("livecodebench", livecodebench("stdin", "1 2\n", "3\n"), "print(4)"),
    "custom code": (
        "custom",
        {
            "id": 1,
            "description": "?",
            "entry_point": "f",
            "canonical_solution": "def f(x): return x",
            "tests": [{"code": "for i in range(3): assert f(i) == i"}],
        },
        "def f(x): return 1",
    ),
}
SOLUTIONS = {
    "functional": SUM + "return sum(a) + k",
    "stdin": "print(sum(map(int, input().split())))",
}


@pytest.mark.parametrize("form", RIGHT_AND_WRONG)
def test_the_solution_is_accepted_and_a_wrong_program_is_not(form: str, grader: Grader) -> None:
    source, row, wrong = RIGHT_AND_WRONG[form]
    problem = SOURCES[source].parse(Row(0, row))
    solution = SOLUTIONS.get(form, problem.canonical_solution)
    right = grader.grade(problem, solution)
    assert right.verdict == "accepted", right.error_message
    assert grader.grade(problem, wrong).verdict == "wrong_answer"
