"""A fresh interpreter for each program, and for each test that is standard input.

`python -I -S`: without site packages, which is the fastest an interpreter starts; their folder is
put on the path by hand. The program, its tests and a last word go in as one text. Standard library
only.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.peers.serve import serve

_PASSED = "\0passed"
_PACKAGES = f"import sys; sys.path += {sys.argv[1:]!r}"
_LONGEST = 100_000  # a command line takes texts of up to 128 KiB


def prepare(task: dict[str, Any], seconds: float) -> Callable[[], bool] | None:
    """One interpreter for program and checks, or one for each input."""
    source, tests = f"{_PACKAGES}\n{task['program']}", task["tests"]
    if task["road"] == "lines":
        return lambda: [_run(source, i, seconds) for i, _ in tests] == [o for _, o in tests]
    if task["road"] == "check":
        source += f"\n{tests[0][0]}\ncheck({task['entry_point']})\n"
    else:
        source += "".join(f"\nassert {task['entry_point']}(*{a}) == {b}" for a, b in tests) + "\n"
    source += "print('\\0passed', end='')\n"
    return None if len(source) > _LONGEST else lambda: _passes(source, seconds)


def _passes(source: str, seconds: float) -> bool:
    said = _run(source, "", seconds)
    return said is not None and said.endswith(_PASSED)


def _run(source: str, text: str, seconds: float) -> str | None:
    try:
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", source],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        return None


def main() -> None:
    """Serves; folders of packages that programs may import are named on the command line."""
    serve(prepare)
