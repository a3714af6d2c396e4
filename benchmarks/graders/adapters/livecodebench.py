"""LiveCodeBench: `evaluate_generations_by_problem`, with its default time limit of 6 s a test."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from benchmarks.graders.adapters.absent import pretend
from benchmarks.graders.adapters.lcb_format import as_columns
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _grade(task: Task, sources: Path) -> Verdict:
    pretend("tqdm")
    sys.path.insert(0, str(sources))
    grader = importlib.import_module("lcb_runner.evaluation.compute_code_generation_metrics")

    sample = {"input_output": json.dumps(as_columns(task))}
    (results,), _ = grader.evaluate_generations_by_problem(([task.program], sample, False, 6))
    # As its script counts: `np.all(np.array(results) > 0)`.
    passed = isinstance(results, list) and all(result > 0 for result in results)
    return Verdict(passed, str(results)[:200])


ADAPTER = Adapter(
    "livecodebench",
    "https://github.com/LiveCodeBench/LiveCodeBench",
    "lcb_runner.evaluation: evaluate_generations_by_problem",
    ("lines", "calls"),
    _grade,
    no_arguments=False,
)
