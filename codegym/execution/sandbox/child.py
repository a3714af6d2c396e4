"""Runs one program on one input, in a process made for nothing else.

Everything from `start` on happens in the same memory as the program: the program can change any
of it. So nothing here knows an expected answer, and the report is only the program's own word.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import gc
import json
import os
import random
import sys
import threading
import traceback
import types
from collections.abc import Callable
from types import CodeType
from typing import Any

from . import codec, confine, nodes, report

FILENAME = "program.py"
_MESSAGE_CHARACTERS = 500


@dataclasses.dataclass
class Program:
    """A compiled program and how it is to be run.

    `start_tracing` is None for a run without coverage; `close_in` is the last thing that happens
    before the program's own code.
    """

    code: CodeType
    prelude: CodeType | None
    entry_point: str | None
    limits: dict[str, Any]
    report: report.Report
    base_memory: int
    box: str
    close_in: Callable[[bool, int], None]
    start_tracing: Callable[[], None] | None = None


def settle(program: Program, box: str) -> None:
    """Leaves this process as a fresh interpreter would be, with its limits set."""
    os.chdir(box)
    atexit._clear()
    sys.argv = [FILENAME]
    random.seed(0)  # a verdict does not depend on the machine's entropy
    gc.enable()
    confine.set_limits(program.limits, program.base_memory)


def new_module(name: str) -> dict[str, Any]:
    """The namespace of a fresh module, which `__main__` then is as well."""
    module = types.ModuleType(name)
    module.__file__ = FILENAME
    sys.modules[name] = sys.modules["__main__"] = module
    return module.__dict__


def run(
    program: Program,
    given: list[Any],
    serve: Callable[[Program, dict[str, Any]], None] | None = None,
) -> None:
    """Runs the program on one input and leaves its report; never returns normally to a caller.

    Args:
        program: What to run.
        given: `["stdin"]` (descriptor 0 is in place), `["call", args, kwargs, expression]`, or
            `["code"]`.
        serve: Answers the calls of test code instead, when the program is loaded.
    """
    settle(program, program.box)
    kind = given[0]
    script = kind == "stdin" and program.entry_point is None
    namespace = new_module("__main__" if script else "program")
    program.close_in(False, program.limits["threads"])
    try:
        prepare(program, namespace)
    except BaseException as error:
        program.report.write(report.PRELUDE, _described(error))
        os._exit(0)
    try:
        if program.start_tracing is not None:
            program.start_tracing()
        exec(program.code, namespace)
        if serve is not None:
            serve(program, namespace)
        elif kind == "call":
            _answer(program, call(namespace, program.entry_point or "", given))
        elif kind == "stdin":
            if program.entry_point is not None:
                resolve(namespace, program.entry_point)()
            _leave(program, 0)
    except BaseException as error:
        if kind == "stdin" and isinstance(error, SystemExit):
            _leave(program, _exit_code(error))
        else:
            write_error(program.report, error)
            _flush()
    os._exit(0)


def prepare(program: Program, namespace: dict[str, Any]) -> None:
    """Puts into a namespace what the problem promises: node classes and the prelude's names."""
    if namespace["__name__"] != "__main__":
        namespace["ListNode"], namespace["TreeNode"] = nodes.ListNode, nodes.TreeNode
    if program.prelude is not None:
        exec(program.prelude, namespace)


def run_calls(program: Program, calls: list[list[Any]]) -> None:
    """Answers several calls in this one process, each in a fresh module.

    Stops at the first that ends in anything but a value or an ordinary exception: that one and
    those after it are then run alone, and the report tells how far this process came.
    """
    settle(program, program.box)
    program.close_in(False, program.limits["threads"])
    depth = sys.getrecursionlimit()
    for given in calls:
        random.seed(0)
        sys.setrecursionlimit(depth)
        namespace = new_module("program")
        try:
            prepare(program, namespace)
        except BaseException:
            break
        if program.start_tracing is not None and given is calls[0]:
            program.start_tracing()
        try:
            exec(program.code, namespace)
            value = call(namespace, program.entry_point or "", given)
            text = codec.encode(value, program.report.size).encode("ascii")
        except (MemoryError, RecursionError, codec.TooLargeError):
            break
        except BaseException as error:
            left = program.report.append(report.RAISED, _described(error))
        else:
            left = program.report.append(report.RETURNED, text)
        if not left:
            break
    _flush()
    os._exit(0)


def resolve(namespace: dict[str, Any], entry_point: str) -> Callable[..., Any]:
    """The function that `"name"` or `"Class().method"` stands for.

    A plain name that only exists as a method of `class Solution` is taken from there.
    """
    class_name, made, method = entry_point.partition("().")
    if made:
        owner = _lookup(namespace, class_name)()
        found: Callable[..., Any] = getattr(owner, method)
        return found
    solution = namespace.get("Solution")
    if entry_point not in namespace and hasattr(solution, entry_point):
        return resolve(namespace, f"Solution().{entry_point}")
    return _lookup(namespace, entry_point)


def _lookup(namespace: dict[str, Any], name: str) -> Callable[..., Any]:
    if name not in namespace:
        raise NameError(f"the program does not define {name!r}, which is its entry point")
    found: Callable[..., Any] = namespace[name]
    return found


def call(namespace: dict[str, Any], entry_point: str, given: list[Any]) -> Any:
    """Calls the entry point on the arguments, or evaluates the expression."""
    _, args, kwargs, expression = given
    candidate = resolve(namespace, entry_point)
    if expression is not None:
        namespace["candidate"] = candidate
        return eval(expression, namespace)
    named = {name: codec.decode(value, namespace) for name, value in kwargs}
    return candidate(*[codec.decode(value, namespace) for value in args], **named)


def _answer(program: Program, value: Any) -> None:
    try:
        text = codec.encode(value, program.report.size)
    except codec.TooLargeError:
        program.report.write(report.TOO_LARGE)
    else:
        program.report.write(report.RETURNED, text.encode("ascii"))


def _leave(program: Program, exit_code: int) -> None:
    """What an interpreter does at the end of a script, without tearing itself down."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush()
    program.report.write(report.FINISHED, json.dumps({"exit_code": exit_code}).encode())


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        _flush_one(stream)


def _flush_one(stream: Any) -> None:
    try:
        stream.flush()
    except BaseException:
        return  # a program may have put anything there


def write_error(target: report.Report, error: BaseException) -> None:
    """Leaves the report of an exception that left the program."""
    if isinstance(error, MemoryError):
        error.__traceback__ = None  # frees the frames, and what they hold
        target.write(report.MEMORY)
        return
    status = report.RECURSION if isinstance(error, RecursionError) else report.RAISED
    target.write(status, _described(error))
    with contextlib.suppress(BaseException):
        traceback.print_exception(error, limit=-8, chain=False)


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


def _described(error: BaseException) -> bytes:
    return json.dumps(describe(error)).encode("ascii")
