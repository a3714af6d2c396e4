"""Values that cross the fence: plain data to tagged JSON and back.

The parent's half of `sandbox/codec.py`, where the format is described. What comes back was made by
a hostile program: it stays bytes until somebody asks for it, and is then rebuilt from an
allow-list of types and nothing else.
"""

from __future__ import annotations

import collections
import dataclasses
import decimal
import fractions
import json
from collections.abc import Callable
from typing import Any

from codegym.errors import ConfigurationError
from codegym.problems.problem import BinaryTree, LinkedList

__all__ = [
    "Iterated",
    "NotPlainError",
    "Opaque",
    "decode_plain",
    "decode_value",
    "encode",
    "encode_value",
]

_SMALL = 1 << 60
_PLAIN_BYTES = 1 << 14
_PLAIN_BRACKETS = 1_000
_DECIMAL_CHARACTERS = 4_000
_NAME_CHARACTERS = 200
_SCALARS = frozenset({type(None), bool, int, float, str})
_SET_VIEWS = frozenset({"dict_keys", "dict_items", "odict_keys", "odict_items"})
_DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


class NotPlainError(Exception):
    """An answer is too large, or too strange, to be decoded in any hurry."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """Stands for a returned value that is no plain data. It equals nothing, not even itself.

    Attributes:
        type_name: Name of its class in the program.
    """

    type_name: str

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return hash(self.type_name)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Iterated:
    """Stands for a returned iterable that Python's ``==`` never calls equal to a list.

    Attributes:
        type_name: Name of its class, such as ``"map"``, ``"generator"`` or ``"ndarray"``.
        items: What it gave when it was iterated over, in the program's process.
    """

    type_name: str
    items: tuple[Any, ...]

    @property
    def set_like(self) -> bool:
        """Whether it equals a set of the same items: the keys or items of a dictionary."""
        return self.type_name in _SET_VIEWS


def encode_value(value: Any) -> bytes:
    """The encoded form of an answer, as an executor reports it.

    Raises:
        ConfigurationError: If `value` is neither plain data nor what :func:`decode_value` returns.
    """
    return json.dumps(encode(value), separators=(",", ":")).encode("ascii")


def encode(value: Any) -> Any:
    """The JSON-ready form of an argument or an answer; subclasses count as their base.

    Raises:
        ConfigurationError: If `value` is no plain data (see
            :class:`~codegym.problems.problem.CallTest`).
    """
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"i": hex(value)}
    if kind is list:
        return [encode(item) for item in value]
    for base, make in _ENCODE:
        if isinstance(value, base):
            return make(value)
    raise ConfigurationError(
        "An argument must be plain data (None, numbers, strings, bytes, lists, tuples, sets, "
        f"dicts, LinkedList or BinaryTree), got {kind.__name__}: {value!r:.100}. Use "
        "CallTest.expression for arguments that are made by code."
    )


def _each(values: Any) -> list[Any]:
    return [encode(item) for item in values]


_ENCODE: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, lambda value: encode(int(value))),
    (float, float.__float__),
    (str, str.__str__),
    (list, _each),
    (tuple, lambda value: {"t": _each(value)}),
    (set, lambda value: {"s": _each(value)}),
    (frozenset, lambda value: {"f": _each(value)}),
    (dict, lambda value: {"d": [[encode(key), encode(item)] for key, item in value.items()]}),
    (bytes, lambda value: {"b": value.hex()}),
    (bytearray, lambda value: {"b": value.hex()}),
    (complex, lambda value: {"c": [value.real, value.imag]}),
    (LinkedList, lambda value: {"L": _each(value.values)}),
    (BinaryTree, lambda value: {"T": _each(value.values)}),
    (decimal.Decimal, lambda value: {"D": str(value)}),
    (fractions.Fraction, lambda value: {"F": _each((value.numerator, value.denominator))}),
    (range, lambda value: {"r": _each((value.start, value.stop, value.step))}),
    (collections.deque, lambda value: {"q": _each(value)}),
    (Iterated, lambda value: {"I": [value.type_name, _each(value.items)]}),
    (Opaque, lambda value: {"o": value.type_name}),
)


def decode_value(answer: bytes) -> Any:
    """Rebuilds a value from an encoded answer: :attr:`codegym.execution.Observation.answer`.

    The program chose the bytes: a few megabytes of them can take minutes and gigabytes (numbers
    of a million digits, sets whose items collide). A grader therefore decodes what is not small in
    a process with limits.

    Returns:
        Plain data, ``range``, ``collections.deque``; an :class:`Iterated` for other iterables and
        an :class:`Opaque` for anything else.

    Raises:
        ValueError: If it is no encoded value, which only a program that forged it leaves.
    """
    return _rebuild(answer, _DECODE)


def decode_plain(answer: bytes) -> Any:
    """:func:`decode_value` for what is small and quick to decode and to compare.

    Raises:
        NotPlainError: If it is not: more than 16 KiB, a thousand brackets, a Decimal or Fraction.
        ValueError: If it is no encoded value.
    """
    if len(answer) > _PLAIN_BYTES or answer.count(b"[") + answer.count(b"{") > _PLAIN_BRACKETS:
        raise NotPlainError
    return _rebuild(answer, _DECODE_PLAIN)


_Table = dict[str, Callable[[Any, Any], Any]]


def _rebuild(answer: bytes, table: _Table) -> Any:
    try:
        return _decode(json.loads(answer), table)
    except _DAMAGED as error:
        if table is _DECODE_PLAIN and isinstance(error, RecursionError):
            raise NotPlainError from error  # how deep the stack is here is not the program's doing
        raise ValueError(f"no encoded value: {error!r:.200}") from error


def _decode(data: Any, table: _Table) -> Any:
    kind = type(data)
    if kind is list:
        if _SCALARS.issuperset(map(type, data)):
            return data
        return [_decode(item, table) for item in data]
    if kind is not dict:
        return data
    ((tag, body),) = data.items()
    return table[tag](body, table)


def _items(body: Any, table: _Table) -> list[Any]:
    if type(body) is not list:
        raise TypeError(f"expected a list, got {type(body).__name__}")
    items: list[Any] = _decode(body, table)
    return items


def _integer(body: Any, _table: _Table) -> int:
    if not isinstance(body, str):
        raise TypeError("no digits")
    return int(body, 16)


def _complex(body: Any, _table: _Table) -> complex:
    real, imaginary = body
    if not {type(real), type(imaginary)} <= {int, float}:
        raise TypeError("no numbers")
    return complex(real, imaginary)


def _bytes(body: Any, _table: _Table) -> bytes:
    return bytes.fromhex(body)


def _dict(body: Any, table: _Table) -> dict[Any, Any]:
    return {_decode(key, table): _decode(value, table) for key, value in body}


def _decimal(body: Any, _table: _Table) -> decimal.Decimal:
    if not isinstance(body, str) or len(body) > _DECIMAL_CHARACTERS:
        raise ValueError("no decimal")
    return decimal.Decimal(body)


def _fraction(body: Any, table: _Table) -> fractions.Fraction:
    numerator, denominator = _items(body, table)
    if type(numerator) is not int or type(denominator) is not int:
        raise TypeError("no whole numbers")
    return fractions.Fraction(numerator, denominator)


def _range(body: Any, table: _Table) -> range:
    start, stop, step = _items(body, table)
    return range(start, stop, step)


def _iterated(body: Any, table: _Table) -> Iterated:
    name, items = body
    return Iterated(_name(name), tuple(_items(items, table)))


def _name(body: Any) -> str:
    if not isinstance(body, str):
        raise TypeError("no name")
    name = body[:_NAME_CHARACTERS]  # of the program's making, and may be printed
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def _later(_body: Any, _table: _Table) -> Any:
    raise NotPlainError


_DECODE: _Table = {
    "i": _integer,
    "c": _complex,
    "b": _bytes,
    "t": lambda body, table: tuple(_items(body, table)),
    "s": lambda body, table: set(_items(body, table)),
    "f": lambda body, table: frozenset(_items(body, table)),
    "d": _dict,
    "D": _decimal,
    "F": _fraction,
    "L": lambda body, table: LinkedList(tuple(_items(body, table))),
    "T": lambda body, table: BinaryTree(tuple(_items(body, table))),
    "r": _range,
    "q": lambda body, table: collections.deque(_items(body, table)),
    "I": _iterated,
    "o": lambda body, _table: Opaque(_name(body)),
}
_DECODE_PLAIN: _Table = {**_DECODE, "D": _later, "F": _later}
