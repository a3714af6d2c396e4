"""Which lines of the program were executed: `sys.monitoring` on 3.12+, probes in it on 3.11.

Only code objects of the program are watched. `sys.monitoring` switches each location off after
its first hit, and so do probes (`probes.py`), but what is left of them still takes some time.
A program may switch its own observation off; that costs it lines, never its verdict.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

from .report import Report

if sys.version_info < (3, 12):
    from . import probes

TAKES_TIME = sys.version_info < (3, 12)
"""Whether running out of time or memory needs a second look, without observation."""


def prepare(program: CodeType, report: Report) -> CodeType:
    """The program as it must be run for its executed lines to be noted in its report."""
    observed = program
    if sys.version_info < (3, 12):
        memory, start = report.marks()
        try:
            observed = probes.insert(program, probes.Marks(memory, start, report.lines))
        except MemoryError:  # without lines it may still fit
            observed = program
    return observed


def start(program: CodeType, report: Report) -> None:
    """Begins to note the executed lines of a program that was prepared."""
    if sys.version_info >= (3, 12):
        _watch_by_monitoring(program, report)


def rehearse(memory: mmap.mmap) -> None:
    """Does once what every child will do: what has run before touches fewer pages."""
    program = compile(_REHEARSAL, "rehearsal", "exec", dont_inherit=True)
    prepare(program, Report(memory, 0, 0))


_REHEARSAL = """
def numbers(most):
    try:
        for number in range(most):
            if number % 2:
                yield number
    except ValueError:
        pass
"""

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

    def _all_code(code: CodeType) -> Iterator[CodeType]:
        waiting = [code]
        while waiting:
            code = waiting.pop()
            yield code
            waiting.extend(const for const in code.co_consts if isinstance(const, CodeType))
