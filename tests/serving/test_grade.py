"""`/grade` gives the grades that a grader gives, and no expected output leaves for a program."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codegym.errors import RequestTooLargeError
from codegym.execution import (
    ExitReason,
    FakeExecutor,
    LocalExecutor,
    Observation,
    Request,
    encode_value,
)
from codegym.grading import Grader
from codegym.problems import SOURCES, Source
from codegym.problems.rows import problem_of, row_of
from tests.serving.asking import ROW, ask, post

ROW_TEXT = json.dumps(ROW)
WRONG = "def f(x):\n    return x * x - 3 if x > 0 else 0\n"


@pytest.mark.parametrize(
    "program", ["def f(x):\n    return 2 * x\n", WRONG, "def f(x)", "1 / 0", "x = 1"]
)
def test_a_grade_is_that_of_a_grader(url: str, local: LocalExecutor, program: str) -> None:
    custom = SOURCES["custom"]
    assert isinstance(custom, Source)
    grade = Grader(local).grade(problem_of(custom, row_of(ROW, 0)), program)
    status, said = post(url, "/grade", problem=ROW, program=program, coverage=True)
    assert status == 200
    assert said["verdict"] == grade.verdict.value
    assert said["solved"] is grade.solved
    assert (said["tests_passed"], said["tests_total"]) == (grade.tests_passed, grade.tests_total)
    assert said["executed_lines"] == sorted(grade.executed_lines)
    assert said["error_message"] == grade.error_message
    assert [one["verdict"] for one in said["tests"]] == [one.verdict for one in grade.tests if one]


def test_it_stops_at_the_first_failure_if_asked(url: str) -> None:
    tests = [{"args": [n], "expected": 2 * n} for n in range(1, 6)]
    status, said = post(
        url,
        "/grade",
        problem=ROW | {"tests": tests},
        program="def f(x): return 0",
        stop_at_first_failure=True,
    )
    assert (status, said["verdict"], said["tests_run"]) == (200, "wrong_answer", 1)
    assert said["tests"][1:] == [None] * 4


def test_no_expected_output_is_sent_to_the_executor() -> None:
    seen = Observation(ExitReason.FINISHED, answer=encode_value("secret-answer"))
    executor = FakeExecutor(lambda _: [seen])
    tests = [{"args": ["given"], "expected": "secret-answer"}]
    status, said = ask(
        executor, "/grade", {"problem": ROW | {"tests": tests}, "program": "def f(x): ..."}
    )
    assert (status, said["verdict"]) == (200, "accepted")
    assert "given" in repr(executor.requests)
    assert "secret-answer" not in repr(executor.requests)


def test_rows_of_other_sources(url: str) -> None:
    row = {
        "task_id": "HumanEval/1",
        "prompt": "def double(x):\n",
        "entry_point": "double",
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    }
    program = "def double(x):\n    return x + x\n"
    status, said = post(url, "/grade", problem=row, program=program, source="humaneval")
    assert (status, said["verdict"]) == (200, "accepted")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"program": None}, "program must be text"),
        ({"problem": 5}, "not a JSON object"),
        ({"problem": {"id": "x", "description": "y", "tests": []}}, "at least one test"),
        ({"source": "nothing"}, "Unknown source 'nothing'"),
        ({"source": ["custom"]}, "Unknown source"),
        ({"source": "mini"}, "Unknown source 'mini'"),
        ({"limit": {}}, "Did you mean 'limits'"),
        ({"limits": {"cpu_second": 1}}, "Did you mean 'cpu_seconds'"),
        ({"limits": {"memory_bytes": 2**50}}, "for memory_bytes"),
        ({"limits": {"memory_bytes": 10**400}}, "for memory_bytes"),
        ({"coverage": 1}, "coverage must be true or false"),
    ],
)
def test_what_has_no_meaning_is_refused(fields: dict[str, Any], complaint: str) -> None:
    body = {"problem": ROW, "program": ""} | fields
    status, said = ask(FakeExecutor(lambda _: []), "/grade", body)
    assert status == 422
    assert complaint in said["detail"]


@pytest.mark.parametrize(
    "row",
    [
        ROW_TEXT.replace('"id"', '"description": "y", "id"'),
        ROW_TEXT.replace("[3]", '[{"a": 1, "a": 2}]'),
    ],
)
def test_a_key_that_stands_twice_is_refused(row: str) -> None:
    body = f'{{"problem": {row}, "program": ""}}'.encode()
    status, said = ask(FakeExecutor(lambda _: []), "/grade", body)
    assert status == 422
    assert "stands twice" in said["detail"]


def test_a_failure_of_ours_is_no_verdict() -> None:
    status, said = ask(FakeExecutor(lambda _: []), "/grade", {"problem": ROW, "program": ""})
    assert status == 500
    assert "one observation for each input" in said["detail"]


def test_what_is_too_large_for_its_executor_is_run_in_parts() -> None:
    def observe(request: Request) -> list[Observation]:
        if len(request.inputs) > 1:
            raise RequestTooLargeError("too large")
        return [Observation(ExitReason.FINISHED, answer=encode_value(6))]

    status, said = ask(FakeExecutor(observe), "/grade", {"problem": ROW, "program": ""})
    assert (status, said["tests_passed"]) == (200, 1)
