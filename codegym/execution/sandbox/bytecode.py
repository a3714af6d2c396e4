"""Inserts instructions into a code object, for the bytecode of CPython 3.11 alone.

Jumps, positions in the source and exception handlers stay what they were. Positions in code are
counted in units of two bytes. What is inserted, and where, is another's business (`probes.py`).

Plain on purpose, see `task.py`.
"""

from __future__ import annotations

import dis
from bisect import bisect_left
from types import CodeType
from typing import Any

Handler = tuple[int, int, int, int]
"""An entry of the exception table: start, end, target; depth of the stack and a flag, as stored."""

_EXTENDED = dis.opmap["EXTENDED_ARG"]
_JUMPS = frozenset(dis.hasjrel)
_FORWARD = frozenset(op for op in dis.hasjrel if "BACKWARD" not in dis.opname[op])
_LONGEST_LOCATION = 8  # units
_ONE_LINE, _NO_COLUMNS, _LONG = 10, 13, 14  # kinds of location that may begin a line
_SAME_LINE = b"\0"


class Edit:
    """A place where instructions are inserted, or (with a target) a jump of the program."""

    __slots__ = ("content", "end", "grown", "start", "target")

    def __init__(self, start: int, end: int, target: int = 0, content: bytes = b"") -> None:
        self.start = start
        self.end = end
        self.target = target
        self.content = content
        self.grown = len(content) // 2


def instruction(operation: int, argument: int) -> bytes:
    """One instruction, with as many prefixes as its argument needs."""
    code = bytes((operation, argument & 0xFF))
    while argument := argument >> 8:
        code = bytes((_EXTENDED, argument & 0xFF)) + code
    return code


def find_jumps(raw: bytes) -> list[Edit]:
    """The jumps in the code of a program, as edits."""
    found = []
    argument = begin = end = 0
    for operation in raw[::2]:
        argument = argument << 8 | raw[2 * end + 1]
        end += 1
        if operation == _EXTENDED:
            continue
        if operation in _JUMPS:
            distance = argument if operation in _FORWARD else -argument
            found.append(Edit(begin, end, end + distance))
        argument, begin = 0, end
    return found


def find_handlers(code: CodeType) -> list[Handler]:
    """The exception table of a program."""
    found = []
    numbers: list[int] = []
    number = 0
    for byte in code.co_exceptiontable:
        number = number << 6 | byte & 0x3F
        if byte & 0x40:
            continue
        numbers.append(number)
        number = 0
        if len(numbers) == 4:
            start, length, target, rest = numbers
            found.append((start, start + length, target, rest))
            numbers = []
    return found


def rewrite(
    code: CodeType,
    *,
    edits: list[Edit],
    handlers: list[Handler],
    consts: tuple[Any, ...],
    stack: int,
) -> CodeType:
    """A code object with insertions. A jump to where one is leads to the inserted code.

    Args:
        code: Not yet executed.
        edits: All jumps, and the insertions: instructions without jumps out of them, each at a
            place of its own and of the line of what it comes before, which must have one. In
            order of their places, an insertion before a jump.
        handlers: All exception handlers.
        consts: The new constants, the old ones first.
        stack: How much more room on the stack insertions need.
    """
    raw = code.co_code
    starts, shifts = _settle(edits)
    parts: list[bytes] = []
    done = 0
    for edit in edits:
        parts += raw[2 * done : 2 * edit.start], edit.content
        done = edit.end
        if edit.start < edit.end:  # the operation itself; its argument is the content's last byte
            parts[-1] = edit.content[:-2] + raw[2 * done - 2 : 2 * done - 1] + edit.content[-1:]
    parts.append(raw[2 * done :])
    moved = [
        (
            start + shifts[bisect_left(starts, start)],
            end + shifts[bisect_left(starts, end)],
            target + shifts[bisect_left(starts, target)],
            rest,
        )
        for start, end, target, rest in handlers
    ]
    return code.replace(
        co_code=b"".join(parts),
        co_consts=consts,
        co_linetable=_write_locations(code.co_linetable, edits),
        co_exceptiontable=_write_handlers(moved) if moved else b"",
        co_stacksize=code.co_stacksize + stack,
    )


def _settle(edits: list[Edit]) -> tuple[list[int], list[int]]:
    """Sets the content of all jumps; returns the edits' places and how far each is moved."""
    starts = [edit.start for edit in edits]
    settled = False
    while not settled:
        settled = True
        shift, shifts = 0, [0]
        for edit in edits:
            shift += edit.grown
            shifts.append(shift)
        for index, edit in enumerate(edits, 1):
            room = edit.end - edit.start
            if not room:
                continue
            target = edit.target + shifts[bisect_left(starts, edit.target)]
            content = instruction(0, abs(target - edit.end - shifts[index]))
            grown = len(content) // 2 - room
            if grown > edit.grown:
                edit.grown, settled = grown, False
            # It may need less than it has room for.
            edit.content = bytes((_EXTENDED, 0)) * (edit.grown - grown) + content
    return starts, shifts


def _write_handlers(handlers: list[Handler]) -> bytes:
    table = bytearray()
    for start, end, target, rest in handlers:
        first = len(table)
        for number in (start, end - start, target, rest):
            shift = 6
            while number >> shift:
                shift += 6
            while shift := shift - 6:
                table.append(number >> shift & 0x3F | 0x40)
            table.append(number & 0x3F)
        table[first] |= 0x80
    return bytes(table)


def _write_locations(table: bytes, edits: list[Edit]) -> bytes:
    """The table of locations: entries of each instruction, which begin with a byte above 127."""
    written = bytearray()
    changes = [edit for edit in edits if edit.grown]
    changes.append(Edit(1 << 32, 0))
    heads = [place for place, byte in enumerate(table) if byte > 127]
    change = copied = start = 0
    for number, head in enumerate(heads, 1):
        length = (table[head] & 7) + 1
        if changes[change].start == start:
            following = heads[number] if number < len(heads) else len(table)
            written += table[copied:head]
            first = change
            while changes[change].start == start:
                change += 1
            _relocate(written, table[head:following], length, changes[first:change])
            copied = following
        start += length
    return bytes(written + table[copied:])


def _relocate(written: bytearray, entry: bytes, length: int, changes: list[Edit]) -> None:
    """Writes the entries for an instruction that grows, that something is put before, or both."""
    kind, delta, rest = entry[0] >> 3 & 15, _SAME_LINE, entry[1:]
    if _ONE_LINE <= kind < _NO_COLUMNS:
        kind, delta = _ONE_LINE, bytes((2 * (kind - _ONE_LINE),))
    elif kind in (_NO_COLUMNS, _LONG):
        size = 1
        while entry[size] & 0x40:
            size += 1
        delta, rest = entry[1 : size + 1], entry[size + 1 :]
    for edit in changes:
        if edit.start == edit.end:
            _locate(written, edit.grown, _NO_COLUMNS, delta, b"")
            delta = _SAME_LINE
        else:
            length += edit.grown
    _locate(written, length, kind, delta, rest)


def _locate(written: bytearray, length: int, kind: int, delta: bytes, rest: bytes) -> None:
    """Writes entries for `length` units, the first of which may begin another line."""
    while length > 0:
        units = min(length, _LONGEST_LOCATION)
        form = kind + delta[0] // 2 if kind == _ONE_LINE else kind
        written.append(0x80 | form << 3 | units - 1)
        if kind in (_NO_COLUMNS, _LONG):
            written += delta
        written += rest
        length, delta = length - units, _SAME_LINE
