"""Rows in the format of the trainer verl, which several data sets come in.

What they hold is said in :mod:`codegym.problems.sources.verl`.
"""

from __future__ import annotations

from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.messages import last_task
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.source import Row

__all__ = ["parse_verl"]


def parse_verl(row: Row) -> Problem:
    """The problem of a row in verl's format.

    Raises:
        ProblemError: If it holds none.
    """
    ability = row.first("ability")
    if ability not in (None, "code"):
        raise ProblemError(f"it is no problem of programming: 'ability' is {ability!r:.40}")
    extra = row.first("extra_info")
    extra = extra if isinstance(extra, dict) else {}
    truth = _ground_truth(row)
    starter = extra.get("starter_code")
    starter = starter if isinstance(starter, str) else ""
    judged = read_cases(
        truth, starter=starter, prelude=LIVECODEBENCH_PRELUDE, what="'ground_truth'"
    )
    return Problem(
        id=row.content_id("prompt", "reward_model"),
        description=last_task(row.first("prompt"), what="'prompt'"),
        canonical_solution="",
        tests=judged.tests,
        starter_code=starter,
        entry_point=judged.entry_point,
        difficulty=Row(row.index, extra).difficulty("difficulty"),
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata={**row.rest("prompt", "reward_model"), "split": row.split},
    )


def _ground_truth(row: Row) -> Any:
    model = row.first("reward_model")
    if not isinstance(model, dict) or model.get("ground_truth") is None:
        raise ProblemError("needs 'reward_model' with 'ground_truth'")
    return model["ground_truth"]
