"""What a program is called with, rebuilt, and what it returns, encoded; see `codec.py`."""

from __future__ import annotations

import array
import collections
import itertools
import sys
import types
from collections.abc import Callable
from typing import Any

from ..codec import (
    MAX_DEPTH,
    PLAIN,
    SMALL,
    UNREADABLE,
    Encoder,
    Table,
    decode,
    decode_items,
    from_json,
)
from . import nodes

_OWN_RECURSION = 20 * MAX_DEPTH  # a program may have left less
_DECIMAL_CHARACTERS = 4_000
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


def encode_answer(value: Any, limit: int) -> bytes:
    """JSON text of any value; raises :class:`TooLargeError` above `limit` bytes."""
    kind = type(value)
    if kind is bool:
        return b"true" if value else b"false"
    if kind is int and -SMALL < value < SMALL:
        return int.__repr__(value).encode("ascii")
    if value is None:
        return b"null"
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _OWN_RECURSION))
    try:
        return AnswerEncoder(limit).data(value)
    finally:
        sys.setrecursionlimit(before)  # another call may follow in this process


class AnswerEncoder(Encoder):
    """Encodes a value of any type. What is not data goes by the name of its type."""

    def too_deep(self, kind: type) -> Any:
        """The name of its type."""
        return {"o": f"{_name(kind)} (cyclic or nested too deeply)"}

    def other(self, value: Any, kind: type, depth: int) -> Any:
        """Iterables, arrays, nodes, and what compares as what it holds."""
        for base, encode in _AS_WHAT_IT_HOLDS:
            if issubclass(kind, base):
                return encode(self, value, depth)
        if kind in _LAZY:
            return self.iterated(kind, list(itertools.islice(value, int(self.room) + 1)), depth)
        if kind.__module__.partition(".")[0] == "numpy" and hasattr(kind, "tolist"):
            self.spend(int(getattr(value, "size", 1)))
            plain = value.tolist()
            if type(plain) is not list:  # a scalar, or an array without dimensions
                return self.encode(plain, depth)
            return self.iterated(kind, plain, depth)
        chain = nodes.flatten(value)
        if chain is not None:
            tag, values = chain
            return {tag: self.items(values, depth)}
        return {"o": _name(kind)}

    def of_decimal(self, value: Any) -> Any:
        """As text; the name of its type if that is longer than a grader reads."""
        encoded = super().of_decimal(value)
        return encoded if len(encoded["D"]) < _DECIMAL_CHARACTERS else {"o": "Decimal (too long)"}

    def iterated(self, kind: type, values: list[Any], depth: int) -> Any:
        """The JSON-ready form of an iterable, with what it gave."""
        return {"I": [_name(kind), self.of_list(values, depth)]}


_AS_WHAT_IT_HOLDS: tuple[tuple[type, Callable[[AnswerEncoder, Any, int], Any]], ...] = (
    (memoryview, lambda e, v, _: e.of_bytes(memoryview.tobytes(v))),
    (types.MappingProxyType, lambda e, v, d: e.encode(dict(v), d)),
    (collections.ChainMap, lambda e, v, d: e.encode(dict(v), d)),
    (collections.UserDict, lambda e, v, d: e.encode(v.data, d)),
    (collections.UserList, lambda e, v, d: e.encode(v.data, d)),
    (collections.UserString, lambda e, v, d: e.encode(v.data, d)),
    (array.array, lambda e, v, d: e.iterated(array.array, v.tolist(), d)),
)


def _name(kind: type) -> str:
    return str.__str__(type.__dict__["__name__"].__get__(kind))[:100]


def argument_table(namespace: dict[str, Any]) -> Table:
    """How arguments are rebuilt; linked lists and trees get the node classes of `namespace`."""
    return {
        **PLAIN,
        "L": lambda body, table: nodes.build_list(decode_items(body, table), namespace),
        "T": lambda body, table: nodes.build_tree(decode_items(body, table), namespace),
        "I": lambda body, table: _iterable(body[0], decode_items(body[1], table)),
        "E": _answer,
        "V": _value,
    }


def _value(body: str, table: Table) -> Any:
    """What a client of a server encoded."""
    within = {tag: rebuild for tag, rebuild in table.items() if tag != "V"}
    return decode(from_json(body.encode("latin-1")), within)


_UnreadableAnswerError = type(UNREADABLE, (Exception,), {})


def _answer(body: str, table: Table) -> Any:
    """What another program returned, if that is data."""
    table = {tag: rebuild for tag, rebuild in table.items() if tag not in ("E", "V")}
    table["I"] = lambda body, table: decode_items(body[1], table)
    try:
        return decode(from_json(body.encode("latin-1")), table)
    except MemoryError:
        raise
    except Exception:
        raise _UnreadableAnswerError("it is no plain data") from None


def _iterable(name: str, items: list[Any]) -> Any:
    """Something that is iterated over, and compares, as what it stands for."""
    if name in ("dict_keys", "odict_keys"):
        return dict.fromkeys(items).keys()
    if name in ("dict_items", "odict_items"):
        return dict(items).items()
    if name in ("dict_values", "odict_values"):
        return dict(enumerate(items)).values()
    return iter(items)
