"""The parts that methods are made of, by hand; and that whole methods can be made of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, tensor

from agents import masks
from agents.advantages import gae, group_baseline, group_means, state_values
from agents.completions import Completed, Completions, Prefix, prefix_of
from agents.completions import state_values as completed_values
from agents.losses import LossInput, clipped_loss
from agents.policy import CausalLMPolicy
from agents.rewards import kl_reward, outcome_reward, process_reward, total_reward
from agents.rollout import Sampling, play
from agents.scoring import Scored, score_tokens, scored
from agents.sequences import Sequences
from codegym.errors import ConfigurationError, EpisodeError
from tests.agents.fake_env import VOCAB, CopyEnv


def _policy(*, seed: int = 0) -> CausalLMPolicy:
    return CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2, seed=seed).eval()


def _episodes(
    token_rewards: Tensor, start: list[int], length: list[int], group: list[int]
) -> Sequences:
    """Episodes that were paid so; what the last token got is the tests' outcome."""
    rows, width = token_rewards.shape
    zeros = torch.zeros(rows, dtype=torch.int64)
    return Sequences(
        input_ids=torch.zeros(rows, width, dtype=torch.int64),
        start_length=tensor(start),
        length=tensor(length),
        loss_mask=torch.ones(rows, width, dtype=torch.bool),
        reward=token_rewards.sum(1),
        outcome=token_rewards[torch.arange(rows), tensor(length) - 1],
        token_rewards=token_rewards,
        solved=token_rewards.sum(1) > 0,
        truncated=zeros.bool(),
        prompt_length=tensor(start),
        stage=zeros,
        num_stages=zeros + 1,
        group=tensor(group),
        error_line=zeros,
        verdict=("accepted",) * rows,
        problem_id=("p",) * rows,
        difficulty=("introductory",) * rows,
        program=("",) * rows,
    )


def _scored(episodes: Sequences, **changes: Any) -> Scored:
    return scored(episodes, torch.zeros_like(episodes.token_rewards))._replace(**changes)


def test_token_rewards_are_a_sum_of_named_terms() -> None:
    logprobs = tensor([[0.0, -1.0, -2.0, -3.0], [0.0, -1.0, -1.0, 9.0]])
    reference = tensor([[0.0, -1.5, -1.0, -3.0], [0.0, 7.0, -2.0, 9.0]])
    paid = tensor([[0.0, 0.0, 0.25, 1.0], [0.0, 0.0, -0.3, 0.0]])
    known = _scored(
        _episodes(paid, [1, 2], [4, 3], [0, 1]), logprobs=logprobs, reference_logprobs=reference
    )
    terms = {"tests": outcome_reward(), "process": process_reward, "kl": kl_reward(0.1)}
    rewards = total_reward(terms, known)
    expected = tensor([[0.0, -0.05, 0.1 + 0.25, 1.0], [0.0, 0.0, -0.1 - 0.3, 0.0]])
    assert torch.allclose(rewards.total, expected)
    assert rewards.means["tests"] == pytest.approx((1.0 - 0.3) / 2)
    assert rewards.means["process"] == pytest.approx(0.25 / 2)
    assert rewards.means["kl"] == pytest.approx((0.05 - 0.1) / 2)
    clipped = total_reward({**terms, "tests": outcome_reward(0.8)}, known).total
    assert clipped[0].tolist() == pytest.approx([0.0, -0.05, 0.35, 0.8])
    assert process_reward(known)[0].tolist() == [0.0, 0.0, 0.25, 0.0]


def test_a_group_is_its_own_baseline() -> None:
    """GRPO: rewards 1 and -1 in one group, 3 and 1 in the other."""
    paid = tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [0.0, 0.0, 3.0], [0.0, 1.0, 0.0]])
    known = _scored(_episodes(paid, [1, 1, 2, 1], [3, 2, 3, 2], [7, 7, 2, 2]))
    assert group_means(known.sequences.reward, known.sequences.group).tolist() == [0, 0, 2, 2]
    advantages, returns = group_baseline(scale=False)(paid, known)
    assert advantages.tolist() == [[0, 1, 1], [0, -1, 0], [0, 0, 1], [0, -1, 0]]
    assert returns.tolist() == [[0, 1, 1], [0, -1, 0], [0, 0, 3], [0, 1, 0]]
    scaled = group_baseline()(2.0 * paid, known).advantages
    assert torch.allclose(scaled, advantages, atol=1e-5)


def test_from_an_episode_without_a_verdict_nothing_is_learned() -> None:
    """Its checker failed: of a group with rewards 1, -1 and 0, it is the 0 that is none."""
    paid = tensor([[0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])
    episodes = _episodes(paid, [1] * 3, [2] * 3, [4] * 3)
    episodes = episodes._replace(verdict=("accepted", "wrong_answer", "judge_error"))
    known = _scored(episodes)
    assert known.generated.tolist() == [[False, True], [False, True], [False, False]]
    assert masks.generated(known).sum() == 2
    advantages = group_baseline(scale=False)(paid + tensor([[0.0, 2.0]]), known).advantages
    assert advantages.tolist() == [[0, 1], [0, -1], [0, 0]]
    with pytest.raises(EpisodeError, match="None of 3 episodes has a verdict"):
        scored(episodes._replace(verdict=("judge_error",) * 3), torch.zeros(3, 2))


def test_groups_without_a_difference_are_not_informative() -> None:
    paid = tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, -1.0]])
    known = _scored(_episodes(paid, [1] * 4, [2] * 4, [0, 0, 1, 1]))
    assert masks.informative(known).tolist() == [[False, False]] * 2 + [[False, True]] * 2


def test_a_step_has_the_difference_of_the_values_at_its_ends() -> None:
    """VinePPO, two steps of two tokens: V goes from .25 to .75, and the reward is 1."""
    paid = tensor([[0.0, 0.0, 0.1, 0.0, 1.0]])
    nan = float("nan")
    values = tensor([[nan, 0.25, nan, 0.75, nan]])
    known = _scored(_episodes(paid, [1], [5], [0]))
    advantages = state_values(values)(paid, known).advantages
    first, second = 0.1 + 0.75 - 0.25, 1.0 - 0.75
    assert advantages[0].tolist() == pytest.approx([0.0, first, first, second, second])


def test_whitening_belongs_to_the_estimator() -> None:
    paid = tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    known = _scored(_episodes(paid, [1, 1], [3, 2], [0, 1]))
    raw = gae(whitened=False)(paid, known)
    white = gae()(paid, known)
    assert raw.advantages[known.generated].tolist() == [1.0, 1.0, -1.0]
    assert white.advantages[known.generated].mean().item() == pytest.approx(0.0, abs=1e-6)
    assert torch.equal(raw.returns, white.returns)


def test_a_group_begins_with_one_problem_and_start_state() -> None:
    sequences = play(_policy(), CopyEnv(8), episodes=16, seed=0, group_size=4).sequences
    assert sequences.group.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    starts = [
        tuple(sequences.input_ids[i, : sequences.start_length[i]].tolist()) for i in range(16)
    ]
    assert [len(set(starts[i : i + 4])) for i in range(0, 16, 4)] == [1] * 4
    assert len(set(starts)) > 1
    written = [tuple(row.tolist()) for row in sequences.input_ids[:4]]
    assert len(set(written)) > 1, "the programs of a group are drawn each for itself"
    alone = play(_policy(), CopyEnv(8), episodes=8, seed=0).sequences
    assert alone.group.tolist() == list(range(8))
    with pytest.raises(ConfigurationError, match="group_size=3"):
        play(_policy(), CopyEnv(8), episodes=8, seed=0, group_size=3)


def test_completions_are_counted_and_begin_with_their_prefix() -> None:
    source = Completions(_policy(), CopyEnv(4, max_new_tokens=2), sampling=Sampling(), seed=0)
    wrong, right = Prefix("copy/5-3", (4,)), Prefix("copy/5-3", (5,))
    found = source.judge([wrong, right], 30)
    near: Any = pytest.approx(-9.0)
    assert found[0] == Completed(30, 0, near)
    assert 0 < found[1].passed < 30
    assert found[1].reward == pytest.approx(found[1].passed - 0.3 * (30 - found[1].passed))
    assert source.completed == 60
    again = Completions(_policy(), CopyEnv(4, max_new_tokens=2), sampling=Sampling(), seed=0)
    assert again.judge([wrong, right], 30) == found


class _Exact(NamedTuple):
    """In place of completions: the value of a prefix is the number of its tokens."""

    def judge(self, prefixes: list[Prefix], count: int) -> list[Completed]:
        return [Completed(count, 0, count * float(len(p.tokens))) for p in prefixes]


def test_values_by_completion_stand_before_their_token() -> None:
    sequences = play(_policy(), CopyEnv(4), episodes=4, seed=3).sequences
    where = torch.zeros_like(sequences.loss_mask)
    row, t = 2, int(sequences.length[2]) - 1
    where[row, t] = True
    source: Completions = _Exact()  # type: ignore[assignment]
    values = completed_values(source, sequences, where, 4)
    assert values[row, t] == t - int(sequences.prompt_length[row])
    assert values.isnan().sum() == values.numel() - 1
    prefix = prefix_of(sequences, row, t)
    prompt = sequences.input_ids[row, : sequences.prompt_length[row]].tolist()
    assert prefix.problem_id == "copy/" + "-".join(map(str, prompt))
    assert [*prompt, *prefix.tokens] == sequences.input_ids[row, :t].tolist()


def _step(
    policy: CausalLMPolicy, optimizer: torch.optim.Optimizer, known: Scored, advantages: Tensor
) -> None:
    """One step on the clipped loss, from all generated tokens."""
    sequences, count = known.sequences, known.generated.sum()
    fresh = policy.score(sequences.input_ids, sequences.start_length, sequences.length)
    objective, _ = clipped_loss()(
        LossInput(
            logprobs=fresh,
            old_logprobs=known.logprobs,
            reference_logprobs=known.reference_logprobs,
            advantages=advantages,
            mask=masks.generated(known),
            generated=known.generated,
            mask_count=count,
            generated_count=count,
        )
    )
    optimizer.zero_grad()
    objective.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def test_a_method_without_a_critic_learns_to_copy_a_token() -> None:
    """GRPO in groups of 32, four steps an iteration."""
    policy, env = _policy(), CopyEnv(256, max_new_tokens=2)
    optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
    solved = []
    for iteration in range(40):
        sequences = play(
            policy, env, episodes=env.num_envs, seed=iteration, group_size=32
        ).sequences
        known = scored(sequences, score_tokens(policy, sequences))
        rewards = total_reward({"tests": outcome_reward()}, known).total
        advantages = group_baseline()(rewards, known).advantages
        for _ in range(4):
            _step(policy, optimizer, known, advantages)
        solved.append(float(sequences.solved.float().mean()))
    assert sum(solved[:8]) / 8 < 0.03, solved
    assert sum(solved[-8:]) / 8 > 0.07, solved
