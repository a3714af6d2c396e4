"""The vector environment against as many single ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.errors import (
    ClosedError,
    ConfigurationError,
    InvalidActionError,
    ResetNeededError,
    UnknownNameError,
)
from codegym.grading import Grader
from codegym.problems import ProblemSet

from .reference import assert_same

N = 5


@pytest.fixture
def arguments(problems: ProblemSet, grader: Grader) -> dict[str, Any]:
    return {
        "problems": problems,
        "grader": grader,
        "tokenizer": "byte",
        "context_length": 200,
        "max_new_tokens": 12,
    }


def random_actions(rng: np.random.Generator, end_id: int) -> np.ndarray[Any, Any]:
    actions = rng.integers(97, 123, size=N)
    actions[rng.random(N) < 0.2] = end_id
    return actions


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("start", ["empty", "uniform"])
@pytest.mark.parametrize("reward", ["stepcoder", "rltf"])
def test_equals_gymnasiums_own_over_single_environments(
    arguments: dict[str, Any], mode: AutoresetMode, start: str, reward: str
) -> None:
    arguments |= {"start": start, "reward": reward}
    ours = CodeVectorEnv(N, autoreset_mode=mode, **arguments)
    theirs = SyncVectorEnv([lambda: CodeEnv(**arguments)] * N, autoreset_mode=mode)
    rng = np.random.default_rng(0)
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    ended = 0
    for _ in range(40):
        actions = random_actions(rng, ours.tokenizer.end_id)
        mine, reference = ours.step(actions), theirs.step(actions)
        assert_same(mine, reference)
        ended += int((mine[2] | mine[3]).sum())
    assert ended > 20


def test_disabled_mode_lets_a_batch_finish(arguments: dict[str, Any]) -> None:
    envs = CodeVectorEnv(N, autoreset_mode="DISABLED", **arguments)
    envs.reset(seed=0)
    actions = np.full(N, 97)
    actions[0] = envs.tokenizer.end_id
    obs, rewards, terminated, truncated, infos = envs.step(actions)
    assert terminated.tolist() == [True, False, False, False, False]
    assert infos["_verdict"].tolist() == terminated.tolist()
    before = obs["input_ids"][0].copy()
    obs, rewards, terminated, _, infos = envs.step(np.full(N, 98))
    assert not terminated[0]  # an end is told once
    assert rewards[0] == 0.0
    assert "verdict" not in infos
    np.testing.assert_array_equal(obs["input_ids"][0], before)
    times = np.zeros(N, dtype=int)
    for _ in range(10):
        *_, terminated, truncated, infos = envs.step(np.full(N, 98))
        times += truncated
        assert not terminated.any()
    assert times.tolist() == [0, *[1] * (N - 1)]
    mask = np.array([True, True, False, False, False])
    obs, infos = envs.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(infos["_problem_id"], mask)
    obs, *_, terminated, truncated, _ = envs.step(np.full(N, 97))
    assert not (terminated | truncated).any()
    wrote = obs["attention_mask"].sum(axis=1) - infos["start_length"]
    np.testing.assert_array_equal(wrote[mask], 1)


def test_options_for_each_sub_environment(arguments: dict[str, Any]) -> None:
    envs = CodeVectorEnv(3, **{**arguments, "start": "cccs"})
    _, infos = envs.reset(options={"problem_id": ["sign", "echo", "sign"], "stage": [1, None, 0]})
    assert infos["problem_id"].tolist() == ["sign", "echo", "sign"]
    assert infos["stage"].tolist() == [1, 0, 0]
    _, infos = envs.reset(options={"problem_id": "sign", "prefix": ["", "    if", "    if x"]})
    given = infos["start_length"] - infos["prompt_length"]
    assert given.tolist() == [0, 6, 8]
    _, infos = envs.reset(options={"problem_id": "sign", "prefix": list(b"    if")})
    assert (infos["start_length"] - infos["prompt_length"]).tolist() == [6, 6, 6]


def test_the_curriculum_is_shared(arguments: dict[str, Any]) -> None:
    envs = CodeVectorEnv(2, **{**arguments, "start": "cccs", "max_new_tokens": 100})
    _, infos = envs.reset(options={"problem_id": "sign"})
    second = b"    if x < 0:\n        return -1\n    return 0\n"
    for _ in range(
        5
    ):  # five double successes: average 0.2, 0.36, 0.49, 0.59, 0.67 > 0.6 on the fifth
        for token in second:
            envs.step(np.full(2, token))
        *_, infos = envs.step(np.full(2, envs.tokenizer.end_id))
        _, infos = envs.reset(options={"problem_id": "sign"})
        if infos["stage"][0] == 0:
            break
    assert infos["stage"].tolist() == [0, 0]


def test_bad_input(arguments: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match="autoreset"):
        CodeVectorEnv(2, autoreset_mode="NEXTSTEP", **arguments)
    with pytest.raises(ConfigurationError, match="num_envs"):
        CodeVectorEnv(0, **arguments)
    envs = CodeVectorEnv(2, **arguments)
    with pytest.raises(ResetNeededError):
        envs.step(np.zeros(2, dtype=np.int64))
    envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeededError, match="before the first reset"):
        envs.step(np.zeros(2, dtype=np.int64))
    envs.reset()
    for actions in (np.zeros(3, dtype=np.int64), np.zeros(2), np.zeros((2, 1), dtype=np.int64), 3):
        with pytest.raises(InvalidActionError, match="shape"):
            envs.step(actions)  # type: ignore[arg-type]
    with pytest.raises(InvalidActionError, match="sub-environment 1 got 9999"):
        envs.step(np.array([0, 9999]))
    for options in ({"reset_mask": [True]}, {"reset_mask": np.zeros(2, bool)}, {"stage": [0]}):
        with pytest.raises(ConfigurationError):
            envs.reset(options=options)
    with pytest.raises(ConfigurationError, match="one seed for each"):
        envs.reset(seed=[1])
    envs.close()
    with pytest.raises(ClosedError):
        envs.reset()
