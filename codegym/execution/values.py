"""Values that cross the fence: plain data to tagged JSON and back.

The parent's half of `sandbox/codec.py`, where the format is described. What comes back was made by
a hostile program, so it is rebuilt from an allow-list of types and nothing else.
"""

from __future__ import annotations

import dataclasses
import decimal
import fractions
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from codegym.errors import ConfigurationError
from codegym.problems.problem import BinaryTree, LinkedList

__all__ = ["Opaque", "decode", "encode"]

_SMALL = 1 << 60
_HASHED_FREELY = 1_000


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


def encode(value: Any) -> Any:
    """The JSON-ready form of an argument.

    Raises:
        ConfigurationError: If `value` is no plain data (see
            :class:`~codegym.problems.problem.CallTest`).
    """
    if value is None or type(value) in (bool, str, float):
        return value
    if type(value) is int:
        return value if -_SMALL < value < _SMALL else {"i": hex(value)}
    if type(value) is list:
        return [encode(item) for item in value]
    for kind, tag in _SEQUENCES:
        if type(value) is kind:
            return {tag: [encode(item) for item in value]}
    if type(value) is dict:
        return {"d": [[encode(key), encode(item)] for key, item in value.items()]}
    if type(value) in (bytes, bytearray):
        return {"b": bytes(value).hex()}
    if type(value) is complex:
        return {"c": [value.real, value.imag]}
    if isinstance(value, LinkedList | BinaryTree):
        tag = "L" if isinstance(value, LinkedList) else "T"
        return {tag: [encode(item) for item in value.values]}
    if type(value) is decimal.Decimal:
        return {"D": str(value)}
    if type(value) is fractions.Fraction:
        return {"F": [encode(value.numerator), encode(value.denominator)]}
    raise ConfigurationError(
        "An argument must be plain data (None, numbers, strings, bytes, lists, tuples, sets, "
        f"dicts, LinkedList or BinaryTree), got {type(value).__name__}: {value!r:.100}. Use "
        "CallTest.expression for arguments that are made by code."
    )


_SEQUENCES = ((tuple, "t"), (set, "s"), (frozenset, "f"))


def decode(text: bytes) -> Any:
    """Rebuilds a value from the text that a child left.

    Raises:
        ValueError: If it is no such text. The caller then knows that the program forged it.
    """
    try:
        return _decode(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as e:
        raise ValueError(f"no encoded value: {e}") from e


def _decode(data: Any) -> Any:
    if isinstance(data, list):
        return [_decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    ((tag, body),) = data.items()
    return _DECODE[tag](body)


def _items(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise TypeError(f"expected a list, got {type(body).__name__}")
    return [_decode(item) for item in body]


def _hashed(build: Callable[[Any], Any], keys: Sequence[Any], items: Sequence[Any]) -> Any:
    """Builds a set or dict unless its keys were chosen to collide (that would take hours)."""
    if len(keys) > _HASHED_FREELY and len(set(map(hash, keys))) * 2 < len(keys):
        return Opaque("collection of colliding keys")
    return build(items)


def _set(body: Any, kind: Callable[[Any], Any]) -> Any:
    items = _items(body)
    return _hashed(kind, items, items)


def _dict(body: Any) -> Any:
    pairs = [(_decode(key), _decode(value)) for key, value in body]
    return _hashed(dict, [key for key, _ in pairs], pairs)


def _decimal(body: Any) -> decimal.Decimal:
    if not isinstance(body, str) or len(body) > 4_000:
        raise ValueError("no decimal")
    return decimal.Decimal(body)


def _number(body: Any) -> int:
    return int(body, 16)


def _opaque(body: Any) -> Opaque:
    return Opaque(str(body)[:200])


def _real(value: Any) -> float:
    if not isinstance(value, float | int):
        raise TypeError("no number")
    return float(value) if isinstance(value, int) and abs(value) < _SMALL else math.fsum([value])


_DECODE: dict[str, Callable[[Any], Any]] = {
    "i": _number,
    "c": lambda body: complex(_real(body[0]), _real(body[1])),
    "b": bytes.fromhex,
    "t": lambda body: tuple(_items(body)),
    "s": lambda body: _set(body, set),
    "f": lambda body: _set(body, frozenset),
    "d": _dict,
    "D": _decimal,
    "F": lambda body: fractions.Fraction(*_items(body)),
    "L": lambda body: LinkedList(tuple(_items(body))),
    "T": lambda body: BinaryTree(tuple(_items(body))),
    "o": _opaque,
}
