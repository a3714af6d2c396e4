"""TP-GRPO: how lines become thoughts, what a thought is worth, and when it counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, tensor

import codegym
from agents.advantages import Advantages, group_baseline
from agents.environments import make_tokenizer
from agents.methods import tp_grpo
from agents.methods.testing_ground import TestingGround
from agents.methods.tp_grpo import TPGRPO, line_signs, thought_advantages, thought_starts
from agents.models import make_policy
from agents.prm.lines import vocabulary_hash
from agents.prm.model import ProcessRewardModel
from agents.rewards import outcome_reward
from agents.scoring import Scored
from agents.sequences import take
from codegym.errors import ConfigurationError
from tests.agents.methods.conftest import TINY, make, run_and_resume

GROUND = TestingGround()
KNOWN = GROUND.outcomes().known


def _known(rows: list[int], group: list[int]) -> Scored:
    sequences = take(KNOWN.sequences, tensor(rows))._replace(group=tensor(group))
    return KNOWN._replace(sequences=sequences, generated=KNOWN.generated[rows])


def test_contiguous_right_or_wrong_lines_are_one_thought() -> None:
    """`+ + - - +`, and only a line's last token is asked; the end token goes with the last line."""
    known = _known([5], [0])
    lines = tensor([[0, 0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5]])
    scores = tensor([[9.0, 9, 9, 9, -9, 0.2, 0.4, 9, -0.1, -0.7, 0.3, -9]])
    signs = line_signs(lines, scores, known)
    assert signs[0].tolist() == [0, 0, 0, 0, 1, 1, 1, -1, -1, -1, 1, 1]
    assert thought_starts(signs)[0].nonzero().flatten().tolist() == [4, 7, 10]
    cut = known._replace(sequences=known.sequences._replace(truncated=tensor([True])))
    assert line_signs(lines, scores, cut)[0].tolist()[-2:] == [-1, -1], "it is no end token"


def test_splitting_a_line_changes_nothing() -> None:
    known = _known([5, 6], [0, 0])
    lines = tensor([[0] * 4 + [1, 1, 2, 2, 3, 3, 3, 3]]).expand(2, -1)
    split = tensor([[0] * 4 + [1, 2, 3, 3, 4, 4, 5, 5]]).expand(2, -1)
    scores = tensor([[0.0] * 4 + [1.0] * 4 + [-1.0] * 4, [0.0] * 4 + [-1.0] * 8])
    found = [
        thought_advantages(line_signs(each, scores, known), known, 0.5) for each in (lines, split)
    ]
    assert torch.equal(*found)
    assert found[0].abs().sum() > 0.0


def test_a_thought_is_relative_to_the_groups_thoughts() -> None:
    """Thoughts + - and -: mean -1/3, standard deviation sqrt(8/9); half weight where half pass."""
    signs = tensor([[0.0] * 4 + [1.0] * 6 + [-1.0] * 2, [0.0] * 4 + [-1.0] * 8])
    known = _known([0, 5], [7, 7])
    assert known.sequences.solved.tolist() == [True, False]
    found = thought_advantages(signs, known, 0.5)
    deviation = (8 / 9) ** 0.5
    right, wrong = 0.25 * (4 / 3) / deviation, 0.25 * (-2 / 3) / deviation
    assert found[0].tolist() == pytest.approx([0.0] * 4 + [right] * 6 + [wrong] * 2, abs=1e-5)
    assert found[1].tolist() == pytest.approx([0.0] * 4 + [wrong] * 8, abs=1e-5)
    failing = thought_advantages(signs, _known([5, 6], [7, 7]), 0.5)
    assert torch.allclose(failing, 2.0 * found)
    passing = thought_advantages(signs, _known([0, 0], [7, 7]), 0.5)
    assert not passing.any(), "a group that passes is taught by the outcome alone"
    alike = thought_advantages(signs[1:], _known([5], [7]), 0.5)
    assert alike.abs().max() < 1e-6


def test_the_gradient_points_the_right_way_and_has_less_noise_than_grpo() -> None:
    """The judge knows which clause is right, and all behind a wrong one are wrong."""
    outcomes = GROUND.outcomes(group_size=3)
    lines = tensor([[0] * 4 + [1, 1, 2, 2, 3, 3, 4, 4]])

    def estimate(rewards: Tensor, known: Scored) -> Advantages:
        # Executed clauses are those up to the first wrong one, whose successors are -0.3's.
        scores = torch.cat([known.values[:, 1:], known.sequences.reward[:, None]], dim=1) + 0.29
        signs = line_signs(lines.expand(len(rewards), -1), scores, known)
        outcome, returns = group_baseline()(rewards, known)
        return Advantages(outcome + thought_advantages(signs, known, 0.5), returns)

    grpo = GROUND.signal(outcomes, group_baseline())
    mine = GROUND.signal(outcomes, estimate)
    assert mine.cosine > 0.9
    assert mine.snr > grpo.snr


def _args(folder: Path) -> tp_grpo.Args:
    """Settings with a judge that was saved by an untrained policy, with a head that says much."""
    tokenizer = make_tokenizer("mini")
    args = tp_grpo.Args(**TINY, group=4)
    policy = make_policy(args, vocab_size=tokenizer.vocab_size, seed=1)
    judge = ProcessRewardModel.from_policy(policy, vocabulary=vocabulary_hash(tokenizer))
    torch.nn.init.normal_(judge.head.weight, generator=torch.Generator().manual_seed(0))
    judge.save_pretrained(folder / "prm")
    return dataclasses.replace(args, reward_model=folder / "prm")


def test_an_advantage_is_the_outcomes_and_the_thoughts(
    grader: codegym.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _known([0, 5], [0, 0])
    lines = tensor([[0] * 4 + [1, 1, 2, 2, 3, 3, 4, 4]]).expand(2, -1)
    judged: Any = tensor([[1.0] * 12, [1.0] * 6 + [-1.0] * 6])
    for trainer in make(TPGRPO, _args(tmp_path), grader, tmp_path / "run"):
        monkeypatch.setattr(trainer, "_lines", lambda _: lines)
        monkeypatch.setattr(trainer, "_judge", lambda ids: judged[: len(ids)])
        rewards = outcome_reward()(known)
        advantages = trainer.estimate(rewards, known).advantages
        # Thoughts + and + -: mean 1/3, deviation sqrt(8/9); weight .5 * .5.
        deviation = (8 / 9) ** 0.5
        right, wrong = 0.25 * (2 / 3) / deviation, 0.25 * (-4 / 3) / deviation
        assert advantages[0, 4:].tolist() == pytest.approx([1.0 + right] * 8, abs=1e-4)
        expected = [right - 1.0] * 2 + [wrong - 1.0] * 6
        assert advantages[1, 4:].tolist() == pytest.approx(expected, abs=1e-4)
        assert trainer.after(known) == {"tp_grpo/thoughts": 1.5}


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    _, scalars = run_and_resume(TPGRPO, _args(tmp_path), grader, tmp_path)
    assert all(row["tp_grpo/thoughts"] >= 1.0 for row in scalars)


def test_without_a_judge_there_is_no_method(grader: codegym.Grader, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs a process reward model"):
        next(make(TPGRPO, tp_grpo.Args(**TINY, group=4), grader, tmp_path))
    with pytest.raises(ConfigurationError, match="dense_weight must be finite and at least 0"):
        tp_grpo.Args(**TINY, group=4, dense_weight=-1.0)
