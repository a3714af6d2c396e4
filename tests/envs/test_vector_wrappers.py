"""Gymnasium's vector wrappers and other ways to many environments."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector
from packaging.version import Version

from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.grading import Grader
from codegym.problems import ProblemSet

from .executors import Late, MadeUp

N = 3
OLD_GYMNASIUM = Version(gymnasium.__version__) < Version("1.4")
"""Its statistics count all but the first episode one step short under SAME_STEP."""


@pytest.fixture
def arguments(problems: ProblemSet) -> Any:
    with Grader(MadeUp(problems)) as grader:
        yield {
            "problems": problems, "grader": grader, "tokenizer": "byte", "context_length": 200,
            "max_new_tokens": 5,
        }  # fmt: skip


@pytest.mark.parametrize("judging", ["sync", "async"])
@pytest.mark.parametrize("mode", AutoresetMode)
def test_episode_statistics(problems: ProblemSet, mode: AutoresetMode, judging: Any) -> None:
    executor = Late(MadeUp(problems))
    with Grader(executor) as grader:
        envs = vector.RecordEpisodeStatistics(
            CodeVectorEnv(
                N, problems=problems, grader=grader, tokenizer="byte", context_length=200,
                max_new_tokens=5, judging=judging, autoreset_mode=mode, copy=False,
            )
        )  # fmt: skip
        envs.reset(seed=0)
        returns, lengths, ended = [], [], np.zeros(N, dtype=bool)
        end = envs.unwrapped.tokenizer.end_id  # type: ignore[attr-defined]
        for step in range(60):
            # The first sub-environment ends soon and, under DISABLED, waits for the others.
            actions = np.array([end if step % 10 == 1 else 97, *[97] * (N - 1)])
            _, rewards, terminated, truncated, infos = envs.step(actions)
            done = terminated | truncated
            ended |= done
            if not done.any():
                continue
            np.testing.assert_array_equal(infos["_episode"], done)
            np.testing.assert_array_equal(infos["episode"]["r"][done], rewards[done])
            returns += infos["episode"]["r"][done].tolist()
            lengths += infos["episode"]["l"][done].tolist()
            if mode is AutoresetMode.DISABLED and ended.all():
                envs.reset(options={"reset_mask": ended.copy()})
                ended[:] = False
        assert set(returns) <= {1.0, -0.3, -0.6, -1.0}
        assert len(returns) >= 3
        assert envs.episode_count == len(returns)
        lost = 1 if OLD_GYMNASIUM and mode is AutoresetMode.SAME_STEP else 0
        assert min(lengths) > 0
        if judging == "sync":
            assert set(lengths) <= {*range(1, 6)}
            assert {5 - lost, 5} <= set(lengths)
        elif mode is not AutoresetMode.DISABLED:
            assert max(lengths) > 5 - lost, "steps of waiting are steps"
        envs.close()
    executor.close()


@pytest.mark.parametrize("judging", ["sync", "async"])
def test_infos_as_lists(arguments: dict[str, Any], judging: Any) -> None:
    envs = vector.DictInfoToList(CodeVectorEnv(N, judging=judging, **arguments))
    single = CodeEnv(**arguments)
    _, infos = envs.reset(seed=0)
    _, info = single.reset(seed=0)
    assert infos[0] == info
    for letter in b"abcde":
        *_, infos = envs.step(np.array([letter, 97, 97]))
        *_, info = single.step(letter)
    if judging == "async":
        assert infos == [{"judging": True}] * N
        *_, infos = envs.step(np.full(N, 97))
    assert infos[0].keys() == info.keys()
    assert infos[0]["verdict"] == info["verdict"]
    assert infos[0]["reward_terms"] == info["reward_terms"]
    np.testing.assert_array_equal(infos[0]["loss_mask"], info["loss_mask"])


def test_wrappers_of_rewards_and_observations(arguments: dict[str, Any]) -> None:
    envs: Any = CodeVectorEnv(N, **arguments)
    space = gymnasium.spaces.Box(0, 258, (4,), np.int64)
    envs = vector.ClipReward(envs, min_reward=-0.5, max_reward=0.5)
    envs = vector.NormalizeReward(envs)
    envs = vector.TransformObservation(
        envs, lambda obs: obs["input_ids"][:, :4], single_observation_space=space
    )
    obs, _ = envs.reset(seed=0)
    for _ in range(30):
        obs, rewards, *_ = envs.step(np.full(N, 97))
        assert envs.observation_space.contains(obs)
        assert np.isfinite(rewards).all()
    flat = vector.FlattenObservation(CodeVectorEnv(N, **arguments))
    obs, _ = flat.reset(seed=0)
    assert obs.shape == (N, 400)
    actions = vector.TransformAction(CodeVectorEnv(N, **arguments), lambda given: given + 97)
    actions.reset(seed=0)
    assert (actions.step(np.zeros(N, dtype=np.int64))[0]["input_ids"] == 97).any(1).all()


@pytest.mark.filterwarnings("ignore:.*render_mode='rgb_array':UserWarning")  # SB3 tries it first
def test_sb3_through_its_own_adapter(arguments: dict[str, Any]) -> None:
    env_util = pytest.importorskip("stable_baselines3.common.env_util")
    theirs = env_util.make_vec_env(
        "CodeGen-Mini-v0",
        n_envs=N,
        seed=4,
        env_kwargs={**arguments, "copy": False},
    )
    ours = gymnasium.make_vec(
        "CodeGen-Mini-v0", num_envs=N, autoreset_mode=AutoresetMode.SAME_STEP, **arguments
    )
    first = theirs.reset()
    obs, _ = ours.reset(seed=4)
    rng = np.random.default_rng(0)
    for _ in range(20):
        for key, value in obs.items():
            np.testing.assert_array_equal(first[key], value)
        actions = rng.choice([97, 98, 10, 257], size=N)
        first, rewards, dones, infos = theirs.step(actions)
        obs, own, terminated, truncated, told = ours.step(actions)
        np.testing.assert_allclose(rewards, own, rtol=1e-6)
        np.testing.assert_array_equal(dones, terminated | truncated)
        for i in np.flatnonzero(dones):
            last = infos[i]["terminal_observation"]["input_ids"]
            np.testing.assert_array_equal(last, told["final_obs"][i]["input_ids"])
            assert infos[i]["TimeLimit.truncated"] == truncated[i]
    theirs.close()
    ours.close()


def test_make_vec_passes_arguments_on(arguments: dict[str, Any]) -> None:
    make: Any = gymnasium.make_vec
    envs = make("CodeGen-Mini-v0", num_envs=N, judging="async", copy=False, **arguments)
    assert isinstance(envs, CodeVectorEnv)
    assert (envs.judging, envs.copy) == ("async", False)
    assert envs.spec is not None
    assert envs.spec.kwargs["judging"] == "async"
    with pytest.raises(UnknownNameError, match="Did you mean 'async'"):
        make("CodeGen-Mini-v0", num_envs=N, judging="asynch", **arguments)
    with pytest.raises(UnknownNameError, match="way of judging"):
        make("CodeGen-Mini-v0", num_envs=N, judging=True, **arguments)
    # Gymnasium's own vector environments are another thing, and have no judging.
    with pytest.raises(ConfigurationError, match="judging is an argument of vector environments"):
        make("CodeGen-Mini-v0", num_envs=N, vectorization_mode="sync", judging="async", **arguments)


def test_gymnasiums_own_asynchronous_environments() -> None:
    make: Any = gymnasium.make_vec
    envs = make("CodeGen-Mini-v0", num_envs=2, vectorization_mode="async", size=3, copy=False)
    obs, infos = envs.reset(seed=0)
    ours = make("CodeGen-Mini-v0", num_envs=2, size=3)
    theirs, told = ours.reset(seed=0)
    np.testing.assert_array_equal(obs["input_ids"], theirs["input_ids"])
    assert infos["problem_id"].tolist() == told["problem_id"].tolist()
    envs.close()
    ours.close()
