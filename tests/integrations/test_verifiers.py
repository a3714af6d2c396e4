"""verifiers finds the taskset, validates it with its own command, and scores its traces offline.

The package is imported from the checkout. What asks a model (``vf-eval``, prime-rl) is not run:
it needs one.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Never

import pytest

from codegym.errors import WorkerError
from codegym.execution import FakeExecutor
from codegym.grading import Grader
from codegym.integrations import completions

FOLDER = Path(__file__).parents[2] / "integrations" / "codegym_taskset"

pytest.importorskip("verifiers", reason="verifiers is not installed: make test-integrations")
vf = pytest.importorskip("verifiers.v1")
loaders = pytest.importorskip("verifiers.v1.utils.loaders")
command = pytest.importorskip("verifiers.v1.cli.validate")
errors = pytest.importorskip("verifiers.v1.errors")


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def broken_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(request: object) -> Never:
        raise WorkerError("the machine is broken")

    grader = Grader(FakeExecutor(break_down))
    monkeypatch.setattr(completions, "_shared_grader", lambda: grader)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three problems: a right solution, a wrong one, none."""
    solutions = {"right": "def f(x):\n    return x + 1\n", "wrong": "def f(x):\n    return x\n"}
    rows = [
        {
            "id": name,
            "description": f"Add one ({name}).",
            "entry_point": "f",
            "canonical_solution": solutions.get(name, ""),
            "tests": [{"args": [1], "expected": 2}, {"args": [0], "expected": 1}],
        }
        for name in ("right", "wrong", "none")
    ]
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(rows))
    return file


def validated(data: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """What vf-validate writes of each problem, by its id."""
    command.main(
        ["codegym-taskset", "--runtime.type", "subprocess", "--no-rich", "-o", str(folder),
         "--taskset.source", "custom", "--taskset.data", str(data)]
    )  # fmt: skip
    [results] = folder.rglob("results.jsonl")
    rows = map(json.loads, results.read_text().splitlines())
    return {row["name"]: row for row in rows}


def tasks(data: Path, **task: Any) -> dict[str, Any]:
    taskset = loaders.taskset_class("codegym-taskset")
    kind = loaders.taskset_config_type("codegym-taskset")
    config = kind(id="codegym-taskset", source="custom", data=str(data), task=task)
    return {one.data.id: one for one in taskset(config)}


def trace_of(task: Any, reply: str) -> Any:
    graph = pytest.importorskip("verifiers.v1.graph")
    types = pytest.importorskip("verifiers.v1.types")
    traces = pytest.importorskip("verifiers.v1.trace")
    return traces.Trace(
        task=traces.TraceTask(type="CodeTask", data=task.data, key=task.key, hash=task.hash),
        agent=vf.AgentInfo(config=vf.AgentConfig(), name="agent", trainable=False),
        nodes=[graph.MessageNode(message=types.AssistantMessage(content=reply), sampled=True)],
    )


RIGHT = "So:\n```python\ndef f(x):\n    return x + 1\n```"
HALF = "```python\ndef f(x):\n    return 2\n```"


def test_validate_tells_sound_problems_from_others(data: Path, tmp_path: Path) -> None:
    rows = validated(data, tmp_path / "out")
    assert {name: row["gold"]["reason"] for name, row in rows.items()} == {
        "right": "valid",
        "wrong": "invalid",
        "none": "unchecked",
    }
    assert {row["noop"]["reason"] for row in rows.values()} == {"valid"}


@pytest.mark.usefixtures("broken_machine")
def test_validate_calls_a_failure_of_the_machine_an_error(data: Path, tmp_path: Path) -> None:
    row = validated(data, tmp_path / "out")["right"]
    assert (row["gold"]["reason"], row["gold"]["error_type"]) == ("error", "WorkerError")
    assert "the machine is broken" in row["gold"]["error"]


def test_a_trace_is_scored_without_a_runtime(data: Path) -> None:
    for reply, reward, verdict in ((RIGHT, 1.0, "accepted"), (HALF, 0.5, "wrong_answer")):
        task = tasks(data, reward="pass_ratio")["none"]
        trace = trace_of(task, reply)
        asyncio.run(task.score(trace))
        assert trace.rewards["unit_tests"].score == reward
        assert trace.metrics == {"solved": float(reward == 1.0), "pass_ratio": reward}
        assert trace.info["verdict"] == verdict


@pytest.mark.usefixtures("broken_machine")
def test_a_failure_of_the_machine_leaves_a_trace_without_a_reward(data: Path) -> None:
    task = tasks(data)["right"]
    trace = trace_of(task, RIGHT)
    with pytest.raises(errors.TaskError, match="the machine is broken"):
        asyncio.run(task.score(trace))
    assert trace.rewards == {"unit_tests": None}
    assert trace.metrics == {"grade": None}


def test_a_task_is_published_without_its_tests_and_comes_back(data: Path) -> None:
    task = tasks(data)["right"]
    text = task.data.model_dump_json()
    assert "expected" not in text
    assert "return x + 1" not in text
    again = type(task)(type(task.data).model_validate_json(text))
    trace = trace_of(again, RIGHT)
    asyncio.run(again.score(trace))
    assert trace.reward == 1.0
    assert again.key == task.key


def test_the_default_harness_is_a_plain_chat() -> None:
    assert loaders.default_harness_id("codegym-taskset") == "codegym-taskset"
    harness = loaders.harness_class("codegym-taskset")
    assert harness.__name__ == "NullHarness"
    assert not harness.EXECUTES_CODE
