"""Lists and lines in any order, against an oracle that tries all orders; tolerances of output."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegym.execution import decode_value, encode_value
from codegym.grading import same_value
from codegym.grading.comparer import Comparer
from codegym.grading.printed import same_printed
from codegym.problems import CallTest, Comparison, LinkedList, StdinTest

COMPARISONS: list[Comparison] = ["exact", "tolerant"]
PRINTED: list[Comparison] = ["exact", "tolerant", "apps", "livecodebench"]


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(
    ("actual", "expected", "levels"),
    [
        ([2, 1], [1, 2], 1),
        ([1, 1, 2], [2, 1, 1], 1),
        ([[3, 1], [2]], [[2], [3, 1]], 1),
        ([[1, 3], [2]], [[2], [3, 1]], 2),
        ([["b", "a"], []], [[], ["a", "b"]], 2),
        ([None, "1", 1, b"1"], [b"1", 1, "1", None], 1),
        ([{"a": [1]}, {"b": [2]}], [{"b": [2]}, {"a": [1]}], 1),
        ([{1, 2}, {3}], [{3}, {2, 1}], 1),
        ([LinkedList((1, 2)), None], [LinkedList(()), LinkedList((1, 2))], 1),
        ([True, 2.0], [2, 1], 1),
        ([[[2, 1]], [[3]]], [[[3]], [[1, 2]]], 3),
    ],
)
def test_in_any_order(comparison: Comparison, actual: Any, expected: Any, levels: int) -> None:
    back = decode_value(encode_value(actual))
    assert same_value(back, expected, comparison=comparison, any_order=levels)
    assert not same_value(back, expected, comparison=comparison, any_order=levels - 1)


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(
    ("actual", "expected", "levels"),
    [
        ([1, 1, 2], [1, 2, 2], 2),
        ([1, 2], [1, 2, 2], 2),
        ([1], [[1]], 2),
        (["12"], [["1", "2"]], 2),
        ([[1, 2], [3]], [[1, 3], [2]], 2),
        ([2, [1]], [[2], 1], 2),
        ({1: [2, 3]}, {1: [3, 2]}, 2),  # only lists are in any order, not what is in other data
        (LinkedList((1, 2)), LinkedList((2, 1)), 2),
        ("ab", "ba", 2),
        ([object], [1], 1),
    ],
)
def test_not_in_any_order(comparison: Comparison, actual: Any, expected: Any, levels: int) -> None:
    if actual == [object]:
        actual = decode_value(b'[{"o":"object"}]')
    assert not same_value(actual, expected, comparison=comparison, any_order=levels)


def test_kinds_of_lists_are_told_apart_as_ever() -> None:
    assert same_value([(2, 1)], [[2, 1]], comparison="tolerant", any_order=1)
    assert not same_value([(2, 1)], [[2, 1]], comparison="exact", any_order=1)
    lazy = decode_value(b'{"I":["map",[2,1]]}')
    assert same_value(lazy, [1, 2], comparison="tolerant", any_order=1)
    assert not same_value(lazy, [1, 2], comparison="exact", any_order=1)
    assert same_value([range(2), [5]], [[5], [0, 1]], comparison="tolerant", any_order=1)


NUMBERS = st.sampled_from([0, 1, 2, 3, 0.5, 1.0, 1.0000001, 2.9999999, 1.5])
ITEMS = st.one_of(NUMBERS, st.lists(NUMBERS, max_size=2), st.sampled_from(["a", "b", None]))


@given(
    st.lists(ITEMS, max_size=4),
    st.lists(ITEMS, max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(COMPARISONS),
    st.sampled_from([None, 0.5, 1.0]),
    st.booleans(),
)
def test_any_order_is_some_order(
    actual: list[Any],
    expected: list[Any],
    random: Any,
    comparison: Comparison,
    tolerance: float | None,
    shuffled: bool,
) -> None:
    if shuffled:
        actual = random.sample(expected, len(expected))
    options: dict[str, Any] = {"comparison": comparison, "tolerance": tolerance}
    oracle = any(
        same_value(list(order), expected, **options) for order in itertools.permutations(actual)
    )
    assert same_value(actual, expected, any_order=1, **options) is oracle


def test_near_ties_need_a_matching() -> None:
    """Sorted by their numbers, [1.0, 5] would meet [1.0000001, 2]."""
    actual, expected = [[1.0000001, 5], [1.0, 2]], [[1.0, 5], [1.0000001, 2]]
    assert same_value(actual, expected, comparison="tolerant", any_order=1)
    assert not same_value(
        [[1.0, 5], [1.0, 2]], [[1.0, 5], [1.0, 5]], comparison="tolerant", any_order=1
    )
    chain, met = [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]  # each within 1 of two others
    assert same_value(
        [[x] for x in chain], [[x] for x in met], comparison="exact", tolerance=1, any_order=1
    )


def test_many_items_take_no_longer_than_their_number() -> None:
    """A comparison of each with each would take hours."""
    many = list(range(200_000))
    assert same_value(many[::-1], many, comparison="exact", any_order=1)
    assert not same_value([*many[:0:-1], 1], many, comparison="exact", any_order=1)
    floats = [x / 7 for x in many]
    near = [x + 1e-9 for x in reversed(floats)]
    assert same_value(near, floats, comparison="tolerant", any_order=1)


@pytest.mark.parametrize("comparison", PRINTED)
def test_lines_and_words_in_any_order(comparison: Comparison) -> None:
    assert same_printed("b 2\na 1\n", "a 1\nb 2\n", comparison, any_order=1)
    assert not same_printed("b 2\na 1\n", "a 1\nb 2\n", comparison)
    assert not same_printed("1 a\nb 2\n", "a 1\nb 2\n", comparison, any_order=1)
    assert same_printed("2 b\na 1\n", "a 1\nb 2\n", comparison, any_order=2)
    assert not same_printed("a 1\na 1\n", "a 1\nb 2\n", comparison, any_order=2)
    assert not same_printed("2\n1\n", "1 2\n", comparison, any_order=2)
    assert not same_printed("a\n", "a\na\n", comparison, any_order=1)


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [("tolerant", (False, True)), ("apps", (True, True)), ("livecodebench", (True, False))],
)
def test_numbers_in_any_order_follow_the_comparison(
    comparison: Comparison, expected: tuple[bool, bool]
) -> None:
    for levels in (1, 2):
        assert same_printed("2\n3.0\n", "3\n2\n", comparison, any_order=levels) is expected[0]
        assert (
            same_printed("2\n3.5000001\n", "3.5\n2\n", comparison, any_order=levels) is expected[1]
        )


WORDS = st.sampled_from(["a", "b", "1", "1.0", "1.0000001", "2.5", "3", "nan"])
LINES = st.lists(st.lists(WORDS, min_size=1, max_size=2).map(" ".join), max_size=4)


@given(LINES, LINES, st.sampled_from(PRINTED), st.sampled_from([None, 0.5, 1.5]), st.booleans())
def test_any_order_of_lines_is_some_order(
    actual: list[str],
    expected: list[str],
    comparison: Comparison,
    tolerance: float | None,
    turned: bool,
) -> None:
    if turned:
        actual = expected[::-1]
    oracle = any(
        same_printed("\n".join(order), "\n".join(expected), comparison, tolerance=tolerance)
        for order in itertools.permutations(actual)
    )
    said = same_printed(
        "\n".join(actual), "\n".join(expected), comparison, tolerance=tolerance, any_order=1
    )
    assert said is oracle


@pytest.mark.parametrize("comparison", PRINTED)
@pytest.mark.parametrize(
    ("actual", "expected", "tolerance", "same"),
    [
        ("2.6", "2.5", 0.1, True),
        ("2.61", "2.5", 0.1, False),
        ("12", "10", 2, True),
        ("13", "10", 2, False),
        ("-0.3", "0", 0.3, True),  # 0.3 as it is written, and not the float below it
        ("x 1", "x 2", 1, True),
        ("y 1", "x 1", 1, False),
        ("1 1", "1", 1, False),
        ("x", "1", 1e9, False),
        ("nan", "1", 1e9, False),
        ("inf", "1", float("inf"), False),
        ("1", "1", 0, True),
        ("1.0", "1", 0, True),
        ("9" * 5000, "9" * 4999 + "8", 0, False),
        ("9" * 5000, "9" * 4999 + "8", 1, True),
        ("1e999999", "1", 1e300, False),
        ("-" + "9" * 300 + "e999999", "9e999999", 1e300, False),
    ],
)
def test_a_tolerance_of_printed_numbers(
    comparison: Comparison, actual: str, expected: str, tolerance: float, same: bool
) -> None:
    assert same_printed(actual, expected, comparison, tolerance=tolerance) is same


def test_a_helper_says_the_same() -> None:
    asked = Comparer()
    lines = [f"{n} {n / 7}" for n in range(3_000)]
    test = StdinTest("", "nothing", ("nor this", "\n".join(lines)))
    assert asked.check_output("\n".join(reversed(lines)), test, "tolerant", 1) is None
    assert asked.check_output("\n".join(reversed(lines)), test, "tolerant") is not None
    values = CallTest((), list(range(3_000)), tolerance=0.5)
    for answer, levels, right in ((reversed(values.expected), 1, True), ([3] * 3_000, 1, False)):
        encoded = encode_value(list(answer))
        said = asked.check_value(
            encoded, values, "exact", lambda: encode_value([values.expected]), levels
        )
        assert (said is None) is right
    asked.close()


def test_a_short_answer_of_many_items_is_compared_in_a_helper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A range of a million numbers is 20 bytes long."""
    asked = Comparer()
    sent: list[bytes] = []
    monkeypatch.setattr(asked, "_ask", lambda _head, given, _wanted: sent.append(given))
    answer = encode_value([range(10**6), [1.5]])
    test = CallTest((), [[1.5], [2.5]])
    asked.check_value(answer, test, "tolerant", lambda: b"", 1)
    assert sent == [answer]
