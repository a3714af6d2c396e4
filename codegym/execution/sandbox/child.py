"""What a zygote's child does: runs a program on one input and leaves a report.

Everything here happens in the same memory as the program: the program can change any of it. So
nothing here knows an expected answer, and the report is only the program's own word.
"""

from __future__ import annotations

import json
import marshal
import os
import random
import sys
from collections.abc import Callable
from typing import Any

from . import codec, ending, report, tracing
from .loading import FILENAME, describe, load, new_module, prepare
from .task import Confinement, Home, Order, Task, settle


def run_script(home: Home, descriptors: list[int], confinement: Confinement, told: Order) -> None:
    """Runs the program as `__main__`, or calls its entry point without arguments, on descriptor 0.

    Never returns.
    """
    task = Task(home, descriptors, told)
    settle(home, descriptors, confinement)
    raised, code = _run_main(task)
    code = ending.finalize(code)
    if not raised:
        task.report.write(report.FINISHED, b"%d" % code)
    os._exit(code)


def _run_main(task: Task) -> tuple[bool, int]:
    """Whether an exception left the program, and the exit code; afterwards no frame holds it."""
    entry_point = task.entry_point
    namespace = new_module("__main__" if entry_point is None else "program")
    code = load(task, namespace)
    folder = os.getcwd()
    sys.path.insert(0, folder)
    namespace["__file__"] = f"{folder}/{FILENAME}"
    try:
        if task.traced:
            tracing.start(code.program, task.report)
        try:
            exec(code.program, namespace)
            if entry_point is not None:
                resolve(namespace, entry_point)()
        finally:
            ending.flush()  # before an exception is printed, and before all that comes at the end
    except SystemExit as error:
        return False, ending.exit_code(error)
    except BaseException as error:
        return True, write_error(task.report, error)
    return False, 0


def run_call(home: Home, descriptors: list[int], confinement: Confinement, told: Order) -> None:
    """Runs the program, then calls its entry point. Never returns."""
    task = Task(home, descriptors, told)
    settle(home, descriptors, confinement)
    try:
        answer(task)
    except BaseException as error:
        write_error(task.report, error)
    ending.flush()
    os._exit(0)


def answer(task: Task) -> None:
    """Runs the program, calls its entry point, reports the value."""
    arguments = marshal.loads(task.given[0])
    namespace = new_module("program")
    code = load(task, namespace)
    if task.traced:
        tracing.start(code.program, task.report)
    exec(code.program, namespace)
    task.report.mark_loaded()
    value = call(namespace, task.entry_point or "", arguments)
    try:
        text = codec.encode(value, task.report.size)
    except codec.TooLargeError:
        task.report.write(report.TOO_LARGE)
    else:
        task.report.write(report.RETURNED, text.encode("ascii"))


def run_calls(home: Home, descriptors: list[int], confinement: Confinement, told: Order) -> None:
    """Answers several calls in this one process, each in a fresh module. Never returns.

    Stops at the first that ends in anything but a value or an ordinary exception: that one is
    then run alone, and the report tells how far this process came.
    """
    task = Task(home, descriptors, told)
    settle(home, descriptors, confinement)
    given = [marshal.loads(one) for one in task.given]
    namespace = new_module("program")
    code = load(task, namespace)
    depth = sys.getrecursionlimit()
    if task.traced:
        tracing.start(code.program, task.report)
    for number, arguments in enumerate(given):
        if number > 0:
            random.seed(0)
            sys.setrecursionlimit(depth)
            namespace = new_module("program")
            prepare(code, namespace)
        try:
            exec(code.program, namespace)
            value = call(namespace, task.entry_point, arguments)
            text = codec.encode(value, task.report.size).encode("ascii")
        except (MemoryError, RecursionError, codec.TooLargeError):
            break
        except BaseException as error:
            left = task.report.append(report.RAISED, _described(error))
        else:
            left = task.report.append(report.RETURNED, text)
        if not left:
            break
    ending.flush()
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
    args, kwargs, expression = given
    candidate = resolve(namespace, entry_point)
    if expression is not None:
        namespace["candidate"] = candidate
        return eval(expression, namespace)
    named = {name: codec.decode(value, namespace) for name, value in kwargs}
    return candidate(*[codec.decode(value, namespace) for value in args], **named)


def write_error(target: report.Report, error: BaseException) -> int:
    """Leaves the report of an exception that left the program; the exit code."""
    if isinstance(error, MemoryError):
        error.__traceback__ = None  # frees the frames, and what they hold
        target.write(report.MEMORY)
        return ending.UNCAUGHT
    status = report.RECURSION if isinstance(error, RecursionError) else report.RAISED
    said = _described(error)
    ending.show(error)  # a hook of the program's may end it
    target.write(status, said)
    return ending.UNCAUGHT


def _described(error: BaseException) -> bytes:
    return json.dumps(describe(error)).encode("ascii")
