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
import functools
import math
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from codegym.execution.values import Iterated
from codegym.grading.any_order import same_items
from codegym.problems.problem import BinaryTree, Comparison, LinkedList

__all__ = ["FLOAT_TOLERANCE", "output_lines", "same_output", "same_value", "same_word"]

FLOAT_TOLERANCE = 1e-6
"""Two floats agree if they differ by at most this much times max(1, |expected|)."""

# Possessive: what was read is never given back, so that no text takes longer than its length.
_NUMBER = re.compile(r"[+-]?+(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?+\d++)?+", re.ASCII)
_WHOLE = re.compile(r"[+-]?+\d++", re.ASCII)
_REAL_NUMBERS = (int, float, decimal.Decimal, fractions.Fraction)
_NUMBERS = (*_REAL_NUMBERS, complex)
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
    got, wanted = output_lines(actual), output_lines(expected)
    return len(got) == len(wanted) and all(map(_same_line, got, wanted))


def output_lines(text: str) -> list[str]:
    """The lines that count, without white space at their ends."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_line(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    got, wanted = actual.split(), expected.split()
    return len(got) == len(wanted) and all(map(same_word, got, wanted))


def same_word(actual: str, expected: str) -> bool:
    """Whether a printed word is the expected one."""
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
    any_order: int = 0,
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
        any_order: How many levels of lists and tuples, from the outermost one inwards, may have
            their items in any order.

    In both modes an empty LinkedList or BinaryTree is ``None``, trailing gaps of a tree do not
    count, subclasses count as what they are derived from, an
    :class:`~codegym.execution.Opaque` equals nothing, and neither does a number that ``==``
    cannot compare, such as ``Decimal("sNaN")``.
    """
    with contextlib.suppress(ArithmeticError):  # Decimal("sNaN") == 1
        if actual == expected:  # every rule is at least as wide, and this is fast
            return True
    return _Rule(comparison == "exact", tolerance).same(actual, expected, any_order)


class _Rule:
    """The rule by which values are compared; `levels` of lists are in any order."""

    def __init__(self, exact: bool, tolerance: float | None) -> None:
        self._exact = exact
        self._tolerance = tolerance

    def same(self, actual: Any, expected: Any, levels: int = 0) -> bool:
        kind = type(expected)
        if kind is str or kind is bytes:
            return type(actual) is kind and bool(actual == expected)
        if isinstance(expected, _NUMBERS):
            return isinstance(actual, _NUMBERS) and self._same_number(actual, expected)
        if isinstance(actual, _ITERABLES):
            return self._same_iterable(actual, expected, levels)
        if isinstance(expected, _SEQUENCES):
            return self._same_sequence(actual, expected, levels)
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

    def _each(self, actual: Any, expected: Any, levels: int = 0) -> bool:
        if len(actual) != len(expected):
            return False
        if not levels:
            return all(map(self.same, actual, expected))
        within = levels - 1
        return same_items(
            actual,
            expected,
            same=lambda one, other: self.same(one, other, within),
            key=functools.partial(self._key, levels=within),
            is_near=self._is_near,
            numbers=functools.partial(_numbers, levels=within),
        )

    def _is_near(self, expected: Any) -> bool:
        """Whether it is met by others than those that are equal to it."""
        if isinstance(expected, _NUMBERS):
            if self._tolerance is not None:
                return True
            return not self._exact and not isinstance(expected, int)
        return any(map(self._is_near, _items(expected)))

    def _key(self, value: Any, levels: int = 0) -> Hashable:
        """Equal for two values that this rule calls the same, if it is exact about them."""
        if isinstance(value, Iterated | collections.deque | range):
            if not self._exact:
                value = list(value.items if isinstance(value, Iterated) else value)
            elif isinstance(value, Iterated) and value.set_like:
                with contextlib.suppress(TypeError):  # items that cannot be hashed
                    return self._key(set(value.items))
        if isinstance(value, _SEQUENCES):
            kind = tuple if self._exact and isinstance(value, tuple) else list
            keys = [self._key(item, max(0, levels - 1)) for item in value]
            counted = frozenset(collections.Counter(keys).items()) if levels else None
            return kind, tuple(keys) if counted is None else counted
        if isinstance(value, Mapping):
            return dict, frozenset((key, self._key(item)) for key, item in value.items())
        if isinstance(value, _SETS):
            return set, frozenset(value)
        if isinstance(value, _NODES):
            values = _node_values(value)
            return (type(value), *map(self._key, values)) if values else None
        if isinstance(value, bytes | bytearray):
            return bytes(value)
        if isinstance(value, decimal.Decimal) and value.is_snan():
            return object()
        return value if isinstance(value, (*_NUMBERS, str)) else object()  # equal to nothing

    def _same_sequence(self, actual: Any, expected: Any, levels: int) -> bool:
        if not isinstance(actual, _SEQUENCES):
            return False
        if self._exact and isinstance(actual, list) != isinstance(expected, list):
            return False
        return self._each(actual, expected, levels)

    def _same_iterable(self, actual: Iterated | range | Any, expected: Any, levels: int) -> bool:
        if isinstance(actual, Iterated):
            if actual.set_like and isinstance(expected, _SETS):
                return _same_set(actual.items, expected)
            actual = actual.items
        if self._exact or not isinstance(expected, _SEQUENCES):
            return False
        if isinstance(actual, range) and actual[len(expected) :]:
            return False  # `len` of a range may be too large for Python
        return self._each(actual, expected, levels)

    def _same_mapping(self, actual: Mapping[Any, Any], expected: Mapping[Any, Any]) -> bool:
        return len(actual) == len(expected) and all(
            key in actual and self.same(actual[key], value) for key, value in expected.items()
        )


def _same_set(items: tuple[Any, ...], expected: set[Any] | frozenset[Any]) -> bool:
    try:
        return len(items) == len(expected) and set(items) == expected
    except TypeError:  # items of a dictionary whose values cannot be hashed
        return False


def _items(value: Any) -> Iterator[Any]:
    """What a value holds that is compared item by item."""
    if isinstance(value, Iterated):
        value = value.items
    elif isinstance(value, Mapping):
        value = value.values()
    elif isinstance(value, LinkedList | BinaryTree):
        value = _node_values(value)
    elif not isinstance(value, (*_SEQUENCES, collections.deque, range)):
        return iter(())
    return iter(value)


def _numbers(value: Any, levels: int = 0) -> list[float]:
    """The numbers in a value; those of lists in any order are sorted."""
    if isinstance(value, complex):
        return [*_numbers(value.real), *_numbers(value.imag)]
    if isinstance(value, _REAL_NUMBERS):
        try:
            number = float(value)
        except OverflowError:
            number = math.copysign(math.inf, value)
        except ValueError:  # Decimal("sNaN")
            number = math.inf
        return [math.inf if math.isnan(number) else number]
    parts = [_numbers(item, max(0, levels - 1)) for item in _items(value)]
    if levels:
        parts.sort()
    return [number for part in parts for number in part]


def _node_values(node: LinkedList | BinaryTree | None) -> tuple[Any, ...]:
    values = () if node is None else node.values
    end = len(values)
    while isinstance(node, BinaryTree) and end and values[end - 1] is None:
        end -= 1
    return values[:end]
