"""From source text to a module that is ready to run.

The compiler is the first to meet hostile text, so this happens in a child that is closed in.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
import types
from typing import Any, NoReturn, Protocol

from ..protocol import ExitReason
from . import nodes, plain, report, tracing
from .link import Link

FILENAME = "program.py"
_NAME_CHARACTERS, _MESSAGE_CHARACTERS = 100, 500


class Source:
    """A program's text, as `__loader__` of its module gives it to tracebacks."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def get_source(self, _name: str) -> str:
        """The text."""
        return self.text


class Loadable(Protocol):
    """What is to be loaded; see `task.py`."""

    source: bytes
    prelude: bytes
    traced: bool
    together: bool
    report: report.Report
    link: Link


def new_module(name: str) -> dict[str, Any]:
    """The namespace of a fresh module, which `__main__` then is as well, with what a script has."""
    module = types.ModuleType(name)
    module.__file__ = FILENAME
    sys.modules[name] = sys.modules["__main__"] = module
    namespace = module.__dict__
    # `exec` alone would put the dictionary of `builtins` here, as an import does.
    namespace.update(__builtins__=builtins, __annotations__={}, __cached__=None)
    return namespace


def load(task: Loadable, namespace: dict[str, Any]) -> tracing.Program:
    """Compiles the program and puts into a namespace what it may expect there.

    That is what the problem promises: node classes and the names of its prelude. If something
    fails, tells what and exits. Afterwards `task.together` tells whether the program is plain.
    """
    tree = None
    try:
        text = task.source.decode("utf-8", "surrogatepass")
        source = text.removeprefix("\ufeff")
        if task.together and len(text) <= plain.MOST_BYTES:
            tree = compile(source, FILENAME, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        program = tracing.compile_program(source, FILENAME, task.report if task.traced else None)
    except SyntaxError as error:
        described = {**describe(error), "message": _cut(error.msg), "line": error.lineno}
        _give_up(task, ExitReason.COMPILE_ERROR, described)
    except BaseException as error:
        _give_up(task, ExitReason.COMPILE_ERROR, describe(error))
    try:
        namespace["__loader__"] = Source(text)
        if namespace["__name__"] != "__main__":
            namespace["ListNode"], namespace["TreeNode"] = nodes.ListNode, nodes.TreeNode
        if task.prelude:
            exec(compile(task.prelude, "prelude.py", "exec", dont_inherit=True), namespace)
    except BaseException as error:
        _give_up(task, ExitReason.PRELUDE_FAILED, describe(error))
    task.together = tree is not None and plain.is_plain(tree, namespace)
    return program


def _give_up(task: Loadable, why: ExitReason, described: dict[str, Any]) -> NoReturn:
    task.report.write(why, json.dumps(described).encode("ascii"))
    task.link.tell(why)
    os._exit(0)


def describe(error: BaseException) -> dict[str, Any]:
    """Type, text and line in the program of an exception, whatever its methods do."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    name = str.__str__(type(error).__name__)[:_NAME_CHARACTERS]
    return {"type": name, "message": _cut(error), "line": line}


def _cut(said: Any) -> str:
    try:
        return str.__str__(str(said))[:_MESSAGE_CHARACTERS]
    except BaseException:
        return ""
