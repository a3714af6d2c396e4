from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from agents.sb3_ppo import Args, make_env, train

SMALL = Args(problems=1, steps=512, max_new_tokens=8, window=8, verbose=0)


def test_ppo_trains_through_plain_make() -> None:
    agent = train(dataclasses.replace(SMALL, tokenizer="byte"))
    assert agent.num_timesteps == 512
    rewards = [episode["r"] for episode in agent.ep_info_buffer or ()]
    assert len(rewards) >= 512 // 8 - 1
    assert set(np.round(rewards, 1)) <= {-1.0, -0.6, -0.3, 1.0}


def test_maskable_ppo_draws_allowed_tokens_only() -> None:
    args = dataclasses.replace(SMALL, masked=True)
    agent: Any = train(args)
    env = make_env(args)
    obs, _ = env.reset(seed=0)
    for _ in range(4):
        mask = env.get_wrapper_attr("action_masks")()
        assert 1 < mask.sum() < len(mask)
        action, _ = agent.predict(obs, action_masks=mask)
        assert mask[action]
        obs, _, terminated, truncated, _ = env.step(int(action))
        if terminated or truncated:
            break
    env.close()
