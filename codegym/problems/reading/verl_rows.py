"""Rows in the format of the trainer verl, which several data sets come in.

What they hold is said in :mod:`codegym.problems.sources.verl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.asserts import read_asserts
from codegym.problems.reading.cases import Cases, read_cases
from codegym.problems.reading.json_values import from_json
from codegym.problems.reading.messages import last_task
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.source import Row

__all__ = ["VERL_PACKAGES", "parse_verl", "read_verl_tests", "starter_of"]

VERL_PACKAGES = ("numpy", "sortedcontainers")
"""What verl's judges have beside the standard library, of what programs import."""


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
    starter = starter_of(extra)
    judged = read_verl_tests(_ground_truth(row), starter=starter)
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


def read_verl_tests(ground_truth: Any, *, starter: str = "") -> Cases:
    """How a row is judged, by what stands in ``reward_model.ground_truth``.

    Args:
        ground_truth: An object, or the JSON text of one: ``inputs``, ``outputs`` and perhaps
            ``fn_name``, or a list of pairs, as ``prime_code`` takes them; or ``assert_case`` and
            ``fn_name``, as ``sandbox_fusion`` does.
        starter: The starter code, may be empty; it tells the types of arguments.

    Raises:
        ProblemError: If the form is another one, or the row's meaning is not certain.
    """
    what = "'ground_truth'"
    asserts = _asserts(ground_truth)
    if asserts is None:
        return read_cases(
            ground_truth, starter=starter, prelude=LIVECODEBENCH_PRELUDE, printed="apps", what=what
        )
    listed, name = asserts
    if not isinstance(name, str) or not name or not isinstance(listed, list):
        raise ProblemError("'assert_case' is a list of asserts, and needs 'fn_name' beside it")
    tests = read_asserts(listed, entry_point=name, prelude=LIVECODEBENCH_PRELUDE)
    return Cases(tests, name, LIVECODEBENCH_PRELUDE, "exact")


def starter_of(extra_info: Mapping[str, Any]) -> str:
    """The starter code that ``extra_info`` tells, or nothing."""
    starter = extra_info.get("starter_code")
    return starter if isinstance(starter, str) else ""


def _asserts(ground_truth: Any) -> tuple[Any, Any] | None:
    """Asserts, and the name of the function that they call; None if the row has no asserts."""
    if isinstance(ground_truth, str) and '"assert_case"' in ground_truth:
        ground_truth = from_json(ground_truth, what="'ground_truth'")
    if not isinstance(ground_truth, Mapping) or not ground_truth.get("assert_case"):
        return None
    return ground_truth["assert_case"], ground_truth.get("fn_name")


def _ground_truth(row: Row) -> Any:
    model = row.first("reward_model")
    if not isinstance(model, dict) or model.get("ground_truth") is None:
        raise ProblemError("needs 'reward_model' with 'ground_truth'")
    return model["ground_truth"]
