"""Each argument is stated once, and known wherever an environment is made."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium
import pytest

from codegym.envs import TASK_ARGUMENTS, CodeEnv, CodeTask, CodeVectorEnv
from codegym.errors import UnknownNameError


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
