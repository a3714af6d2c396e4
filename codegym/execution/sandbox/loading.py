"""From source text to a module that is ready to run.

The compiler is the first to meet hostile text, so this happens in a child that is closed in.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
import types
from types import CodeType
from typing import Any, NoReturn, Protocol

from . import nodes, report, tracing

FILENAME = "program.py"
STARTED, COMPILE_ERROR, PRELUDE = b"S", b"C", b"P"
"""The first byte on standard output, written before the program can write."""

_MESSAGE_CHARACTERS = 500


class PreludeError(Exception):
    """The problem's own code failed, before any of the program ran."""


class Code:
    """A compiled program and what must run before it."""

    __slots__ = ("prelude", "program", "text")

    def __init__(self, text: str, program: CodeType, prelude: CodeType | None) -> None:
        self.text = text
        self.program = program
        self.prelude = prelude

    def get_source(self, _name: str) -> str:
        """The program's text, as `__loader__` of its module gives it to tracebacks."""
        return self.text


class Loadable(Protocol):
    """What is to be loaded; see `task.py`."""

    source: bytes
    prelude: bytes
    code: Code | None
    traced: bool
    report: report.Report


def new_module(name: str) -> dict[str, Any]:
    """The namespace of a fresh module, which `__main__` then is as well, with what a script has."""
    module = types.ModuleType(name)
    module.__file__ = FILENAME
    sys.modules[name] = sys.modules["__main__"] = module
    namespace = module.__dict__
    # `exec` alone would put the dictionary of `builtins` here, as an import does.
    namespace.update(__builtins__=builtins, __annotations__={}, __cached__=None)
    return namespace


def compile_program(task: Loadable) -> Code:
    """Compiles a program and, if its executed lines are wanted, prepares it for that.

    Raises:
        BaseException: Whatever the compiler raises for it.
        PreludeError: If the prelude does not compile.
    """
    text = task.source.decode("utf-8", "surrogatepass")
    program = compile(text.removeprefix("\ufeff"), FILENAME, "exec", dont_inherit=True)
    if task.traced:
        program = tracing.prepare(program, task.report)
    if not task.prelude:
        return Code(text, program, None)
    try:
        return Code(text, program, compile(task.prelude, "prelude.py", "exec", dont_inherit=True))
    except BaseException as error:
        raise PreludeError from error


def load(task: Loadable, namespace: dict[str, Any]) -> Code:
    """Compiles the program, if it is not, and runs the prelude; or tells why not, and exits."""
    try:
        code = task.code or compile_program(task)
    except PreludeError as error:
        _give_up(task, PRELUDE, describe(error.__cause__ or error))
    except SyntaxError as error:
        described = {"type": type(error).__name__, "message": str(error.msg), "line": error.lineno}
        _give_up(task, COMPILE_ERROR, described)
    except BaseException as error:
        _give_up(task, COMPILE_ERROR, describe(error))
    try:
        prepare(code, namespace)
    except BaseException as error:
        _give_up(task, PRELUDE, describe(error))
    # What is in the pipe can not be taken back: from here on the program is to blame.
    os.write(1, STARTED)
    return code


def _give_up(task: Loadable, why: bytes, described: dict[str, Any]) -> NoReturn:
    task.report.write(report.RAISED, json.dumps(described).encode("ascii"))
    os.write(1, why)
    os._exit(0)


def prepare(code: Code, namespace: dict[str, Any]) -> None:
    """Puts into a namespace what the problem promises: node classes and the prelude's names."""
    namespace["__loader__"] = code
    if namespace["__name__"] != "__main__":
        namespace["ListNode"], namespace["TreeNode"] = nodes.ListNode, nodes.TreeNode
    if code.prelude is not None:
        exec(code.prelude, namespace)


def describe(error: BaseException) -> dict[str, Any]:
    """Type, text and line in the program of an exception, whatever its methods do."""
    try:
        message = str.__str__(str(error))[:_MESSAGE_CHARACTERS]
    except BaseException:
        message = ""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return {"type": str.__str__(type(error).__name__)[:100], "message": message, "line": line}
