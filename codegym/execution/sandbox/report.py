"""The memory that children share with their supervisor: a report and the lines they executed.

Anonymous shared memory has no descriptor that a program could close and survives any kill.
A program can write nonsense into it: what is read from here is only ever what the program says
of itself, and the parent believes it no more than that. It is emptied after each child.

Layout: 8 bytes length of the report, 1 byte status, 1 byte that says whether the program was
loaded, one byte for each line, the report.
"""

from __future__ import annotations

import mmap

# How a child ended, in its own words. Nothing written: killed, or left through os._exit.
NOTHING = b"\0"
FINISHED = b"F"  # end of a script; report: the exit code
RETURNED = b"R"  # end of a call; report: the encoded value
RAISED = b"E"  # report: {"type", "message", "line"}
RECURSION = b"D"  # RAISED, by a RecursionError
MEMORY = b"M"
TOO_LARGE = b"O"
TEST_FAILED = b"T"  # tester only: the test code raised; report as for RAISED
TEST_BROKEN = b"B"  # tester only: the test code is at fault itself; report as for RAISED
GONE = b"G"  # tester only: the candidate ended in the middle
OF_TESTERS = (TEST_FAILED, TEST_BROKEN, GONE)

_LOADED = 9
_HEADER = 10


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
        self.size = min(size, len(memory) - self._body)
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

    def marks(self) -> tuple[mmap.mmap, int]:
        """The memory, and where in it the mark of line 0 is."""
        return self._memory, _HEADER

    def write(self, status: bytes, body: bytes = b"") -> None:
        """Leaves the report; the length comes last, so that half a report is none."""
        self._memory[self._body : self._body + len(body)] = body
        self._memory[8:9] = status
        self._memory[:8] = (len(body) + 1).to_bytes(8, "little")

    def read(self) -> tuple[bytes, bytes]:
        """Status and body of the report."""
        length = int.from_bytes(self._memory[:8], "little") - 1
        if not 0 <= length <= self.size:
            return NOTHING, b""
        return self._memory[8:9], self._memory[self._body : self._body + length]

    def append(self, status: bytes, body: bytes) -> bool:
        """Adds to a series of reports; False if there is no room."""
        entry = len(body).to_bytes(4, "little") + status + body
        end = self._used + len(entry)
        if end > self.size:
            return False
        self._memory[self._body + self._used : self._body + end] = entry
        self._memory[:8] = (end + 1).to_bytes(8, "little")
        self._used = end
        return True

    def read_series(self) -> list[tuple[bytes, bytes]]:
        """Status and body of each report of a series."""
        _, series = self.read()
        found = []
        start = 0
        while start + 5 <= len(series):
            end = start + 5 + int.from_bytes(series[start : start + 4], "little")
            if end > len(series):
                break
            found.append((series[start + 4 : start + 5], series[start + 5 : end]))
            start = end
        return found

    def executed(self) -> list[int]:
        """The executed lines."""
        marks = self._memory[_HEADER : _HEADER + self.lines + 1]
        return [line for line, mark in enumerate(marks) if mark]

    def clear(self) -> None:
        """Empties all of the memory, also where no report ever is, at no cost for its size."""
        self._memory.madvise(mmap.MADV_REMOVE)
