"""Answers that are right and answers that are not, by the rules of each comparison."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from codegym.execution import Opaque
from codegym.grading import same_output, same_value
from codegym.problems.problem import BinaryTree, LinkedList


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("1\n", "1\n"),
        ("1", "1\n"),
        ("1  \n2\t\n\n\n", "1\n2"),
        ("1\r\n2\r\n", "1\n2\n"),
        ("a  b\n", "a b\n"),
        ("  a\n", "a\n"),
        ("0.3333333\n", "0.33333333\n"),
        ("1000000.5\n", "1000000.9\n"),
        ("3\n", "3.0\n"),
        ("1e-3", "0.001"),
        ("-0.0", "0.0"),
        ("YES 1.0000001", "YES 1.0"),
        ("", ""),
        ("\n\n", ""),
    ],
)
def test_outputs_that_agree(actual: str, expected: str) -> None:
    assert same_output(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("", "1"),
        ("1", ""),
        ("1\n", "1\n2\n"),
        ("1\n2\n", "1\n"),
        ("1 2", "1\n2"),
        ("1\n\n2", "1\n2"),
        ("yes", "YES"),
        ("3.0", "3"),
        ("3.00000001", "3"),
        ("10000000000000001", "10000000000000000"),
        ("0.34", "0.33"),
        ("nan", "1.0"),
        ("inf", "1.0"),
        ("nan", "0.0"),
        ("1_0", "10.0"),
        ("1.0abc", "1.0"),
        ("12", "1 2"),
        ("1e999", "1.0"),
    ],
)
def test_outputs_that_differ(actual: str, expected: str) -> None:
    assert not same_output(actual, expected)


NAN = math.nan
BOTH = [
    (1, 1),
    (1, 1.0),
    (True, 1),
    ("a", "a"),
    (b"a", b"a"),
    (None, None),
    ([1, [2, "x"]], [1, [2, "x"]]),
    ((1, 2), (1, 2)),
    ({1: [2]}, {1: [2]}),
    ({1, 2}, {2, 1}),
    (frozenset({1}), {1}),
    (10**5000, 10**5000),
    (1 + 2j, 1 + 2j),
    (LinkedList((1, 2)), LinkedList((1, 2))),
    (None, LinkedList(())),
    (None, BinaryTree(())),
    (BinaryTree((1, None, 2)), BinaryTree((1, None, 2, None, None))),
]
TOLERANT = [
    ((1, 2), [1, 2]),
    ([1, 2], (1, 2)),
    ([(1, "a")], [[1, "a"]]),
    (0.1 + 0.2, 0.3),
    (1e9 + 1, 1e9),
    ([NAN], [NAN]),
    ({"a": 1.0000001}, {"a": 1.0}),
    (math.inf, math.inf),
    (Fraction(1, 3), 0.3333333333),
    (Decimal("0.30"), 0.3),
    (LinkedList((1.0000001,)), LinkedList((1.0,))),
]
NEITHER: list[tuple[Any, Any]] = [
    (1, 2),
    ("1", 1),
    (True, "True"),
    (None, 0),
    (None, []),
    (0, None),
    (False, None),
    ("", None),
    ([], None),
    ([1, 2], [2, 1]),
    ([1, 2], [1]),
    ([1], [1, 2]),
    ([1], 1),
    ("ab", ["a", "b"]),
    ({1: 2}, {1: 3}),
    ({1: 2}, {2: 2}),
    ({1: 2, 3: 4}, {1: 2}),
    ({1}, [1]),
    ([1], {1}),
    ([0], {0: 0}),
    (1.1, 1.0),
    (10**16 + 1, 10**16),
    (NAN, 1.0),
    (1.0, NAN),
    (math.inf, 1e308),
    (10**400, math.inf),
    (10**400, 1.0),
    (b"a", "a"),
    (LinkedList((1, 2)), LinkedList((2, 1))),
    (LinkedList((1,)), BinaryTree((1,))),
    (LinkedList((1,)), [1]),
    ([1], LinkedList((1,))),
    (None, LinkedList((1,))),
    (BinaryTree((1, 2)), BinaryTree((1, None, 2))),
    (Opaque("Thing"), Opaque("Thing")),
    (Opaque("Thing"), 1),
    ([Opaque("Thing")], [Opaque("Thing")]),
]


@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
@pytest.mark.parametrize(("actual", "expected"), BOTH, ids=range(len(BOTH)))
def test_values_that_agree(actual: Any, expected: Any, comparison: Any) -> None:
    assert same_value(actual, expected, comparison=comparison)


@pytest.mark.parametrize(("actual", "expected"), TOLERANT, ids=range(len(TOLERANT)))
def test_values_that_agree_within_tolerance(actual: Any, expected: Any) -> None:
    assert same_value(actual, expected, comparison="tolerant")
    assert not same_value(actual, expected, comparison="exact") or actual == expected


@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
@pytest.mark.parametrize(("actual", "expected"), NEITHER, ids=range(len(NEITHER)))
def test_values_that_differ(actual: Any, expected: Any, comparison: Any) -> None:
    assert not same_value(actual, expected, comparison=comparison)


def test_a_tolerance_of_the_test_rules_in_both_modes() -> None:
    for comparison in ("exact", "tolerant"):
        assert same_value([1.04], [1.0], comparison=comparison, tolerance=0.05)  # type: ignore[arg-type]
        assert not same_value([1.06], [1.0], comparison=comparison, tolerance=0.05)  # type: ignore[arg-type]
        assert not same_value(2, 1, comparison=comparison, tolerance=0.5)  # type: ignore[arg-type]


def test_exact_tells_lists_from_tuples() -> None:
    assert not same_value((1, 2), [1, 2], comparison="exact")
    assert not same_value([[1]], [(1,)], comparison="exact")
    assert same_value(0.1 + 0.2, 0.3, comparison="exact") is False
