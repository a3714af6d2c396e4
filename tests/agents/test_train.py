from __future__ import annotations

import json
from pathlib import Path

from agents import ppo, sft
from agents.train import Args, main

TINY = {"model_width": 16, "model_layers": 1, "model_heads": 2, "max_new_tokens": 4}


def test_the_main_job_from_end_to_end(tmp_path: Path):
    args = Args(
        out=tmp_path,
        threads=1,
        sft_seconds=0.5,
        ppo_seconds=0.5,
        test_per_level=2,
        validation_per_level=1,
        eval_every=1,
        sft=sft.Args(problems=8, **TINY),
        ppo=ppo.Args(problems=4, num_envs=6, episodes=6, workers=1, **TINY),
    )
    results = main(args)
    assert set(results) == {"SFT", "PPO"}
    written = json.loads((tmp_path / "results.json").read_text())
    for phase in ("SFT", "PPO"):
        for mode in ("greedy", "sampled"):
            levels = written["test"][phase][mode]["levels"]
            assert [level["problems"] for level in levels] == [2, 2, 2]
            assert levels[0]["difficulty"] == "introductory"
            assert all(name.startswith("mini/test/") for name in levels[0]["solved"])
    assert sum(written["problems_by_stage"].values()) == 4
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    log = (tmp_path / "log.txt").read_text()
    assert "Gain of the mean over levels" in log
    assert (tmp_path / "ppo" / "policy" / "policy.json").is_file()
