"""What is wrong with one answer: decoded, compared and put into words.

Pure functions on what a hostile program left. Run in the parent for what is small, and in
`comparer_process.py` for everything else.
"""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from codegym.execution.values import Iterated, Opaque
from codegym.grading.compare import same_value
from codegym.grading.printed import same_printed
from codegym.problems.problem import BinaryTree, Comparison, LinkedList

__all__ = ["check_output", "check_value"]

_SHOWN = 200
_NUMBERS = frozenset({int, float, bool, type(None)})
_LONG_INT_BITS = 10_000  # Python writes no more than 4,300 decimal digits


def check_output(
    stdout: str,
    accepted: Sequence[str],
    comparison: Comparison,
    tolerance: float | None,
    any_order: int = 0,
) -> str | None:
    """What is wrong with a printed answer; None if it is right.

    Args:
        stdout: What was printed.
        accepted: What should be printed, and the alternatives to it.
        comparison: See :func:`~codegym.grading.printed.same_printed`.
        tolerance: Likewise.
        any_order: Likewise.
    """
    for expected in accepted:
        if same_printed(stdout, expected, comparison, tolerance=tolerance, any_order=any_order):
            return None
    return f"Expected the output {accepted[0][:_SHOWN]!r}, got {stdout[:_SHOWN]!r}."


def check_value(
    decode: Callable[[bytes], Any],
    answer: bytes,
    accepted: Sequence[Any],
    comparison: Comparison,
    tolerance: float | None,
    any_order: int = 0,
) -> str | None:
    """What is wrong with a returned value; None if it is right.

    Args:
        decode: Rebuilds the value; raises a ValueError for what is none.
        answer: The encoded value.
        accepted: What should be returned, and the alternatives to it.
        comparison: See :func:`~codegym.grading.same_value`.
        tolerance: Likewise.
        any_order: Likewise.
    """
    same = functools.partial(
        same_value, comparison=comparison, tolerance=tolerance, any_order=any_order
    )
    try:
        value = decode(answer)
    except ValueError:
        return f"Expected {_shown(accepted[0])}, got a damaged answer."
    if any(same(value, expected) for expected in accepted):
        return None
    return f"Expected {_shown(accepted[0])}, got {_shown(value)}."


def _shown(value: object) -> str:
    """The beginning of a value's `repr`, at no cost for the rest of it."""
    items = value if type(value) is list else [value]
    if len(items) <= _SHOWN and _NUMBERS.issuperset(map(type, items)):
        with contextlib.suppress(ValueError):  # of more digits than Python prints
            return _cut(repr(value))  # what the pieces make as well, but sooner
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > _SHOWN:
            break
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, str | bytes | bytearray):
        yield repr(value[: _SHOWN + 1])
    elif isinstance(value, int) and value.bit_length() > _LONG_INT_BITS:
        yield "an int too large to print"
    elif isinstance(value, dict):
        yield from _listed("{", value, "}", lambda key: _pair(key, value[key]))
    elif isinstance(value, set | frozenset) and value:
        name, end = ("", "}") if isinstance(value, set) else ("frozenset(", "})")
        yield from _listed(name + "{", value, end, _pieces)
    elif isinstance(value, tuple):
        yield from _listed("(", value, ",)" if len(value) == 1 else ")", _pieces)
    elif isinstance(value, list):
        yield from _listed("[", value, "]", _pieces)
    elif isinstance(value, collections.deque):
        yield from _listed("deque([", value, "])", _pieces)
    elif isinstance(value, Iterated):
        yield from _listed(f"<{value.type_name} of [", value.items, "]>", _pieces)
    elif isinstance(value, LinkedList | BinaryTree):
        yield from _listed(f"{type(value).__name__}([", value.values, "])", _pieces)
    elif isinstance(value, Opaque):
        yield f"<{value.type_name} object>"
    else:
        try:
            yield repr(value)
        except ValueError:
            yield f"a {type(value).__name__} too large to print"


def _listed(
    start: str, items: Any, end: str, pieces: Callable[[Any], Iterator[str]]
) -> Iterator[str]:
    yield start
    for number, item in enumerate(items):
        if number:
            yield ", "
        yield from pieces(item)
    yield end


def _pair(key: Any, value: Any) -> Iterator[str]:
    yield from _pieces(key)
    yield ": "
    yield from _pieces(value)
