"""`codegym play`: an episode by the canonical solution, and one that is typed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from codegym.problems import load_problems

from .toy import ADD, Command


def test_the_canonical_solution_is_accepted_from_any_start(command: Command) -> None:
    for start in ("empty", "cccs"):
        words = ("--by", "solution", "--start", start, "--seed", 3)
        ran = command("play", "CodeGen-Mini-v0", *words, "--json")
        found = ran.json()
        assert (ran.status, found["verdict"], found["reward"]) == (0, "accepted", 1.0)
        assert found["terminated"]
        assert 0 < found["tokens_of_the_loss_mask"] <= found["tokens"]
        problem = load_problems("mini").by_id(found["problem_id"])
        assert found["program"].strip() == problem.canonical_solution.strip()


def test_by_hand_a_line_with_a_dot_ends_the_program(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("    return a - b\n.\nnot read\n"))
    words = ("CodeGen-Custom-v0", "--data", toy, "--problem", "Toy/0")
    ran = command("play", *words)
    assert ran.status == 1
    assert "wrong_answer" in ran.out
    assert "not read" not in ran.out
    assert "\x1b" not in ran.out
    monkeypatch.setattr("sys.stdin", io.StringIO("    return a + b\n"))
    found = command("play", *words, "--json").json()
    assert (found["verdict"], found["tests_passed"]) == ("accepted", 2)
    assert found["program"].endswith("    return a + b\n")
    assert ADD.splitlines()[0] in found["program"]


def test_what_cannot_be_played_is_an_error(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    typo = command("play", "CodeGen-Mini")
    assert typo.status == 2
    assert "Did you mean 'CodeGen-Mini-v0'?" in typo.err
    unknown = command("play", "CodeGen-Custom-v0", "--data", toy, "--problem", "Toy/5")
    assert unknown.status == 2
    assert "'Toy/0'" in unknown.err
