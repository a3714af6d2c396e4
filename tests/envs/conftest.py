"""Small problems whose episodes can be written by hand, and a grader that all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codegym.grading import Grader
from codegym.problems import CallTest, Problem, ProblemSet, StdinTest

SIGN = Problem(
    id="sign",
    description="Return the sign of x.",
    starter_code="def sign(x):\n",
    canonical_solution=(
        "def sign(x):\n"
        "    if x > 0:\n        return 1\n"
        "    if x < 0:\n        return -1\n"
        "    return 0\n"
    ),
    entry_point="sign",
    tests=(CallTest((5,), 1), CallTest((-2,), -1), CallTest((0,), 0)),
    difficulty="introductory",
)
ECHO = Problem(
    id="echo",
    description="Print the line that is read.",
    canonical_solution="print(input())\n",
    tests=(StdinTest("a\n", "a\n"), StdinTest("b c\n", "b c\n")),
    difficulty="interview",
)


@pytest.fixture(scope="session")
def problems() -> ProblemSet:
    return ProblemSet.of([SIGN, ECHO])


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader
