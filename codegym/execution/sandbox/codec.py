"""Plain data to tagged JSON and back, written for values that a hostile program made.

`None`, booleans, strings, finite and infinite floats, small integers and lists stand for
themselves; anything else is an object with one key::

    i int (hex)    c complex    b bytes (hex)    t tuple    s set    f frozenset    d dict (pairs)
    L linked list  T binary tree  D Decimal  F Fraction  r range (start, stop, step)  q deque
    I other iterables (type name, items): iterators, generators, views of dictionaries, arrays
    o opaque (type name)

Only methods of the base types are called on subclasses, so that overridden `__eq__`, `__iter__`
or `__index__` change nothing. Cycles, deep nesting and size end the encoding, never the process.
"""

from __future__ import annotations

import array
import collections
import decimal
import fractions
import itertools
import json
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from . import nodes

MAX_DEPTH = 200
_OWN_RECURSION = 20 * MAX_DEPTH  # a program may have left less
_TO_JSON = json.JSONEncoder(separators=(",", ":")).encode
_SMALL = 1 << 60
_ORDERED: Any = collections.OrderedDict()
_VIEWS: list[Any] = [{}.keys(), {}.values(), {}.items()]
_VIEWS += [_ORDERED.keys(), _ORDERED.values(), _ORDERED.items()]
_GIVE_ITERATORS: list[Any] = [[], (), "", b"", {}, set(), range(0), range(1 << 70)]
_GIVE_ITERATORS += [collections.deque(), *_VIEWS]
_LAZY = frozenset(
    {map, filter, zip, enumerate, reversed, types.GeneratorType}
    | {kind for kind in vars(itertools).values() if isinstance(kind, type)}
    | {type(iter(one)) for one in _GIVE_ITERATORS}
    | {type(reversed(one)) for one in ([], {}, collections.deque(), *_VIEWS)}
    | {type(view) for view in _VIEWS}
)


class TooLargeError(Exception):
    """The encoded value is larger than the limit."""


class Opaque:
    """Stands for a value that is no plain data; equals nothing."""

    __hash__ = None  # type: ignore[assignment]  # unhashable on purpose

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __eq__(self, other: object) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"


class Encoder:
    """Encodes one value; raises :class:`TooLargeError` above `limit` characters."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = limit
        self._path: set[int] = set()

    def text(self, value: Any) -> str:
        """The JSON text of `value`."""
        text = _TO_JSON(self.encode(value, 0))
        if len(text) > self._limit:
            raise TooLargeError
        return text

    def encode(self, value: Any, depth: int) -> Any:
        """The JSON-ready form of `value`."""
        self._spend(1)
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is str:
            self._spend(len(value))
            return value
        if kind is int or issubclass(kind, int):
            return self._integer(int.__int__(value))
        if issubclass(kind, str):
            return self.encode(str.__str__(value), depth)
        if issubclass(kind, float):
            return float.__float__(value)
        if depth >= MAX_DEPTH or id(value) in self._path:
            return {"o": f"{_name(kind)} (cyclic or nested too deeply)"}
        self._path.add(id(value))
        try:
            return self._compound(value, kind, depth + 1)
        finally:
            self._path.discard(id(value))

    def _spend(self, characters: int) -> None:
        self._room -= characters
        if self._room < 0:
            raise TooLargeError

    def _integer(self, value: int) -> Any:
        if -_SMALL < value < _SMALL:
            return value
        self._spend(value.bit_length() // 4)
        return {"i": hex(value)}

    def _items(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.encode(item, depth) for item in values]

    def _list(self, values: list[Any], depth: int) -> list[Any]:
        if set(map(type, values)) <= {int, float, bool} and values:
            self._spend(2 * len(values))
            low, high = min(values), max(values)
            if low > -_SMALL and high < _SMALL:
                return values
        return self._items(values, depth)

    def _compound(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, list):
            return self._list(list.copy(value), depth)
        for base, encode in _COMPOUND:
            if issubclass(kind, base):
                return encode(self, value, depth)
        if kind is range:
            return {"r": [self._integer(part) for part in (value.start, value.stop, value.step)]}
        if kind in _LAZY:
            return self._iterated(kind, list(itertools.islice(value, self._room + 1)), depth)
        if kind.__module__.partition(".")[0] == "numpy" and hasattr(kind, "tolist"):
            self._spend(int(getattr(value, "size", 1)))
            plain = value.tolist()
            if type(plain) is not list:  # a scalar, or an array without dimensions
                return self.encode(plain, depth)
            return self._iterated(kind, plain, depth)
        chain = nodes.flatten(value)
        if chain is not None:
            tag, values = chain
            return {tag: self._items(values, depth)}
        return {"o": _name(kind)}

    def _iterated(self, kind: type, values: list[Any], depth: int) -> Any:
        return {"I": [_name(kind), self._list(values, depth)]}

    def _dict(self, value: Any, depth: int) -> Any:
        pairs = dict.items(value)
        return {"d": [[self.encode(k, depth), self.encode(v, depth)] for k, v in pairs]}


def _name(kind: type) -> str:
    return str.__str__(type.__dict__["__name__"].__get__(kind))[:100]


def _decimal(value: Any) -> Any:
    text = decimal.Decimal.__str__(value)
    return {"D": text} if len(text) < 4000 else {"o": "Decimal (too long)"}


def _fraction(encoder: Encoder, value: Any, depth: int) -> Any:
    parts = (value._numerator, value._denominator)
    return {"F": [encoder.encode(int(part), depth) for part in parts]}


_COMPOUND: tuple[tuple[type, Callable[[Encoder, Any, int], Any]], ...] = (
    (tuple, lambda e, v, d: {"t": e._items(tuple.__getitem__(v, slice(None)), d)}),
    (dict, Encoder._dict),
    (set, lambda e, v, d: {"s": e._items(set.__iter__(v), d)}),
    (frozenset, lambda e, v, d: {"f": e._items(frozenset.__iter__(v), d)}),
    (collections.deque, lambda e, v, d: {"q": e._items(collections.deque.__iter__(v), d)}),
    (bytes, lambda e, v, _: {"b": _hexed(e, bytes.__getitem__(v, slice(None)))}),
    (bytearray, lambda e, v, _: {"b": _hexed(e, bytes(bytearray.copy(v)))}),
    (memoryview, lambda e, v, _: {"b": _hexed(e, memoryview.tobytes(v))}),
    (complex, lambda _e, v, _d: {"c": [complex.real.__get__(v), complex.imag.__get__(v)]}),
    (decimal.Decimal, lambda _e, v, _d: _decimal(v)),
    (fractions.Fraction, _fraction),
    # These compare as what they hold.
    (types.MappingProxyType, lambda e, v, d: e.encode(dict(v), d)),
    (collections.ChainMap, lambda e, v, d: e.encode(dict(v), d)),
    (collections.UserDict, lambda e, v, d: e.encode(v.data, d)),
    (collections.UserList, lambda e, v, d: e.encode(v.data, d)),
    (collections.UserString, lambda e, v, d: e.encode(v.data, d)),
    (array.array, lambda e, v, d: e._iterated(array.array, v.tolist(), d)),
)


def _hexed(encoder: Encoder, data: bytes) -> str:
    encoder._spend(2 * len(data))
    return data.hex()


def encode(value: Any, limit: int) -> str:
    """JSON text of any value; raises :class:`TooLargeError` above `limit` characters."""
    kind = type(value)  # compared by identity: a metaclass can lie about equality
    if kind is bool:
        return "true" if value else "false"
    if kind is int and -_SMALL < value < _SMALL:
        return int.__repr__(value)
    if value is None:
        return "null"
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _OWN_RECURSION))
    return Encoder(limit).text(value)


def decode(data: Any, namespace: dict[str, Any]) -> Any:
    """Rebuilds a value; linked lists and trees get the node classes of `namespace`."""
    if isinstance(data, list):
        return [decode(item, namespace) for item in data]
    if not isinstance(data, dict):
        return data
    ((tag, body),) = data.items()
    return _DECODE[tag](body, namespace)


def _decode_each(body: Any, namespace: dict[str, Any]) -> Iterable[Any]:
    return (decode(item, namespace) for item in body)


_DECODE: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "i": lambda body, _: int(body, 16),
    "c": lambda body, _: complex(*body),
    "b": lambda body, _: bytes.fromhex(body),
    "t": lambda body, ns: tuple(_decode_each(body, ns)),
    "s": lambda body, ns: set(_decode_each(body, ns)),
    "f": lambda body, ns: frozenset(_decode_each(body, ns)),
    "d": lambda body, ns: {decode(k, ns): decode(v, ns) for k, v in body},
    "D": lambda body, _: decimal.Decimal(body),
    "F": lambda body, ns: fractions.Fraction(*_decode_each(body, ns)),
    "L": lambda body, ns: nodes.build_list(list(_decode_each(body, ns)), ns),
    "T": lambda body, ns: nodes.build_tree(list(_decode_each(body, ns)), ns),
    "r": lambda body, ns: range(*_decode_each(body, ns)),
    "q": lambda body, ns: collections.deque(_decode_each(body, ns)),
    "I": lambda body, ns: _iterable(body[0], [decode(item, ns) for item in body[1]]),
    "o": lambda body, _: Opaque(body),
}


def _iterable(name: str, items: list[Any]) -> Any:
    """Something that is iterated over, and compares, as what it stands for."""
    if name in ("dict_keys", "odict_keys"):
        return dict.fromkeys(items).keys()
    if name in ("dict_items", "odict_items"):
        return dict(items).items()
    if name in ("dict_values", "odict_values"):
        return dict(enumerate(items)).values()
    return iter(items)
