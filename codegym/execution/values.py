"""Values that cross the fence, as the parent has them: plain data, and records for the rest.

The format is described in `sandbox/codec.py`. What comes back was made by a hostile program: it
stays bytes until somebody asks for it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from codegym.errors import ConfigurationError
from codegym.execution.sandbox.codec import (
    MAX_DEPTH,
    PLAIN,
    UNREADABLE,
    Encoder,
    Table,
    decode,
    decode_items,
    from_json,
    to_json,
)
from codegym.problems.problem import BinaryTree, LinkedList

__all__ = [
    "UNREADABLE",
    "EncodedAnswer",
    "EncodedValue",
    "Iterated",
    "NotPlainError",
    "Opaque",
    "decode_plain",
    "decode_value",
    "encode",
    "encode_value",
]

_PLAIN_BYTES = 1 << 14
_PLAIN_BRACKETS = 1_000
_DECIMAL_CHARACTERS = 4_000
_NAME_CHARACTERS = 200
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
    """Stands for a returned value that is not plain data. It equals nothing, not even itself.

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


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedAnswer:
    """An argument that is what another program returned: :attr:`Observation.answer`.

    Nobody looks into it but the process that is called with it. There it is plain data, linked
    lists and trees, and a list of the items of any iterable; if it is anything else, or forged,
    the call ends with the exception :data:`UNREADABLE`, before anything of the program runs in it.

    Attributes:
        answer: The bytes, as they came.
    """

    answer: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedValue:
    """An argument as :func:`encode_value` encodes it, on its way through a server.

    Nobody decodes it but the process that is called with it: a set of a million colliding items
    then costs the program's time, and no one else's. What is no encoded value ends the call with
    an exception.

    Attributes:
        data: The bytes.
    """

    data: bytes


def encode_value(value: Any) -> bytes:
    """The encoded form of an answer, as an executor reports it.

    Raises:
        ConfigurationError: If `value` is neither plain data nor what :func:`decode_value` returns.
    """
    return to_json(encode(value))


def encode(value: Any) -> Any:
    """The JSON-ready form of an argument or an answer; subclasses count as their base.

    Raises:
        ConfigurationError: If `value` is not plain data (see
            :class:`~codegym.problems.problem.CallTest`), or nested more than 200 levels deep.
    """
    try:
        return _PlainEncoder(math.inf).encode(value, 0)
    except RecursionError as error:
        raise ConfigurationError(_TOO_DEEP) from error


class _PlainEncoder(Encoder):
    """Encodes plain data, and the records that stand for what a program has as objects."""

    def too_deep(self, kind: type) -> Any:
        raise ConfigurationError(_TOO_DEEP)

    def other(self, value: Any, kind: type, depth: int) -> Any:
        match value:
            case LinkedList():
                return {"L": self.items(value.values, depth)}
            case BinaryTree():
                return {"T": self.items(value.values, depth)}
            case Iterated():
                return {"I": [value.type_name, self.items(value.items, depth)]}
            case Opaque():
                return {"o": value.type_name}
            case EncodedAnswer():
                return {"E": value.answer.decode("latin-1")}
            case EncodedValue():
                return {"V": value.data.decode("latin-1")}
        raise ConfigurationError(
            "An argument must be plain data (None, numbers, strings, bytes, lists, tuples, sets, "
            f"dicts, LinkedList or BinaryTree), got {kind.__name__}: {value!r:.100}. Use "
            "CallTest.expression for arguments that are made by code."
        )


_TOO_DEEP = (
    f"An argument is nested more than {MAX_DEPTH} levels deep, or holds itself. Use "
    "CallTest.expression for arguments that are made by code."
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
        ValueError: If it is not an encoded value, which only a program that forged it leaves.
    """
    return _rebuild(answer, _RECORDS)


def decode_plain(answer: bytes) -> Any:
    """:func:`decode_value` for what is small and quick to decode and to compare.

    Raises:
        NotPlainError: If it is not: more than 16 KiB, a thousand brackets, a Decimal or Fraction.
        ValueError: If it is not an encoded value.
    """
    if len(answer) > _PLAIN_BYTES or answer.count(b"[") + answer.count(b"{") > _PLAIN_BRACKETS:
        raise NotPlainError
    return _rebuild(answer, _QUICK)


def _rebuild(answer: bytes, table: Table) -> Any:
    try:
        return decode(from_json(answer), table)
    except _DAMAGED as error:
        if table is _QUICK and isinstance(error, RecursionError):
            raise NotPlainError from error  # how deep the stack is here is not the program's doing
        raise ValueError(f"no encoded value: {error!r:.200}") from error


def _decimal(body: Any, table: Table) -> Any:
    if len(body) > _DECIMAL_CHARACTERS:
        raise ValueError("no decimal")
    return PLAIN["D"](body, table)


def _iterated(body: Any, table: Table) -> Iterated:
    name, items = body
    return Iterated(_name(name), tuple(decode_items(items, table)))


def _name(body: Any) -> str:
    if not isinstance(body, str):
        raise TypeError("no name")
    name = body[:_NAME_CHARACTERS]  # of the program's making, and may be printed
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def _later(_body: Any, _table: Table) -> Any:
    raise NotPlainError


_RECORDS: Table = {
    **PLAIN,
    "D": _decimal,
    "L": lambda body, table: LinkedList(tuple(decode_items(body, table))),
    "T": lambda body, table: BinaryTree(tuple(decode_items(body, table))),
    "I": _iterated,
    "o": lambda body, _table: Opaque(_name(body)),
}
_QUICK: Table = {**_RECORDS, "D": _later, "F": _later}
