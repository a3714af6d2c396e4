"""Copies of environments: each goes its own way, and closing one ends nothing of another."""

from __future__ import annotations

import copy
import gc
import os
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics

from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.errors import ClosedError
from codegym.grading import Grader
from codegym.problems import ProblemSet
from codegym.start_states import CurriculumOfSubtasks
from tests.execution.process_tree import children_of
from tests.waiting import wait_until

from .executors import Late, MadeUp
from .reference import assert_same

COPIES: list[Callable[[Any], Any]] = [
    copy.deepcopy,
    copy.copy,
    lambda env: pickle.loads(pickle.dumps(env)),
]
NAMES = ["deepcopy", "copy", "pickle"]
N = 3


@pytest.fixture
def arguments(problems: ProblemSet) -> dict[str, Any]:
    return {
        "problems": problems, "tokenizer": "byte", "context_length": 200, "max_new_tokens": 8,
    }  # fmt: skip


def children() -> set[int]:
    return children_of(os.getpid())


@pytest.mark.parametrize("make_copy", COPIES, ids=NAMES)
@pytest.mark.parametrize("first", [0, 1])
def test_closing_one_leaves_the_others_workers(
    arguments: dict[str, Any], make_copy: Any, first: int
) -> None:
    before = children()
    env = CodeEnv(**arguments)
    env.reset(seed=0)
    pair = [env, make_copy(env)]
    end = env.tokenizer.end_id
    pair[first].step(end)
    pair[first].close()
    with pytest.raises(ClosedError):
        pair[first].reset()
    other = pair[1 - first]
    assert other.step(end)[4]["verdict"]
    other.reset(seed=1)
    assert other.step(end)[4]["verdict"]
    other.close()
    wait_until(lambda: children() <= before)


def test_a_copy_that_is_dropped_holds_no_workers(arguments: dict[str, Any]) -> None:
    before = children()
    env = CodeEnv(**arguments)
    env.reset(seed=0)
    env.step(env.tokenizer.end_id)
    twin = copy.deepcopy(env)
    del twin
    gc.collect()
    env.close()
    wait_until(lambda: children() <= before)


def test_a_copy_of_a_closed_environment_keeps_nothing_open(arguments: dict[str, Any]) -> None:
    before = children()
    env = CodeEnv(**arguments)
    env.reset(seed=0)
    env.step(env.tokenizer.end_id)
    twin = copy.deepcopy(env)
    env.close()
    third = copy.deepcopy(env)
    twin.close()
    wait_until(lambda: children() <= before)
    with pytest.raises(ClosedError):
        third.reset()


@pytest.mark.parametrize("make_copy", [copy.deepcopy, COPIES[2]], ids=["deepcopy", "pickle"])
def test_a_copy_goes_its_own_way(arguments: dict[str, Any], make_copy: Any) -> None:
    curriculum = CurriculumOfSubtasks(threshold=0.1, alpha=1.0)
    env: Any = RecordEpisodeStatistics(CodeEnv(**arguments, start=curriculum))
    env.reset(seed=3)
    env.step(97)
    twin = make_copy(env)
    first = [env.step(98), env.step(99)]
    told = curriculum.state_dict()
    second = [twin.step(98), twin.step(99)]
    for mine, other in zip(first, second, strict=True):
        assert_same(mine, other)
    for each in (env, twin):  # the random generators agree as well
        each.step(env.unwrapped.tokenizer.end_id)
    assert_same(env.reset(), twin.reset())
    assert told["success"] == {}
    assert twin.unwrapped.start_states is not curriculum
    assert env.action_space.seed(1) == twin.action_space.seed(1)
    env.close()
    twin.close()


def test_a_copy_shares_what_does_not_change(arguments: dict[str, Any]) -> None:
    env = CodeEnv(**arguments)
    twin = copy.deepcopy(env)
    assert twin.problems is env.problems
    assert twin.tokenizer is env.tokenizer
    assert twin.task.grader is env.task.grader
    assert twin.observation_space == env.observation_space
    space: Any = twin.observation_space
    assert space["input_ids"].low.strides == (0,)
    env.close()
    twin.close()


@pytest.mark.parametrize("make_copy", COPIES, ids=NAMES)
@pytest.mark.parametrize("share", [False, True], ids=["copied", "own"])
def test_a_vector_environment_and_its_copy(
    arguments: dict[str, Any], make_copy: Any, share: bool
) -> None:
    envs = CodeVectorEnv(N, autoreset_mode="NEXT_STEP", copy=not share, **arguments)
    envs.reset(seed=0)
    end = envs.tokenizer.end_id
    envs.step(np.array([97, end, 98]))
    twin = make_copy(envs)
    for actions in ([97, 97, 97], [end, 97, 97], [97, end, 97], [97, 97, 97]):
        mine = copy.deepcopy(envs.step(np.array(actions)))
        assert_same(mine, twin.step(np.array(actions)))
    envs.close()
    with pytest.raises(ClosedError):
        envs.step(np.array([97, 97, 97]))
    assert twin.step(np.full(N, end))[2].any()
    twin.close()


def test_pending_programs_are_judged_for_both(problems: ProblemSet) -> None:
    executor = Late(MadeUp(problems))
    executor.hold(True)
    with Grader(executor) as grader:
        envs = CodeVectorEnv(
            2, problems=problems, grader=grader, tokenizer="byte", context_length=200,
            judging="async", autoreset_mode="DISABLED",
        )  # fmt: skip
        envs.reset(seed=0)
        envs.step(np.full(2, envs.tokenizer.end_id))
        twin = copy.deepcopy(envs)
        executor.hold(False)
        for each in (envs, twin):
            ended = np.zeros(2, dtype=bool)
            while not ended.all():
                *_, terminated, truncated, _ = each.collect()
                ended |= terminated | truncated
            each.close()
    executor.close()


def test_copies_through_gymnasium_make() -> None:
    env = gymnasium.make("CodeGen-Mini-v0", size=3)
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    twin.close()
    end = env.unwrapped.tokenizer.end_id  # type: ignore[attr-defined]
    assert env.step(end)[4]["verdict"] == "compile_error"
    env.close()
