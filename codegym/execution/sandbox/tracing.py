"""Which lines and statements of the program were executed.

Lines: `sys.monitoring` on 3.12+, which switches each location off after its first hit. Where it is
missing, and for statements that begin in the middle of a line, which no line tells apart: probes
in the program (`instrument.py`). What is left of either still takes some time.

Only code objects of the program are watched. A program may switch its own observation off; that
costs it lines, never its verdict.
"""

from __future__ import annotations

import ast
import mmap
import re
import sys
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

from .instrument import Instrument, Position
from .report import Report

TAKES_TIME = sys.version_info < (3, 12)
"""Whether running out of time or memory needs a second look, without observation."""

_COLON_OR_SEMICOLON = re.compile(r";|:[ \t\f]*[^\s#]")
_BRACKETS = re.compile(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}")


def compile_observed(
    text: str, filename: str, report: Report
) -> tuple[CodeType, Sequence[Position]]:
    """Compiles a program so that what it executes is noted.

    Args:
        text: The program.
        filename: The name that its code objects get.
        report: Where executed lines and statements are noted.

    Returns:
        The program, and the positions of the statements that have a mark of their own.

    Raises:
        BaseException: Whatever the compiler raises for it.
    """
    if TAKES_TIME or _may_share_a_line(text):
        try:
            instrument = Instrument(text, report.marks(), every_line=TAKES_TIME)
            tree: Any = compile(text, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
            instrument.insert(tree)
            program = compile(tree, filename, "exec", dont_inherit=True)
            return instrument.fill(program), instrument.positions
        except Exception:
            pass  # what is no program is none without probes; what is too large may still fit
    return compile(text, filename, "exec", dont_inherit=True), ()


def _may_share_a_line(text: str) -> bool:
    """Whether a statement may begin in the middle of a line; most programs have none."""
    if _COLON_OR_SEMICOLON.search(text) is None:
        return False
    lines = [line for line in text.split("\n") if _COLON_OR_SEMICOLON.search(line)]
    for line in lines:
        if "'" not in line and '"' not in line:  # all brackets in it are brackets
            found = 1
            while found:
                line, found = _BRACKETS.subn("_", line)
        if _COLON_OR_SEMICOLON.search(line):
            return True
    return False


def start(program: CodeType, statements: Sequence[Position], report: Report) -> None:
    """Begins to note what a program that was compiled for it executes."""
    report.announce(statements)
    if sys.version_info >= (3, 12):
        _watch_by_monitoring(program, report)


def rehearse(memory: mmap.mmap) -> None:
    """Does once what every child will do: what has run before touches fewer pages."""
    compile_observed(_REHEARSAL, "rehearsal", Report(memory, 0, 0))


_REHEARSAL = """
def numbers(most):
    try:
        for number in range(most):
            if number % 2: yield number
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
