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
from collections.abc import Iterator
from types import CodeType
from typing import Any

from .instrument import Instrument
from .report import Report

TAKES_TIME = sys.version_info < (3, 12)
"""Whether running out of time or memory needs a second look, without observation."""

_DEEPEST_TREE = 10_000
"""More than the text of a program that compiles can nest, and less than the stack has room for."""
_COLON_OR_SEMICOLON = re.compile(r";|:[ \t\f]*[^\s#]")
_BRACKETS = re.compile(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}")


class Program:
    """A compiled program.

    Args:
        code: The program's module, compiled.
        instrument: What put probes into it, if there are any.
        report: Takes note of what is executed; None if that is not wanted.
    """

    __slots__ = ("_begun", "_code", "_instrument", "_report")

    def __init__(
        self, code: CodeType, instrument: Instrument | None, report: Report | None
    ) -> None:
        self._code = code
        self._instrument = instrument
        self._report = report
        self._begun = False

    def begin(self) -> CodeType:
        """The code of a run, in which everything is noted anew."""
        if self._report is None:
            return self._code
        code = self._code
        if self._instrument is not None:
            code = self._instrument.fill(code)
            self._report.announce(self._instrument.positions)
        if sys.version_info >= (3, 12):
            if not self._begun:
                _listen(self._report)
            if not self._begun or self._instrument is not None:
                _watch(code)
            else:
                sys.monitoring.restart_events()
        self._begun = True
        return code


def compile_program(text: str, filename: str, report: Report | None) -> Program:
    """Compiles a program.

    Args:
        text: The program.
        filename: The name that its code objects get.
        report: Takes note of executed lines and statements; None if that is not wanted.

    Raises:
        BaseException: Whatever the compiler raises for it.
    """
    if report is None or not (TAKES_TIME or _may_share_a_line(text)):
        return Program(compile(text, filename, "exec", dont_inherit=True), None, report)
    try:
        return _with_probes(text, filename, report)
    except Exception:
        # What is not a program is none without probes either; what is too large may still fit.
        plain = Program(compile(text, filename, "exec", dont_inherit=True), None, report)
    # A tree may nest less deeply than a text, and how deeply follows the limit for Python's frames.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_DEEPEST_TREE)
    try:
        return _with_probes(text, filename, report)
    except Exception:
        return plain
    finally:
        sys.setrecursionlimit(limit)


def _with_probes(text: str, filename: str, report: Report) -> Program:
    instrument = Instrument(text, report.marks(), every_line=TAKES_TIME)
    tree: Any = compile(text, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    instrument.insert(tree)
    return Program(compile(tree, filename, "exec", dont_inherit=True), instrument, report)


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


def rehearse(memory: mmap.mmap) -> None:
    """Does once what every child will do: what has run before touches fewer pages."""
    compile_program(_REHEARSAL, "rehearsal", Report(memory, 0, 0))


_REHEARSAL = """
def numbers(most):
    try:
        for number in range(most):
            if number % 2: yield number
    except ValueError:
        pass
"""

if sys.version_info >= (3, 12):

    def _listen(report: Report) -> None:
        monitoring = sys.monitoring
        disable, mark = monitoring.DISABLE, report.mark

        def on_line(_code: CodeType, line: int) -> Any:
            mark(line)
            return disable

        monitoring.use_tool_id(monitoring.COVERAGE_ID, "codegym")
        monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, on_line)

    def _watch(program: CodeType) -> None:
        monitoring = sys.monitoring
        for code in _all_code(program):
            monitoring.set_local_events(monitoring.COVERAGE_ID, code, monitoring.events.LINE)

    def _all_code(code: CodeType) -> Iterator[CodeType]:
        waiting = [code]
        while waiting:
            code = waiting.pop()
            yield code
            waiting.extend(const for const in code.co_consts if isinstance(const, CodeType))
