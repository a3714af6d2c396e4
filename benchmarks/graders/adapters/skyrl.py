"""SkyRL: `compute_score` of its LiveCodeBench environment."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.graders.adapters.lcb_format import as_rows
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _grade(task: Task, sources: Path) -> Verdict:
    # Programs are run after `import pandas`, which fails once the guard is up; a trainer has it.
    importlib.import_module("pandas")
    sys.path.insert(0, str(sources / "skyrl-gym" / "skyrl_gym" / "envs" / "lcb"))
    grader = importlib.import_module("livecodebench")

    _, score = grader.compute_score(task.fenced, as_rows(task))
    return Verdict(score == 1.0, f"score {score}")


ADAPTER = Adapter(
    "skyrl",
    "https://github.com/NovaSky-AI/SkyRL",
    "skyrl_gym.envs.lcb.livecodebench.compute_score",
    ("lines", "calls"),
    _grade,
    no_arguments=False,
)
