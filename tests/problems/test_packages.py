"""What programs may import: declared by the loader, by the row, or allowed by the user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codegym.envs import CodeEnv
from codegym.errors import ConfigurationError, DataFormatError, ProblemError
from codegym.execution import ExitReason, FakeExecutor, Observation
from codegym.grading import Grader
from codegym.problems import CallTest, Problem, load_problems
from codegym.problems.reading import packages

from .test_judged import apps

MISSING = "sortedcontainers"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has numpy and a package called ours, and no other."""
    monkeypatch.setattr(packages, "is_installed", {"numpy", "ours"}.__contains__)


def write(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def apps_row(number: int, code: str) -> dict[str, Any]:
    return {**apps(code, inputs=["1"], outputs=["1"]), "problem_id": number}


def test_what_the_judge_has_may_be_imported_where_it_is_installed(tmp_path: Path) -> None:
    data = write(tmp_path, apps_row(1, "print(input())"), apps_row(2, "import numpy\nprint(1)"))
    problems = load_problems("apps", data=data)
    assert [p.packages for p in problems] == [("numpy",), ("numpy",)]
    assert problems.report.skipped == ()


@pytest.mark.parametrize(
    "code",
    [
        f"from {MISSING} import SortedList\nprint(1)",
        f"import math, {MISSING} as s\nprint(1)",
        f"def f():\n    from {MISSING}.sortedlist import SortedList\nprint(1)",
    ],
)
def test_a_row_that_needs_what_is_not_installed_is_counted_with_its_reason(
    tmp_path: Path, code: str
) -> None:
    problems = load_problems("apps", data=write(tmp_path, apps_row(1, "1"), apps_row(2, code)))
    assert problems.ids == ("1",)
    (skipped,) = problems.report.skipped
    assert skipped.id == "2"
    assert f"needs the package '{MISSING}', which is not installed" in skipped.reason
    assert "1 skipped" in str(problems.report)
    with pytest.raises(DataFormatError, match=MISSING):
        load_problems("apps", data=write(tmp_path, apps_row(2, code)))


@pytest.mark.parametrize(
    "code",
    [
        f"try:\n    import {MISSING}\nexcept ImportError:\n    pass\nprint(1)",
        f"# import {MISSING}\nprint('{MISSING}')",
        "import preloaded\nprint(1)",  # no package that the judge promises
        f"print {MISSING}",  # Python 2
    ],
)
def test_a_row_that_can_do_without_is_there(tmp_path: Path, code: str) -> None:
    (problem,) = load_problems("apps", data=write(tmp_path, apps_row(1, code)))
    assert problem.packages == ("numpy",)


def custom(**more: Any) -> dict[str, Any]:
    return {"id": 1, "description": "?", "tests": [{"stdin": "", "stdout": "1"}], **more}


def test_rows_of_ones_own_name_their_packages(tmp_path: Path) -> None:
    (problem,) = load_problems("custom", data=write(tmp_path, custom(packages=["ours"])))
    assert problem.packages == ("ours",)
    (problem,) = load_problems("custom", data=write(tmp_path, custom()))
    assert problem.packages == ()
    for given, reason in (
        (["theirs"], "needs the package 'theirs'"), ("ours", "list of names"),
        (["a b"], "for packages"),
    ):  # fmt: skip
        with pytest.raises(DataFormatError, match=reason):
            load_problems("custom", data=write(tmp_path, custom(packages=given)))


def test_the_user_allows_packages_by_name(tmp_path: Path) -> None:
    data = write(tmp_path, custom())
    assert load_problems("custom", data=data, packages=["ours"])[0].packages == ("ours",)
    env = CodeEnv(source="custom", data=data, packages=("numpy",))
    assert env.problems[0].packages == ("numpy",)
    env.close()
    for given, reason in (
        (["theirs"], "not installed"), ("ours", "sequence of names"), (["a-b"], "imported"),
        ([1], "imported"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=reason):
            load_problems("custom", data=data, packages=given)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="packages"):
        CodeEnv(problems=load_problems("custom", data=data), packages=("ours",))


def test_the_executor_is_told() -> None:
    executor = FakeExecutor(lambda _: [Observation(ExitReason.KILLED)])
    tests = (CallTest((1,), 1),)
    problem = Problem("p", "?", "", tests, entry_point="f", packages=("numpy",))
    Grader(executor).grade(problem, "")
    assert executor.requests[0].packages == ("numpy",)
    assert problem != Problem("p", "?", "", tests, entry_point="f")
    with pytest.raises(ProblemError, match="packages"):
        Problem("p", "?", "", tests, entry_point="f", packages=("not a name",))
