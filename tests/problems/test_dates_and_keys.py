"""A window of dates, rows with other keys, and what is said where either has no meaning."""

from __future__ import annotations

import datetime
import json
import pickle
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import codegym
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems import CallTest, CodeTest, StdinTest, load_problems

from .sources.made_rows import CALL, CALLED, LISTED, PYTEST, TASK, gym, message, verl


@pytest.fixture
def contests(tmp_path: Path) -> Path:
    """One problem a month of 2024."""
    tests = json.dumps([{"input": "a", "output": "a", "testtype": "stdin"}])
    path = tmp_path / "test.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(
                {
                    "question_id": f"m{month}",
                    "question_content": "Echo.",
                    "contest_date": f"2024-{month:02}-15T00:00:00" if month else "soon",
                    "public_test_cases": tests,
                    "private_test_cases": "[]",
                }
            )
            for month in range(13)
        )
    )
    return path


def months(path: Path, *dates: Any) -> list[str]:
    return list(load_problems("livecodebench", data=path, dates=dates).ids)


def test_both_days_of_a_window_are_included(contests: Path) -> None:
    assert months(contests, "2024-03-15", "2024-05-15") == ["m3", "m4", "m5"]
    assert months(contests, "2024-03-16", "2024-05-14") == ["m4"]
    assert months(contests, None, "2024-02-01") == ["m1"]
    assert months(contests, "2024-12-01", None) == ["m12"]
    day = datetime.date(2024, 7, 15)
    assert months(contests, day, datetime.datetime(2024, 7, 15, 1)) == ["m7"]


def test_what_is_outside_is_counted_and_a_row_without_a_date_is_a_bad_row(contests: Path) -> None:
    report = load_problems("livecodebench", data=contests, dates=("2024-11-01", None)).report
    assert (report.read, report.usable, report.other_date) == (13, 2, 10)
    assert "10 of other dates" in str(report)
    assert "its date is to be YYYY-MM-DD, got 'soon'" in report.skipped[0].reason
    assert len(load_problems("livecodebench", data=contests)) == 13


@pytest.mark.parametrize(
    "dates",
    [
        "2024-01-01",
        ("2024-01-01",),
        (None, None),
        ("2024-1-1", None),
        ("01.02.2024", None),
        (3, None),
        ("2024-02-01", "2024-01-01"),
        {"2024-01-01", "2024-02-01"},
        (),
    ],
)
def test_no_window(contests: Path, dates: Any) -> None:
    with pytest.raises(ConfigurationError, match="dates must"):
        load_problems("livecodebench", data=contests, dates=dates)


def test_sources_that_have_neither_dates_nor_other_keys() -> None:
    window = ("2024-01-01", None)
    for source in ("mini", "humaneval", "custom"):
        with pytest.raises(ConfigurationError, match="dates= is for source 'livecodebench' only"):
            load_problems(source, dates=window)
    for source in ("mini", "humaneval"):
        with pytest.raises(ConfigurationError, match="keys= is for source 'custom' only"):
            load_problems(source, keys={"description": "a", "tests": "b"})


def test_the_environment_takes_a_window(contests: Path) -> None:
    env = gymnasium.make(
        "CodeGen-LiveCodeBench-v0", data=str(contests), dates=("2024-06-01", "2024-06-30")
    )
    assert env.spec is not None
    again = gymnasium.make(type(env.spec).from_json(env.spec.to_json()))
    for one in (env, again):
        assert one.get_wrapper_attr("problems").ids == ("m6",)
        one.close()
    with pytest.raises(ConfigurationError, match=r"no problem to draw.*1999"):
        gymnasium.make("CodeGen-LiveCodeBench-v0", data=str(contests), dates=(None, "1999-01-01"))


def custom(tmp_path: Path, row: dict[str, Any], **keys: str) -> codegym.problems.ProblemSet:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    return load_problems("custom", data=path, keys=keys)


def test_keys_lead_into_objects_lists_and_json_text(tmp_path: Path) -> None:
    row = {
        "task": {"text": TASK},
        "info": json.dumps({"judge": {"tests": LISTED}}),
        "answers": json.dumps(["first", "last"]),
        "level": None,
        "number": 7,
        "a.b": "hard",
        "more": 1,
    }
    (problem,) = custom(
        tmp_path,
        row,
        id="number",
        description="task.text",
        tests="info.judge.tests",
        canonical_solution="answers.-1",
        starter_code="level",
        difficulty="a.b",
    )
    assert (problem.id, problem.description, problem.canonical_solution) == ("7", TASK, "last")
    assert (problem.starter_code, problem.difficulty) == ("", "hard")
    assert problem.tests[0] == StdinTest("1 2\n", "3\n")
    assert problem.metadata == {"more": 1}
    assert problem.source == "custom"


def test_forms_of_tests(tmp_path: Path) -> None:
    def tests(value: Any, **more: str) -> Any:
        row = {"d": message(TASK), "t": value, "f": "add", "none": []}
        return custom(tmp_path, row, description="d", tests="t", **more)[0].tests

    assert tests(CALLED)[0] == CallTest((1, 2), 3)
    assert tests(json.dumps(CALLED))[0] == CallTest((1, 2), 3)
    assert tests([{"input": "1", "output": "2"}]) == (StdinTest("1", "2"),)
    assert tests([{"stdin": "1", "stdout": "2"}]) == (StdinTest("1", "2"),)
    assert tests([{"args": [1], "expected": 2}], entry_point="f") == (CallTest((1,), 2),)
    for code in (PYTEST, ["assert add(1, 2) == 3"], "def check(f):\n    assert f(1, 2) == 3"):
        (test,) = tests(code, entry_point="f", canonical_solution="none.0")
        assert isinstance(test, CodeTest)


def test_rows_of_trainers_need_two_keys(tmp_path: Path) -> None:
    (of_verl,) = custom(
        tmp_path, verl(LISTED), description="prompt", tests="reward_model.ground_truth"
    )
    (of_gym,) = custom(
        tmp_path,
        gym(LISTED),
        description="responses_create_params.input",
        tests="verifier_metadata.unit_tests",
    )
    assert of_verl.tests == of_gym.tests
    assert of_verl.description == of_gym.description == TASK


def test_own_ids_splits_and_copies(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"q": f"Add {n} numbers.", "t": LISTED} for n in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    keys = {"description": "q", "tests": "t"}
    problems = load_problems("custom", data=path, keys=keys)
    assert len(set(problems.ids)) == 40
    parts = [
        load_problems("custom", data=path, keys=keys, split=split).ids
        for split in ("train", "validation", "test")
    ]
    assert all(parts)
    assert sorted(sum(parts, ())) == sorted(problems.ids)
    assert list(pickle.loads(pickle.dumps(problems))) == list(problems)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"description": "q.x", "tests": "t"}, r"has no 'q.x': the text on the way|no JSON"),
        ({"description": "no", "tests": "t"}, r"has no 'no': 'no' is not in \['id', 'q', 't'\]"),
        ({"description": "q", "tests": "t.5"}, "'tests' must be a list with at least one test"),
        ({"description": "q", "tests": "t.0.no"}, r"'no' is not in \['input', 'output'\]"),
        ({"description": "q", "tests": "t", "id": "id"}, "text or a whole number in 'id'"),
    ],
)
def test_rows_that_keys_do_not_fit(tmp_path: Path, keys: dict[str, str], reason: str) -> None:
    row = {"id": [1], "q": TASK, "t": [{"input": "1", "output": "1"}]}
    with pytest.raises(codegym.errors.DataFormatError, match=reason):
        custom(tmp_path, row, **keys)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"description": "q"}, "must say where 'tests' is"),
        ({"tests": "q"}, "must say where 'description' is"),
        ({"description": "q", "tests": ""}, "a key of your rows for 'tests'"),
        ({"description": "q", "tests": 3}, "a key of your rows for 'tests'"),
        ("description", "must be a mapping"),
        ({}, "must say where"),
    ],
)
def test_no_keys(tmp_path: Path, keys: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_problems("custom", data=tmp_path, keys=keys)
    with pytest.raises(UnknownNameError, match="Did you mean 'description'"):
        load_problems("custom", data=tmp_path, keys={"descripton": "q", "tests": "t"})


def test_the_environment_takes_keys(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"q": TASK, "t": CALLED, "s": CALL}))
    keys = {"description": "q", "tests": "t", "canonical_solution": "s"}
    env = gymnasium.make("CodeGen-Custom-v0", data=str(path), keys=keys)
    assert env.spec is not None
    env = gymnasium.make(type(env.spec).from_json(env.spec.to_json()))
    assert env.get_wrapper_attr("problems")[0].canonical_solution == CALL
    env.close()
