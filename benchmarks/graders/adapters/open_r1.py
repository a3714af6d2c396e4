"""open-r1: `code_reward`, with a provider that runs its script here instead of on E2B.

The provider does what a notebook does: removes the indentation, runs the script, and answers with
the value of its last expression. The program itself runs in a process that the script starts.
"""

from __future__ import annotations

import ast
import importlib
import sys
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.graders.adapters.absent import pretend
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


class _Here:
    def execute_scripts(self, scripts: list[str], languages: list[str]) -> list[float | None]:
        return [self._run(script) for script in scripts]

    def _run(self, script: str) -> float | None:
        tree = ast.parse(textwrap.dedent(script))
        last = tree.body.pop()
        assert isinstance(last, ast.Expr)
        names: dict[str, Any] = {}
        try:
            exec(compile(tree, "script", "exec"), names)
            return float(eval(compile(ast.Expression(last.value), "script", "eval"), names))
        except Exception:  # as the E2B provider answers for a script that failed
            return None


def _grade(task: Task, sources: Path) -> Verdict:
    pretend(
        "latex2sympy2_extended",
        "math_verify",
        "open_r1.utils",
        "open_r1.utils.code_providers",
        "open_r1.utils.competitive_programming",
    )
    providers: Any = sys.modules["open_r1.utils.code_providers"]
    providers.get_provider = lambda **_: _Here()
    sys.path.insert(0, str(sources / "src"))
    grader = importlib.import_module("open_r1.rewards")

    tests = [{"input": i, "output": o} for i, o in task.tests]
    info = {"language": "python", "test_cases": tests}
    (score,) = grader.code_reward([[{"content": task.fenced}]], verification_info=[info])
    return Verdict(score is not None and score > 0.99, f"score {score}")


ADAPTER = Adapter(
    "open-r1",
    "https://github.com/huggingface/open-r1",
    "open_r1.rewards.code_reward",
    ("lines",),
    _grade,
    remote=True,
    remark="made to run in a remote E2B sandbox: only its verdicts are counted",
)
