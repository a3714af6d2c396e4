"""NeMo Gym: `check_correctness` of its code-generation server, without the Ray call around it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.graders.adapters.absent import pretend
from benchmarks.graders.adapters.lcb_format import as_columns
from benchmarks.graders.task import Adapter, Task, Verdict

__all__ = ["ADAPTER"]


def _remote(**_: Any) -> Callable[[Any], Any]:
    return lambda function: function


def _grade(task: Task, sources: Path) -> Verdict:
    pretend("ray", "tqdm")
    sys.modules["ray"].remote = _remote  # type: ignore[attr-defined]
    sys.path.insert(0, str(sources / "resources_servers" / "code_gen"))
    grader = importlib.import_module("lcb_integration.compute_code_generation_metrics")

    sample = {"input_output": json.dumps(as_columns(task))}
    results, _ = grader.check_correctness(sample, task.program, 10, False)
    # As its server counts: `all(r == True for r in result)`.
    return Verdict(all(result == True for result in results), str(results)[:200])  # noqa: E712


ADAPTER = Adapter(
    "nemo-gym",
    "https://github.com/NVIDIA-NeMo/Gym",
    "resources_servers/code_gen/lcb_integration: check_correctness",
    ("lines", "calls"),
    _grade,
    no_arguments=False,
)
