"""codegym: `Grader.grade`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _grade(task: Task, sources: Path) -> Verdict:
    sys.path.insert(0, str(sources))
    from codegym.errors import ProblemError
    from codegym.execution import ExecutionLimits, LocalExecutor
    from codegym.grading import Grader
    from codegym.problems import CallTest, CodeTest, Problem, StdinTest, UnitTest

    tests: tuple[UnitTest, ...]
    if task.road == "lines":
        tests = tuple(StdinTest(*test) for test in task.tests)
    elif task.road == "calls":
        tests = tuple(CallTest(tuple(args), expected) for args, expected in task.values())
    else:
        tests = tuple(CodeTest(*test) for test in task.tests)
    cpu, wall, memory = task.limits
    limits = ExecutionLimits(cpu, wall, memory, output_bytes=2**16)
    try:
        problem = Problem("case", "", "", tests, entry_point=task.entry_point)
    except ProblemError as error:
        return Verdict(False, f"refused: {error}")
    with LocalExecutor(workers=2) as executor:
        grade = Grader(executor, limits).grade(problem, task.program)
    return Verdict(grade.solved, f"{grade.verdict} {grade.error_type or ''}".strip())


ADAPTER = Adapter(
    "codegym",
    "this repository",
    "codegym.grading.Grader.grade",
    ("lines", "calls", "code"),
    _grade,
    any_value=True,
)
