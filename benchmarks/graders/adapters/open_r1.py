"""open-r1: `code_reward`, with a provider that runs its script here instead of on E2B.

The provider does what a notebook does: removes the indentation, runs the script in a process of its
own, and answers with the value of its last expression, or None where the script failed.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.graders.adapters.absent import pretend
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]

_SECONDS = 30


class _Here:
    def execute_scripts(self, scripts: list[str], languages: list[str]) -> list[float | None]:
        return [_run(script) for script in scripts]


def _run(script: str) -> float | None:
    tree = ast.parse(textwrap.dedent(script))
    last = tree.body[-1]
    assert isinstance(last, ast.Expr)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        keep = f"open({str(answer)!r}, 'w').write(str({ast.unparse(last)}))"
        tree.body[-1] = ast.parse(keep).body[0]
        (Path(folder) / "script.py").write_text(ast.unparse(tree))
        try:
            command = [sys.executable, str(Path(folder) / "script.py")]
            subprocess.run(command, timeout=_SECONDS, start_new_session=True)
            return float(answer.read_text())
        except (OSError, ValueError, subprocess.TimeoutExpired):
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
    remark="made to run in a remote E2B sandbox: effects are not counted, and no verdict is a 0",
)
