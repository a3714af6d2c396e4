"""ProRL: the clip by hand, which groups are learned from, and what a reset leaves."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import tensor

import codegym
from agents.losses import LossInput
from agents.methods import prorl
from agents.methods.prorl import ProRL, informative_rows
from agents.methods.testing_ground import TestingGround
from agents.rewards import outcome_reward
from agents.rollout import Rollout, RolloutCost
from agents.sequences import Sequences, take
from agents.telemetry import RunLogger, read_scalars
from codegym.errors import ConfigurationError
from tests.agents.methods.conftest import TINY

GROUND = TestingGround()
SMALL = {**TINY, "group": 4}


def _make(grader: codegym.Grader, folder: Path, **changes: Any) -> ProRL:
    args = prorl.Args(**{**SMALL, "out": folder, **changes})
    return ProRL.make(args, grader=grader, logger=RunLogger(folder, quiet=True))


@pytest.fixture
def trainer(grader: codegym.Grader, tmp_path: Path) -> Any:
    made = _make(grader, tmp_path)
    yield made
    made.close()
    made.logger.close()


def test_the_clip_is_wider_above_one(trainer: ProRL) -> None:
    """Ratios 1.6 and 0.5 with advantages 1 and -1: min(1.6, 1.4) and min(-0.5, -0.8)."""
    ratio = tensor([[1.6, 0.5, 1.3, 0.7]])
    advantages = tensor([[1.0, -1.0, 1.0, -1.0]])
    mask, count = torch.ones(1, 4).bool(), tensor(4)
    group = LossInput(
        logprobs=ratio.log().requires_grad_(),
        old_logprobs=torch.zeros(1, 4),
        reference_logprobs=ratio.log(),
        advantages=advantages,
        mask=mask,
        generated=mask,
        mask_count=count,
        generated_count=count,
    )
    loss, stats = trainer.loss(group)
    assert float(loss.detach()) == pytest.approx(-(1.4 - 0.8 + 1.3 - 0.8) / 4)
    assert float(stats["policy/clip_fraction"]) == pytest.approx(3 / 4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert group.logprobs.grad is not None
    assert group.logprobs.grad[0].tolist() == pytest.approx([0.0, 0.0, -1.3 / 4, 0.0])


def test_an_advantage_is_relative_to_the_group(trainer: ProRL) -> None:
    """Rewards 1 and -.3 in a group of two: one standard deviation above and below its mean."""
    known = GROUND.outcomes(group_size=2).known
    advantages = trainer.estimate(outcome_reward()(known), known).advantages
    solved = known.sequences.solved.view(-1, 2)
    expected = (solved.float() - solved.flip(1).float()).flatten()
    assert torch.allclose(advantages[:, 4], expected, atol=1e-4)
    assert torch.equal(advantages[:, 4:], advantages[:, 4:5].expand(-1, 8))


def test_the_gradient_points_the_right_way(trainer: ProRL) -> None:
    outcomes = GROUND.outcomes(group_size=3)
    assert GROUND.signal(outcomes, trainer.estimate, trainer.mask).cosine > 0.999


def _rounds(trainer: ProRL, groups: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets each round play the next two groups of four of the ground's 16 programs."""
    parts: list[int] = []
    known = GROUND.outcomes().known

    def play(part: int) -> Rollout:
        rows = [row for group in groups[2 * len(parts) : 2 * len(parts) + 2] for row in group]
        parts.append(part)
        sequences = take(known.sequences, tensor(rows))
        return Rollout(sequences._replace(group=torch.arange(8) // 4), RolloutCost(tokens=64))

    monkeypatch.setattr(trainer, "play", play)
    return parts


SAME, MIXED = [5, 6, 7, 8], [0, 1, 2, 3]  # the program in row 0 is the right one


@pytest.mark.parametrize(
    ("groups", "rounds", "kept"),
    [
        ([MIXED, MIXED, SAME, SAME, SAME, SAME], 1, 2),
        ([SAME, MIXED, MIXED, SAME, SAME, SAME], 2, 2),
        ([SAME, MIXED, SAME, SAME, SAME, SAME], 3, 1),
        ([SAME, SAME, SAME, SAME, MIXED, MIXED], 3, 2),
        ([SAME, SAME, SAME, MIXED, MIXED, MIXED], 3, 2),
    ],
)
def test_groups_without_variance_are_replaced(
    trainer: ProRL,
    groups: list[list[int]],
    rounds: int,
    kept: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = _rounds(trainer, groups, monkeypatch)
    rollout = trainer.collect()
    assert len(set(parts)) == len(parts) == rounds
    assert rollout.cost.tokens == 64 * rounds
    assert rollout.sequences.group.tolist() == [g for g in range(2 * rounds) for _ in range(4)]
    chosen = trainer.choose(rollout.sequences)
    assert chosen is not None
    assert len(chosen.reward) == 4 * kept
    for group in set(chosen.group.tolist()):
        assert len(set(chosen.reward[chosen.group == group].tolist())) == 2


def test_without_a_group_to_learn_from_nothing_is_learned(
    trainer: ProRL, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rounds(trainer, [SAME] * 6, monkeypatch)
    assert trainer.choose(trainer.collect().sequences) is None
    monkeypatch.undo()
    monkeypatch.setattr(trainer, "choose", lambda _: None)
    before = {name: weight.clone() for name, weight in trainer.policy.state_dict().items()}
    metrics = trainer.iterate()
    assert "loss/policy" not in metrics
    assert {"rollout/solved", "kl/reference_k1"} <= metrics.keys()
    assert trainer.iteration == 1
    for name, weight in trainer.policy.state_dict().items():
        assert torch.equal(weight, before[name])


def test_an_episode_without_a_verdict_is_of_no_group() -> None:
    known = GROUND.outcomes().known
    played = take(known.sequences, tensor([0, 1, 2, 5, 6, 7]))
    played = played._replace(
        group=tensor([0, 0, 0, 1, 1, 1]),
        verdict=("accepted", "judge_error", *["wrong_answer"] * 3, "judge_error"),
        reward=tensor([1.0, 0.0, -0.3, -0.3, -0.3, 0.0]),
    )
    assert informative_rows(played).tolist() == [0, 2]


def _varied(trainer: ProRL, played: Sequences) -> Sequences:
    """Rewards that differ within each group: an untrained policy passes nothing."""
    reward = (torch.arange(len(played.reward)) % 2).float()
    return played._replace(reward=reward, outcome=reward)


def test_after_a_reset_the_distance_is_zero_and_the_optimiser_new(
    grader: codegym.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _make(grader, tmp_path, reset_every=2, reset_kl=None, learning_rate=1e-2)
    monkeypatch.setattr(trainer, "choose", lambda played: _varied(trainer, played))
    found = [trainer.iterate() for _ in range(4)]
    trainer.close()
    trainer.logger.close()
    assert [row["prorl/resets"] for row in found] == [0, 1, 1, 2]
    kl = [row["kl/reference_k3"] for row in found]
    assert kl[0] == pytest.approx(0.0, abs=1e-7)
    assert kl[1] > 1e-5
    assert kl[2] == pytest.approx(0.0, abs=1e-7)
    assert kl[3] > 1e-5
    assert not trainer.optimizer.state


def test_a_large_distance_resets_early(
    grader: codegym.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _make(grader, tmp_path, reset_every=0, reset_kl=1e-6, learning_rate=1e-2)
    monkeypatch.setattr(trainer, "choose", lambda played: _varied(trainer, played))
    resets = [trainer.iterate()["prorl/resets"] for _ in range(6)]
    trainer.close()
    trainer.logger.close()
    assert resets[0] == 0
    assert resets[-1] >= 1


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    whole = prorl.Args(**SMALL, iterations=3, reset_every=2, checkpoint_every=1, out=tmp_path / "a")
    folder = whole.out / "checkpoints" / "000001"
    part = dataclasses.replace(whole, out=tmp_path / "b", resume=folder)
    weights = []
    for args in (whole, part):
        with RunLogger(args.out, quiet=True) as logger:
            trainer = ProRL.make(args, grader=grader, logger=logger)
            try:
                trainer.train()
            finally:
                trainer.close()
        assert trainer.method_state() == {"since": 1, "resets": 1}
        weights.append([p.clone() for p in trainer.policy.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    assert len(read_scalars(whole.out)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": 1}, "needs others"),
        ({"group": 3}, "group must divide num_envs, got 3 and 8"),
        ({"episodes": 10}, "group must divide episodes, got 4 and 10"),
        ({"most_rounds": 0}, "most_rounds must be 1 or more"),
        ({"clip_high": 0.0}, "clip_high must be finite and above 0"),
        ({"reset_kl": float("nan")}, "reset_kl must be finite and above 0, or None"),
    ],
)
def test_what_has_no_meaning_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        prorl.Args(**{**SMALL, **change})
