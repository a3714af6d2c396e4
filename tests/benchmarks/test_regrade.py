"""How `benchmarks/regrade.py` writes other people's files, and what it makes of the results.

It runs no grader here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.adapters import ADAPTERS
from benchmarks.peers.task import Task
from benchmarks.regrade import cheats
from benchmarks.regrade_files import FILES, ScoredProgram
from benchmarks.regrade_programs import Asked, Puzzle, asked, model_written
from benchmarks.regrade_report import lines
from codegym.commands.samples.files import open_samples
from codegym.commands.samples.programs import program_of
from codegym.commands.samples.sample import Sample
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grader
from codegym.problems import CallTest, Problem, StdinTest, load_problems

DOUBLE = Puzzle("calls-1", calls=(CallTest((3,), 6), CallTest((5,), 10)))
ECHO = Puzzle("lines-2", lines=(StdinTest("a\n", "a\n"),))
LEAVES = Asked("leaves", "reject", DOUBLE, "import os\ndef f(x): os._exit(0)\n")
CONSTANT = Asked("constant", "reject", DOUBLE, "def f(x): return 6\n")
RIGHT = Asked("right", "accept", DOUBLE, DOUBLE.right())
ECHOES = Asked("echoes", "accept", ECHO, ECHO.right())


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(f"{json.dumps(puzzle.row())}\n" for puzzle in (DOUBLE, ECHO)))
    return path


def scored(one: Asked, name: str, accepted: bool) -> ScoredProgram:
    said = {"evalplus": ("fail", "pass"), "verl": ("score 0.0", "score True")}
    words = said[name][accepted] if name in said else "words"
    text = one.text(completes=FILES[name].completes)
    puzzle = one.puzzle
    return ScoredProgram(puzzle.id, puzzle.description, text, puzzle.ground_truth, accepted, words)


@pytest.mark.parametrize("name", FILES)
def test_regrading_finds_each_program_in_its_place_with_its_score(
    name: str, tmp_path: Path, problems: Path
) -> None:
    pytest.importorskip("pyarrow")
    kept = FILES[name]
    path = tmp_path / kept.file
    programs = [RIGHT, ECHOES, CONSTANT, LEAVES]
    verdicts = [True, False, True, False]
    rows = [scored(one, name, said) for one, said in zip(programs, verdicts, strict=True)]
    places = kept.write(path, rows)
    read = {}
    for sample in open_samples(path)[0]:
        assert isinstance(sample, Sample)
        read[sample.where] = sample
    assert sorted(places) == sorted(read)
    known = {problem.id: problem for problem in load_problems("custom", data=problems)}
    for place, one, said in zip(places, programs, verdicts, strict=True):
        assert read[place].scores[kept.score] == said
        program = program_of(read[place], known[one.puzzle.id])
        assert program is not None
        assert program.strip() == one.task(completes=kept.completes).program.strip()


def test_all_problems_differ_and_their_right_programs_are_right(tmp_path: Path) -> None:
    programs = asked()
    puzzles = {one.puzzle.id: one.puzzle for one in programs}
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(f"{json.dumps(puzzle.row())}\n" for puzzle in puzzles.values()))
    known: dict[str, Problem] = {each.id: each for each in load_problems("custom", data=path)}
    assert len({puzzle.description for puzzle in puzzles.values()}) == len(puzzles) == len(known)
    unhurried = ExecutionLimits(cpu_seconds=60.0, wall_seconds=3600.0)
    with LocalExecutor(workers=1) as executor:
        grader = Grader(executor, unhurried)
        right = [one for one in programs if one.kind == "accept"]
        assert len(right) == len(puzzles)
        for one in right:
            assert grader.grade(known[one.puzzle.id], one.program).solved


def test_what_is_asked_survives_the_way_to_the_graders() -> None:
    programs = asked()
    assert "cheat: equals everything" in {one.name for one in programs}
    for one in programs:
        for completes in (False, True):
            task = one.task(completes=completes)
            assert Task.from_json(task.to_json()) == task
            assert one.program in task.program
    wrong = sum(ADAPTERS["human-eval"].can_ask(one.task(completes=True)) for one in programs)
    assert wrong == sum(not one.puzzle.lines for one in programs)


def said(accepted: bool, words: str) -> dict[str, Any]:
    return {"accepted": accepted, "words": words, "effects": []}


def test_wrong_rewards_are_told_with_test_and_reason(tmp_path: Path, problems: Path) -> None:
    programs = [LEAVES, CONSTANT, RIGHT, LEAVES._replace(name="silent")]
    reports = [
        said(True, "see /home/somebody/grader.py"),
        said(False, "failed"),
        said(False, "failed"),
        {"killed": "no verdict in time"},
    ]
    found = cheats("human-eval", programs, reports, problems.parent)
    assert found["counts"] == {
        "reject": 2,
        "reject, old accepts": 1,
        "reject, codegym accepts": 0,
        "accept": 1,
        "accept, old accepts": 0,
        "accept, codegym accepts": 1,
    }
    assert found["compared"] == {
        "both_right": 0,
        "both_wrong": 1,
        "only_old_right": 1,
        "only_new_right": 1,
    }
    assert found["left_out"] == 0
    assert found["silent"] == [{"name": "silent", "why": "no verdict in time"}]
    rewarded, missed = found["differences"]
    assert (rewarded["name"], rewarded["must"], rewarded["old_accepts"]) == (
        "leaves",
        "reject",
        True,
    )
    assert rewarded["old_said"] == "see .../grader.py"
    assert rewarded["verdict"] == "runtime_error"
    assert rewarded["test"] == "f(3) must return 6"
    assert rewarded["reason"]
    assert (missed["name"], missed["old_accepts"], missed["verdict"]) == (
        "right",
        False,
        "accepted",
    )


def results(differences: list[dict[str, Any]]) -> dict[str, Any]:
    differ = len(differences)
    compared = {
        "both_right": 3,
        "both_wrong": 5 - differ,
        "only_old_right": differ,
        "only_new_right": 0,
    }
    grader = {
        "compared": compared,
        "left_out": 0,
        "differences": [each | {"name": "a|b", "must": "reject"} for each in differences],
        "file": "file.jsonl",
        "not_asked": ["a|b"],
        "silent": [{"name": "s", "why": "Traceback\nTypeError: no\n"}],
        "counts": {"reject": 5, "reject, old accepts": differ, "accept": 3}
        | {"accept, old accepts": 3, "accept, codegym accepts": 3},
    }
    return {
        "command": "c",
        "machine": {},
        "missing": ["verl"],
        "graders": {"g": {"version": "v", "function": "f"}},
        "asked": {"reject": 5, "accept": 3},
        "written": {
            "programs": 8,
            "compared": compared,
            "left_out": 0,
            "differences": [each | {"program": "x = 1\n"} for each in differences],
        },
        "cheats": {"g": grader},
    }


def test_the_page_says_plainly_that_graders_agree() -> None:
    text = "\n".join(lines(results([])))
    assert "The graders agree on all 8." in text
    assert "| right | 3 | 0 |" in text
    assert "Not asked, because not in the folder: verl." in text
    assert "| g | 5 | 0 | 3 | 0 | 1 | 0 | 0 |" in text
    assert "- g, *s*: `TypeError: no`" in text
    assert "**rewarded**" not in text


def test_the_page_shows_every_difference() -> None:
    one = {
        "problem": "p",
        "old_accepts": True,
        "old_said": "passed",
        "verdict": "wrong_answer",
        "test": "f(`1`)",
        "reason": "no",
    }
    text = "\n".join(lines(results([one])))
    assert "agree on all" not in text
    assert "| p | right (passed) | wrong_answer | `f('1')` | `no` |" in text
    assert "```python\nx = 1\n```" in text
    assert "| a\\|b | g | reject | right (passed) | wrong_answer | `f('1')` | `no` |" in text
    assert "| g | 5 | 1 | 3 | 0 | 1 | 0 | 0 |" in text
    assert "| a\\|b | **rewarded** |" in text


def test_the_page_marks_who_was_not_asked() -> None:
    one = {"problem": "p", "old_accepts": True, "old_said": "passed", "verdict": "v", "test": ""}
    found = results([one | {"reason": ""}])
    found["cheats"] |= {
        "not": found["cheats"]["g"] | {"differences": []},
        "silent": found["cheats"]["g"]
        | {"differences": [], "not_asked": [], "silent": [{"name": "a|b", "why": "died"}]},
        "right": found["cheats"]["g"] | {"differences": [], "not_asked": []},
    }
    text = "\n".join(lines(found))
    assert "| wrong program | g | not | silent | right |" in text
    assert "| a\\|b | **rewarded** | not asked | no verdict |  |" in text


def test_verls_fractions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / FILES["verl"].file
    row = scored(RIGHT, "verl", False)._replace(words="score 0.25")
    FILES["verl"].write(path, [row])
    assert json.loads(path.read_text())["score"] == 0.25


def test_a_completion_is_the_whole_program_behind_the_prompt(data_dir: Path) -> None:
    pairs = list(model_written(data_dir, 20))
    assert len(pairs) == 20
    for row, text in pairs:
        compile(row["prompt"], row["task_id"], "exec")
        assert f"def {row['entry_point']}(" in text
    assert len({row["task_id"] for row, _ in pairs}) == 20
