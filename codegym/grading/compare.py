"""Whether an answer is right. Pure functions on plain data; each is linear in what it reads.

Rules for printed answers: trailing white space of lines and trailing blank lines do not count.
Lines must agree in number; within a line, words are compared one by one, as text, or, where the
expected word is written as a float (`2.50`, `1e-3`), as numbers within
:data:`FLOAT_TOLERANCE`. An expected `3` is not answered by `3.0`.

Rules for returned values: see :func:`same_value`.
"""

from __future__ import annotations

import collections
import contextlib
import decimal
import fractions
import math
import re
from collections.abc import Mapping
from typing import Any

from codegym.execution.values import Iterated
from codegym.problems.problem import BinaryTree, Comparison, LinkedList

__all__ = ["FLOAT_TOLERANCE", "same_output", "same_value"]

FLOAT_TOLERANCE = 1e-6
"""Two floats agree if they differ by at most this much times max(1, |expected|)."""

# Possessive: what was read is never given back, so that no text takes longer than its length.
_NUMBER = re.compile(r"[+-]?+(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?+\d++)?+", re.ASCII)
_WHOLE = re.compile(r"[+-]?+\d++", re.ASCII)
_NUMBERS = (int, float, complex, decimal.Decimal, fractions.Fraction)
_SETS = (set, frozenset)
_SEQUENCES = (list, tuple)
_ITERABLES = (Iterated, range, collections.deque)
_NODES = (LinkedList, BinaryTree, type(None))


def same_output(actual: str, expected: str) -> bool:
    r"""Whether a printed answer is the expected one.

    >>> same_output("1 2 \n3.0000001\n\n", "1 2\n3.0")
    True
    >>> same_output("3.0", "3")
    False
    """
    if actual == expected:
        return True
    got, wanted = _lines(actual), _lines(expected)
    return len(got) == len(wanted) and all(map(_same_line, got, wanted))


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_line(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    got, wanted = actual.split(), expected.split()
    return len(got) == len(wanted) and all(map(_same_word, got, wanted))


def _same_word(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    if _WHOLE.fullmatch(expected) or not _NUMBER.fullmatch(expected):
        return False
    return bool(_NUMBER.fullmatch(actual)) and _close(float(actual), float(expected), None)


def _close(actual: float, expected: float, tolerance: float | None) -> bool:
    if actual == expected:
        return True
    if not (math.isfinite(actual) and math.isfinite(expected)):
        return math.isnan(actual) and math.isnan(expected)
    if tolerance is None:
        tolerance = FLOAT_TOLERANCE * max(1.0, abs(expected))
    return abs(actual - expected) <= tolerance


def same_value(
    actual: Any,
    expected: Any,
    *,
    comparison: Comparison,
    tolerance: float | None = None,
) -> bool:
    """Whether a returned value is the expected one.

    ``"exact"`` is Python's ``==`` between both: ``True`` is 1, ``-1+0j`` is -1, a frozenset is a
    set, the keys and items of a dictionary are sets; a tuple, a range, a ``map``, a generator, the
    values of a dictionary, a deque or an array is not a list, and a list of them is not a list of
    lists.

    ``"tolerant"`` is the rule of the judges of APPS and LiveCodeBench, a little wider. As there, a
    tuple is a list of the same items, and an expected int is met by what is ``==`` to it: 3 by
    ``3.0`` and 1 by ``True``, but 3 not by ``3.000001``. Wider: an expected float or complex is
    met within :data:`FLOAT_TOLERANCE`, nan by nan, and an iterable of any of the kinds above
    counts as the list of its items.

    Args:
        actual: What the program returned, as :func:`~codegym.execution.decode_value` rebuilds it.
        expected: What it should return: plain data.
        comparison: The rule.
        tolerance: Replaces the rule for numbers, whole or not, at any depth: how far they may be
            apart at most, as ``abs(actual - expected) <= tolerance``; equal is always near enough.

    In both modes an empty LinkedList or BinaryTree is ``None``, trailing gaps of a tree do not
    count, subclasses count as what they are derived from, an
    :class:`~codegym.execution.Opaque` equals nothing, and neither does a number that ``==``
    cannot compare, such as ``Decimal("sNaN")``.
    """
    with contextlib.suppress(ArithmeticError):  # Decimal("sNaN") == 1
        if actual == expected:  # every rule is at least as wide, and this is fast
            return True
    return _Comparer(comparison == "exact", tolerance).same(actual, expected)


class _Comparer:
    def __init__(self, exact: bool, tolerance: float | None) -> None:
        self._exact = exact
        self._tolerance = tolerance

    def same(self, actual: Any, expected: Any) -> bool:
        kind = type(expected)
        if kind is str or kind is bytes:
            return type(actual) is kind and bool(actual == expected)
        if isinstance(expected, _NUMBERS):
            return isinstance(actual, _NUMBERS) and self._same_number(actual, expected)
        if isinstance(actual, _ITERABLES):
            return self._same_iterable(actual, expected)
        if isinstance(expected, _SEQUENCES):
            return self._same_sequence(actual, expected)
        if isinstance(expected, Mapping):
            return isinstance(actual, Mapping) and self._same_mapping(actual, expected)
        if isinstance(expected, _SETS):
            return isinstance(actual, _SETS) and bool(actual == expected)
        if isinstance(expected, _NODES):
            return isinstance(actual, _NODES) and self._same_nodes(actual, expected)
        if isinstance(expected, str | bytes | bytearray):
            return isinstance(actual, str | bytes | bytearray) and bool(actual == expected)
        return False

    def _same_number(self, actual: Any, expected: Any) -> bool:
        tolerance = self._tolerance
        try:
            if actual == expected:
                return True
            if tolerance is None and (self._exact or isinstance(expected, int)):
                return False
            if isinstance(actual, int) and isinstance(expected, int):
                return tolerance is not None and abs(actual - expected) <= tolerance
            if not isinstance(expected, complex):
                return _close(float(actual), float(expected), tolerance)
            got = complex(actual)
        except (ArithmeticError, TypeError, ValueError):
            return False  # of a kind or size that cannot be measured
        parts = (got.real, expected.real), (got.imag, expected.imag)
        return all(_close(*part, tolerance) for part in parts)

    def _same_nodes(self, actual: Any, expected: Any) -> bool:
        got, wanted = _node_values(actual), _node_values(expected)
        if not got or not wanted:
            return not got and not wanted
        return type(actual) is type(expected) and self._each(got, wanted)

    def _each(self, actual: Any, expected: Any) -> bool:
        return len(actual) == len(expected) and all(map(self.same, actual, expected))

    def _same_sequence(self, actual: Any, expected: Any) -> bool:
        if not isinstance(actual, _SEQUENCES):
            return False
        if self._exact and isinstance(actual, list) != isinstance(expected, list):
            return False
        return self._each(actual, expected)

    def _same_iterable(self, actual: Iterated | range | Any, expected: Any) -> bool:
        if isinstance(actual, Iterated):
            if actual.set_like and isinstance(expected, _SETS):
                return _same_set(actual.items, expected)
            actual = actual.items
        if self._exact or not isinstance(expected, _SEQUENCES):
            return False
        if isinstance(actual, range) and actual[len(expected) :]:
            return False  # `len` of a range may be too large for Python
        return self._each(actual, expected)

    def _same_mapping(self, actual: Mapping[Any, Any], expected: Mapping[Any, Any]) -> bool:
        return len(actual) == len(expected) and all(
            key in actual and self.same(actual[key], value) for key, value in expected.items()
        )


def _same_set(items: tuple[Any, ...], expected: set[Any] | frozenset[Any]) -> bool:
    try:
        return len(items) == len(expected) and set(items) == expected
    except TypeError:  # items of a dictionary whose values cannot be hashed
        return False


def _node_values(node: LinkedList | BinaryTree | None) -> tuple[Any, ...]:
    values = () if node is None else node.values
    end = len(values)
    while isinstance(node, BinaryTree) and end and values[end - 1] is None:
        end -= 1
    return values[:end]
