r"""Whether a printed answer is right, by the rules of the data set that it answers.

*LiveCodeBench*: white space around the whole output and around each line does not count; a line is
right as text, or if all its words are numbers of the same value, to the last digit (``3.0`` for
``3``).

*APPS*: blank lines do not count either, wherever they are; words are compared one by one, as text
or as numbers of the same value, or within the tolerance where the expected one is written as a
float. Its judge also accepts words in another order and whole numbers that are nearly right; that
is not imitated.
"""

from __future__ import annotations

import collections
import dataclasses
import decimal
import functools
import math
import re
from collections.abc import Callable, Hashable, Iterable

from codegym.grading.any_order import same_items
from codegym.grading.compare import FLOAT_TOLERANCE, output_lines, same_word
from codegym.problems.problem import Comparison

__all__ = ["same_printed"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DIFFERENCES = decimal.Context(prec=50, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)


def same_printed(
    actual: str,
    expected: str,
    comparison: Comparison,
    *,
    tolerance: float | None = None,
    any_order: int = 0,
) -> bool:
    r"""Whether a printed answer is the expected one.

    Linear in the length of both, but for numbers within a tolerance in any order.

    Args:
        actual: What was printed.
        expected: What should be.
        comparison: Which lines count, and when words are the same.
        tolerance: If given, a word that is a number, whole or not, is met by any number that is at
            most so far away, and any other word by itself.
        any_order: 1 if the lines may be in any order, 2 if the words of each line may be as well.

    >>> same_printed("\n 3.0  4\n", "3 4", "livecodebench")
    True
    >>> same_printed("2.5000001", "2.5", "livecodebench"), same_printed("2.5000001", "2.5", "apps")
    (False, True)
    >>> same_printed("7", "5", "tolerant", tolerance=2)
    True
    >>> same_printed("c\na b\n", "b a\nc", "tolerant", any_order=2)
    True
    """
    if comparison == "livecodebench":
        got, wanted = _stripped(actual), _stripped(expected)
    elif comparison == "apps":
        got, wanted = (list(filter(None, _stripped(text))) for text in (actual, expected))
    else:
        got, wanted = output_lines(actual), output_lines(expected)
    if len(got) != len(wanted):
        return False
    if comparison == "livecodebench" and tolerance is None:
        return _same_decimals(got, wanted, any_order)
    rule = _rule(comparison, tolerance)
    if not any_order:
        lines = zip(got, wanted, strict=True)
        return all(one == other or rule.same_line(one, other, 0) for one, other in lines)
    within = any_order - 1
    return same_items(
        got,
        wanted,
        same=lambda one, other: rule.same_line(one, other, within),
        key=lambda line: _counted(map(rule.key, line.split()), within),
        is_near=lambda line: any(map(rule.is_near, line.split())),
        numbers=lambda line: _numbers(line, within),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Rule:
    """When a word is the expected one; `key` and `is_near` are those of :func:`same_items`."""

    same: Callable[[str, str], bool]
    key: Callable[[str], Hashable]
    is_near: Callable[[str], bool]

    def same_line(self, actual: str, expected: str, any_order: int) -> bool:
        got, wanted = actual.split(), expected.split()
        if not any_order:
            return len(got) == len(wanted) and all(map(self.same, got, wanted))
        return same_items(
            got,
            wanted,
            same=self.same,
            key=self.key,
            is_near=self.is_near,
            numbers=lambda word: _numbers(word, 0),
        )


def _rule(comparison: Comparison, tolerance: float | None) -> _Rule:
    if tolerance is not None:
        return _Rule(
            functools.partial(_is_within, decimal.Decimal(str(tolerance))), str, _is_number
        )
    if comparison == "apps":
        return _Rule(_same_word, _value, _is_float)
    return _Rule(same_word, str, _is_float)


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None


def _is_float(word: str) -> bool:
    return _is_number(word) and not _WHOLE.fullmatch(word)


def _value(word: str) -> Hashable:
    return decimal.Decimal(word) if _is_number(word) else word


def _is_within(tolerance: decimal.Decimal, actual: str, expected: str) -> bool:
    """Whether a word is the expected one; exact, however long the numbers are."""
    if actual == expected:
        return True
    if not (_is_number(actual) and _is_number(expected)):
        return False
    got, wanted = decimal.Decimal(actual), decimal.Decimal(expected)
    return got == wanted or _DIFFERENCES.subtract(got, wanted).copy_abs() <= tolerance


def _counted(keys: Iterable[Hashable], any_order: int) -> Hashable:
    return frozenset(collections.Counter(keys).items()) if any_order else tuple(keys)


def _numbers(line: str, any_order: int) -> list[float]:
    numbers = [float(word) for word in line.split() if _is_number(word)]
    return sorted(numbers) if any_order else numbers


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_decimals(actual: list[str], expected: list[str], any_order: int) -> bool:
    """LiveCodeBench's rule for lines, which is exact."""
    got, wanted = (
        [_decimals(line, any_order - 1) for line in lines] for lines in (actual, expected)
    )
    return _counted(got, any_order) == _counted(wanted, any_order)


def _decimals(line: str, any_order: int) -> Hashable:
    """The values of a line's words if all are numbers, else the line, or its words in any order."""
    words = line.split()
    if all(map(_is_number, words)):
        return _counted(map(decimal.Decimal, words), max(0, any_order))
    return _counted(words, any_order) if any_order > 0 else line


def _same_word(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    if not (_NUMBER.fullmatch(actual) and _NUMBER.fullmatch(expected)):
        return False
    if decimal.Decimal(actual) == decimal.Decimal(expected):
        return True
    if _WHOLE.fullmatch(expected):
        return False
    wanted = float(expected)
    if not math.isfinite(wanted):
        return False  # too large for a float, and any number would be near enough
    return abs(float(actual) - wanted) <= FLOAT_TOLERANCE * max(1.0, abs(wanted))
