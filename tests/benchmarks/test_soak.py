"""A soak fails for a grade that changes, but not for the limit that stops an attack first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks import page, soak_report

MEMORY, TIME = ["memory_limit", 0, None], ["time_limit", 0, None]


@pytest.mark.parametrize(
    ("program", "first", "now", "passes"),
    [
        ("attack: memory, swallowed", MEMORY, TIME, True),
        ("cheat: prints twice", TIME, ["runtime_error", 0, "RecursionError"], True),
        ("attack: memory, swallowed", MEMORY, ["accepted", 1, None], False),
        ("attack: memory, swallowed", ["accepted", 1, None], MEMORY, False),
        ("attack: memory, swallowed", MEMORY, ["time_limit", 1, None], False),
        ("model: HumanEval/0, 3", MEMORY, TIME, False),
    ],
)
def test_which_changes_fail(program: str, first: list[Any], now: list[Any], passes: bool) -> None:
    results: dict[str, Any] = json.loads((page.RESULTS / "soak.json").read_text())
    assert soak_report.passed(results | {"changes": []})
    change = {"program": program, "grade": 7, "first": first, "now": now, "message": ""}
    results["changes"] = [change]
    assert soak_report.passed(results) is passes
    text = "\n".join(soak_report.lines(results))
    assert f"**{'Passed' if passes else 'Failed'}.**" in text
    assert f"Changed grades: {int(not passes)}" in text
    assert f"stopped in another way than the first time: {int(passes)}" in text
    assert f"- grade 7, {program}:" in text
