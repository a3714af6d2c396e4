"""Values that cannot change and hold nothing, as JSON; see `crossing.py`.

What is decoded may come from a hostile program: only constructors of plain data are called.
"""

from __future__ import annotations

import builtins
import datetime
import decimal
import fractions
from collections.abc import Callable, Mapping
from typing import Any

SMALL = 1 << 60
"""Ints below this are JSON numbers; larger ones are hexadecimal, which is linear to read."""

VIEWS: tuple[Any, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_SINGLE: Mapping[str, Any] = {"Ellipsis": ..., "NotImplemented": NotImplemented}
_BUILTIN_TYPES: Mapping[str, type] = {
    name: value for name, value in vars(builtins).items() if isinstance(value, type)
}
_BUILTIN_FUNCTIONS: Mapping[int, str] = {
    id(value): name
    for name, value in vars(builtins).items()
    if callable(value) and not isinstance(value, type) and not name.startswith("_")
}
_TIMES: Mapping[type, tuple[str, ...]] = {
    datetime.datetime: ("year", "month", "day", "hour", "minute", "second", "microsecond"),
    datetime.date: ("year", "month", "day"),
    datetime.time: ("hour", "minute", "second", "microsecond"),
    datetime.timedelta: ("days", "seconds", "microseconds"),
}


class NumpyBool(int):
    """Equal to the boolean that it was, and like numpy's own, identical to none."""

    def __repr__(self) -> str:
        return str(bool(self))


def encode(value: Any, kind: Any, *, functions: bool) -> Any:
    """The item for a value, without the methods of subclasses; None if it is none of these.

    Builtin functions go by their name only where `functions` says so.
    """
    if issubclass(kind, int):
        number = int.__int__(value)
        if kind is NumpyBool:
            return {"n": number}
        return number if -SMALL < number < SMALL else {"i": hex(number)}
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    for base, tagged in _ENCODE:
        if issubclass(kind, base):
            return tagged(value)
    if kind in _TIMES and getattr(value, "tzinfo", None) is None:
        return {"S": [kind.__name__, *(getattr(value, name) for name in _TIMES[kind])]}
    if any(value is single for single in _SINGLE.values()):
        return {"E": repr(value)}
    if isinstance(value, type) and kind is type and _BUILTIN_TYPES.get(value.__name__) is value:
        return {"B": value.__name__}
    name = _BUILTIN_FUNCTIONS.get(id(value)) if functions else None
    return None if name is None else {"B": name}


_ENCODE: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bytes, lambda v: {"b": bytes.hex(v)}),
    (complex, lambda v: {"c": [complex.real.__get__(v), complex.imag.__get__(v)]}),
    (decimal.Decimal, lambda v: {"D": decimal.Decimal.__str__(v)}),
    (fractions.Fraction, lambda v: {"F": [hex(int(v.numerator)), hex(int(v.denominator))]}),
    (range, lambda v: {"R": [hex(v.start), hex(v.stop), hex(v.step)]}),
)


def decode(tag: str, body: Any, *, functions: bool) -> Any:
    """The value of a tagged item; a builtin function only where `functions` says so.

    Raises:
        Exception: Of any type, if it is none of :func:`encode`'s.
    """
    if tag == "B" and functions and body in _BUILTIN_FUNCTIONS.values():
        return getattr(builtins, body)
    return _DECODE[tag](body)


def _time(body: list[Any]) -> Any:
    kinds = {kind.__name__: kind for kind in _TIMES}
    return kinds[body[0]](*body[1:])


_DECODE: Mapping[str, Callable[[Any], Any]] = {
    "i": lambda body: int(body, 16),
    "n": lambda body: NumpyBool(bool(body)),
    "c": lambda body: complex(*body),
    "b": bytes.fromhex,
    "D": decimal.Decimal,
    "F": lambda body: fractions.Fraction(int(body[0], 16), int(body[1], 16)),
    "R": lambda body: range(*(int(part, 16) for part in body)),
    "S": _time,
    "E": _SINGLE.__getitem__,
    "B": _BUILTIN_TYPES.__getitem__,
}


def view(which: str, items: list[Any]) -> Any:
    """A view of a dict with these keys (`"k"`), values (`"v"`) or pairs (`"i"`)."""
    if which == "k":
        return dict.fromkeys(items).keys()
    return dict(enumerate(items)).values() if which == "v" else dict(items).items()
