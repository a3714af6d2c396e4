"""The floor: what grading costs with no protection at all. Standard library only.

For each test: fork, compile, run, write the answer into a pipe, wait. The interpreter is bare,
has loaded the modules that codegym's workers load, and runs none of their hooks on `fork`.
Nothing is limited but the time (one system call).
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.peers.serve import serve
from benchmarks.peers.task import asserts_of

_OUTPUT_BYTES = 1 << 20
_PASSED = b"\0passed"


def preload(modules: list[str]) -> None:
    """Imports what is there of `modules`, without their hooks on `fork`.

    Args:
        modules: Names, as in `sys.modules` of a program that codegym runs.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **_hooks: None
    try:
        for name in modules:
            importlib.import_module(name)
    finally:
        os.register_at_fork = register


def prepare(task: dict[str, Any], seconds: float) -> Callable[[], bool]:
    """One fork for each test; all tests are run. A `check` is one fork for each of its asserts."""
    tests: list[tuple[str, str]] = [(text, expected) for text, expected in task["tests"]]
    if task["road"] == "check":
        check = tests[0][0]
        texts = asserts_of(check)
        tests = [(text, "") for text in texts or [f"{check}\ncheck(candidate)\n"]]
    judges = [functools.partial(_passes, task, text, expected, seconds) for text, expected in tests]

    def judge_all() -> bool:
        results = [judge() for judge in judges]
        return all(results)

    return judge_all


def _passes(task: dict[str, Any], text: str, expected: str, seconds: float) -> bool:
    out_read, out_write = os.pipe()
    in_read, in_write = os.pipe() if task["road"] == "lines" else (-1, -1)
    if in_write >= 0:
        os.write(in_write, text.encode())
        os.close(in_write)
    pid = os.fork()
    if pid == 0:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            if in_read >= 0:
                os.dup2(in_read, 0)
            os.dup2(out_write, 1)
            _run(task, text)
        finally:
            os._exit(1)
    os.close(out_write)
    if in_read >= 0:
        os.close(in_read)
    output = b""
    while data := os.read(out_read, 1 << 16):
        if len(output) < _OUTPUT_BYTES:
            output += data
    os.close(out_read)
    os.waitpid(pid, 0)
    return output.endswith(_PASSED) if task["road"] == "check" else output == expected.encode()


def _run(task: dict[str, Any], text: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(task["program"], "program.py", "exec"), namespace)
    if task["road"] == "calls":
        os.write(1, repr(eval(f"{task['entry_point']}(*{text})", namespace)).encode())
    elif task["road"] == "check":
        namespace["candidate"] = eval(task["entry_point"], namespace)
        exec(compile(text, "test.py", "exec"), namespace)
        sys.stdout.flush()
        os.write(1, _PASSED)
    else:
        sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Serves; the modules to load are named on the command line."""
    preload(sys.argv[1:])
    serve(prepare)
