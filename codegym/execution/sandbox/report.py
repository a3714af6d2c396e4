"""The memory that a child shares with its supervisor: its report and the lines it executed.

Anonymous shared memory has no descriptor that a program could close and survives any kill.
A program can write nonsense into it: what is read from here is only ever what the program says
of itself, and the parent believes it no more than that.

Layout: 8 bytes length of the report, 1 byte status, 8 bytes number of trace events, the report,
one byte for each line.
"""

from __future__ import annotations

import mmap

# How a child ended, in its own words. Nothing written: killed, or left through os._exit.
NOTHING = b"\0"
FINISHED = b"F"  # end of a script; report: {"exit_code"}
RETURNED = b"R"  # end of a call; report: the encoded value
RAISED = b"E"  # report: {"type", "message", "line"}
RECURSION = b"D"  # RAISED, by a RecursionError
MEMORY = b"M"
TOO_LARGE = b"O"
TEST_FAILED = b"T"  # tester only: the test code raised; report as for RAISED
GONE = b"G"  # tester only: the candidate ended in the middle
PRELUDE = b"P"  # the prelude raised, before any of the program ran; report as for RAISED

_EVENTS = slice(9, 17)
_HEADER = 17


class Report:
    """One shared block, reused for every run of a program.

    Args:
        size: Largest report in bytes.
        lines: Number of lines of the program.
    """

    def __init__(self, size: int, lines: int) -> None:
        self.size = size
        self.lines = lines
        self._base = _HEADER + size
        self._used = 0
        self._memory = mmap.mmap(-1, self._base + lines + 2)

    def mark(self, line: int) -> None:
        """Notes that a line was executed; ignores lines that do not exist."""
        if 0 < line <= self.lines:
            self._memory[self._base + line] = 1

    def count_events(self, events: int) -> None:
        """Notes how often the trace function was called so far."""
        self._memory[_EVENTS] = events.to_bytes(8, "little")

    def take_events(self) -> int:
        """The noted number of trace events, which is then cleared."""
        events = int.from_bytes(self._memory[_EVENTS], "little")
        self._memory[_EVENTS] = bytes(8)
        return events

    def write(self, status: bytes, body: bytes = b"") -> None:
        """Leaves the report; the length comes last, so that half a report is none."""
        self._memory[_HEADER : _HEADER + len(body)] = body
        self._memory[8:9] = status
        self._memory[:8] = (len(body) + 1).to_bytes(8, "little")

    def take(self) -> tuple[bytes, bytes]:
        """Status and body of the last report, which is then cleared."""
        length = int.from_bytes(self._memory[:8], "little") - 1
        self._memory[:8] = bytes(8)
        if not 0 <= length <= self.size:
            return NOTHING, b""
        return self._memory[8:9], self._memory[_HEADER : _HEADER + length]

    def append(self, status: bytes, body: bytes) -> bool:
        """Adds to a series of reports; False if there is no room."""
        entry = len(body).to_bytes(4, "little") + status + body
        end = self._used + len(entry)
        if end > self.size:
            return False
        self._memory[_HEADER + self._used : _HEADER + end] = entry
        self._memory[:8] = (end + 1).to_bytes(8, "little")
        self._used = end
        return True

    def take_series(self) -> list[tuple[bytes, bytes]]:
        """Status and body of each report of a series, which is then cleared."""
        _, series = self.take()
        found = []
        start = 0
        while start + 5 <= len(series):
            end = start + 5 + int.from_bytes(series[start : start + 4], "little")
            if end > len(series):
                break
            found.append((series[start + 4 : start + 5], series[start + 5 : end]))
            start = end
        return found

    def take_lines(self) -> list[int]:
        """The executed lines since the last call."""
        start = self._base
        marks = self._memory[start : start + self.lines + 1]
        self._memory[start : start + self.lines + 1] = bytes(self.lines + 1)
        return [line for line, mark in enumerate(marks) if mark]
