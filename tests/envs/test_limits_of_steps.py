"""Gymnasium's `max_episode_steps` is one more budget of tokens; its render mode is passed on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.errors import ConfigurationError, RenderModeError
from codegym.grading import Grader
from codegym.problems import ProblemSet

from .executors import MadeUp


@pytest.fixture
def arguments(problems: ProblemSet) -> Any:
    with Grader(MadeUp(problems)) as grader:
        yield {
            "problems": problems, "grader": grader, "tokenizer": "byte", "context_length": 200,
            "max_new_tokens": 7,
        }  # fmt: skip


def play(env: Any, letter: Any = 97) -> list[Any]:
    env.reset(seed=0)
    steps: list[Any] = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(letter))
    return steps


WAYS: dict[str, Callable[[int, Any], Any]] = {
    "make": lambda limit, arguments: gymnasium.make(
        "CodeGen-Mini-v0", max_episode_steps=limit, **arguments
    ),
    "checked": lambda limit, arguments: gymnasium.make(
        "CodeGen-Mini-v0", max_episode_steps=limit, disable_env_checker=False, **arguments
    ),
    "own wrapper": lambda limit, arguments: OrderEnforcing(
        TimeLimit(PassiveEnvChecker(CodeEnv(**arguments)), limit)
    ),
    "copied": lambda limit, arguments: copy.deepcopy(TimeLimit(CodeEnv(**arguments), limit)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", [1, 4, 7, 50])
def test_the_program_is_judged_where_the_limit_is(way: str, limit: int, arguments: Any) -> None:
    env: Any = WAYS[way](limit, arguments)
    for _ in range(2):
        steps = play(env)
        assert len(steps) == min(limit, 7)
        *_, terminated, truncated, info = steps[-1]
        assert (terminated, truncated) == (False, True)
        assert info["verdict"]
        assert info["loss_mask"].sum() > 0 or info["executed_lines"]
    env.close()


def test_the_least_of_several_limits_counts_and_is_forgotten_without_its_wrapper(
    arguments: Any,
) -> None:
    inner = CodeEnv(**arguments)
    outer = TimeLimit(TimeLimit(inner, 5), 3)
    assert len(play(outer)) == 3
    assert len(play(inner)) == 7
    other = TimeLimit(CodeEnv(**arguments), 2)
    assert len(play(other)) == 2


def test_a_snapshot_is_not_restored_where_a_wrapper_counts_steps(arguments: Any) -> None:
    env: Any = gymnasium.make("CodeGen-Mini-v0", max_episode_steps=5, **arguments)
    env.reset(seed=0)
    env.step(97)
    state = env.unwrapped.save_state()
    with pytest.raises(ConfigurationError, match=r"TimeLimit.*max_new_tokens"):
        env.unwrapped.restore_state(state)
    steps = [env.step(97) for _ in range(4)]  # the episode goes on as if nothing had happened
    assert [step[3] for step in steps] == [False, False, False, True]
    other: Any = gymnasium.make("CodeGen-Mini-v0", **{**arguments, "max_new_tokens": 5})
    other.unwrapped.restore_state(state)
    assert [other.step(97)[3] for _ in range(4)] == [False, False, False, True]


@pytest.mark.parametrize("limit", [None, -1])
def test_no_limit(limit: int | None, arguments: Any) -> None:
    assert len(play(gymnasium.make("CodeGen-Mini-v0", max_episode_steps=limit, **arguments))) == 7
    envs: Any = gymnasium.make_vec("CodeGen-Mini-v0", max_episode_steps=limit, **arguments)
    assert len(play(envs, np.array([97]))) == 7


@pytest.mark.parametrize("limit", [1, 4, 7, 50])
@pytest.mark.parametrize("mode", [None, "sync"])
def test_a_limit_of_many(limit: int, mode: str | None, arguments: Any) -> None:
    envs: Any = gymnasium.make_vec(
        "CodeGen-Mini-v0", num_envs=2, vectorization_mode=mode, max_episode_steps=limit, **arguments
    )
    assert isinstance(envs, CodeVectorEnv) == (mode is None)
    envs.reset(seed=0)
    for step in range(min(limit, 7)):
        _, _, terminated, truncated, infos = envs.step(np.array([97, 98]))
        assert not terminated.any()
        assert truncated.all() == (step + 1 == min(limit, 7))
    assert infos["_verdict"].all()
    envs.close()


def test_a_limit_that_is_none(arguments: Any) -> None:
    for limit in (0, -3, 2.5, "many"):
        with pytest.raises(ConfigurationError, match="positive int"):
            CodeVectorEnv(2, max_episode_steps=limit, **arguments)  # type: ignore[arg-type]


def test_a_vector_environment_shows_its_programs(arguments: Any) -> None:
    envs: Any = gymnasium.make_vec("CodeGen-Mini-v0", num_envs=2, render_mode="ansi", **arguments)
    single = CodeEnv(render_mode="ansi", **arguments)
    envs.reset(seed=0)
    single.reset(seed=0)
    for letter in b"a\nb":
        envs.step(np.array([letter, 97]))
        single.step(letter)
    assert len(envs.render()) == 2
    assert envs.render()[0] == single.render()
    end = single.tokenizer.end_id
    envs.step(np.array([end, 97]))
    single.step(end)
    assert envs.render()[0] == single.render()
    assert "tests" in envs.render()[0] != envs.render()[1]
    envs.step(np.array([97, 97]))  # the first begins anew
    assert "tests" not in envs.render()[0]
    assert CodeVectorEnv(2, **arguments).render() is None
    with pytest.raises(RenderModeError):
        CodeVectorEnv(2, render_mode="human", **arguments)
