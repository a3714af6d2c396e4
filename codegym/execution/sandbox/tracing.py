"""Which lines of the program were executed: `sys.monitoring` on 3.12+, a trace function on 3.11.

Only code objects of the program are watched. `sys.monitoring` switches each location off after
its first hit; the trace function leaves a code object alone once all its lines were seen.
A program may switch its own observation off; that costs it lines, never its verdict.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from .report import Report

BY_TRACE = sys.version_info < (3, 12)
"""Whether observation takes time and stack, so that running out of them needs a second look."""

EVENT_SECONDS = 1e-6
"""More than one call of the trace function costs."""

_NOTE_EVERY = 256  # events; a power of two


def _all_code(code: CodeType) -> Iterator[CodeType]:
    waiting = [code]
    while waiting:
        code = waiting.pop()
        yield code
        waiting.extend(const for const in code.co_consts if isinstance(const, CodeType))


def start(program: CodeType, report: Report) -> None:
    """Begins to note the executed lines of a program in its report."""
    if sys.version_info >= (3, 12):
        _watch_by_monitoring(program, report)
    else:
        _watch_by_trace(program, report)


if sys.version_info >= (3, 12):

    def _watch_by_monitoring(program: CodeType, report: Report) -> None:
        monitoring = sys.monitoring
        tool, disable, mark = monitoring.COVERAGE_ID, monitoring.DISABLE, report.mark

        def on_line(_code: CodeType, line: int) -> Any:
            mark(line)
            return disable

        monitoring.use_tool_id(tool, "codegym")
        monitoring.register_callback(tool, monitoring.events.LINE, on_line)
        for code in _all_code(program):
            monitoring.set_local_events(tool, code, monitoring.events.LINE)


def _watch_by_trace(program: CodeType, report: Report) -> None:
    mark = report.mark
    # id() is enough: the program's constants keep every code object alive.
    remaining: dict[int, set[int]] = {}
    for code in _all_code(program):
        remaining[id(code)] = {line for _, _, line in code.co_lines() if line}

    events = 0

    def seen_all(frame: FrameType) -> None:
        frame.f_trace = None
        if not any(remaining.values()):
            sys.settrace(None)

    def on_event(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal events
        events += 1
        if not events & _NOTE_EVERY - 1:
            report.count_events(events)
        if event == "line":
            left = remaining[id(frame.f_code)]
            line = frame.f_lineno
            if line in left:
                mark(line)
                left.discard(line)
            if not left:
                return seen_all(frame)
        return on_event

    def on_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal events
        events += 1
        if not events & _NOTE_EVERY - 1:
            report.count_events(events)
        code = frame.f_code
        left = remaining.get(id(code))
        if not left:
            return None
        if code is not program and code.co_firstlineno in left:
            # The `def` itself was executed when the function was made and gets no event here.
            mark(code.co_firstlineno)
            left.discard(code.co_firstlineno)
        return on_event if left else None

    threading.settrace(on_call)
    sys.settrace(on_call)
