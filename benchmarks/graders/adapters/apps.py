"""APPS: `check_correctness` of its evaluation script, with its published time limits.

`pyext`, which it imports, does not exist for Python 3.11: `RuntimeModule.from_string` is replaced
by what it did, a module made from a string.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

from benchmarks.graders.adapters.absent import pretend
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


class _RuntimeModule:
    @staticmethod
    def from_string(name: str, docs: str, source: str) -> types.ModuleType:
        module = types.ModuleType(name, docs)
        exec(source, module.__dict__)
        return module


def _grade(task: Task, sources: Path) -> Verdict:
    pretend("datasets", "pyext", "tqdm")
    sys.modules["pyext"].RuntimeModule = _RuntimeModule  # type: ignore[attr-defined]
    sys.path.insert(0, str(sources / "eval"))
    grader = importlib.import_module("test_one_solution")

    tests: dict[str, object]
    if task.road == "lines":
        tests = {"inputs": [i for i, _ in task.tests], "outputs": [o for _, o in task.tests]}
    else:
        calls = task.values()
        tests = {"inputs": [args for args, _ in calls], "outputs": [[e] for _, e in calls]}
        tests["fn_name"] = task.name
    problem = {"input_output": tests}
    results = grader.check_correctness(problem, task.program, grader.TIMEOUT, False)
    # As its script counts: `np.all(problem_results > 0)`.
    passed = isinstance(results, list) and all(result > 0 for result in results)
    return Verdict(passed, str(results)[:200])


ADAPTER = Adapter(
    "apps",
    "https://github.com/hendrycks/apps",
    "eval/test_one_solution.check_correctness",
    ("lines", "calls"),
    _grade,
)
