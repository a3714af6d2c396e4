from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import page as pages
from benchmarks import robustness
from benchmarks.robustness import ABLATIONS, Args, Run, planned
from benchmarks.robustness_report import draw, lines
from codegym.errors import ConfigurationError


def _rates(rate: float) -> dict[str, Any]:
    levels = {"introductory": rate, "interview": rate, "competition": rate, "mean": rate}
    return {"sampled": dict(levels), "greedy": dict(levels)}


def _row(run: Run, *, last: float = 0.8, returns: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "part": run.part,
        "seed": run.seed,
        "factor": run.factor,
        "guard": run.guard,
        "ablation": run.ablation,
        "name": run.name,
        "iterations": 60,
        "returns": list(returns),
        "gave_up": None,
        "last": _rates(last),
        "best": _rates(0.9),
        "curves": {
            "kl/reference_k1": [(1, 0.0), (2, 7.0)],
            "sampled/mean": [(0, 0.2), (2, 0.7)],
            "greedy/mean": [(0, 0.4), (2, 0.8)],
            "rollout/solved": [],
        },
    }


def test_every_run_has_a_name_of_its_own_and_the_settings_it_says() -> None:
    args = Args()
    runs = [run for part in ("seeds", "rates", "ablations") for run in planned(args, part, [])]
    assert len({run.name for run in runs}) == len(runs) == 10 + 4 * 3 + len(ABLATIONS) * 2 * 2
    settings = robustness._settings(args, Run("rates", 31, 4.0))
    assert settings.learning_rate == 4.0 * args.ppo.learning_rate
    assert settings.critic_learning_rate == 4.0 * args.ppo.critic_learning_rate
    assert (settings.seed, settings.guard, settings.anneal) == (31, True, True)
    old = robustness._settings(args, runs[-1])
    assert (old.critic, old.kl, old.target_kl) == ("shared", "reward", None)
    assert (old.guard, old.anneal, old.iterations) == (False, False, 60)


def test_without_the_guard_only_what_it_sent_back_is_run_again() -> None:
    rows = [
        _row(Run("seeds", 31)),
        _row(Run("rates", 31, 4.0), returns=("iteration 40: KL",)),
        _row(Run("rates", 32, 4.0)),
    ]
    assert planned(Args(), "guard", rows) == [Run("guard", 31, 4.0, guard=False)]


def _kept(folder: Path, args: Args) -> Path:
    """Results that are complete for these arguments."""
    rows = [_row(Run("seeds", seed)) for seed in args.seeds]
    starts = [{"time": "now", "run": row["name"]} for row in rows]
    data = {
        "command": "",
        "machine": {},
        "arguments": json.loads(robustness._as_json(args)),
        "starts": starts,
        "after_sft": {str(row["seed"]): _rates(0.2) for row in rows},
        "rows": rows,
    }
    pages.write(folder / "results", data, lines, draw)
    return folder / "results.json"


def test_what_is_done_is_not_done_again_and_a_seed_counts_once(tmp_path: Path) -> None:
    args = Args(parts=("seeds",), seeds=(31, 32, 31), runs=tmp_path, out=tmp_path / "results")
    path = _kept(tmp_path, dataclasses.replace(args, seeds=(31, 32)))
    rows = json.loads(path.read_text())["rows"]
    robustness.run(args)
    assert json.loads(path.read_text())["rows"] == rows


def test_rows_of_other_settings_are_refused(tmp_path: Path) -> None:
    args = Args(parts=("seeds",), seeds=(31,), runs=tmp_path / "runs", out=tmp_path / "results")
    path = _kept(tmp_path, args)
    before = path.read_bytes()
    longer = dataclasses.replace(args, ppo=dataclasses.replace(args.ppo, iterations=7))
    with pytest.raises(ConfigurationError, match="other settings: ppo"):
        robustness.run(longer)
    assert path.read_bytes() == before
    robustness.run(args)
    path.unlink()  # the SFT policies are still of the old settings
    with pytest.raises(ConfigurationError, match=r"arguments\.json .* other settings: ppo"):
        robustness.run(longer)


def test_the_page_tells_what_was_missed(tmp_path: Path) -> None:
    rows = [
        _row(Run("seeds", 31), last=0.8),
        _row(Run("seeds", 32), last=0.1),
        _row(Run("rates", 31, 4.0), last=0.1, returns=("iteration 40: KL to the reference 7",)),
        _row(Run("ablations", 31, 2.0, guard=False)),
    ]
    data = {
        "command": "python -m benchmarks.robustness",
        "machine": {},
        "arguments": dataclasses.asdict(Args(seeds=(31, 32))),
        "starts": [{"time": "now", "run": row["name"]} for row in rows]
        + [{"time": "now", "run": "seeds-seed33-x1-arm0"}],
        "after_sft": {"31": _rates(0.2), "32": _rates(0.2)},
        "rows": rows,
    }
    pages.write(tmp_path / "page", data, lines, draw)
    page = (tmp_path / "page.md").read_text()
    assert "| sampled | +25.0 ± 444.7 | -10.0 | 50, 40 | no |" in page  # t(1) = 12.706
    assert "| seeds | 31, 32; each decides SFT and PPO |" in page
    assert "seed 32, introductory" in page
    assert "| x 4 | 31 | 20.0, 20.0 | 10.0, 10.0 | 90.0, 90.0 | 1 | sampled, greedy |" in page
    assert "1 of 3 runs went back" in page
    assert "without a result: seeds-seed33-x1-arm0 (1 x)" in page
    assert "| as it is | x 2 | 70.0 | 80.0 | 7.00 |" in page
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
