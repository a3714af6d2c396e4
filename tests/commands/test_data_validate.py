"""`codegym data validate`: gold and noop, a table and a results file."""

from __future__ import annotations

import json
from pathlib import Path

from .toy import PROBLEMS, Command, rows_of, write_lines


def test_sound_problems_end_with_0(toy: Path, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "r.jsonl"
    ran = command("data", "validate", toy, "--workers", 1, "--out", out, "--json")
    assert ran.status == 0
    assert (ran.json()["sound"], ran.json()["problems"]) == (2, 2)
    assert [(r["gold"], r["gold_verdicts"], r["noop"]) for r in rows_of(out)] == [
        ("pass", ["accepted"] * 2, "pass")
    ] * 2


def test_each_kind_of_unsound_problem_is_told(tmp_path: Path, command: Command) -> None:
    wrong = {**PROBLEMS[0], "id": "wrong", "tests": [{"args": [1, 2], "expected": 4}]}
    idle = {**PROBLEMS[1], "id": "idle", "tests": [{"stdin": "\n", "stdout": "\n"}]}
    bare = {**PROBLEMS[1], "id": "bare", "canonical_solution": ""}
    data = write_lines(tmp_path / "p.jsonl", PROBLEMS[0], wrong, idle, bare, {"id": "none"})
    out = tmp_path / "r.jsonl"
    ran = command("data", "validate", data, "--workers", 1, "--runs", 1, "--out", out, "--json")
    found = {row["problem_id"]: (row["gold"], row["noop"]) for row in rows_of(out)}
    assert found == {
        "Toy/0": ("pass", "pass"),
        "wrong": ("fail", "pass"),
        "idle": ("pass", "fail"),
        "bare": ("missing", "pass"),
    }
    assert ran.status == 1
    assert len(ran.json()["skipped_rows"]) == 1
    shown = command("data", "validate", data, "--workers", 1, "--runs", 1, "--out", out)
    assert shown.status == 2, "results that are there are not replaced unasked"
    shown = command(
        "data", "validate", data, "--workers", 1, "--runs", 1, "--out", out, "--overwrite"
    )
    assert "the first 3 of 3 problems that are not sound" in shown.out
    assert "skipped: line 5 (none)" in shown.out


def test_a_checker_that_fails_is_no_fault_of_the_solution(tmp_path: Path, command: Command) -> None:
    checker = "def check(input, output, expected):\n    return int(output) == 2\n"
    problem = {
        "id": "p",
        "description": "Print 2.",
        "canonical_solution": "print(2)",
        "tests": [{"stdin": "", "stdout": "2"}],
        "checker": checker,
    }
    data = write_lines(tmp_path / "p.jsonl", problem)
    before = data.read_bytes()
    refused = command("data", "validate", data, "--out", data, "--overwrite")
    assert (refused.status, data.read_bytes()) == (2, before)
    out = tmp_path / "r.jsonl"
    ran = command("data", "validate", data, "--workers", 1, "--out", out)
    (row,) = rows_of(out)
    assert (ran.status, row["gold"], row["sound"]) == (1, "pass", False)
    assert "checker fails" in row["reason"]


def test_a_source_is_named_or_a_file(tmp_path: Path, toy: Path, command: Command) -> None:
    out = ("--out", tmp_path / "r.jsonl")
    nothing = command("data", "validate", "humanevall", *out)
    assert nothing.status == 2
    assert "Did you mean 'humaneval'?" in nothing.err
    wrong = command("data", "validate", toy, "--source", "humaneval", *out)
    assert wrong.status == 2
    assert "Its rows can be read as source 'custom'" in wrong.err
    useless = command("data", "validate", "mini", "--source", "custom", *out)
    assert useless.status == 2
    assert not (tmp_path / "r.jsonl").exists()


def test_only_so_many_problems(toy: Path, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "r.jsonl"
    command("data", "validate", toy, "--workers", 1, "--limit", 1, "--out", out)
    assert [json.loads(line)["problem_id"] for line in out.read_text().splitlines()] == ["Toy/0"]
