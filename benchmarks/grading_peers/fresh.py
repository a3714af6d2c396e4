"""A fresh interpreter for each program, and for each test that is standard input.

`python -I -S`: without site packages, which is the fastest an interpreter starts; their
folder is put on the path by hand. The program,
its tests and a last word go in as one text. Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from benchmarks.grading_peers import serving

_PASSED = "\0passed"
_PACKAGES = f"import sys; sys.path += {sys.argv[1:]!r}"


def judge(job: dict[str, Any], limit: float) -> bool:
    """Runs program and checks in one interpreter, or one interpreter for each input."""
    source = f"{_PACKAGES}\n{job['prelude']}\n{job['program']}"
    if job["check"] is None:
        outputs = [_run(source, text, limit) for _, text, _ in job["tests"]]
        return outputs == [output for _, _, output in job["tests"]]
    call = f"check({job['entry_point']})\nprint('\\0passed', end='')\n"
    said = _run(f"{source}\n{job['check']}\n{call}", "", limit)
    return said is not None and said.endswith(_PASSED)


def _run(source: str, text: str, limit: float) -> str | None:
    try:
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", source],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        return None


def main() -> None:
    """Serves; folders of packages that programs may import are named on the command line."""
    # A command line takes texts of up to 128 KiB.
    serving.serve(judge, lambda job: len(job["program"] + (job["check"] or "")) < 100_000)
