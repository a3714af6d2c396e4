"""What is counted by hand of the testing ground, and that estimators are told apart on it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agents import masks
from agents.advantages import Advantages, gae, group_baseline, state_values
from agents.methods.testing_ground import TestingGround
from agents.scoring import Scored

GROUND = TestingGround()


def test_values_are_those_of_dynamic_programming() -> None:
    """Half the programs get the first clause right, .168 all of them: V = .168 - .3 * .832."""
    assert GROUND.pass_rate([]) == pytest.approx(0.5 * 0.6 * 0.7 * 0.8)
    assert GROUND.pass_rate([True, True]) == pytest.approx(0.56)
    assert GROUND.pass_rate([True, False]) == 0.0
    outcomes = GROUND.outcomes()
    assert len(outcomes.weight) == 16
    assert float(outcomes.weight.sum()) == pytest.approx(1.0)
    known = outcomes.known
    row = known.sequences.input_ids.tolist().index([1, 2, 2, 1, 1, 3, 2, 3, 1, 3, 1, 3])
    wrong_in_the_third = known.values[row, 4:].tolist()
    after = [p - 0.3 * (1.0 - p) for p in (0.168, 0.336, 0.56, 0.0)]
    assert wrong_in_the_third == pytest.approx(
        [after[0], after[1], after[1], after[2], after[2], -0.3, -0.3, -0.3]
    )
    assert known.sequences.loss_mask[row].tolist() == [False] * 4 + [True] * 6 + [False] * 2
    assert float(outcomes.weight[row]) == pytest.approx(0.5 * 0.6 * 0.3 * 0.8)
    mean = outcomes.weight @ known.sequences.reward.double()
    assert float(mean) == pytest.approx(after[0], abs=1e-6)


def _reward(rewards: Tensor, known: Scored) -> Advantages:
    total = rewards.sum(1, keepdim=True) * known.generated
    return Advantages(total, total)


def test_the_noise_of_the_reward_alone_is_as_counted_by_hand() -> None:
    """One clause that matters: g_t = R (a_t - p_t), with R = 1 or 0 as all are right or not."""
    ground = TestingGround(right=(0.5, 1.0, 1.0, 1.0), failure=0.0)
    signal = ground.signal(ground.outcomes(), _reward)
    # g_1 is 1 * .5 or 0 * -.5, each half of the time: mean .25, variance .0625.
    assert signal.gradient.tolist() == pytest.approx([0.25, 0.0, 0.0, 0.0])
    assert [signal.noise, signal.snr] == pytest.approx([0.0625, 1.0])
    pair = ground.signal(ground.outcomes(group_size=2), _reward)
    assert [pair.noise, pair.snr] == pytest.approx([0.0625, 1.0])
    # Less the group's mean, two programs' advantages are .5 and -.5, or 0 and 0.
    baseline = ground.signal(ground.outcomes(group_size=2), group_baseline(scale=False))
    assert baseline.gradient.tolist() == pytest.approx([0.125, 0.0, 0.0, 0.0])
    # The group's estimate is .25 half of the time, else 0; of one episode there is twice the noise.
    assert baseline.noise == pytest.approx(2 * 0.25 * 0.0625)


def test_unbiased_estimators_have_the_true_gradient() -> None:
    outcomes = GROUND.outcomes()
    near = pytest.approx(GROUND.gradient.tolist(), abs=1e-6)
    for estimate in (_reward, gae(whitened=False), gae(lam=0.0, whitened=False)):
        assert GROUND.signal(outcomes, estimate).gradient.tolist() == near
    values = GROUND.clause_values(outcomes)
    assert GROUND.signal(outcomes, state_values(values)).gradient.tolist() == near


def test_better_credit_has_less_noise() -> None:
    """What StepCoder's mask and a value of each line are for, without a single training step."""
    outcomes = GROUND.outcomes()
    alone = GROUND.signal(outcomes, _reward).snr
    executed = GROUND.signal(outcomes, _reward, masks.executed).snr
    lines = GROUND.signal(outcomes, state_values(GROUND.clause_values(outcomes))).snr
    assert alone * 1.2 < executed < lines / 1.2


def test_a_wrong_sign_is_seen() -> None:
    def wrong(rewards: Tensor, known: Scored) -> Advantages:
        return gae(whitened=False)(-rewards, known._replace(values=torch.zeros_like(rewards)))

    assert GROUND.signal(GROUND.outcomes(), wrong).cosine == pytest.approx(-1.0)
