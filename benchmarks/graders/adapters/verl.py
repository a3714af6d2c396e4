"""verl: `compute_score` of `prime_code`, as its `default_compute_score` calls it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.graders.adapters.lcb_format import as_columns
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _grade(task: Task, sources: Path) -> Verdict:
    sys.path.insert(0, str(sources / "verl" / "utils" / "reward_score"))
    grader = importlib.import_module("prime_code")

    score, _ = grader.compute_score(task.fenced, as_columns(task), continuous=True)
    return Verdict(float(score) == 1.0, f"score {score}")


ADAPTER = Adapter(
    "verl",
    "https://github.com/verl-project/verl",
    "verl.utils.reward_score.prime_code.compute_score",
    ("lines", "calls"),
    _grade,
    no_arguments=False,
)
