"""Bad input: programs get the verdict they deserve, everything else an error of ours that helps.

What is no text at all, closed graders and broken preludes are in `test_grader.py` and
`../execution/test_run.py`; odd sources that are right are cases of the conformance suite.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import pytest

from codegym.errors import CodegymError, ConfigurationError, ExecutionError, ProblemError
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grader, Verdict
from codegym.problems import CallTest, CodeTest, Problem, StdinTest

RIGHT = "print(2 * int(input()))\n"
DOUBLE = Problem("double", "", "", (StdinTest("3\n", "6\n"),))
LIMITS = ExecutionLimits(cpu_seconds=1.0, wall_seconds=3600.0)


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with LocalExecutor(workers=1) as executor:
        yield Grader(executor, LIMITS)


ODD = {
    "carriage returns alone": (RIGHT.replace("\n", "\r"), Verdict.ACCEPTED),
    "coding line that names no coding": ("# coding: nonsense\n" + RIGHT, Verdict.ACCEPTED),
    "coding line of another coding": ("# coding: utf-16\n" + RIGHT, Verdict.ACCEPTED),
    "byte order mark": ("\ufeff" + RIGHT, Verdict.ACCEPTED),
    "byte order mark twice": ("\ufeff\ufeff" + RIGHT, Verdict.COMPILE_ERROR),
    "byte order mark inside": ("x = 1\n\ufeff" + RIGHT, Verdict.COMPILE_ERROR),
    "NUL in a comment": ("# \0\n" + RIGHT, Verdict.COMPILE_ERROR),
    "mixed tabs": ("if 1:\n        x = 1\n\ty = 2\n" + RIGHT, Verdict.COMPILE_ERROR),
    "half a character": ("x = '\udc80'\n" + RIGHT, Verdict.COMPILE_ERROR),
    "no-break space": ("print(2 *\u00a0int(input()))", Verdict.COMPILE_ERROR),
    "end-of-file mark": (RIGHT + "\x1a", Verdict.COMPILE_ERROR),
    "white space": (" \n\t\n", Verdict.WRONG_ANSWER),
    "10 MB of comment": (f"# {'x' * 10 * 2**20}\n{RIGHT}", Verdict.ACCEPTED),
    "10 MB in a string": (f"x = '{'x' * 10 * 2**20}'\n{RIGHT}", Verdict.ACCEPTED),
    "10 MB of nonsense": ("(" * 10 * 2**20, Verdict.COMPILE_ERROR),
}


@pytest.mark.parametrize(("program", "verdict"), ODD.values(), ids=ODD)
def test_odd_programs(grader: Grader, program: str, verdict: Verdict) -> None:
    grade = grader.grade(DOUBLE, program)
    assert grade.verdict is verdict
    assert (grade.error_message is None) is grade.solved


def test_a_compile_error_names_the_line(grader: Grader) -> None:
    grade = grader.grade(DOUBLE, "x = 1\ny = = 2\n")
    assert (grade.error_type, grade.error_line) == ("SyntaxError", 2)


LIMIT_NAMES = [field.name for field in dataclasses.fields(ExecutionLimits)]


@pytest.mark.parametrize("name", LIMIT_NAMES)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf, None, "4", True, [1]])
def test_limits_are_positive_finite_numbers(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"ExecutionLimits\.{name} must be"):
        ExecutionLimits(**{name: value})


def test_limits_make_sense_together() -> None:
    with pytest.raises(ConfigurationError, match="wall_seconds must be at least cpu_seconds"):
        ExecutionLimits(cpu_seconds=5, wall_seconds=4)
    with pytest.raises(ConfigurationError, match="memory_bytes must be an int"):
        ExecutionLimits(memory_bytes=1e9)  # type: ignore[arg-type]


NO_TESTS: dict[str, Any] = {
    "None": None,
    "empty": (),
    "a null": (None,),
    "a test and a null": (StdinTest("3\n", "6\n"), None),
    "pairs": (("3\n", "6\n"),),
    "a dict": {"inputs": ["3\n"], "outputs": ["6\n"]},
    "a generator": (test for test in DOUBLE.tests),
    "null input": (StdinTest(None, "6\n"),),  # type: ignore[arg-type]
    "null output": (StdinTest("3\n", None),),  # type: ignore[arg-type]
    "bytes": (StdinTest(b"3\n", b"6\n"),),  # type: ignore[arg-type]
    "number as output": (StdinTest("3\n", 6),),  # type: ignore[arg-type]
    "one argument, not a tuple": (CallTest(3, 6),),  # type: ignore[arg-type]
    "arguments in a string": (CallTest("ab", 6),),  # type: ignore[arg-type]
    "keywords in a dict": (CallTest((), 6, kwargs={"x": 3}),),  # type: ignore[arg-type]
    "expression that is no text": (CallTest((), 6, expression=3),),  # type: ignore[arg-type]
    "negative tolerance": (CallTest((3,), 6.0, tolerance=-1.0),),
    "code that is no text": (CodeTest(None, "f"),),  # type: ignore[arg-type]
    "code that calls no name": (CodeTest("assert f(3) == 6", "f()"),),
}


@pytest.mark.parametrize("tests", NO_TESTS.values(), ids=NO_TESTS)
def test_tests_that_are_no_tests_are_refused(tests: Any) -> None:
    with pytest.raises(ProblemError, match="Problem 'p'"):
        Problem("p", "", "", tests, entry_point="f")


@pytest.mark.parametrize("entry_point", ["", "a b", "f()", "f; g", "Class.method", 3])
def test_entry_points_name_a_function(entry_point: Any) -> None:
    with pytest.raises(ProblemError, match="entry point"):
        Problem("p", "", "", (CallTest((3,), 6),), entry_point=entry_point)


TEXTS = ("description", "canonical_solution", "starter_code", "difficulty", "source", "prelude")


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [None, 1, b"x"])
def test_texts_of_a_problem_are_strings(name: str, value: Any) -> None:
    with pytest.raises(ProblemError, match=f"Problem 'double': {name} must be a str, got"):
        dataclasses.replace(DOUBLE, **{name: value})


def test_half_a_surrogate_pair_is_no_text_of_a_problem() -> None:
    with pytest.raises(ProblemError, match=r"'p': canonical_solution .* at position 5"):
        Problem("p", "", "x = '\ud800'", (StdinTest("", ""),))


def test_a_problem_has_a_name_a_comparison_and_metadata() -> None:
    for id_ in (1, None, ""):
        with pytest.raises(ProblemError, match="id"):
            Problem(id_, "", "", DOUBLE.tests)  # type: ignore[arg-type]
    for comparison in ("toleran", None, ["exact"]):
        with pytest.raises(ProblemError, match="'tolerant'"):
            Problem("p", "", "", DOUBLE.tests, comparison=comparison)  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="metadata must be a mapping, got list"):
        Problem("p", "", "", DOUBLE.tests, metadata=["a"])  # type: ignore[arg-type]


def endless() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def deep() -> list[Any]:
    items: list[Any] = []
    for _ in range(100_000):
        items = [items]
    return items


@pytest.mark.parametrize("value", [object(), len, iter([1]), endless(), deep()], ids=range(5))
@pytest.mark.parametrize("place", ["argument", "expected"])
def test_values_that_are_no_plain_data_are_refused(grader: Grader, value: Any, place: str) -> None:
    test = CallTest((value,), 6) if place == "argument" else CallTest((3,), value)
    for _ in range(2):  # nothing is left pending
        with pytest.raises(CodegymError, match="plain data"):
            grader.grade(Problem("p", "", "", (test,), entry_point="f"), "def f(x): return x")


def test_values_that_json_lacks_are_welcome(grader: Grader) -> None:
    values = [(1, 2), {1: 2}, {3}, b"\x00", math.inf, math.nan, 10**400, 1 + 2j, "\ud800"]
    tests = tuple(CallTest((value,), value) for value in values)
    grade = grader.grade(Problem("p", "", "", tests, entry_point="f"), "def f(x): return x")
    assert grade.solved, grade


def test_a_broken_expression_is_not_accepted(grader: Grader) -> None:
    test = CallTest((), 6, expression="(")
    grade = grader.grade(Problem("p", "", "", (test,), entry_point="f"), "def f(x): return 6")
    assert not grade.solved


def test_broken_test_code_is_no_verdict(grader: Grader) -> None:
    test = CodeTest("assert f(3) ==", "f")
    with pytest.raises(ExecutionError, match="at fault, not the program"):
        grader.grade(Problem("p", "", "", (test,), entry_point="f"), "def f(x): return 6")
