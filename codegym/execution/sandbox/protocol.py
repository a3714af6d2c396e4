"""What the processes of an executor say to each other: endings, stages and messages.

The parent, the worker and its children all import this file, and nothing else of it is written
down twice. It needs the standard library only, because a worker has nothing else.

A request goes to a worker as the length of all and of its head (4 bytes each), the head as JSON,
and then, one after the other, the program, the prelude, the inputs and the files, whose lengths the
head tells. An answer is one :class:`Frame` for each input that was run and then an empty one. A
frame is sent as five lengths, a JSON header, the answer, standard output, standard error and the
files that were asked for.
"""

from __future__ import annotations

import enum
import itertools
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple


class ExitReason(enum.StrEnum):
    """Why a run ended.

    A child leaves one of these as its own word, the supervisor adds what the kernel saw, and the
    worker reports the one that counts.
    """

    KILLED = "killed"  #: It died by a signal or left without a word (os._exit).
    FINISHED = "finished"  #: The program ended, the call returned, or SystemExit.
    EXCEPTION = "exception"  #: An exception left the program.
    COMPILE_ERROR = "compile_error"  #: The source is not a Python program; nothing ran.
    CPU_LIMIT = "cpu_limit"  #: It used more CPU time than it may.
    WALL_LIMIT = "wall_limit"  #: It took more time on the clock than it may.
    MEMORY_LIMIT = "memory_limit"  #: It used more memory than it may.
    OUTPUT_LIMIT = "output_limit"  #: It printed or returned more than it may.
    TEST_FAILED = "test_failed"  #: TestCode only: the test code raised; the program did not.
    # The problem is at fault: no observation has these, an executor raises an ExecutionError.
    PRELUDE_FAILED = "prelude_failed"  #: The prelude raised.
    TEST_BROKEN = "test_broken"  #: The test code cannot be run.


LIMITS = frozenset(
    {
        ExitReason.CPU_LIMIT,
        ExitReason.WALL_LIMIT,
        ExitReason.MEMORY_LIMIT,
        ExitReason.OUTPUT_LIMIT,
    }
)
"""The endings that a supervisor brings about."""

_REASONS = tuple(ExitReason)
_CODES = {reason: bytes((number,)) for number, reason in enumerate(_REASONS)}


def code_of(reason: ExitReason) -> bytes:
    """The byte that stands for an ending in shared memory and on pipes; 0 for `KILLED`."""
    return _CODES[reason]


def reason_of(code: bytes) -> ExitReason:
    """The ending that a byte stands for; `KILLED` if it stands for none, as a forged one may."""
    number = int.from_bytes(code, "little")
    return _REASONS[number] if number < len(_REASONS) else ExitReason.KILLED


class Stage(enum.Enum):
    """How far a child has come, as its zygote and it tell before any code of the program runs."""

    BORN = b"B"  # the zygote has forked it
    WAITS = b"W"  # it is the successor of another child, and waits for an input
    STARTED = b"S"  # whatever comes now is the doing of the program, on one input
    STARTED_ALL = b"A"  # likewise, on as many inputs as it can (see `child/plain.py`)


_NEWS: dict[bytes, Stage | ExitReason] = {stage.value: stage for stage in Stage}
_NEWS |= {
    _CODES[reason]: reason for reason in (ExitReason.COMPILE_ERROR, ExitReason.PRELUDE_FAILED)
}
NEWS_BYTES = 5
"""Length of one piece of news: few bytes, so that it is whole or not there."""


def pack_news(pid: int, what: Stage | ExitReason) -> bytes:
    """What a process tells of process `pid`: its stage, or why the program will not begin."""
    code = what.value if isinstance(what, Stage) else _CODES[what]
    return pid.to_bytes(4, "little") + code


def unpack_news(news: bytes) -> tuple[int, Stage | ExitReason]:
    """The process and what is told of it."""
    return int.from_bytes(news[:4], "little"), _NEWS[news[4:]]


Position = tuple[int, int]
"""Where a statement starts: line, from 1, and column in bytes of UTF-8, from 0."""


class ErrorReport(NamedTuple):
    """An exception as the process that it left describes it; all of it may be forged.

    Attributes:
        type: Name of the exception's class, or None.
        message: The exception's text, or None.
        line: 1-based line of the program where it was raised, or None.
    """

    type: str | None = None
    message: str | None = None
    line: int | None = None


class Frame(NamedTuple):
    """What a worker reports of a program on one input.

    Attributes:
        reason: Why the run ended.
        exit_code: The exit code of a script that ended by itself.
        error: What an exception, a failed test or a fault of the problem says.
        checks: How many checks of test code passed, in its tester's word.
        lines: Executed lines, in the program's word.
        statements: Executed statements among those that begin in the middle of a line, likewise.
        cpu_seconds: CPU time.
        wall_seconds: Time on the clock.
        memory_bytes: Largest resident set.
        same_for_all: Whether the program ended before it came to its input, as it would on all.
        answer: What a call returned, encoded; None if none returned.
        stdout: What it printed.
        stderr: The last of what it wrote to standard error.
        files: Names and contents of the files that it left, as far as they were asked for.
    """

    reason: ExitReason
    exit_code: int = 0
    error: ErrorReport = ErrorReport()
    checks: int = 0
    lines: Sequence[int] = ()
    statements: Sequence[Position] = ()
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory_bytes: int = 0
    same_for_all: bool = False
    answer: bytes | None = None
    stdout: bytes | bytearray = b""
    stderr: bytes | bytearray = b""
    files: Sequence[tuple[str, bytes]] = ()

    def pack(self) -> bytes:
        """The message."""
        *fields, answer, stdout, stderr, files = self
        sizes = [(name, len(data)) for name, data in files]
        header = json.dumps([*fields, answer is not None, sizes]).encode("ascii")
        parts = (header, answer or b"", stdout, stderr, b"".join(data for _, data in files))
        return b"".join((_FRAME_LENGTHS.pack(*map(len, parts)), *parts))


_FRAME_LENGTHS = struct.Struct("<5I")
LAST_FRAME = bytes(_FRAME_LENGTHS.size)
"""What is sent after all frames of a request."""


def read_frame(exactly: Callable[[int], bytes]) -> Frame | None:
    """Reads one frame; None if there are no more for this request.

    Args:
        exactly: Reads and returns as many bytes as it is told.

    Raises:
        ValueError: If it is none.
    """
    lengths = _FRAME_LENGTHS.unpack(exactly(_FRAME_LENGTHS.size))
    if not any(lengths):
        return None
    header, answer, stdout, stderr, left = map(exactly, lengths)
    *fields, returned, sizes = json.loads(header)
    reason, exit_code, error, checks, lines, statements, cpu, wall, memory, same = fields
    ends = itertools.accumulate(size for _, size in sizes)
    files = zip(sizes, ends, strict=True)
    return Frame(
        reason=ExitReason(reason),
        exit_code=exit_code,
        error=ErrorReport(*error),
        checks=checks,
        lines=lines,
        statements=[(line, column) for line, column in statements],
        cpu_seconds=cpu,
        wall_seconds=wall,
        memory_bytes=memory,
        same_for_all=same,
        answer=answer if returned else None,
        stdout=stdout,
        stderr=stderr,
        files=[(name, left[end - size : end]) for (name, size), end in files],
    )


REQUEST_LENGTHS = struct.Struct("<2I")
"""How a request begins: the length of all that follows, and that of its head."""


def pack_request(head: dict[str, Any], body: Iterable[bytes]) -> bytes:
    """The message that asks for a program to be run.

    Args:
        head: Settings, and the lengths of what is in the body.
        body: The program, the prelude, the inputs and the files.
    """
    text = json.dumps(head).encode("ascii")
    data = b"".join((text, *body))
    return REQUEST_LENGTHS.pack(len(data), len(text)) + data
