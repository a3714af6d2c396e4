"""IRCoCo: rewards that telescope, padding that earns nothing, and an evaluator that learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, tensor

import codegym
from agents.advantages import Advantages
from agents.methods import ircoco
from agents.methods.ircoco import IRCoCo, differences
from agents.methods.testing_ground import TestingGround
from agents.rewards import outcome_reward
from agents.scoring import Scored
from codegym.errors import ConfigurationError
from tests.agents.methods.conftest import TINY, make, run_and_resume

GROUND = TestingGround()
SMALL = ircoco.Args(**TINY, start="uniform", warmup_updates=1, learning_rate=1e-2)


@pytest.fixture
def trainer(grader: codegym.Grader, tmp_path: Path) -> Iterator[IRCoCo]:
    yield from make(IRCoCo, SMALL, grader, tmp_path)


def _expected(known: Scored) -> Tensor:
    """What is truly expected after each token, from the values before the next one."""
    after = torch.cat([known.values[:, 1:], known.sequences.reward[:, None]], dim=1)
    after[:, 3] = known.values[:, 4]
    return after


def test_rewards_add_up_to_what_the_evaluator_changed_its_mind_by() -> None:
    """Sixteenths, whose sums are exact: to the last bit, whatever the evaluator says."""
    known = GROUND.outcomes().known
    generator = torch.Generator().manual_seed(0)
    expected = torch.randint(-16, 17, (16, 12), generator=generator) / 16
    paid = differences(expected, known)
    assert torch.equal(paid.sum(1), expected[:, 10] - expected[:, 3])
    assert torch.equal(paid[:, 11], torch.zeros(16)), "the end token is paid nothing"
    cut = known._replace(
        sequences=known.sequences._replace(truncated=torch.ones(16, dtype=torch.bool))
    )
    assert torch.equal(differences(expected, cut).sum(1), expected[:, 11] - expected[:, 3])
    assert not paid[:, :4].any()


def test_padding_earns_nothing() -> None:
    """A level of 1 for every good token pays longer programs more; a difference does not."""
    known = GROUND.outcomes().known
    short = tensor([[0.0, 0.0, 0.0, 0.25, 0.25, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    one = known._replace(generated=known.generated[:1], sequences=known.sequences._replace(
        length=tensor([12]), truncated=tensor([False])))  # fmt: skip
    paid = differences(short, one)[0].tolist()
    assert paid == [0.0] * 5 + [0.75] + [0.0] * 6


def test_with_a_true_evaluator_the_gradient_is_the_true_one() -> None:
    outcomes = GROUND.outcomes()

    def estimate(rewards: Tensor, known: Scored) -> Advantages:
        paid = differences(_expected(known), known)
        return Advantages(paid, paid)

    signal = GROUND.signal(outcomes, estimate)
    assert signal.gradient.tolist() == pytest.approx(GROUND.gradient.tolist(), abs=1e-6)
    assert signal.snr > 0.4


def test_the_advantages_are_the_rewards_over_their_root_mean_square(
    trainer: IRCoCo, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = GROUND.outcomes().known
    starts: list[int] = []

    def read(sequences: Any, _: int) -> Tensor:
        starts.extend(sequences.start_length.tolist())
        return _expected(known)[..., None]

    monkeypatch.setattr(trainer.evaluator, "read", read)
    advantages = trainer.estimate(outcome_reward()(known), known).advantages
    assert set(starts) == {3}
    assert float(advantages[known.generated].square().mean()) == pytest.approx(1.0, rel=1e-4)
    ratio = advantages / differences(_expected(known), known)
    assert float(ratio.nan_to_num(0.0).max()) > 0.0
    assert float(ratio.nan_to_num(0.0).min()) >= 0.0


def test_the_evaluator_learns_the_score_of_a_program(trainer: IRCoCo) -> None:
    """The score is 1 where the first token is even: nothing is known before, all after it."""
    played = trainer.collect().sequences
    first = torch.arange(len(played.reward))
    ids = played.input_ids.clone()
    ids[first, played.start_length] = 10 + first % 2
    reward = (first % 2 == 0).float()
    played = played._replace(input_ids=ids, reward=reward, verdict=("accepted",) * len(first))
    columns = torch.arange(ids.shape[1])
    generated = (columns >= played.start_length[:, None]) & (columns < played.length[:, None])
    zeros = torch.zeros(ids.shape)
    known = Scored(played, generated, zeros, zeros, zeros)
    errors = [trainer.after(known)["ircoco/evaluator_error"] for _ in range(60)]
    assert errors[0] == pytest.approx(0.5, abs=0.1), "it says 0, so the mean square of the score"
    assert errors[-1] < 0.15
    assert trainer.after(known)["ircoco/variance"] == pytest.approx(0.25)
    expected = trainer.evaluator.read(played, 2048)[first, played.start_length, 0]
    assert float(expected[reward == 1].min()) > float(expected[reward == 0].max())


def test_while_it_warms_up_the_policy_stays_as_it_is(trainer: IRCoCo) -> None:
    before = [p.clone() for p in trainer.policy.parameters()]
    assert "loss/policy" not in trainer.iterate()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.policy.parameters(), strict=True))
    assert "loss/policy" in trainer.iterate()
    assert not all(
        torch.equal(a, b) for a, b in zip(before, trainer.policy.parameters(), strict=True)
    )


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    trainer, scalars = run_and_resume(IRCoCo, SMALL, grader, tmp_path)
    assert all(row["ircoco/evaluator_error"] >= 0.0 for row in scalars)
    assert trainer.critic is None


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="evaluator_steps must be finite and at least 1"):
        ircoco.Args(evaluator_steps=0)
