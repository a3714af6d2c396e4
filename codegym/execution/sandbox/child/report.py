"""The memory that children share with their supervisor: a report and the lines they executed.

Anonymous shared memory has no descriptor that a program could close and survives any kill.
A program can write nonsense into it: what is read from here is only ever what the program says
of itself, and the parent believes it no more than that. It is emptied after each child.

Layout: 8 bytes length of the report, 1 byte for the ending, 1 byte that says whether the program
was loaded, 2 bytes number of statements that have a mark, one byte for each line, the report; at
the end of the memory a mark and a position for each of these statements.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence

from ..protocol import ExitReason, Position, code_of, reason_of
from .instrument import Marks

_LOADED = 9
_COUNT = slice(10, 12)
_HEADER = 12
_ENTRY = struct.Struct("<IIIdc")
_POSITION = struct.Struct("<2I")  # line, column
STATEMENTS = 4096
"""Largest number of statements that have a mark of their own."""


def new_memory(size: int) -> mmap.mmap:
    """Memory for the reports of all children that are forked later."""
    return mmap.mmap(-1, size)


class Report:
    """A view of the shared memory.

    Args:
        memory: What :func:`new_memory` made.
        size: Largest report in bytes; less if the memory is too small.
        lines: Number of lines of the program; those beyond the memory are not noted.
    """

    def __init__(self, memory: mmap.mmap, size: int, lines: int) -> None:
        self.lines = min(lines, len(memory) // 2)
        self._memory = memory
        self._body = _HEADER + self.lines + 2
        self._positions = len(memory) - STATEMENTS * _POSITION.size
        self._statements = self._positions - STATEMENTS
        self.size = min(size, self._statements - self._body)
        self._used = 0

    def mark(self, line: int) -> None:
        """Notes that a line was executed; ignores lines that do not exist."""
        if 0 < line <= self.lines:
            self._memory[_HEADER + line] = 1

    def mark_loaded(self) -> None:
        """Notes that the program's module was executed to its end."""
        self._memory[_LOADED] = 1

    @property
    def loaded(self) -> bool:
        """Whether that was noted."""
        return self._memory[_LOADED] != 0

    def marks(self) -> Marks:
        """Where executed lines and statements are marked."""
        return Marks(self._memory, _HEADER, self.lines, self._statements, STATEMENTS)

    def announce(self, positions: Sequence[Position]) -> None:
        """Leaves the positions of the statements that have a mark, in the order of their marks."""
        if positions:
            table = b"".join(_POSITION.pack(*position) for position in positions)
            self._memory[_COUNT] = len(positions).to_bytes(2, "little")
            self._memory[self._positions : self._positions + len(table)] = table

    def write(self, reason: ExitReason, body: bytes = b"") -> None:
        """Leaves the report; the length comes last, so that half a report is none.

        Args:
            reason: How the run ended, in the word of the process that writes.
            body: The exit code of a script in digits, the encoded value that a call returned, or
                the description of an exception as JSON.
        """
        self._memory[self._body : self._body + len(body)] = body
        self._memory[8:9] = code_of(reason)
        self._memory[:8] = (len(body) + 1).to_bytes(8, "little")

    def read(self) -> tuple[ExitReason, bytes]:
        """Ending and body of the report; `KILLED` if there is none."""
        length = int.from_bytes(self._memory[:8], "little") - 1
        if not 0 <= length <= self.size:
            return ExitReason.KILLED, b""
        return reason_of(self._memory[8:9]), self._memory[self._body : self._body + length]

    def append(self, reason: ExitReason, body: bytes, cpu_seconds: float) -> bool:
        """Adds the report of one of several calls, with what it executed; False without room.

        Afterwards nothing is marked, as before that call.
        """
        lines, statements = self.executed(), self.executed_statements()
        entry = _ENTRY.pack(len(body), len(lines), len(statements), cpu_seconds, code_of(reason))
        entry += struct.pack(f"<{len(lines)}I", *lines)
        entry += b"".join(_POSITION.pack(*position) for position in statements) + body
        end = self._used + len(entry)
        if end > self.size:
            return False
        self._memory[self._body + self._used : self._body + end] = entry
        self._memory[:8] = (end + 1).to_bytes(8, "little")
        self._used = end
        self._memory[_HEADER : self._body] = bytes(self._body - _HEADER)
        if self._count:
            self._memory[self._statements : self._statements + self._count] = bytes(self._count)
        return True

    def read_series(
        self, cpu_seconds: float
    ) -> list[tuple[ExitReason, bytes, float, list[int], list[Position]]]:
        """Ending, body, CPU time, executed lines and statements of each call that was added.

        Args:
            cpu_seconds: CPU time of all of them: none took longer, whatever the report says.
        """
        _, series = self.read()
        found = []
        start = 0
        while start + _ENTRY.size <= len(series):
            length, lines, statements, cpu, code = _ENTRY.unpack_from(series, start)
            places = start + _ENTRY.size + 4 * lines
            body = places + _POSITION.size * statements
            if body + length > len(series) or lines > self.lines + 1 or statements > STATEMENTS:
                break
            if not 0.0 <= cpu <= cpu_seconds:
                cpu = cpu_seconds
            noted = struct.unpack_from(f"<{lines}I", series, start + _ENTRY.size)
            executed = [line for line in noted if 0 < line <= self.lines]
            marked = list(_POSITION.iter_unpack(series[places:body]))
            answer = series[body : body + length]
            found.append((reason_of(code), answer, cpu, executed, marked))
            start = body + length
        return found

    def executed(self) -> list[int]:
        """The executed lines."""
        marks = self._memory[_HEADER : _HEADER + self.lines + 1]
        return [line for line, mark in enumerate(marks) if mark and line > 0]

    def executed_statements(self) -> list[Position]:
        """The positions of executed statements, of those that have a mark of their own."""
        count = self._count
        marks = self._memory[self._statements : self._statements + count]
        table = self._memory[self._positions : self._positions + count * _POSITION.size]
        found = zip(marks, _POSITION.iter_unpack(table), strict=True)
        return [(line, column) for mark, (line, column) in found if mark]

    @property
    def _count(self) -> int:
        return min(int.from_bytes(self._memory[_COUNT], "little"), STATEMENTS)

    def clear(self) -> None:
        """Empties all of the memory, also where no report ever is, at no cost for its size."""
        self._memory.madvise(mmap.MADV_REMOVE)
