"""What a zygote's child does: runs a program on one input and leaves a report.

Everything here happens in the same memory as the program: the program can change any of it. So
nothing here knows an expected answer, and the report is only the program's own word.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import marshal
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from . import codec, report
from .loading import describe, load, new_module
from .script import defines_only
from .task import Confinement, Home, Order, Task, settle
from .tracing import Program

_TRACEBACK_CHARACTERS = 4_000  # a message of megabytes is no output of the program


def run_script(home: Home, descriptors: list[int], confinement: Confinement, told: Order) -> None:
    """Runs the program as `__main__` on descriptor 0. Never returns.

    An entry point is a function without parameters that reads and prints; it is called after the
    program was run, unless the program calls it itself or defines none.
    """
    task = settle(home, descriptors, confinement, told)
    entry_point = task.entry_point
    namespace = new_module("__main__")
    program = load(task, namespace)
    left_to_us = entry_point is not None and defines_only(namespace["__loader__"].text, entry_point)
    task.begin()
    try:
        exec(program.begin(), namespace)
        if left_to_us and entry_point is not None:
            _lookup(namespace, entry_point)()
        _leave(task, 0)
    except SystemExit as error:
        _leave(task, _exit_code(error))
    except BaseException as error:
        write_error(task.report, error)
        flush()
    os._exit(0)


def run_call(home: Home, descriptors: list[int], confinement: Confinement, told: Order) -> None:
    """Runs the program, then calls its entry point. Never returns."""
    task = settle(home, descriptors, confinement, told)
    namespace = new_module("program")
    program = load(task, namespace)
    if task.together:
        _answer_all(task, program, namespace, task.begin_together())
        os._exit(0)
    arguments = marshal.loads(task.begin())
    try:
        answer(task, program, namespace, arguments)
    except BaseException as error:
        write_error(task.report, error)
    flush()
    os._exit(0)


def answer(task: Task, program: Program, namespace: dict[str, Any], arguments: list[Any]) -> None:
    """Runs the program, calls its entry point, reports the value."""
    exec(program.begin(), namespace)
    task.report.mark_loaded()
    value = call(namespace, task.entry_point or "", arguments)
    try:
        text = codec.encode(value, task.report.size)
    except codec.TooLargeError:
        task.report.write(report.TOO_LARGE)
    else:
        task.report.write(report.RETURNED, text.encode("ascii"))


def _answer_all(task: Task, program: Program, given: dict[str, Any], inputs: list[bytes]) -> None:
    """Answers calls of a plain program in this one process, each in a fresh module.

    Stops at the first that ends in anything but a value or an ordinary exception: that one is
    then run alone.
    """
    began = time.process_time()
    for call_bytes in inputs:
        arguments = marshal.loads(call_bytes)
        if arguments[-1] is not None:
            return  # code of the test's own, which may leave behind what it likes
        namespace = new_module("program")
        namespace.update(given)
        try:
            exec(program.begin(), namespace)
            value = call(namespace, task.entry_point or "", arguments)
            status, text = report.RETURNED, codec.encode(value, task.report.size).encode("ascii")
        except (MemoryError, RecursionError, codec.TooLargeError):
            return
        except BaseException as error:
            status, text = report.RAISED, _described(error)
        now = time.process_time()
        if not task.report.append(status, text, now - began):
            return
        began = now


def resolve(namespace: dict[str, Any], entry_point: str) -> Callable[..., Any]:
    """The function that `"name"` or `"Class().method"` stands for.

    A plain name that the program has as a method of `class Solution` only is taken from there,
    also if the prelude has something of that name.
    """
    class_name, made, method = entry_point.partition("().")
    if made:
        owner = _lookup(namespace, class_name)()
        found: Callable[..., Any] = getattr(owner, method)
        return found
    own = getattr(namespace.get(entry_point), "__module__", None) == namespace["__name__"]
    if not own and hasattr(namespace.get("Solution"), entry_point):
        return resolve(namespace, f"Solution().{entry_point}")
    return _lookup(namespace, entry_point)


def _lookup(namespace: dict[str, Any], name: str) -> Callable[..., Any]:
    if name not in namespace:
        raise NameError(f"the program does not define {name!r}, which is its entry point")
    found: Callable[..., Any] = namespace[name]
    return found


def call(namespace: dict[str, Any], entry_point: str, given: list[Any]) -> Any:
    """Calls the entry point on the arguments, or evaluates the expression."""
    args, kwargs, expression = given
    candidate = resolve(namespace, entry_point)
    if expression is not None:
        namespace["candidate"] = candidate
        return eval(expression, namespace)
    named = {name: codec.decode(value, namespace) for name, value in kwargs}
    return candidate(*[codec.decode(value, namespace) for value in args], **named)


def _leave(task: Task, exit_code: int) -> None:
    """What an interpreter does at the end of a script, without tearing itself down."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    flush()
    task.report.write(report.FINISHED, b"%d" % exit_code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def flush() -> None:
    """Writes out what the program has printed, whatever it has put in place of its streams."""
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
        told = "".join(traceback.format_exception(error, limit=-8, chain=False))
        sys.stderr.write(told[-_TRACEBACK_CHARACTERS:])


def _described(error: BaseException) -> bytes:
    return json.dumps(describe(error)).encode("ascii")
