"""Printed answers that no float can hold, and texts that only a JSON escape would join."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codegym.execution import decode_value, encode_value
from codegym.grading import Grader, Verdict
from codegym.grading.printed import same_printed
from codegym.problems import CallTest, Problem

PAIR = chr(0xD83D) + chr(0xDE00)
"""Two characters; a JSON text of escapes would mean the one that UTF-16 writes as these."""


@pytest.mark.parametrize("expected", ["1e400", "-1e400", "9" * 310 + ".5"])
def test_a_number_beyond_floats_is_met_by_the_same_number_alone(expected: str) -> None:
    assert not same_printed("7", expected, "apps")
    assert not same_printed("1e401", expected, "apps")
    assert same_printed(expected, expected, "apps")
    assert same_printed("10e399" if expected == "1e400" else expected, expected, "apps")


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


@pytest.mark.parametrize("value", [PAIR, [PAIR, "\ud800", "é\U0001f600"], {PAIR: "\udfff"}])
def test_text_that_is_no_unicode_stays_what_it_is(value: object, grader: Grader) -> None:
    assert decode_value(encode_value(value)) == value
    test = CallTest((value,), value)
    problem = Problem("p", "", "", (test,), entry_point="f", comparison="exact")
    assert grader.grade(problem, "def f(x): return x\n").solved


def test_two_halves_are_not_the_character(grader: Grader) -> None:
    problem = Problem(
        "p", "", "", (CallTest((), "\U0001f600"),), entry_point="f", comparison="exact"
    )
    assert grader.grade(problem, r"def f(): return '\U0001f600'" "\n").solved
    halves = "def f(): return chr(0xd83d) + chr(0xde00)\n"
    assert grader.grade(problem, halves).verdict is Verdict.WRONG_ANSWER
