from __future__ import annotations

from typing import Any

import pytest

from codegym.errors import ProblemError
from codegym.problems.checker import Checker
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
        ({"tests": {"args": []}}, "must have 'inputs' and 'outputs'"),
        ({"tests": ["assert True"]}, "asserts nothing"),
        ({"tests": [1]}, r"tests\[0\]: must be an object"),
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


STDIN = {"stdin": "4", "stdout": "2 2"}
CHECK = "def check(input, output, expected):\n    return True\n"


def test_several_right_answers() -> None:
    test = {**STDIN, "alternatives": ["1 3", "3 1"], "tolerance": 0.5}
    problem = parse(tests=[test], entry_point=None, any_order=True)
    assert problem.tests == (StdinTest("4", "2 2", ("1 3", "3 1"), 0.5),)
    assert problem.any_order == 1
    assert parse(any_order=2).any_order == 2
    assert parse(any_order=False).any_order == parse(any_order=None).any_order == 0
    assert parse(checker=CHECK).checker == Checker(CHECK)
    script = {"source": "print(1)", "form": "script"}
    problem = parse(tests=[STDIN], entry_point=None, checker=script)
    assert problem.checker == Checker("print(1)", "script")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"any_order": -1}, "'any_order' must be true, false or a number of levels, got -1"),
        ({"any_order": "yes"}, "'any_order' must be true, false or a number of levels"),
        ({"checker": 1}, "'checker' must be text, or an object with 'source' and 'form', got 1"),
        ({"checker": {"source": CHECK}}, "'checker' must be text, or an object"),
        ({"checker": {"source": CHECK, "form": "c++"}}, "'function' or 'script', got 'c\\+\\+'"),
        ({"checker": {"source": 1, "form": "script"}}, "a str with Python source, got int"),
        ({"checker": "def check("}, "The source of a checker is not Python"),
        ({"checker": "print(1)"}, "defines no function 'check'"),
        ({"checker": ""}, "defines no function 'check'"),
        ({"checker": CHECK, "any_order": True}, "leave out any_order, or the checker"),
        ({"checker": {"source": "print(1)", "form": "script"}}, "asked about StdinTests only"),
        ({"tests": [{**STDIN, "tolerance": "1"}]}, "'tolerance' has the wrong type"),
        ({"tests": [{**STDIN, "alternatives": "3"}]}, "'alternatives' has the wrong type"),
        ({"tests": [{**STDIN, "alternatives": [3]}]}, "a tuple of strings"),
        ({"tests": [{**STDIN, "tolerance": -1}]}, "must be at least 0 and finite, or None, got -1"),
        ({"tests": [{"code": "assert add(1, 2) == 3"}], "any_order": 1}, "no meaning"),
    ],
)
def test_what_is_no_way_of_several_answers(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        parse(**changes)
