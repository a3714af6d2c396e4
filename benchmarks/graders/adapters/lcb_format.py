"""Tests in LiveCodeBench's format, which several graders share."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.graders.task import Task

__all__ = ["as_columns", "as_rows"]


def as_columns(task: Task) -> dict[str, Any]:
    """Inputs, outputs and the function's name: a line of JSON for each argument."""
    if task.road == "lines":
        return {"inputs": [i for i, _ in task.tests], "outputs": [o for _, o in task.tests]}
    calls = task.values()
    return {
        "inputs": ["\n".join(map(json.dumps, args)) for args, _ in calls],
        "outputs": [json.dumps(expected) for _, expected in calls],
        "fn_name": task.name,
    }


def as_rows(task: Task) -> list[dict[str, Any]]:
    """The same, one record a test."""
    columns = as_columns(task)
    kind = "stdin" if task.road == "lines" else "functional"
    return [
        {"input": i, "output": o, "testtype": kind, "metadata": {"func_name": task.name}}
        for i, o in zip(columns["inputs"], columns["outputs"], strict=True)
    ]
