"""Soft Q-learning: errors by hand, and optima that dynamic programming knows."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, tensor

import codegym
from agents.methods import soft_q
from agents.methods.path_consistency import SoftValues, errors, read, rest, soft_values
from agents.methods.soft_q import SoftQ
from agents.methods.testing_ground import TestingGround
from agents.rewards import outcome_reward
from agents.scoring import Scored, scored
from agents.sequences import take
from codegym.errors import ConfigurationError
from tests.agents.methods.conftest import TINY, make, run_and_resume

GROUND = TestingGround()
SMALL: dict[str, Any] = {**TINY, "start": "uniform", "replayed": 4, "most_age": 1}


def _codes(sequences: Tensor) -> Tensor:
    """(B, T) int64: a number for each prefix, another one for each other prefix."""
    codes, code = [], torch.zeros(len(sequences), dtype=torch.int64)
    for column in sequences.unbind(1):
        code = 5 * code + column + 1
        codes.append(code)
    return torch.stack(codes, dim=1)


class _Table(nn.Module):
    """Four numbers behind each prefix: logits of any sequences of this tree."""

    shares_prompts = False

    def __init__(self, sequences: Tensor, *, seed: int = 0) -> None:
        super().__init__()
        codes = _codes(sequences)
        self.states: Tensor = codes.unique()  # type: ignore[no-untyped-call]
        generator = torch.Generator().manual_seed(seed)
        self.q = nn.Parameter(torch.randn(len(self.states), 4, generator=generator) / 2)
        # What no sequence does is no action.
        self.allowed = torch.zeros(self.q.shape).bool()
        self.allowed[
            torch.searchsorted(self.states, codes[:, :-1].contiguous()), sequences[:, 1:]
        ] = True

    def forward(self, input_ids: Tensor) -> Tensor:
        index = torch.searchsorted(self.states, _codes(input_ids)).clamp(max=len(self.states) - 1)
        return self.q[index].masked_fill(~self.allowed[index], -1e9)

    def at(self, prefix: tuple[int, ...]) -> Tensor:
        """(4,) float32: log pi."""
        logits: Tensor = self(tensor([prefix]))[0, -1]
        return logits.detach().log_softmax(0)


def _tree() -> tuple[Scored, Tensor]:
    """All programs of three tokens, each 0, 1 or 2, behind a prompt of two; and their rewards."""
    programs = tensor(list(itertools.product(range(3), repeat=3)))
    rows = len(programs)
    one = torch.ones(rows, dtype=torch.int64)
    reward = torch.rand(rows, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
    nothing = torch.zeros(rows, 5)
    sequences = take(GROUND.outcomes().known.sequences, torch.arange(16).repeat(2)[:rows])._replace(
        input_ids=torch.cat([torch.ones(rows, 2, dtype=torch.int64), programs], dim=1),
        start_length=2 * one,
        prompt_length=2 * one,
        length=5 * one,
        loss_mask=nothing.bool(),
        token_rewards=nn.functional.pad(reward[:, None], (4, 0)),
        reward=reward,
        outcome=reward,
    )
    return scored(sequences, nothing), reward


def _optimum(
    sequences: Tensor, worth: Tensor, prior: _Table | None = None
) -> dict[tuple[int, ...], Tensor]:
    """By dynamic programming from the end: log pi of the actions behind each prefix."""
    rewards = {tuple(row): float(w) for row, w in zip(sequences.tolist(), worth, strict=True)}
    values, policy = dict(rewards), dict[tuple[int, ...], Tensor]()
    for t in range(sequences.shape[1] - 1, 1, -1):
        for state in dict.fromkeys(tuple(row[:t]) for row in sequences.tolist()):
            q = tensor([values.get((*state, action), -1e9) for action in range(4)])
            if prior is not None:
                q = q + prior.at(state)
            values[state] = float(q.logsumexp(0))
            policy[state] = q.log_softmax(0)
    return policy


def test_errors_are_as_counted_by_hand() -> None:
    """Two tokens behind a prompt of one, then padding; r = 0 and 2."""
    one = SoftValues(tensor([[0.0, -1.0, -3.0, 0.0]]), tensor([[0.0, 7.0, 8.0, 0.0]]))
    other = SoftValues(tensor([[0.0, 9.0, 9.0, 0.0]]), tensor([[0.0, 0.5, 4.0, 0.0]]))
    single, multi = errors(one, other, tensor([[0.0, 0.0, 2.0, 0.0]]))
    # -1 - (0 + 4 - .5), and at the end, where V is 0, -3 - (2 + 0 - 4).
    assert single[0, 1:3].tolist() == [-4.5, -1.0]
    # -1 - 3 - (2 - .5), and -3 - (2 - 4).
    assert multi[0, 1:3].tolist() == [-5.5, -1.0]
    assert rest(tensor([[1.0, 2.0, 4.0]])).tolist() == [[7.0, 6.0, 4.0]]


def test_logits_are_values() -> None:
    """Q = log 1, log 2 and log 5: V = log 8, and A of the second log 2/8."""
    table = _Table(tensor([[0, 1], [0, 2], [0, 0]]))
    table.q.data[0] = tensor([1.0, 2.0, 5.0, 9.0]).log()
    ids, start, length = tensor([[0, 1, 0]]), tensor([1]), tensor([2])  # the last is padding
    found = soft_values(table, ids, start, length)
    assert found.values[0].tolist() == pytest.approx([0.0, math.log(8), 0.0])
    assert found.advantages[0].tolist() == pytest.approx([0.0, math.log(2 / 8), 0.0])
    warm = soft_values(table, ids, start, length, temperature=0.5)  # squares: 4 of 30
    assert warm.values[0, 1].item() == pytest.approx(math.log(30))
    assert warm.advantages[0, 1].item() == pytest.approx(math.log(4 / 30))
    nothing = found.less(found)
    assert not nothing.values.any()
    assert not nothing.advantages.any()


@pytest.fixture
def trainer(grader: codegym.Grader, tmp_path: Path) -> Iterator[SoftQ]:
    yield from make(SoftQ, soft_q.Args(**SMALL), grader, tmp_path)


def _with_tables(trainer: SoftQ, sequences: Tensor, rate: float, **changes: Any) -> Any:
    """Puts tables in place of the trainer's networks."""
    vars(trainer)["args"] = soft_q.Args(**{**SMALL, "minibatches": 1, **changes})
    made: Any = trainer
    made.policy = _Table(sequences)
    made.target = _Table(sequences)
    made.reference = _Table(sequences, seed=2)
    made.target.requires_grad_(False)
    made.optimizer = torch.optim.Adam(made.policy.parameters(), lr=rate)
    return made


def _learn(trainer: SoftQ, known: Scored, steps: int) -> None:
    for step in range(steps):
        trainer.optimizer.param_groups[0]["lr"] *= 0.99 if step > steps // 2 else 1.0
        advantages = trainer.estimate(outcome_reward()(known), known).advantages
        trainer.update(known, advantages, torch.Generator())
        trainer.after(known)


@pytest.mark.parametrize("prior", ["uniform", "reference"])
def test_what_is_consistent_is_the_optimum_of_dynamic_programming(
    trainer: SoftQ, prior: str
) -> None:
    """Every program equally often, though no policy here writes like that: off-policy."""
    known, reward = _tree()
    ids = known.sequences.input_ids
    made = _with_tables(trainer, ids, 0.05, prior=prior, kl_coefficient=0.5, max_grad_norm=1e3)
    _learn(made, known, 400)
    expected = _optimum(ids, reward / 0.5, made.reference if prior == "reference" else None)
    assert len(expected) == 1 + 3 + 9
    for state, logprobs in expected.items():
        chances = made.policy.at(state).exp().tolist()
        assert chances == pytest.approx(logprobs.exp().tolist(), abs=2e-3), state


def test_without_the_other_direction_the_level_is_never_learned(trainer: SoftQ) -> None:
    """The declared reason of ``direct=0.5``: with one direction, logits keep their sum."""
    known, _ = _tree()
    made = _with_tables(trainer, known.sequences.input_ids, 0.05, prior="uniform", direct=1.0)
    made.optimizer = torch.optim.SGD(made.policy.parameters(), lr=0.1)
    before = made.policy.q.detach().clone()
    _learn(made, known, 20)
    after = made.policy.q.detach()
    assert float((after - before).abs().max()) > 0.1
    assert after.sum(1).tolist() == pytest.approx(before.sum(1).tolist(), abs=1e-4)
    vars(made)["args"] = dataclasses.replace(made.args, direct=0.0)
    _learn(made, known, 20)
    assert float((made.policy.q.detach().sum(1) - before.sum(1)).abs().max()) > 0.1


def test_a_writer_of_other_programs_teaches_the_optimum_of_the_testing_ground(
    trainer: SoftQ,
) -> None:
    """All 16 programs equally often, of which one passes: it gets what the optimum gives it."""
    known = GROUND.outcomes().known
    ids = known.sequences.input_ids
    made = _with_tables(trainer, ids, 0.05, prior="uniform", kl_coefficient=0.5)
    _learn(made, known, 300)
    passing = known.sequences.solved.nonzero()[0]
    found = read(made.policy, take(known.sequences, passing), temperature=1.0, microbatch_tokens=99)
    good, bad = math.exp(1.0 / 0.5), math.exp(GROUND.failure / 0.5)
    expected = good / (good + 15 * bad)  # .47, and 1/16 for the writer
    assert float(found.advantages.sum().exp()) == pytest.approx(expected, abs=0.01)


def test_a_gradient_by_hand(trainer: SoftQ) -> None:
    """One token, two actions, R / beta = 2; of the target network pi = 1/4 and V = log 4.

    The policy has Q = (0, 0), so A = log 1/2 and V = log 2. The two errors are the same, as there
    is one step: e = log 1/2 - (2 - log 4) in the direct direction, and log 1/4 - (2 - log 2) in the
    other. dA/dQ = (1/2, -1/2) and dV/dQ = (1/2, 1/2).
    """
    known = take_one(GROUND.outcomes().known)
    ids = torch.tensor([[1, 0]])
    made = _with_tables(trainer, tensor([[1, 0], [1, 1]]), 0.05, prior="uniform", direct=0.75)
    made.policy.q.data.zero_()
    made.target.q.data[0] = tensor([1.0, 3.0, 9.0, 9.0]).log()
    nothing, one = torch.zeros(1, 2), torch.ones(1, dtype=torch.int64)
    known = scored(
        known.sequences._replace(
            input_ids=ids, start_length=one, length=2 * one, token_rewards=nothing,
            loss_mask=nothing.bool(),
        ),
        nothing,
    )  # fmt: skip
    rewards = tensor([[7.0, 0.2]])  # what the prompt seems to be paid is not counted
    advantages = made.estimate(rewards, known).advantages
    assert advantages[0].tolist() == pytest.approx([0.0, 2.0 - math.log(4)])
    loss, stats = made.group_loss(
        known, advantages, known.generated, tensor([0]), [tensor(1), tensor(9)]
    )
    direct = math.log(1 / 2) - (2.0 - math.log(4))
    other = math.log(1 / 4) - (2.0 - math.log(2))
    assert float(loss.detach()) == pytest.approx(0.75 * direct**2 + 0.25 * other**2)
    assert float(stats["loss/single"]) == float(stats["loss/multi"]) == pytest.approx(direct**2)
    assert float(stats["loss/reversed_multi"]) == pytest.approx(other**2)
    loss.backward()
    expected = [0.75 * 2 * direct * slope + 0.25 * 2 * other * 0.5 for slope in (0.5, -0.5)]
    assert made.policy.q.grad[0].tolist() == pytest.approx([*expected, 0.0, 0.0])
    none, _ = made.group_loss(
        known, advantages, torch.zeros_like(known.generated), tensor([0]), [tensor(1), tensor(9)]
    )
    assert float(none.detach()) == 0.0, "outside of the mask nothing is asked for"
    # Counted as one of four tokens, it weighs a quarter.
    quarter, _ = made.group_loss(
        known, advantages, known.generated, tensor([0]), [tensor(4), tensor(9)]
    )
    assert float(quarter.detach()) == pytest.approx(float(loss.detach()) / 4)


def take_one(known: Scored) -> Scored:
    """The first episode."""
    return known._replace(sequences=take(known.sequences, tensor([0])))


def test_nothing_is_learned_on_given_tokens_nor_on_padding(trainer: SoftQ) -> None:
    """Two tokens were given, four written, two are padding; others there change nothing.

    The last episode has two tokens more, so that the padding of the others is computed as well.
    """
    sequences = take(GROUND.outcomes().known.sequences, torch.arange(4))
    sequences = sequences._replace(
        start_length=sequences.start_length + 2, length=tensor([10, 10, 10, 12])
    )
    known = scored(sequences, torch.zeros(4, 12))
    rewards = torch.zeros(4, 12)
    rewards[:, 9] = sequences.reward
    found = []
    for other in (False, True):
        ids = sequences.input_ids.clone()
        ids[:3, 10:] = 0 if other else 3
        changed = known._replace(sequences=sequences._replace(input_ids=ids))
        advantages = trainer.estimate(rewards + 9.0 * other * ~known.generated, changed).advantages
        assert not advantages[~known.generated].any()
        loss, _ = trainer.group_loss(
            changed, advantages, known.generated, torch.arange(4), [tensor(18)] * 2
        )
        trainer.policy.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        found.append(torch.cat([p.grad.flatten() for p in trainer.policy.parameters()]))  # type: ignore[union-attr]
    assert found[0].any()
    assert torch.allclose(found[0], found[1], atol=1e-7)
    # The logits behind the first given token are asked for nothing.
    table = _Table(sequences.input_ids)
    values = soft_values(table, sequences.input_ids, sequences.start_length, sequences.length)
    (values.advantages + values.values).sum().backward()  # type: ignore[no-untyped-call]
    lengths = _lengths(table.states)
    assert table.q.grad is not None
    moved = table.q.grad.abs().sum(1) > 0
    assert set(lengths[moved].tolist()) == {6, 7, 8, 9, 10, 11}


def _lengths(codes: Tensor) -> Tensor:
    """Of the prefixes with these numbers."""
    count, left = torch.zeros_like(codes), codes.clone()
    while left.any():
        count, left = count + (left > 0), left // 5
    return count


def test_fgo_asks_for_executed_tokens_only(grader: codegym.Grader, tmp_path: Path) -> None:
    args = soft_q.Args(**SMALL, fgo=True)
    for trainer in make(SoftQ, args, grader, tmp_path):
        known = GROUND.outcomes().known
        assert torch.equal(trainer.mask(known), known.generated & known.sequences.loss_mask)


def test_the_target_network_follows_by_a_share(trainer: SoftQ) -> None:
    """1/5 of the policy's weights, 4/5 of its own; and it gets no gradient."""
    known = GROUND.outcomes().known
    trainer.estimate(outcome_reward()(known), known)
    (old, *_), (new, *_) = trainer.target.parameters(), trainer.policy.parameters()
    assert torch.equal(old, new)
    with torch.no_grad():
        old.fill_(1.0)
        new.fill_(6.0)
    said = trainer.after(known)
    assert torch.equal(old, torch.full_like(old, 2.0))
    assert torch.equal(new, torch.full_like(new, 6.0))
    assert said == {"soft_q/value": pytest.approx(0.0, abs=1e-5)}, "as the reference's, at first"
    assert not any(p.requires_grad for p in trainer.target.parameters())


def test_programs_of_older_policies_are_learned_from(trainer: SoftQ) -> None:
    first = trainer.collect().sequences
    assert torch.equal(trainer.choose(first).input_ids, first.input_ids)
    trainer.iteration = 1
    second = trainer.collect().sequences
    chosen = trainer.choose(second)
    assert len(chosen.reward) == 8 + 4
    assert set(chosen.program[8:]) <= set(first.program)
    assert chosen.program[:8] == second.program


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    _, scalars = run_and_resume(SoftQ, soft_q.Args(**SMALL, learning_rate=1e-2), grader, tmp_path)
    assert all(row["loss/single"] > 0.0 for row in scalars)
    assert scalars[0]["loss/single"] == pytest.approx(scalars[0]["loss/reversed_single"], rel=0.5)
    assert scalars[2]["soft_q/value"] != pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip_range": 0.3}, "clip_range=0.3 has no effect here"),
        ({"kl_coefficient": 0.0}, "kl_coefficient must be finite and above 0"),
        ({"target_rate": 0.0}, "target_rate must be finite and above 0 and at most 1"),
        ({"direct": 1.5}, "direct must be finite and at least 0 and at most 1"),
        ({"most_age": -1}, "most_age must be finite and at least 0"),
    ],
)
def test_what_has_no_meaning_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        soft_q.Args(**change)
