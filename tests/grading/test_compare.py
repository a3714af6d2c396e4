"""Answers that are right and answers that are not, by the rules of each comparison."""

from __future__ import annotations

import math
import re
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from codegym.execution import Iterated, Opaque
from codegym.grading import compare, same_output, same_value
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
        ("1\n  \n", "1"),
        ("1.0000009", "1.0"),
        ("0.0000001", "0.0"),
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
        ("1", "1 2"),
        ("1 2", "1"),
        ("1.000002", "1.0"),
        ("\u0663.\u0660", "3.0"),
        ("3.0", "\u0663.\u0660"),
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
    (1.0, 1),
    (1, True),
    (0.0, False),
    (-1 + 0j, -1),
    (Decimal(3), 3),
    (Fraction(1, 2), 0.5),
    (Iterated("dict_keys", (1, "a")), {"a", 1}),
    (Iterated("dict_items", ((1, 2),)), frozenset({(1, 2)})),
    ([Iterated("odict_keys", ())], [set()]),
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
    (range(3), [0, 1, 2]),
    (range(0), ()),
    (deque([1, 2.0000001]), [1, 2.0]),
    (Iterated("map", ("1", "2")), ["1", "2"]),
    ([Iterated("generator", (1,)), range(1)], [[1], [0]]),
    (Iterated("dict_values", (3,)), [3]),
    (Iterated("dict_keys", (3,)), [3]),
    (Iterated("ndarray", ([1, 2], [3, 4])), [[1, 2], [3, 4]]),
    (1.0000001j, 1j),
    (0.1 + 0.2, 0.3),
    (1e9 + 1, 1e9),
    ([NAN], [NAN]),
    (float("nan"), NAN),
    (1e-7, 0.0),
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
    (3.000002, 3),
    (3.0000001, 3),
    (10**18 / 2, 10**18 // 2 - 1),
    ([1.0000001], [1]),
    (1.0000001, True),
    (2, True),
    (1 + 1j, 1),
    (1 + 1j, 1.0),
    (1 + 2j, 1 + 3j),
    (1.000002, 1.0),
    (Decimal("sNaN"), 1),
    (Decimal("sNaN"), 1.0),
    (10**400, 1j),
    (range(10**30), [0]),
    (range(3), [0, 1]),
    (range(3), {0, 1, 2}),
    (deque([1]), {1}),
    (Iterated("map", (1,)), {1}),
    (Iterated("dict_values", (1,)), {1}),
    (Iterated("dict_items", ((1, [2]),)), {(1, 2)}),
    (Iterated("dict_keys", (1, 1)), {1}),
    (Iterated("generator", (1, 2)), 1),
    (Iterated("str_iterator", ("a", "b")), "ab"),
    (NAN, 1.0),
    (1.0, NAN),
    (math.inf, 1e308),
    (10**400, math.inf),
    (10**400, 1.0),
    (b"a", "a"),
    (b"b", bytearray(b"a")),
    (LinkedList((1, 2)), LinkedList((2, 1))),
    (LinkedList((1,)), BinaryTree((1,))),
    (LinkedList((1, None)), LinkedList((1,))),
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


@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
@pytest.mark.parametrize(
    ("actual", "expected", "tolerance", "near"),
    [
        ([1.04], [1.0], 0.05, True),
        ([1.06], [1.0], 0.05, False),
        (4, 3, 1, True),
        (5, 3, 1, False),
        (2, 1, 0.5, False),
        (10**20 + 5, 10**20, 5, True),
        (10**20 + 6, 10**20, 5, False),
        (3.5, 3, 0.5, True),
        (3, 3.5, 0.5, True),
        (Decimal("0.3"), 0.31, 0.1, True),
        (1 + 1j, 1.05 + 1j, 0.1, True),
        (True, 2, 1, True),
        ("a", 1, 10, False),
        (math.inf, 1.0, 10, False),
        (math.inf, math.inf, 0, True),
        (10**400, 1.0, 10, False),
    ],
)
def test_a_tolerance_of_the_test_rules_in_both_modes(
    actual: Any, expected: Any, tolerance: float, near: bool, comparison: Any
) -> None:
    assert same_value(actual, expected, comparison=comparison, tolerance=tolerance) is near


@pytest.mark.parametrize(
    "answer",
    [
        range(1, 3),
        deque([1, 2]),
        (1, 2),
        *(Iterated(name, (1, 2)) for name in ("map", "generator", "dict_keys", "ndarray")),
    ],
    ids=str,
)
def test_exact_takes_nothing_but_a_list_for_a_list(answer: Any) -> None:
    assert not same_value(answer, [1, 2], comparison="exact")
    assert not same_value([answer], [[1, 2]], comparison="exact")
    assert not same_value({0: answer}, {0: [1, 2]}, comparison="exact", tolerance=0.1)


def test_patterns_of_numbers_never_go_back() -> None:
    for source in (compare._NUMBER.pattern, compare._WHOLE.pattern):
        repeats = re.findall(r"(?<!\\)[*+?]+", re.sub(r"\[[^]]*\]|\(\?:", "x", source))
        assert all(repeat in ("*+", "++", "?+") for repeat in repeats), source


def test_exact_tells_lists_from_tuples() -> None:
    assert not same_value((1, 2), [1, 2], comparison="exact")
    assert not same_value([[1]], [(1,)], comparison="exact")
    assert same_value(0.1 + 0.2, 0.3, comparison="exact") is False
