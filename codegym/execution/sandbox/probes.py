"""Marks of executed lines, put into the bytecode of a program. For CPython 3.11 alone.

A trace function is called for every line each time it is executed. Here a line gets a probe: a
few instructions that mark it in shared memory, behind an iterator that is exhausted after its
first turn, so that later turns cost two instructions. A line that is marked on every way to it,
as the head of a loop is when the body has run, needs none.

The marks are those of `sys.settrace`. No name, frame or event is added that a program could see,
and none of its own instructions is changed. What it finds if it takes its code objects to pieces
is the memory that its report is written to, which it shares anyway.
"""

from __future__ import annotations

import dis
import mmap
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from types import CodeType
from typing import Any

from . import bytecode
from .bytecode import Edit, Handler, instruction

_LOAD, _NEXT, _RESUME = (dis.opmap[name] for name in ("LOAD_CONST", "FOR_ITER", "RESUME"))
_MARK = bytes((dis.opmap["STORE_SUBSCR"], 0, dis.opmap["CACHE"], 0, dis.opmap["POP_TOP"], 0))
_STACK = 4  # iterator, mark, memory, position
_NO_WAY_ON = frozenset(
    dis.opmap[name]
    for name in (
        "JUMP_FORWARD",
        "JUMP_BACKWARD",
        "JUMP_BACKWARD_NO_INTERRUPT",
        "RETURN_VALUE",
        "RAISE_VARARGS",
        "RERAISE",
    )
)
_PLACE = operator.attrgetter("start")
_MOST_SEGMENTS = 2000  # of a code object in which what ways have in common is looked for


class Marks:
    """Where executed lines are noted.

    Args:
        memory: Shared with whoever reads it.
        start: Position of the mark of line 0.
        lines: Number of lines; those beyond are not noted.
    """

    __slots__ = ("_first", "lines", "memory", "start")

    def __init__(self, memory: mmap.mmap, start: int, lines: int) -> None:
        self.memory = memory
        self.start = start
        self.lines = lines
        self._first: dict[int, Iterator[int]] = {}

    def first(self, line: int) -> Iterator[int]:
        """Yields the mark for a line, once for all probes of this line."""
        return self._first.setdefault(line, iter((1,)))


def insert(code: CodeType, marks: Marks, known: int = 0) -> CodeType:
    """The same program with probes, in it and in all code objects in it.

    Args:
        code: Not yet executed.
        marks: Where its lines are noted.
        known: A line that was noted before this code can run; 0 if there is none.
    """
    consts = list(code.co_consts)
    for index, const in enumerate(consts):
        if isinstance(const, CodeType):
            consts[index] = insert(const, marks, const.co_firstlineno)
    jumps = bytecode.find_jumps(code.co_code)
    handlers = bytecode.find_handlers(code)
    edits = []
    for position, line in _first_visits(code, jumps, handlers, known):
        if line <= marks.lines:
            edits.append(Edit(position, position, content=_probe(marks, line, consts)))
    edits += jumps
    edits.sort(key=_PLACE)  # stable: a probe comes before a jump
    return bytecode.rewrite(
        code, edits=edits, handlers=handlers, consts=tuple(consts), stack=_STACK
    )


def _probe(marks: Marks, line: int, consts: list[Any]) -> bytes:
    """The code that marks a line; `consts` become those of the code object."""
    at = len(consts)
    consts += marks.first(line), marks.memory, marks.start + line
    mark = instruction(_LOAD, at + 1) + instruction(_LOAD, at + 2) + _MARK
    return instruction(_LOAD, at) + instruction(_NEXT, len(mark) // 2) + mark


def _first_visits(
    code: CodeType, jumps: list[Edit], handlers: list[Handler], known: int
) -> list[tuple[int, int]]:
    """Positions, and their lines, that some way leads to on which the line was not visited."""
    operations = code.co_code[::2]
    begin = operations.index(_RESUME) + 1  # before, a generator is only made
    heads = {begin}
    ranges: list[tuple[int, int]] = []
    for start, _, line in code.co_lines():
        if not ranges or ranges[-1][1] != (line or 0):
            ranges.append((start // 2, line or 0))
            heads.add(start // 2)
    for jump in jumps:
        heads.add(jump.target)
    for _, _, target, _ in handlers:
        heads.add(target)
    starts, lines, current = [0], [known], 0
    for start in sorted(heads):
        if start < begin:
            continue
        while current + 1 < len(ranges) and ranges[current + 1][0] <= start:
            current += 1
        starts.append(start)
        lines.append(ranges[current][1])
    if len(starts) > _MOST_SEGMENTS:
        return [(start, line) for start, line in zip(starts, lines, strict=True) if start and line]
    bits = {0: 0}
    own = []
    for line in lines:
        if line not in bits:
            bits[line] = 1 << len(bits)
        own.append(bits[line])
    visited = _visited(_ways(operations, starts, jumps, handlers), own)
    return [(starts[i], line) for i, line in enumerate(lines) if own[i] & ~visited[i] and i]


def _ways(
    operations: bytes, starts: list[int], jumps: list[Edit], handlers: list[Handler]
) -> list[list[int]]:
    """For each segment of code those that it may be reached from directly."""
    ways: list[list[int]] = []
    number = {}
    for index, start in enumerate(starts):
        number[start] = index
        ways.append([index - 1] if start and operations[start - 1] not in _NO_WAY_ON else [])
    for jump in jumps:
        ways[number[jump.target]].append(bisect_right(starts, jump.start) - 1)
    for start, end, target, _ in handlers:
        ways[number[target]] += range(bisect_right(starts, start) - 1, bisect_left(starts, end))
    return ways


def _visited(ways: list[list[int]], own: list[int]) -> list[int]:
    """The lines, as bits, that were visited on every way to each segment.

    Args:
        ways: From where each segment is reached; the first is where all begin.
        own: The line of each segment.
    """
    before = [-1] * len(ways)  # all, where no way leads to
    before[0] = 0
    changed = True
    while changed:
        changed = False
        for index, sources in enumerate(ways):
            visited = before[index]
            for source in sources:
                visited &= before[source] | own[source]
            if visited != before[index]:
                before[index] = visited
                changed = True
    return before
