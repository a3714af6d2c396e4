from __future__ import annotations

from typing import Any

import pytest

from codegym.errors import ProblemError
from codegym.problems.problem import CallTest, CodeTest, LinkedList, Problem, StdinTest
from codegym.problems.source import Row
from codegym.problems.sources.custom import CUSTOM

ROW = {
    "id": "add",
    "description": "Add two numbers.",
    "starter_code": "def add(a, b):\n",
    "entry_point": "add",
    "canonical_solution": "def add(a, b):\n    return a + b\n",
    "difficulty": "Easy",
    "tests": [{"args": [1, 2], "expected": 3}],
}


def parse(**changes: Any) -> Problem:
    return CUSTOM.parse(Row(0, {**ROW, **changes}))


def test_calls() -> None:
    tests = [
        {"args": [1], "kwargs": {"b": 2}, "expected": 3},
        {"kwargs": {"a": 1, "b": 2}, "expected": 3, "tolerance": 0.5, "alternatives": [4]},
    ]
    assert parse(tests=tests).tests == (
        CallTest((1,), 3, (("b", 2),)),
        CallTest((), 3, (("a", 1), ("b", 2)), (4,), 0.5),
    )


def test_the_rest_of_a_row() -> None:
    problem = parse(prelude="import math", comparison="exact", metadata={"by": "me"})
    assert (problem.id, problem.difficulty, problem.source) == ("add", "easy", "custom")
    assert (problem.prelude, problem.comparison) == ("import math", "exact")
    assert problem.metadata == {"by": "me"}
    assert parse(id=5).id == "5"


def test_scripts() -> None:
    problem = parse(
        entry_point=None, starter_code=None, canonical_solution="print(input())",
        tests=[{"stdin": "a", "stdout": "a"}],
    )  # fmt: skip
    assert problem.tests == (StdinTest("a", "a"),)
    assert problem.entry_point is None


@pytest.mark.parametrize(
    "code",
    [
        "assert add(1, 2) == 3",
        "assert candidate(1, 2) == 3",
        "def check(candidate):\n    assert candidate(1, 2) == 3",
    ],
)
def test_code_is_kept_as_it_is(code: str) -> None:
    (test,) = parse(tests=[{"code": code}]).tests
    assert isinstance(test, CodeTest)
    assert test.name == "add"
    assert test.source.startswith(code)


def test_nodes_by_annotation() -> None:
    problem = parse(
        starter_code="def add(a: ListNode, b: int) -> ListNode:\n",
        tests=[{"args": [[1, 2], 3], "expected": [4, 5]}],
    )
    assert problem.tests == (CallTest((LinkedList((1, 2)), 3), LinkedList((4, 5))),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "needs an 'id'"),
        ({"id": True}, "needs an 'id'"),
        ({"description": " "}, "needs text in 'description'"),
        ({"tests": []}, "at least one test"),
        ({"tests": {"args": []}}, "at least one test"),
        ({"tests": ["assert True"]}, r"tests\[0\]: must be an object"),
        ({"tests": [{"args": [1, 2]}]}, "needs 'expected' as well"),
        ({"tests": [{"stdin": "1"}]}, "needs 'stdout' as well"),
        ({"tests": [{"stdin": 1, "stdout": "1"}]}, "must be text"),
        ({"tests": [{"inputs": [1], "output": 1}]}, "must have 'stdin'"),
        ({"tests": [{"args": 1, "expected": 1}]}, "'args' has the wrong type"),
        ({"tests": [{"args": [], "expected": 1, "tolerance": "x"}]}, "'tolerance'"),
        ({"tests": [{"args": [], "expected": 1, "tolerence": 1}]}, "did you mean 'tolerance'"),
        ({"tests": [{"args": [], "expected": 1, "stdout": "1"}]}, "unknown field of a test"),
        ({"tests": [{"code": "assert add(1"}]}, "not Python"),
        ({"tests": [{"code": "add(1, 2)"}]}, "asserts nothing"),
        ({"entry_point": None}, "no 'entry_point'"),
        ({"starter": "def"}, "did you mean 'starter_code'"),
        ({"comparison": "fuzzy"}, "'tolerant' or 'exact'"),
        ({"metadata": 3}, "'metadata' must be an object"),
    ],
)
def test_errors_name_the_place(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProblemError, match=reason):
        parse(**changes)
