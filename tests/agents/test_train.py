from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents import ppo, sft, train

TINY: dict[str, Any] = {"model_width": 16, "model_layers": 1}


def _args(folder: Path) -> train.Args:
    return train.Args(
        out=folder,
        threads=1,
        test_per_level=2,
        sft=sft.Args(problems=8, steps=3, **TINY),
        ppo=ppo.Args(
            problems=4,
            num_envs=6,
            episodes=6,
            iterations=2,
            eval_every=1,
            eval_per_level=1,
            workers=1,
            max_new_tokens=4,
        ),
    )


def test_the_main_job_from_end_to_end(tmp_path: Path) -> None:
    results = train.train(_args(tmp_path))
    phases = ("SFT", "PPO, last", "PPO, best")
    assert tuple(results) == phases
    written = json.loads((tmp_path / "results.json").read_text())
    for phase in phases:
        for mode in ("greedy", "sampled"):
            levels = written["test"][phase][mode]["levels"]
            assert [level["problems"] for level in levels] == [2, 2, 2]
            assert levels[0]["difficulty"] == "introductory"
            assert all(name.startswith("mini/test/") for name in levels[0]["solved"])
    assert sum(written["problems_by_stage"].values()) == 4
    assert written["returns"] == []
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    log = (tmp_path / "log.txt").read_text()
    assert "Gain of the last policy" in log
    assert "went back 0 times" in log
    for name in ("policy", "last"):
        assert (tmp_path / "ppo" / name / "policy.json").is_file()


@pytest.mark.parametrize(("gain", "status"), [(0.1, 0), (0.0, 1), (-44.9, 1)])
def test_a_policy_that_is_no_better_fails_the_command(
    gain: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["train"])
    monkeypatch.setattr(train, "train", lambda _: {})
    monkeypatch.setattr(train, "gains", lambda _: {"sampled": gain, "greedy": 0.0})
    assert train._main() == status
    assert ("not make the policy better" in capsys.readouterr().err) == bool(status)


def test_gains_are_points_of_the_mean_over_levels_of_the_last_policy() -> None:
    class Rate:
        def __init__(self, rate: float) -> None:
            self.mean_pass_at_1 = rate

    results = {
        "SFT": {"greedy": Rate(0.45), "sampled": Rate(0.18)},
        "PPO, last": {"greedy": Rate(0.0), "sampled": Rate(0.28)},
        "PPO, best": {"greedy": Rate(0.9), "sampled": Rate(0.9)},
    }
    assert train.gains(results) == pytest.approx({"greedy": -45.0, "sampled": 10.0})  # type: ignore[arg-type]
