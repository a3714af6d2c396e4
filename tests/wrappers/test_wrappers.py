"""Wrappers change one thing and leave the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

import codegym
from codegym.errors import ConfigurationError
from codegym.wrappers import AllowedTokens, RecentTokens


@pytest.fixture
def env() -> Iterator[gymnasium.Env[Any, Any]]:
    env = gymnasium.make("CodeGen-Mini-v0", size=10)
    yield env
    env.close()


def test_recent_tokens(env: gymnasium.Env) -> None:
    wrapped = RecentTokens(env, count=4)
    obs, info = wrapped.reset(seed=0)
    full, _ = env.reset(seed=0)
    start = info["start_length"]
    np.testing.assert_array_equal(obs, full["input_ids"][start - 4 : start])
    assert wrapped.observation_space.contains(obs)
    assert wrapped.step(7)[0][-1] == 7
    short = {"input_ids": np.arange(9), "attention_mask": np.array([1, 1] + [0] * 7)}
    vocab = env.get_wrapper_attr("tokenizer").vocab_size
    assert wrapped.observation(short).tolist() == [vocab, vocab, 0, 1]
    for count in (0, 10_000):
        with pytest.raises(ConfigurationError, match="count"):
            RecentTokens(env, count=count)


def test_allowed_tokens_hold_the_canonical_solution_and_the_end(env: gymnasium.Env) -> None:
    wrapped = AllowedTokens(env)
    _, info = wrapped.reset(seed=0)
    code_env = env.unwrapped
    assert isinstance(code_env, codegym.CodeEnv)
    problem = code_env.problems.by_id(info["problem_id"])
    mask = wrapped.action_masks()
    tokens = code_env.tokenizer.encode(problem.canonical_solution[len(problem.starter_code) :])
    assert mask[tokens].all()
    assert mask[code_env.tokenizer.end_id]
    assert mask.sum() == len({*tokens, code_env.tokenizer.end_id})
    with pytest.raises(ConfigurationError, match="codegym"):
        AllowedTokens(gymnasium.make("CartPole-v1"))
