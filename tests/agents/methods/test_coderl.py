"""CodeRL: weights by hand, what the classifier learns, the anchor, and critic sampling."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, tensor

import codegym
from agents.methods import coderl
from agents.methods.coderl import CodeRL, outcome_logits, outcomes, token_weights
from agents.methods.critic_sampling import best_rows, cut, pass_rates
from agents.methods.testing_ground import TestingGround
from agents.methods.token_reader import TokenReader
from agents.policy import CausalLMPolicy
from agents.rewards import outcome_reward
from agents.rollout import play
from agents.sequences import Sequences, take
from codegym.errors import ConfigurationError
from tests.agents.fake_env import VOCAB, CopyEnv
from tests.agents.methods.conftest import TINY, make, run_and_resume

GROUND = TestingGround()
SMALL = coderl.Args(**TINY, start="uniform")


@pytest.fixture
def trainer(grader: codegym.Grader, tmp_path: Path) -> Iterator[CodeRL]:
    yield from make(CodeRL, SMALL, grader, tmp_path)


def _reader() -> TokenReader:
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2).eval()
    return TokenReader(policy, 4, learning_rate=1e-2)


def test_a_token_has_the_probability_of_the_true_outcome() -> None:
    """Logits log 1, log 2, log 3, log 4: probabilities .1, .2, .3, .4."""
    logits = tensor([1.0, 2.0, 3.0, 4.0]).log().expand(4, 2, 4)
    weights = token_weights(logits, tensor([0, 1, 2, 3]))
    assert weights.tolist() == [pytest.approx([p, p]) for p in (0.1, 0.2, 0.3, 0.4)]


def test_outcomes_are_the_four_of_the_paper() -> None:
    words = ("accepted", "wrong_answer", "runtime_error", "time_limit", "compile_error")
    sequences = take(GROUND.outcomes().known.sequences, torch.arange(5))._replace(verdict=words)
    assert outcomes(sequences).tolist() == [3, 2, 1, 1, 0]


def test_the_outcome_is_foretold_by_the_maximum_over_the_program() -> None:
    logits = tensor([[[9.0] * 4, [1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 1.0, 0.0], [9.0] * 4]])
    generated = tensor([[False, True, True, False]])
    assert outcome_logits(logits, generated).tolist() == [[1.0, 3.0, 2.0, 0.0]]


def test_an_advantage_is_weighed_and_relative_to_the_baseline(
    trainer: CodeRL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reward 1, greedy -.6: 1.6 times .4 at one token, times .25 at the others."""
    known = GROUND.outcomes().known
    logits = torch.zeros(16, 12, 4)
    logits[:, 5] = tensor([1.0, 2.0, 3.0, 4.0]).log()
    monkeypatch.setattr(trainer.classifier, "read", lambda *_: logits)
    monkeypatch.setattr(trainer, "greedy", lambda played: torch.full((len(played.reward),), -0.6))
    advantages = trainer.estimate(outcome_reward()(known), known).advantages
    row = int(known.sequences.solved.nonzero())
    assert advantages[row].tolist() == pytest.approx([0.0] * 4 + [0.4, 0.64] + [0.4] * 6)
    other = 5  # a wrong answer: -.3 + .6 = .3, times .3 at that token
    assert float(advantages[other, 5]) == pytest.approx(0.09)


def test_with_equal_weights_it_is_reinforce(
    trainer: CodeRL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A classifier that knows nothing says 1/4 everywhere: a quarter of the true gradient."""
    monkeypatch.setattr(trainer.classifier, "read", lambda s, _: torch.zeros(*s.input_ids.shape, 4))
    monkeypatch.setattr(trainer, "greedy", lambda played: torch.zeros_like(played.reward))
    signal = GROUND.signal(GROUND.outcomes(), trainer.estimate, trainer.mask)
    near = pytest.approx((GROUND.gradient / 4).tolist(), abs=1e-6)
    assert signal.gradient.tolist() == near


def test_the_classifier_learns_what_it_can_read() -> None:
    """Whether the program is its prompt's first token and the end stands in the tokens."""
    reader, env = _reader(), CopyEnv(128, max_new_tokens=2)
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2).eval()
    sequences = play(policy, env, episodes=128, seed=0).sequences
    first = torch.arange(128)
    # Every second program is a right one.
    ids = sequences.input_ids.clone()
    start = sequences.start_length
    ids[first, start] = torch.where(first % 2 == 0, ids[:, 0], ids[:, 0] % 10 + 1)
    words = tuple("accepted" if i % 2 == 0 else "runtime_error" for i in range(128))
    sequences = sequences._replace(input_ids=ids, length=start + 1, verdict=words)
    generated = torch.arange(ids.shape[1]) == start[:, None]
    true = outcomes(sequences)

    def losses() -> tuple[Tensor, float]:
        said = outcome_logits(reader(ids, start, start + 1), generated)
        loss = torch.nn.functional.cross_entropy(said, true)
        return loss, float((said.argmax(1) == true).float().mean())

    first_loss, _ = losses()
    assert float(first_loss.detach()) == pytest.approx(math.log(4.0))
    for _ in range(150):
        reader.step(losses()[0])
    assert losses()[1] > 0.9
    other = _reader()
    other.restore(reader.saved())
    assert torch.equal(other.read(sequences, 64), reader.read(sequences, 2048)) or torch.allclose(
        other.read(sequences, 64), reader.read(sequences, 2048), atol=1e-4
    )


def test_a_token_knows_nothing_of_later_ones() -> None:
    reader = _reader()
    torch.nn.init.normal_(reader.head.weight)
    ids, start, length = tensor([[1, 2, 3, 4, 5]]), tensor([2]), tensor([5])
    one = reader(ids, start, length)
    other = reader(tensor([[1, 2, 3, 9, 5]]), start, length)
    assert torch.allclose(one[0, 2], other[0, 2], atol=1e-6)
    assert not torch.allclose(one[0, 3], other[0, 3], atol=1e-3), "but it has read its own"
    assert one[0, :2].abs().sum() == 0.0


def test_the_policy_is_not_the_classifiers(trainer: CodeRL) -> None:
    mine = {id(p) for p in trainer.policy.parameters()}
    assert not mine & {id(p) for p in trainer.classifier.parameters()}


def _two_groups() -> tuple[Tensor, Sequences]:
    sequences = take(GROUND.outcomes().known.sequences, tensor([5, 6, 7, 8]))
    logits = torch.zeros(4, 12, 4)
    logits[1, 6, 3], logits[2, 8, 3], logits[3, 11, 3] = 2.0, 1.0, 3.0
    return logits, sequences._replace(group=tensor([0, 0, 1, 1]))


def test_critic_sampling_takes_the_best_of_each_group_and_cuts_it() -> None:
    logits, sequences = _two_groups()
    known = GROUND.outcomes().known._replace(
        sequences=sequences, generated=GROUND.outcomes().known.generated[:4]
    )
    assert best_rows(logits, known) == [1, 3]
    prefix = cut(logits, sequences, 1)
    assert list(prefix.tokens) == sequences.input_ids[1, 4:7].tolist()
    assert len(cut(logits, sequences, 2).tokens) == 5
    assert len(cut(logits, sequences, 3).tokens) == 1, "the last token does not count"
    short = sequences._replace(length=sequences.start_length + 1)
    assert cut(logits, short, 0).tokens == ()


def test_critic_sampling_tells_what_it_is_worth() -> None:
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2).eval()
    rates = pass_rates(policy, _reader(), CopyEnv(32, max_new_tokens=2), samples=4, seed=0)
    assert rates.keys() == {"one", "chosen", "refined", "any"}
    assert 0.0 <= rates["chosen"] <= rates["any"] <= 1.0
    assert rates["one"] <= rates["any"]


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    trainer, scalars = run_and_resume(CodeRL, SMALL, grader, tmp_path)
    assert scalars[0]["coderl/classifier_loss"] == pytest.approx(math.log(4.0))
    assert all(0.0 <= row["coderl/classifier_accuracy"] <= 1.0 for row in scalars)
    assert all(row["loss/anchor"] > 0.0 for row in scalars)
    assert trainer.critic is None


def test_the_anchor_can_be_left_out(grader: codegym.Grader, tmp_path: Path) -> None:
    args: Any = dataclasses.replace(SMALL, imitation=0.0)
    for trainer in make(CodeRL, args, grader, tmp_path):
        assert "loss/anchor" not in trainer.iterate()


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="imitation must be finite and at least 0"):
        coderl.Args(imitation=-0.1)
