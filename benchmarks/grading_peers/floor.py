"""The floor: what grading costs with no protection at all. Standard library only.

For each test: fork, compile, run, write the answer into a pipe, wait. The interpreter is bare,
has loaded the modules that codegym's workers load, and runs none of their hooks on `fork`.
Nothing is limited but the time (one system call), and only where programs may loop.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

from benchmarks.grading_peers import serving

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


def judge(job: dict[str, Any], limit: float) -> bool:
    """One fork for each test; all tests are run."""
    results = [_passes(job, test, limit) for test in job["tests"]]
    return all(results)


def _passes(job: dict[str, Any], test: list[str], limit: float) -> bool:
    kind, text, expected = test
    out_read, out_write = os.pipe()
    in_read, in_write = os.pipe() if kind == "stdin" else (-1, -1)
    if kind == "stdin":
        os.write(in_write, text.encode())
        os.close(in_write)
    pid = os.fork()
    if pid == 0:
        try:
            if job["untrusted"]:
                signal.setitimer(signal.ITIMER_REAL, limit)
            if kind == "stdin":
                os.dup2(in_read, 0)
            os.dup2(out_write, 1)
            _run(job, kind, text)
        finally:
            os._exit(1)
    os.close(out_write)
    if kind == "stdin":
        os.close(in_read)
    output = b""
    while data := os.read(out_read, 1 << 16):
        if len(output) < _OUTPUT_BYTES:
            output += data
    os.close(out_read)
    os.waitpid(pid, 0)
    return output.endswith(_PASSED) if kind == "check" else output == expected.encode()


def _run(job: dict[str, Any], kind: str, text: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    if job["prelude"]:
        exec(compile(job["prelude"], "prelude.py", "exec"), namespace)
    exec(compile(job["program"], "program.py", "exec"), namespace)
    if kind == "value":
        os.write(1, repr(eval(text, namespace)).encode())
    elif kind == "check":
        namespace["candidate"] = eval(job["entry_point"], namespace)
        exec(compile(text, "test.py", "exec"), namespace)
        sys.stdout.flush()
        os.write(1, _PASSED)
    else:
        sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Serves; the modules to load are named on the command line."""
    preload(sys.argv[1:])
    serving.serve(judge, lambda _job: True)
