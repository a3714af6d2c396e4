from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from agents import ppo
from benchmarks import fgo_learning
from benchmarks.fgo_learning import Args, reinforce
from benchmarks.fgo_learning_report import ARMS, draw, lines
from benchmarks.learning_curves import mean_over_run
from benchmarks.token_budget import Done


def _curve(*rates: float) -> list[dict[str, float]]:
    return [
        {
            "tokens": 1000.0 * k,
            "iteration": k,
            "sampled": rate,
            "greedy": rate / 2,
            "policy/executed_share": 0.75,
        }
        for k, rate in enumerate(rates)
    ]


def test_arms_differ_by_tests_and_mask_alone_and_are_judged_by_all_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[ppo.Args, int]] = []

    def noted(_: Any, settings: ppo.Args, test: Any, **budget: Any) -> Done:
        assert budget["tokens"] == 5000
        seen.append((settings, min(len(problem.tests) for problem in test)))
        return Done(curve=_curve(0.1, 0.2))

    monkeypatch.setattr(fgo_learning, "run_to_budget", noted)
    args = Args(tokens=5000, problems=4, test_per_level=2, runs=tmp_path)
    for arm in ARMS:
        assert reinforce(args, arm, 7)["arm"] == arm
    assert [(one.tests, one.fgo) for one, _ in seen] == [
        (1, False),
        (1, True),
        (3, False),
        (3, True),
    ]
    same = {str(dataclasses.replace(one, tests=None, fgo=True, out=tmp_path)) for one, _ in seen}
    assert len(same) == 1
    assert len({one.out for one, _ in seen}) == len(ARMS)
    assert min(tests for _, tests in seen) > 3


def test_differences_are_of_the_mask_and_by_seed() -> None:
    def row(arm: str, seed: int, *rates: float) -> dict[str, Any]:
        return {"arm": arm, "seed": seed, "curve": _curve(*rates)}

    rows = [
        row("1 test, no mask", 1, 0.1, 0.2, 0.2),
        row("1 test, no mask", 2, 0.1, 0.4, 0.6),
        row("1 test, FGO", 1, 0.1, 0.3, 0.3),
        row("1 test, FGO", 2, 0.1, 0.5, 0.7),
        row("3 tests, FGO", 1, 0.1, 0.5, 0.7),
    ]
    results = {
        "command": "python -m benchmarks.fgo_learning",
        "machine": {"cpus": 2},
        "arguments": dataclasses.asdict(Args(tokens=2000, seeds=(1, 2))),
        "rows": rows,
        "starts": 6,
    }
    text = "\n".join(lines(results))
    # 10 points more half way and at the end; as the first tenth is shared, 7.5 over the run.
    points = "+10.0 ± 0.0 | +5.0 ± 0.0 | +10.0 ± 0.0 | +5.0 ± 0.0 | +7.5 ± 0.0 | +3.8 ± 0.0 |"
    assert f"| 1 test, FGO - 1 test, no mask | 2 | {points}" in text
    assert "3 tests, FGO - 3 tests, no mask" not in text, "there is no run to pair it with"
    assert "| 3 tests, FGO - 1 test, FGO | 1 | +40.0 |" in text
    assert "| budget | 2,000 generated tokens a run |" in text
    assert "| seeds | 1, 2 |" in text
    assert "6 runs were started, 5 are shown." in text
    assert len(draw(results).axes) == 2


def test_the_mean_over_a_run_weighs_by_tokens() -> None:
    curve = [{"tokens": 0.0, "sampled": 0.0}, {"tokens": 1.0, "sampled": 1.0}]
    assert mean_over_run(curve) == pytest.approx(0.5)
    assert mean_over_run([*curve, {"tokens": 4.0, "sampled": 1.0}]) == pytest.approx(3.5 / 4)
