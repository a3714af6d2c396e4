from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.methods import METHODS
from agents.models import make_policy
from agents.ppo import Args as PPOArgs
from agents.rollout import play
from benchmarks import methods
from benchmarks.methods import ARMS, Args
from benchmarks.methods_report import draw, lines
from benchmarks.token_budget import CountTokens
from codegym.errors import UnknownNameError


def test_each_method_has_an_arm() -> None:
    modules = {arm.module for arm in ARMS.values()}
    assert modules == {f"agents.methods.{name}" for name in METHODS} | {"agents.ppo"}


def test_an_arm_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'GRPO'"):
        Args(arms=("PPO", "GRPO"))


@pytest.mark.parametrize("group", [1, 2])
def test_every_token_is_counted_and_no_given_one(group: int) -> None:
    settings = PPOArgs(model="tiny", num_envs=4, max_new_tokens=12, workers=1, start="uniform")
    tokenizer = make_tokenizer(settings.tokenizer)
    policy = make_policy(settings, vocab_size=tokenizer.vocab_size, seed=0)
    problems = load_split(settings, split="train", size=8, seed=0)
    with make_grader(settings) as grader:
        envs = make_envs(settings, problems, start="uniform", grader=grader, tokenizer=tokenizer)
        counted = CountTokens(envs)
        try:
            assert counted.tokens == 0
            written = 0
            for seed in range(3):
                # Two waves each, of which the second is not cut.
                played = play(policy, counted, episodes=8, seed=seed, group_size=group)
                sequences = played.sequences
                written += int((sequences.length - sequences.start_length).sum())
                assert counted.tokens == written > 0
            assert int(sequences.start_length.sum()) > 0
        finally:
            envs.close()


@pytest.mark.parametrize("arm", ["PPO", "VinePPO", "ProRL", "RLTF", "RoML", "Soft Q-learning"])
def test_a_run_stops_at_its_budget_whatever_it_spends_it_on(
    arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = Args(tokens=600, points=2, problems=8, per_level=1, samples=1, runs=tmp_path)
    small: dict[str, Any] = {"episodes": 8, "num_envs": 8, "minibatches": 1, "max_new_tokens": 16}
    whole = methods._settings
    policy = make_policy(
        dataclasses.replace(whole(args, "PPO", 5), model="tiny"),
        vocab_size=make_tokenizer("mini").vocab_size,
        seed=5,
    )
    policy.save_pretrained(tmp_path / "sft-5")
    monkeypatch.setattr(
        methods, "_settings", lambda *given: dataclasses.replace(whole(*given), **small)
    )
    row = methods.learn(args, arm, 5)
    begin, half, tokens = (point["tokens"] for point in row["curve"])
    assert begin == 0
    assert half >= 300
    assert tokens >= 600
    # An episode has at most 16 tokens; VinePPO completes each of its lines three times, and RLTF
    # compares it with a greedy program.
    episodes = row["curve"][-1]["episodes"]
    assert (tokens > 16 * episodes) == (arm in ("VinePPO", "RLTF"))


def test_the_page_compares_with_ppo_seed_by_seed() -> None:
    def row(arm: str, seed: int, end: float) -> dict[str, Any]:
        points = ((0.0, 0.1), (1e5, end))
        return {
            "arm": arm,
            "seed": seed,
            "curve": [
                {"tokens": t, "iteration": 9, "episodes": 72, "sampled": s, "greedy": 1 - s}
                for t, s in points
            ],
        }

    rows = [row("PPO", seed, 0.2) for seed in (1, 2)]
    rows += [row("RLTF", seed, 0.2 + 0.1 * seed) for seed in (1, 2, 3)]
    results = {
        "command": "",
        "machine": {},
        "arguments": {"problems": 1, "tokens": 1e5, "per_level": 1, "samples": 1},
        "starts": 6,
        "rows": rows,
    }
    text = "\n".join(lines(results))
    # The third seed has no partner; the mean of 10 and 20 is 15, half its interval t * sd / sqrt 2.
    assert "| +15.0 ± 63.5 | -15.0 ± 63.5 |" in text
    assert "| PPO | 2 | 9 | 72 | 10.0 ± 0.0 | 20.0 ± 0.0 | 90.0 ± 0.0 | 80.0 ± 0.0 |  |  |" in text
    assert "6 runs were started, 5 are shown." in text
    figure = draw(results)
    assert [axis.get_title() for axis in figure.axes] == ["RLTF"]
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    assert np.allclose(drawn["PPO, sampled"], [10, 20])
    assert np.allclose(drawn["the method, sampled"], [10, 40])
