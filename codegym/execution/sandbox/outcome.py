"""From what was seen of a run, and what the program said of itself, to what is reported.

The word of the kernel counts more than that of a tester, and that of a tester more than the
program's, which may be forged.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from .child import tracing
from .protocol import LIMITS, ErrorReport, ExitReason, Frame, Position, Stage, reason_of
from .supervise import Run

_NOTICEABLE = 0.03  # share of a time limit; a machine's own noise is larger


@dataclasses.dataclass
class Seen:
    """One child's run, and what it said of itself.

    Attributes:
        run: What the supervisor saw.
        kind: The kind of its input: `"stdin"`, `"call"` or `"code"`.
        reason: How it ended, in the child's own word, or in that of its tester.
        body: What belongs to that, see :meth:`Report.write`.
        lines: Executed lines.
        statements: Executed statements.
        loaded: Whether the program's module was executed to its end.
        checks: How many checks passed, in the tester's word.
    """

    run: Run
    kind: str
    reason: ExitReason = ExitReason.KILLED
    body: bytes = b""
    lines: list[int] = dataclasses.field(default_factory=list)
    statements: list[Position] = dataclasses.field(default_factory=list)
    loaded: bool = True
    checks: int = 0

    @property
    def fine(self) -> bool:
        """Whether it came to its end."""
        return self.run.end is ExitReason.FINISHED and self.reason is ExitReason.FINISHED


_OWN_WORDS = {
    "stdin": {ExitReason.FINISHED, ExitReason.EXCEPTION, ExitReason.MEMORY_LIMIT},
    "call": {
        ExitReason.FINISHED,
        ExitReason.EXCEPTION,
        ExitReason.MEMORY_LIMIT,
        ExitReason.OUTPUT_LIMIT,
    },
    "code": {ExitReason.EXCEPTION, ExitReason.MEMORY_LIMIT, ExitReason.OUTPUT_LIMIT},
}
"""What a program can say of itself on each kind of input; for test code, its tester speaks."""


def own_word(kind: str, reason: ExitReason, body: bytes) -> tuple[ExitReason, bytes]:
    """What a program says of itself, as far as it is its business."""
    return (reason, body) if reason in _OWN_WORDS[kind] else (ExitReason.KILLED, b"")


def joined(seen: Seen, test: Run, said: bytes) -> Seen:
    """What counts of a candidate (`seen`) and of the tester that called it."""
    reason, checks, body = reason_of(said[:1]), int.from_bytes(said[1:5], "little"), said[5:]
    candidate = seen.run
    if candidate.told is not Stage.STARTED or candidate.end in LIMITS:
        return seen
    if reason is ExitReason.KILLED and test.end is ExitReason.FINISHED:
        return seen  # it left in the middle, and what it said of itself counts
    test.stdout, test.stderr = candidate.stdout, candidate.stderr
    test.files = candidate.files
    test.cpu_seconds += candidate.cpu_seconds
    test.peak_memory_bytes = max(test.peak_memory_bytes, candidate.peak_memory_bytes)
    return Seen(test, seen.kind, reason, body, seen.lines, seen.statements, checks=checks)


def failed_by_tracing(seen: Seen, limits: dict[str, Any]) -> bool:
    """Whether a run may have failed because it was observed; observing must never be the cause."""
    if not (tracing.TAKES_TIME or seen.statements):
        return False
    if seen.run.end is ExitReason.WALL_LIMIT:
        waited_only = seen.run.cpu_seconds < _NOTICEABLE * limits["wall_seconds"]
        return not waited_only
    limited = (ExitReason.CPU_LIMIT, ExitReason.MEMORY_LIMIT)
    return seen.run.end in limited or seen.reason is ExitReason.MEMORY_LIMIT


_ERROR_BYTES = 1 << 14
_TYPE_CHARACTERS, _MESSAGE_CHARACTERS = 100, 500
_EXPLAINED = frozenset({ExitReason.EXCEPTION, ExitReason.TEST_FAILED})


def frame_of(seen: Seen, *, same_for_all: bool = False) -> Frame:
    """What is reported of a run. What the child said may be forged; it is only ever data.

    Args:
        seen: The run.
        same_for_all: Whether the other inputs of the request would have ended in the same way.
    """
    run = seen.run
    if isinstance(run.told, ExitReason):  # said before the program's own code ran, so it is true
        error = _error(seen.body) or ErrorReport()
        return Frame(run.told, error=error, same_for_all=same_for_all)
    if seen.reason is ExitReason.TEST_BROKEN:
        error = _error(seen.body) or ErrorReport()
        return Frame(seen.reason, error=error, same_for_all=same_for_all)
    reason, exit_code, what, answer = _outcome(seen)
    return Frame(
        reason=reason,
        exit_code=exit_code,
        error=what,
        checks=seen.checks,
        lines=seen.lines,
        statements=seen.statements,
        cpu_seconds=run.cpu_seconds,
        wall_seconds=run.wall_seconds,
        memory_bytes=run.peak_memory_bytes,
        answer=answer,
        stdout=run.stdout.data,
        stderr=run.stderr.data,
        files=run.files,
        same_for_all=same_for_all,
    )


def _outcome(seen: Seen) -> tuple[ExitReason, int, ErrorReport, bytes | None]:
    """How the run ended, its exit code, its exception and what it returned."""
    run, reason, script = seen.run, seen.reason, seen.kind == "stdin"
    if run.end in LIMITS:
        return run.end, 0, ErrorReport(), None
    if reason is ExitReason.MEMORY_LIMIT:
        return reason, 0, ErrorReport("MemoryError"), None
    if reason is ExitReason.OUTPUT_LIMIT:
        return reason, 0, ErrorReport(), None
    exited = run.end is ExitReason.FINISHED
    if reason is ExitReason.FINISHED and exited:
        if not script:
            return reason, 0, ErrorReport(), seen.body
        if seen.body.isdigit() and len(seen.body) < 4:
            return reason, int(seen.body), ErrorReport(), None
    if reason in _EXPLAINED and (error := _error(seen.body)) is not None:
        return reason, 0, error, None
    if script and exited:  # it may end itself by `os._exit`: the kernel knows how
        return ExitReason.FINISHED, run.exit_code, ErrorReport(), None
    how = f"died by signal {run.signal}" if run.signal else "left without a report"
    return ExitReason.KILLED, -run.signal, ErrorReport(message=f"The program {how}."), None


def _error(body: bytes) -> ErrorReport | None:
    """What a report says of an exception; None if it is none, as a forged one may be."""
    if len(body) > _ERROR_BYTES:  # no honest one is, see `loading.describe`
        return None
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    line = said.get("line")
    return ErrorReport(
        type=_cut(said.get("type"), _TYPE_CHARACTERS),
        message=_cut(said.get("message"), _MESSAGE_CHARACTERS),
        line=line if type(line) is int and 0 < line < 1 << 31 else None,
    )


def _cut(said: Any, characters: int) -> str:
    """Text of some length at most that can be written to any stream or file."""
    text = said[:characters] if isinstance(said, str) else ""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:characters]
