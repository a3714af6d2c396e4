"""Plain data to tagged JSON and back, on both sides of the fence.

`None`, booleans, strings, finite and infinite floats, small integers and lists stand for
themselves; anything else is an object with one key::

    i int (hex)    c complex    b bytes (hex)    t tuple    s set    f frozenset    d dict (pairs)
    L linked list  T binary tree  D Decimal  F Fraction  r range (start, stop, step)  q deque
    I other iterables (type name, items): iterators, generators, views of dictionaries, arrays
    o opaque (type name)
    E the encoded answer of another program (its bytes as Latin-1), of arguments only
    V an argument that is encoded already (likewise)

What is encoded may be of a hostile program's making: only methods of the base types are called on
subclasses, so that overridden `__eq__`, `__iter__` or `__index__` change nothing; cycles, deep
nesting and size end the encoding, never the process. What is decoded may be forged: it is rebuilt
from an allow-list of types and nothing else.

The two sides differ in L, T, I and o, which are objects in the program's process
(`child/answers.py`) and records in the parent's (`execution/values.py`).
"""

from __future__ import annotations

import collections
import decimal
import fractions
import json
from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 200
SMALL = 1 << 60
"""Integers below this are JSON numbers."""
UNREADABLE = "UnreadableAnswerError"
"""Name of the exception that ends a call with an answer that cannot be decoded."""
# Two halves of a surrogate pair are not the character that a JSON escape would make of them.
_TO_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_SCALARS = frozenset({type(None), bool, int, float, str})


def to_json(data: Any) -> bytes:
    """The JSON text of JSON-ready data, in UTF-8; what is no Unicode stays what it is."""
    return _TO_JSON(data).encode("utf-8", "surrogatepass")


def from_json(text: bytes) -> Any:
    """What :func:`to_json` was given.

    Raises:
        ValueError: If it is not JSON.
        RecursionError: If it is nested too deeply.
    """
    return json.loads(text.decode("utf-8", "surrogatepass"))


class TooLargeError(Exception):
    """The encoded value is larger than the limit."""


class Encoder:
    """Encodes one value.

    Args:
        limit: Bytes; more raise :class:`TooLargeError`.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.room = limit
        self._path: set[int] = set()

    def other(self, value: Any, kind: type, depth: int) -> Any:
        """The JSON-ready form of a value of any other type, which is different on each side."""
        raise NotImplementedError

    def too_deep(self, kind: type) -> Any:
        """The JSON-ready form of a value that holds itself, or lies too deep in another."""
        raise NotImplementedError

    def data(self, value: Any) -> bytes:
        """The JSON text of `value`, in UTF-8."""
        data = to_json(self.encode(value, 0))
        if len(data) > self._limit:
            raise TooLargeError
        return data

    def encode(self, value: Any, depth: int) -> Any:
        """The JSON-ready form of `value`."""
        self.spend(1)
        kind = type(value)  # compared by identity: a metaclass can lie about equality
        if value is None or kind is bool or kind is float:
            return value
        if kind is str:
            self.spend(len(value))
            return value
        if kind is int or issubclass(kind, int):
            return self.integer(int.__int__(value))
        if issubclass(kind, str):
            return self.encode(str.__str__(value), depth)
        if issubclass(kind, float):
            return float.__float__(value)
        if depth >= MAX_DEPTH or id(value) in self._path:
            return self.too_deep(kind)
        self._path.add(id(value))
        try:
            return self._compound(value, kind, depth + 1)
        finally:
            self._path.discard(id(value))

    def spend(self, characters: int) -> None:
        """Takes note of characters that are to come, before they are made."""
        self.room -= characters
        if self.room < 0:
            raise TooLargeError

    def integer(self, value: int) -> Any:
        """The JSON-ready form of an int."""
        if -SMALL < value < SMALL:
            return value
        self.spend(value.bit_length() // 4)
        return {"i": hex(value)}

    def items(self, values: Iterable[Any], depth: int) -> list[Any]:
        """The JSON-ready forms of several values."""
        return [self.encode(item, depth) for item in values]

    def of_list(self, values: list[Any], depth: int) -> list[Any]:
        """The JSON-ready form of a list, which is itself if it holds small numbers."""
        if set(map(type, values)) <= {int, float, bool} and values:
            self.spend(2 * len(values))
            low, high = min(values), max(values)
            if low > -SMALL and high < SMALL:
                return values
        return self.items(values, depth)

    def _compound(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, list):
            return self.of_list(list.copy(value), depth)
        for base, encode in _COMPOUND:
            if issubclass(kind, base):
                return encode(self, value, depth)
        if kind is range:
            return {"r": [self.integer(part) for part in (value.start, value.stop, value.step)]}
        return self.other(value, kind, depth)

    def of_dict(self, value: Any, depth: int) -> Any:
        """The JSON-ready form of a dict."""
        pairs = dict.items(value)
        return {"d": [[self.encode(k, depth), self.encode(v, depth)] for k, v in pairs]}

    def of_bytes(self, data: bytes) -> Any:
        """The JSON-ready form of bytes."""
        self.spend(2 * len(data))
        return {"b": data.hex()}

    def of_decimal(self, value: Any) -> Any:
        """The JSON-ready form of a Decimal."""
        return {"D": decimal.Decimal.__str__(value)}

    def of_fraction(self, value: Any, depth: int) -> Any:
        """The JSON-ready form of a Fraction."""
        parts = (value._numerator, value._denominator)
        return {"F": [self.encode(int(part), depth) for part in parts]}


_COMPOUND: tuple[tuple[type, Callable[[Encoder, Any, int], Any]], ...] = (
    (tuple, lambda e, v, d: {"t": e.items(tuple.__getitem__(v, slice(None)), d)}),
    (dict, Encoder.of_dict),
    (set, lambda e, v, d: {"s": e.items(set.__iter__(v), d)}),
    (frozenset, lambda e, v, d: {"f": e.items(frozenset.__iter__(v), d)}),
    (collections.deque, lambda e, v, d: {"q": e.items(collections.deque.__iter__(v), d)}),
    (bytes, lambda e, v, _: e.of_bytes(bytes.__getitem__(v, slice(None)))),
    (bytearray, lambda e, v, _: e.of_bytes(bytes(bytearray.copy(v)))),
    (complex, lambda _e, v, _d: {"c": [complex.real.__get__(v), complex.imag.__get__(v)]}),
    (decimal.Decimal, lambda e, v, _: e.of_decimal(v)),
    (fractions.Fraction, Encoder.of_fraction),
)


Table = dict[str, Callable[[Any, Any], Any]]
"""How what stands behind each tag is rebuilt: functions of that, and of the table itself."""


def decode(data: Any, table: Table) -> Any:
    """Rebuilds a value.

    Args:
        data: The value's JSON-ready form.
        table: :data:`PLAIN`, and what this side makes of the other tags.

    Raises:
        Exception: Of any type, if it is not an encoded value.
    """
    kind = type(data)
    if kind is list:
        if _SCALARS.issuperset(map(type, data)):
            return data
        return [decode(item, table) for item in data]
    if kind is not dict:
        return data
    ((tag, body),) = data.items()
    return table[tag](body, table)


def decode_items(body: Any, table: Table) -> list[Any]:
    """Rebuilds what a container holds."""
    if type(body) is not list:
        raise TypeError(f"expected a list, got {type(body).__name__}")
    items: list[Any] = decode(body, table)
    return items


def _integer(body: Any, _table: Table) -> int:
    if not isinstance(body, str):
        raise TypeError("no digits")
    return int(body, 16)


def _complex(body: Any, _table: Table) -> complex:
    real, imaginary = body
    if not {type(real), type(imaginary)} <= {int, float}:
        raise TypeError("no numbers")
    return complex(real, imaginary)


def _dict(body: Any, table: Table) -> dict[Any, Any]:
    return {decode(key, table): decode(value, table) for key, value in body}


def _decimal(body: Any, _table: Table) -> decimal.Decimal:
    if not isinstance(body, str):
        raise TypeError("no decimal")
    return decimal.Decimal(body)


def _fraction(body: Any, table: Table) -> fractions.Fraction:
    numerator, denominator = decode_items(body, table)
    if type(numerator) is not int or type(denominator) is not int:
        raise TypeError("no whole numbers")
    return fractions.Fraction(numerator, denominator)


def _range(body: Any, table: Table) -> range:
    start, stop, step = decode_items(body, table)
    return range(start, stop, step)


PLAIN: Table = {
    "i": _integer,
    "c": _complex,
    "b": lambda body, _table: bytes.fromhex(body),
    "t": lambda body, table: tuple(decode_items(body, table)),
    "s": lambda body, table: set(decode_items(body, table)),
    "f": lambda body, table: frozenset(decode_items(body, table)),
    "d": _dict,
    "D": _decimal,
    "F": _fraction,
    "r": _range,
    "q": lambda body, table: collections.deque(decode_items(body, table)),
}
"""What both sides rebuild in the same way."""
