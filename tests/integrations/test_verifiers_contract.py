"""What the taskset for verifiers rests on, without verifiers."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import json
from pathlib import Path

import pytest

from codegym.errors import (
    ConfigurationError,
    ExecutionError,
    ProblemError,
    UnknownNameError,
    WorkerError,
)
from codegym.execution import FakeExecutor
from codegym.grading import Grader
from codegym.integrations import verifiers
from codegym.integrations.verifiers import ProblemReference, is_sound, references
from codegym.problems import CallTest, Problem

PACKAGE = Path(__file__).parents[2] / "integrations" / "codegym_taskset" / "codegym_taskset"


def row(number: int, add: int, tests: int = 1) -> dict[str, object]:
    return {
        "id": f"add/{number}",
        "description": f"Add x and {add}.",
        "entry_point": "f",
        "canonical_solution": f"def f(x):\n    return x + {add}\n",
        "tests": [{"args": [t], "expected": t + add} for t in range(tests)],
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps([row(0, 0), row(1, 1), row(2, 2)]))
    return file


def test_a_reference_is_plain_data_without_tests_and_finds_its_problem(data: Path) -> None:
    for reference, problem in references("custom", data=str(data), split=None, limit=3):
        text = json.dumps(dataclasses.asdict(reference))
        assert reference.arguments == {"data": str(data), "limit": 3}
        assert "expected" not in text
        assert ProblemReference(**json.loads(text)).problem() == problem


def test_problems_of_a_generated_source_are_found_by_the_same_arguments() -> None:
    found = list(references("mini", size=4, seed=3, difficulty="interview"))
    assert len(found) == 4
    assert all(reference.problem() == problem for reference, problem in found)


def test_a_set_is_loaded_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verifiers._load.cache_clear()
    found = list(references("custom", data=str(data), packages=["numpy"]))
    monkeypatch.setattr(verifiers, "load_problems", None)
    assert [reference.problem().id for reference, _ in found] == ["add/0", "add/1", "add/2"]


def test_another_version_of_a_data_set_is_an_error_and_no_other_verdict(data: Path) -> None:
    found = [reference for reference, _ in references("custom", data=str(data))]
    data.write_text(json.dumps([row(0, 0), row(1, 7)]))
    verifiers._load.cache_clear()
    assert found[0].problem().id == "add/0"
    with pytest.raises(ProblemError, match="another problem of this id"):
        found[1].problem()
    with pytest.raises(ProblemError, match="no problem of this id"):
        found[2].problem()


def test_bad_arguments_are_errors_of_ours() -> None:
    with pytest.raises(UnknownNameError, match="mini"):
        next(references("minni"))
    with pytest.raises(ConfigurationError, match="does not take these"):
        next(references("mini", sise=3))


def test_a_problem_is_sound_if_its_own_solution_passes_as_an_answer() -> None:
    tests = (CallTest((1,), 2),)

    def problem(solution: str) -> Problem:
        return Problem("p", "Add one.", solution, tests, entry_point="f")

    with Grader() as grader:
        for solution, sound in (
            ("def f(x):\n    return x + 1", True),
            ('def f(x):\n    """\n```\n"""\n    return x + 1\n', True),
            ("def f(x):\n    return x\n", False),
            ("\n", None),
        ):
            assert asyncio.run(is_sound(problem(solution), grader)) is sound


def test_a_failure_of_the_machine_is_no_answer_to_whether_a_problem_is_sound() -> None:
    def break_down(request: object) -> list[object]:
        raise WorkerError("the machine is broken")

    problem = Problem("p", "Add.", "def f(x): return x", (CallTest((1,), 1),), entry_point="f")
    with (
        Grader(FakeExecutor(break_down)) as grader,  # type: ignore[arg-type]
        pytest.raises(ExecutionError, match="broken"),
    ):
        asyncio.run(is_sound(problem, grader))


def test_the_package_exports_one_taskset_and_one_harness() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    exported = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert exported == [["CodegymTaskset", "NullHarness"]]
