"""Checkers, alternatives, tolerances and any order as parts of a problem."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from codegym.errors import ProblemError
from codegym.problems import CallTest, Checker, CodeTest, Problem, StdinTest

CHECK = Checker("def check(input, output, expected):\n    return True\n")
CALL = CallTest((1,), 2)
STDIN = StdinTest("1", "2")
TEXT: Any = "a text where a tuple of texts belongs"


def problem(*tests: Any, **options: Any) -> Problem:
    return Problem("p", "d", "", tests, entry_point="f", **options)


def test_hashes_stay_what_they_were_where_nothing_of_this_is_used() -> None:
    """They were worked out before any of this was there."""
    assert problem(CALL).content_hash[:12] == "fa6099780314"
    assert problem(STDIN).content_hash[:12] == "476dedd4a5a8"


def test_whatever_decides_a_verdict_is_in_the_hash() -> None:
    different = [
        problem(STDIN),
        problem(STDIN, any_order=1),
        problem(STDIN, any_order=2),
        problem(STDIN, checker=CHECK),
        problem(STDIN, checker=Checker(CHECK.source, "script")),
        problem(STDIN, checker=Checker(f"{CHECK.source}\n")),
        problem(STDIN, packages=("numpy",)),
        problem(STDIN, packages=("numpy",), any_order=1),
        problem(dataclasses.replace(STDIN, tolerance=0)),
        problem(dataclasses.replace(STDIN, tolerance=1)),
        problem(dataclasses.replace(STDIN, alternatives=("3",))),
        problem(dataclasses.replace(STDIN, alternatives=("3", "4"))),
    ]
    assert len({one.content_hash for one in different}) == len(different)
    assert problem(STDIN, checker=CHECK) == problem(STDIN, checker=Checker(CHECK.source))


@pytest.mark.parametrize("source", ["x = 1", "class check: pass", "async def check(a, b, c): pass"])
def test_a_checker_defines_a_function(source: str) -> None:
    with pytest.raises(ProblemError, match="defines no function 'check'"):
        Checker(source)
    assert Checker(source, "script").source == source


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("def check(",), "The source of a checker is not Python"),
        (("a\0b",), "The source of a checker is not Python"),
        ((b"x",), "a str with Python source, got bytes"),
        (("x = 1", "testlib"), "has the form 'function' or 'script', got 'testlib'"),
        (("# nothing", "script"), "is empty"),
    ],
)
def test_what_is_no_checker(arguments: Any, said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        Checker(*arguments)


def test_escapes_that_python_warns_of_are_no_fault() -> None:
    assert Checker("import re\ndef check(i, o, e):\n    return bool(re.match('\\d', o))").source


@pytest.mark.parametrize(
    ("tests", "options", "said"),
    [
        ([STDIN], {"checker": CHECK.source}, "must be a Checker or None, got str"),
        ([STDIN], {"checker": CHECK, "any_order": 1}, "a checker decides alone"),
        ([CodeTest("assert f(1)", "f")], {"checker": CHECK}, "about a CodeTest"),
        ([StdinTest("", "", ("1",))], {"checker": CHECK}, "leave out alternatives and tolerance"),
        ([CallTest((), 1, tolerance=0)], {"checker": CHECK}, "leave out alternatives and tolera"),
        ([CALL], {"checker": Checker("print(1)", "script")}, "about StdinTests only"),
        ([CallTest((), 1, (("a", 1),))], {"checker": CHECK}, "give them all in args"),
        ([CallTest((), 1, expression="f(1)")], {"checker": CHECK}, "give them all in args"),
        ([STDIN], {"any_order": True}, "number of levels, 0 or more, got True"),
        ([STDIN], {"any_order": -1}, "number of levels, 0 or more, got -1"),
        ([STDIN], {"any_order": "nested"}, "number of levels, 0 or more, got 'nested'"),
        ([CodeTest("assert f(1)", "f")], {"any_order": 1}, "no meaning for a CodeTest"),
        ([StdinTest("", "", TEXT)], {}, "alternatives of a StdinTest must be a tuple of strings"),
        ([StdinTest("", "", tolerance=-1)], {}, "tolerance of a StdinTest must be at least 0"),
        ([StdinTest("", "", tolerance=math.nan)], {}, "at least 0 and finite, or None, got nan"),
        ([StdinTest("", "", tolerance=math.inf)], {}, "at least 0 and finite, or None, got inf"),
    ],
)
def test_contradictions_are_told(tests: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=f"Problem 'p': .*{said}"):
        problem(*tests, **options)
