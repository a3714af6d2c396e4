from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from agents.sb3_ppo import Args, arithmetic, make_env, solved, train
from codegym.errors import ConfigurationError


def test_training_and_new_problems_share_no_task() -> None:
    problems, new = arithmetic(2, seed=0, train_share=0.6)
    assert (len(problems), len(new)) == (194, 130)
    assert not set(problems.ids) & set(new.ids)
    with pytest.raises(ConfigurationError, match="1 or 2 lines, got 3"):
        arithmetic(3, seed=0, train_share=0.6)
    with pytest.raises(ConfigurationError, match="nothing that is new"):
        arithmetic(1, seed=0, train_share=1.0)


def test_words_and_masks_are_those_of_the_training_programs() -> None:
    problems, new = arithmetic(1, seed=0, train_share=0.7)
    env = make_env(new, problems, start="lines", reward="binary")
    try:
        rng = np.random.default_rng(0)
        stages, free = set(), 0
        for seed in range(12):
            seen, info = env.reset(seed=seed)
            stages.add(info["stage"])
            assert env.observation_space.contains(seen)
            ended = False
            while not ended:
                legal = np.flatnonzero(env.action_masks())
                free += len(legal) > 1
                seen, reward, terminated, truncated, info = env.step(rng.choice(legal))
                assert env.observation_space.contains(seen)
                ended = terminated or truncated
            assert info["verdict"] in ("accepted", "wrong_answer"), "every word at its place"
            assert info["stage"] == 0 or reward == 1.0, "behind the only line nothing can go wrong"
        assert stages == {0, 1}
        assert free > 0
    finally:
        env.close()


def test_masked_ppo_learns_its_training_problems() -> None:
    """New ones need more steps than a test has: `benchmarks/stable_baselines.py` shows them."""
    args = Args(lines=1, train_share=0.7, steps=12_288, points=1)
    problems, _ = arithmetic(args.lines, args.seed, args.train_share)
    before, _ = train(dataclasses.replace(args, steps=0), note=lambda _: None)
    after, points = train(args, note=lambda _: None)
    assert [point.steps for point in points] == [0, 12_288]
    assert solved(before, problems, problems) <= 0.3
    assert solved(after, problems, problems) >= 0.7
