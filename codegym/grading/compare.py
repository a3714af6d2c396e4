"""Whether an answer is right. Pure functions on plain data, in the parent, after the run.

Rules for printed answers: trailing white space of lines and trailing blank lines do not count.
Lines must agree in number; within a line, words are compared one by one, as text, or, where the
expected word is written as a float (`2.50`, `1e-3`), as numbers within
:data:`FLOAT_TOLERANCE`. An expected `3` is not answered by `3.0`.

Rules for returned values: see :func:`same_value`.
"""

from __future__ import annotations

import decimal
import fractions
import math
import re
from collections.abc import Mapping
from typing import Any

from codegym.execution.values import Opaque
from codegym.problems.problem import BinaryTree, Comparison, LinkedList

__all__ = ["FLOAT_TOLERANCE", "same_output", "same_value"]

FLOAT_TOLERANCE = 1e-6
"""Two floats agree if they differ by at most this much times max(1, |expected|)."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_REALS = (int, float, decimal.Decimal, fractions.Fraction)
_SETS = (set, frozenset)
_SEQUENCES = (list, tuple)


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
    actual: Any, expected: Any, *, comparison: Comparison, tolerance: float | None = None
) -> bool:
    """Whether a returned value is the expected one. Both are plain data.

    Args:
        actual: What the program returned, rebuilt from an allow-list of types.
        expected: What it should return.
        comparison: ``"exact"``: Python's ``==`` (a tuple is no list). ``"tolerant"``: a tuple
            equals a list of the same items, numbers of which one is no int agree within
            :data:`FLOAT_TOLERANCE`, nan equals nan.
        tolerance: Absolute tolerance for floats, in either mode; None: the mode's own.

    In both modes an empty LinkedList or BinaryTree is ``None``, trailing gaps of a tree do not
    count, and an :class:`~codegym.execution.values.Opaque` equals nothing.
    """
    return _Comparer(comparison == "exact", tolerance).same(actual, expected)


class _Comparer:
    def __init__(self, exact: bool, tolerance: float | None) -> None:
        self._exact = exact
        self._tolerance = tolerance
        self._as_numbers = tolerance is not None or not exact

    def same(self, actual: Any, expected: Any) -> bool:
        if isinstance(actual, Opaque) or isinstance(expected, Opaque):
            return False
        if isinstance(actual, LinkedList | BinaryTree | None) and isinstance(
            expected, LinkedList | BinaryTree | None
        ):
            return self._same_nodes(actual, expected)
        if isinstance(expected, _SEQUENCES):
            return self._same_sequence(actual, expected)
        if isinstance(expected, Mapping):
            return isinstance(actual, Mapping) and self._same_mapping(actual, expected)
        if isinstance(expected, _SETS):
            return isinstance(actual, _SETS) and self._same_set(actual, expected)
        if isinstance(expected, _REALS) and isinstance(actual, _REALS):
            return self._same_number(actual, expected)
        if isinstance(expected, complex) and isinstance(actual, complex | float | int):
            return self._same_complex(complex(actual), expected)
        return type(actual) is type(expected) and bool(actual == expected)

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

    def _same_mapping(self, actual: Mapping[Any, Any], expected: Mapping[Any, Any]) -> bool:
        return len(actual) == len(expected) and all(
            key in actual and self.same(actual[key], value) for key, value in expected.items()
        )

    def _same_set(self, actual: Any, expected: Any) -> bool:
        return bool(actual == expected) and not any(isinstance(item, Opaque) for item in actual)

    def _same_number(self, actual: Any, expected: Any) -> bool:
        if actual == expected:
            return True
        whole = isinstance(actual, int) and isinstance(expected, int)
        if whole or not self._as_numbers:
            return False
        try:
            return _close(float(actual), float(expected), self._tolerance)
        except (OverflowError, ValueError, ArithmeticError):
            return False

    def _same_complex(self, actual: complex, expected: complex) -> bool:
        return self._same_number(actual.real, expected.real) and self._same_number(
            actual.imag, expected.imag
        )


def _node_values(node: LinkedList | BinaryTree | None) -> tuple[Any, ...]:
    values = () if node is None else node.values
    while isinstance(node, BinaryTree) and values and values[-1] is None:
        values = values[:-1]
    return values
