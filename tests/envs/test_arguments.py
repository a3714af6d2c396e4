"""Each argument is stated once, and known wherever an environment is made."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium
import pytest

from codegym.envs import TASK_ARGUMENTS, CodeEnv, CodeTask, CodeVectorEnv
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.start_states import GivenPrefixes


@pytest.mark.parametrize("kind", [CodeTask, CodeEnv, CodeVectorEnv])
def test_docstrings_list_all_arguments(kind: type) -> None:
    text = inspect.getdoc(kind) or ""
    assert "{task arguments}" not in text
    for name, argument in TASK_ARGUMENTS.items():
        assert f"- ``{name}`` (default ``{argument.default!r}``): " in text
    assert max(map(len, text.splitlines())) <= 100


def test_defaults_are_those_that_are_stated() -> None:
    task = CodeTask()
    for name in ("max_new_tokens", "context_length"):
        assert getattr(task, name) == TASK_ARGUMENTS[name].default
    task.close()


@pytest.mark.parametrize(
    ("name", "near"),
    [("judgin", "judging"), ("autoreset", "autoreset_mode"), ("tokenzier", "tokenizer")],
)
def test_an_unknown_argument_of_a_vector_environment(name: str, near: str) -> None:
    given: dict[str, Any] = {name: 1}
    with pytest.raises(UnknownNameError, match=f"Did you mean '{near}'") as caught:
        gymnasium.make_vec("CodeGen-Mini-v0", num_envs=2, **given)
    own = {"num_envs", "autoreset_mode", "judging", "copy", "max_episode_steps", "render_mode"}
    assert set(caught.value.legal) == {*TASK_ARGUMENTS, *own}


def test_an_unknown_argument_of_a_single_environment() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'render_mode'") as caught:
        gymnasium.make("CodeGen-Mini-v0", rendermode="ansi")
    assert set(caught.value.legal) == {*TASK_ARGUMENTS, "copy", "render_mode"}


@pytest.mark.parametrize("name", ["judging", "autoreset_mode", "num_envs"])
def test_arguments_of_vector_environments_only(name: str) -> None:
    given: dict[str, Any] = {name: "async"}
    with pytest.raises(ConfigurationError, match=f"{name} is an argument of vector environments"):
        gymnasium.make("CodeGen-Mini-v0", **given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("context_length", -1),
        ("tests", 0),
        ("limits", {"cpu_seconds": -1}),
        ("executor", 3),
        ("tokenizer", "bite"),
        ("start", "ccs"),
        ("sampler", "stage"),
        ("reward", "binry"),
        ("prompt_format", "completon"),
    ],
)
def test_a_wrong_argument_is_told_before_the_problems_are_loaded(name: str, value: object) -> None:
    given: dict[str, Any] = {"data": "/there/is/no/such/file", name: value}
    with pytest.raises(ConfigurationError):
        gymnasium.make("CodeGen-Custom-v0", **given)


def test_start_states_of_a_problem_that_is_not_there() -> None:
    for names in (["mini/train/mixed/0/1"], []):
        CodeTask(size=3, start=GivenPrefixes({name: [""] for name in names})).close()
    with pytest.raises(UnknownNameError, match="Did you mean 'mini/train/mixed/0/1'"):
        CodeTask(size=3, start=GivenPrefixes({"mini/train/mixd/0/1": [""]}))


def test_an_unknown_problem_names_some_of_the_others_as_some() -> None:
    task = CodeTask(size=5)
    with pytest.raises(UnknownNameError, match="There are 5, such as 'mini/train/mixed/0/0', "):
        task.problems.by_id("nope")
    task.close()
