"""EvalPlus: `untrusted_check`, with its default time and memory limits."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _grade(task: Task, sources: Path) -> Verdict:
    sys.path.insert(0, str(sources))
    grader = importlib.import_module("evalplus.eval")

    calls = task.values()
    status, _ = grader.untrusted_check(
        "humaneval",
        task.program,
        [args for args, _ in calls],
        task.entry_point or "",
        [expected for _, expected in calls],
        atol=0,
        ref_time=[0.01] * len(calls),
    )
    return Verdict(status == grader.PASS, str(status))


ADAPTER = Adapter(
    "evalplus",
    "https://github.com/evalplus/evalplus",
    "evalplus.eval.untrusted_check",
    ("calls",),
    _grade,
    methods=False,
    exact=True,
    any_value=True,
)
