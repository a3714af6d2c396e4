"""What a zygote's child does: runs a program on one input and leaves a report.

Everything here happens in the same memory as the program: the program can change any of it. So
nothing here knows an expected answer, and the report is only the program's own word.
"""

from __future__ import annotations

import json
import marshal
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from ..codec import TooLargeError, decode
from ..protocol import ExitReason
from . import ending
from .answers import argument_table, encode_answer
from .loading import FILENAME, describe, load, new_module
from .report import Report
from .script import defines_only
from .task import Confinement, Inherited, Order, Task, settle
from .tracing import Program


def run_script(
    inherited: Inherited, descriptors: list[int], confinement: Confinement, order: Order
) -> None:
    """Runs the program as `__main__` on descriptor 0. Never returns.

    An entry point is a function without parameters that reads and prints; it is called after the
    program was run, unless the program calls it itself or defines none.
    """
    task = settle(inherited, descriptors, confinement, order)
    raised, code = _run_main(task)
    code = ending.finalize(code)
    if not raised:
        task.report.write(ExitReason.FINISHED, b"%d" % code)
    os._exit(code)


def _run_main(task: Task) -> tuple[bool, int]:
    """Whether an exception left the program, and the exit code; afterwards no frame holds it."""
    entry_point = task.entry_point
    namespace = new_module("__main__")
    program = load(task, namespace)
    folder = os.getcwd()
    sys.path.insert(0, folder)
    namespace["__file__"] = f"{folder}/{FILENAME}"
    left_to_us = entry_point is not None and defines_only(namespace["__loader__"].text, entry_point)
    task.begin()
    try:
        try:
            exec(program.begin(), namespace)
            if left_to_us and entry_point is not None:
                _lookup(namespace, entry_point)()
        finally:
            ending.flush()  # before an exception is printed, and before all that comes at the end
    except SystemExit as error:
        return False, ending.exit_code(error)
    except BaseException as error:
        return True, write_error(task.report, error)
    return False, 0


def run_call(
    inherited: Inherited, descriptors: list[int], confinement: Confinement, order: Order
) -> None:
    """Runs the program, then calls its entry point. Never returns."""
    task = settle(inherited, descriptors, confinement, order)
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
    ending.flush()
    os._exit(0)


def answer(task: Task, program: Program, namespace: dict[str, Any], arguments: list[Any]) -> None:
    """Runs the program, calls its entry point, reports the value."""
    exec(program.begin(), namespace)
    task.report.mark_loaded()
    value = call(namespace, task.entry_point or "", arguments)
    try:
        encoded = encode_answer(value, task.report.size)
    except TooLargeError:
        task.report.write(ExitReason.OUTPUT_LIMIT)
    else:
        task.report.write(ExitReason.FINISHED, encoded)


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
        namespace.update(given, __annotations__={})
        try:
            exec(program.begin(), namespace)
            value = call(namespace, task.entry_point or "", arguments)
            reason, text = ExitReason.FINISHED, encode_answer(value, task.report.size)
        except (MemoryError, RecursionError, TooLargeError):
            return
        except BaseException as error:
            reason, text = ExitReason.EXCEPTION, _described(error)
        now = time.process_time()
        if not task.report.append(reason, text, now - began):
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
    table = argument_table(namespace)
    named = {name: decode(value, table) for name, value in kwargs}
    return candidate(*[decode(value, table) for value in args], **named)


def write_error(target: Report, error: BaseException) -> int:
    """Leaves the report of an exception that left the program; the exit code."""
    if isinstance(error, MemoryError):
        error.__traceback__ = None  # frees the frames, and what they hold
        target.write(ExitReason.MEMORY_LIMIT)
        return ending.UNCAUGHT
    said = _described(error)
    ending.show(error)  # a hook of the program's may end it
    target.write(ExitReason.EXCEPTION, said)
    return ending.UNCAUGHT


def _described(error: BaseException) -> bytes:
    return json.dumps(describe(error)).encode("ascii")
