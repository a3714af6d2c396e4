"""The server of OpenEnv, without OpenEnv: what its sessions do, and what it is given."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from codegym.errors import (
    ConfigurationError,
    ExecutionError,
    ResetNeededError,
    UnknownNameError,
    WorkerError,
)
from codegym.execution import FakeExecutor
from codegym.grading import Grader
from codegym.integrations import openenv
from codegym.problems import CallTest, Problem, ProblemSet

TRAIN = ProblemSet.of(
    Problem(f"add/{n}", f"Add x and {n}.", "", (CallTest((1,), 1 + n),), entry_point="f")
    for n in range(20)
)
SPLITS = {"train": TRAIN, "later": TRAIN[5:7]}


def answer(number: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(answer=f"```python\ndef f(x):\n    return x + {number}\n```")


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


def session(
    grader: Grader, splits: Mapping[str, ProblemSet] = SPLITS, reward: str = "binary"
) -> openenv.ProgramEnvironment:
    make = types.SimpleNamespace
    return openenv.ProgramEnvironment(splits, make, make, reward=reward, grader=grader)


def test_an_episode_is_a_problem_and_an_answer(grader: Grader) -> None:
    env = session(grader)
    shown = env.reset(split="train", index=3, episode_id="mine")
    assert (shown.problem_id, shown.done, shown.reward) == ("add/3", False, None)
    assert "Add x and 3." in shown.prompt
    assert (env.state.episode_id, env.state.step_count, env.state.index) == ("mine", 0, 3)
    judged = env.step(answer(3))
    assert (judged.done, judged.reward, judged.verdict) == (True, 1.0, "accepted")
    assert (judged.tests_passed, judged.tests_total, judged.problem_id) == (1, 1, "add/3")
    assert env.state.step_count == 1


def test_a_wrong_answer_gets_the_reward_that_was_asked_for(grader: Grader) -> None:
    env = session(grader, reward="stepcoder")
    env.reset(index=0)
    assert env.step(answer(9)).reward == -0.3
    env.reset(index=0)
    assert env.step(types.SimpleNamespace(answer="```python\ndef f(:\n```")).reward == -1.0


def test_a_seed_draws_the_same_problem_and_seeds_differ(grader: Grader) -> None:
    env = session(grader)
    drawn = [[env.reset(seed=seed).index for seed in range(10)] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 1


def test_a_step_needs_an_episode(grader: Grader) -> None:
    env = session(grader)
    with pytest.raises(ResetNeededError):
        env.step(answer(0))
    env.reset(index=0)
    env.step(answer(0))
    with pytest.raises(ResetNeededError):
        env.step(answer(0))


def test_the_tasks_can_be_discovered(grader: Grader) -> None:
    env = session(grader)
    kinds = [{"name": "train", "type": "train"}, {"name": "later", "type": "validation"}]
    assert env.list_splits() == kinds
    assert (env.num_tasks("train"), env.num_tasks("later")) == (20, 2)
    assert [task["problem_id"] for task in env.list_tasks("later")] == ["add/5", "add/6"]
    assert env.get_task("later", 1) == env.get_task_range("later", 1)[0]
    assert [task["index"] for task in env.get_task_range("train", 18, 99)] == [18, 19]
    assert env.reset(split="later", index=1).problem_id == env.get_task("later", 1)["problem_id"]


def test_bad_places_and_names_are_refused_and_the_episode_stays(grader: Grader) -> None:
    env = session(grader)
    env.reset(index=2)
    for index in (-1, 20):
        with pytest.raises(IndexError, match="of 20 problems"):
            env.reset(index=index)
    with pytest.raises(UnknownNameError, match="train"):
        env.reset(split="tran")
    with pytest.raises(UnknownNameError, match="index"):
        env.reset(indx=3)
    with pytest.raises(ConfigurationError, match="whole number"):
        env.reset(index="3")  # type: ignore[arg-type]
    assert env.step(answer(2)).reward == 1.0


def test_a_failure_of_the_machine_is_raised_and_the_step_can_be_repeated() -> None:
    broken = [True]

    def observe(request: Any) -> Any:
        if broken[0]:
            raise WorkerError("the machine is broken")
        return real.submit(request).result().observations

    with Grader() as healthy, Grader(FakeExecutor(observe)) as grader:
        real = healthy._ensure_executor()
        env = session(grader)
        env.reset(index=4)
        with pytest.raises(ExecutionError, match="broken"):
            env.step(answer(4))
        broken[0] = False
        assert env.step(answer(4)).reward == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"splits": {}},
        {"splits": [TRAIN]},
        {"splits": {"train": TRAIN[:0]}},
        {"splits": SPLITS, "sessions": 0},
        {"splits": SPLITS, "reward": "binry"},
    ],
)
def test_an_application_of_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        openenv.make_app(**wrong)


def test_without_openenv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openenv", None)
    with pytest.raises(ConfigurationError, match="pip install openenv"):
        openenv.make_app(SPLITS)


@pytest.mark.parametrize("text", ["", "[]", "no JSON", '{"sorce": "mini"}'])
def test_settings_that_are_none_are_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(openenv.SETTINGS, text)
    with pytest.raises(ConfigurationError, match="JSON object"):
        openenv.app_from_environment()


def test_the_command_passes_its_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def take(*arguments: Any, **named: Any) -> str:
        told.append((arguments, named))
        return "app"

    monkeypatch.setattr(openenv, "app_of_source", take)
    uvicorn = types.ModuleType("uvicorn")
    uvicorn.run = take  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uvicorn", uvicorn)
    openenv.main(["--source", "mbpp", "--split", "train", "--split", "test", "--port", "0"])
    (_, source), (app, where) = told
    assert (source["source"], source["splits"]) == ("mbpp", ["train", "test"])
    assert (app, where) == (("app",), {"host": "127.0.0.1", "port": 0})
