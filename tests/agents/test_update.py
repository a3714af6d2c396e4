from __future__ import annotations

import copy
import dataclasses
from typing import Literal

import pytest
import torch

from agents.advantages import gae
from agents.critic import Critic, HeadCritic, make_critic
from agents.guard import DivergedError
from agents.models import ModelSettings, make_policy
from agents.policy import CausalLMPolicy
from agents.ppo import Args, Batch, make_optimizer, prepare, update
from agents.rewards import token_rewards
from agents.rollout import Sampling, play
from agents.scoring import score
from agents.sequences import Sequences
from tests.agents.fake_env import VOCAB, CopyEnv

SETTINGS = Args(warmup_updates=0)


def _policy(*, seed: int = 0) -> CausalLMPolicy:
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=2, heads=2, seed=seed)
    return policy.eval()


Agent = tuple[CausalLMPolicy, Critic | None]


@pytest.fixture(params=["policy", "head", "none"])
def agent(request: pytest.FixtureRequest) -> Agent:
    """A policy with each kind of critic."""
    policy = _policy()
    return policy, make_critic(request.param, policy)


def _batch(agent: Agent, settings: Args, reference: CausalLMPolicy) -> Batch:
    sequences = play(agent[0], CopyEnv(64), episodes=64, seed=19).sequences
    return _prepared(agent, reference, sequences, settings)


def _prepared(
    agent: Agent, reference: CausalLMPolicy, sequences: Sequences, settings: Args
) -> Batch:
    scores = score(*agent, reference, sequences, temperature=settings.temperature)
    beta = settings.kl_coefficient if settings.kl == "reward" else 0.0
    rewards = token_rewards(settings.reward, kl_coefficient=beta)
    estimate = gae(gamma=settings.gamma, lam=settings.gae_lambda)
    return prepare(scores, sequences, rewards, estimate, settings)


def _parameters(agent: Agent) -> list[torch.nn.Parameter]:
    return [p for model in agent if model is not None for p in model.parameters()]


def _copy(agent: Agent) -> Agent:
    policy, critic = agent
    mine = copy.deepcopy(policy)
    if isinstance(critic, HeadCritic):
        new = HeadCritic(mine)
        new.load_state_dict(critic.state_dict())
        return mine, new
    return mine, copy.deepcopy(critic)


def test_ratio_is_1_in_the_first_minibatch_and_not_later(agent: Agent) -> None:
    batch = _batch(agent, SETTINGS, _policy())
    assert batch.sequences.solved.any(), "where all rewards are the same, nothing is learned"
    optimizer = make_optimizer(*agent, SETTINGS)
    once = dataclasses.replace(SETTINGS, epochs=1, minibatches=1, microbatch_tokens=100)
    stats = update(*agent, optimizer, batch, once, torch.Generator().manual_seed(0))
    assert stats["update/first_ratio_error"] < 1e-5
    assert stats["policy/clip_fraction"] == 0.0
    stats = update(*agent, optimizer, batch, once, torch.Generator().manual_seed(0))
    assert stats["update/first_ratio_error"] > 1e-4


def test_the_temperature_of_the_rollout_is_that_of_the_ratio(agent: Agent) -> None:
    settings = dataclasses.replace(SETTINGS, temperature=0.5)
    warm = Sampling(0.5)
    sequences = play(agent[0], CopyEnv(32), episodes=32, seed=0, sampling=warm).sequences
    batch = _prepared(agent, _policy(), sequences, settings)
    direct = agent[0].score(
        sequences.input_ids, sequences.start_length, sequences.length, temperature=0.5
    )
    assert torch.allclose(batch.logprobs, direct, atol=1e-5)


@pytest.mark.parametrize("kl", ["loss", "reward"])
def test_kl_to_itself_is_0_and_the_return_is_the_reward(
    agent: Agent, kl: Literal["loss", "reward"]
) -> None:
    settings = dataclasses.replace(SETTINGS, kl=kl)
    batch = _batch(agent, settings, copy.deepcopy(agent[0]))
    assert batch.metrics["kl/reference_k1"] == pytest.approx(0.0, abs=1e-6)
    rows = torch.arange(64)
    last = batch.returns[rows, batch.sequences.length - 1]
    assert torch.allclose(last, batch.sequences.reward, atol=1e-5)
    outside = ~batch.generated
    assert batch.returns[outside].abs().sum() == batch.advantages[outside].abs().sum() == 0.0


def test_fgo_masks_the_policy_and_not_the_critic(agent: Agent) -> None:
    on = _batch(agent, SETTINGS, agent[0])
    off = _batch(agent, dataclasses.replace(SETTINGS, fgo=False), agent[0])
    assert on.policy_mask.equal(on.sequences.loss_mask & on.generated)
    assert off.policy_mask.equal(off.generated)
    assert torch.equal(on.advantages, off.advantages)


def test_unexecuted_tokens_have_no_policy_gradient(agent: Agent) -> None:
    """Changing the advantage of a masked token changes nothing; of an executed one, something."""
    batch = _batch(agent, SETTINGS, agent[0])
    once = dataclasses.replace(SETTINGS, epochs=1, minibatches=1)

    def weights(advantages: torch.Tensor) -> torch.Tensor:
        mine = _copy(agent)
        optimizer = make_optimizer(*mine, once)
        changed = batch._replace(advantages=advantages)
        update(*mine, optimizer, changed, once, torch.Generator().manual_seed(0))
        return torch.cat([p.detach().flatten() for p in mine[0].parameters()])

    masked = batch.generated & ~batch.policy_mask
    assert masked.any()
    base = weights(batch.advantages)
    assert torch.equal(base, weights(torch.where(masked, 50.0, batch.advantages)))
    assert not torch.equal(base, weights(torch.where(batch.policy_mask, 50.0, batch.advantages)))


def test_microbatches_change_nothing_but_rounding(agent: Agent) -> None:
    batch = _batch(agent, SETTINGS, _policy())
    results = []
    for microbatch_tokens in (20, 10_000):
        mine = _copy(agent)
        settings = dataclasses.replace(
            SETTINGS, microbatch_tokens=microbatch_tokens, epochs=1, minibatches=2
        )
        # SGD: Adam would blow rounding errors of near-zero gradients up to whole steps.
        groups = make_optimizer(*mine, settings).param_groups
        optimizer = torch.optim.SGD([{"params": group["params"]} for group in groups], lr=0.1)
        update(*mine, optimizer, batch, settings, torch.Generator().manual_seed(0))
        results.append(torch.cat([p.detach().flatten() for p in _parameters(mine)]))
    assert torch.allclose(results[0], results[1], atol=1e-6)


def test_warm_up_changes_the_critic_alone(agent: Agent) -> None:
    before = copy.deepcopy(agent[0].state_dict())
    batch = _batch(agent, SETTINGS, agent[0])
    optimizer = make_optimizer(*agent, SETTINGS)
    update(*agent, optimizer, batch, SETTINGS, torch.Generator(), value_only=True)
    assert all(torch.equal(before[name], w) for name, w in agent[0].state_dict().items())
    assert agent[1] is None or agent[1].head.weight.abs().sum() > 0.0


def test_a_penalty_in_the_loss_leaves_returns_as_they_are_and_holds_the_policy() -> None:
    agent = (_policy(), None)
    reference = _policy(seed=1)
    paid = _batch(agent, dataclasses.replace(SETTINGS, kl="reward"), reference)
    free = _batch(agent, SETTINGS, reference)
    rows = torch.arange(64)
    first = free.sequences.start_length
    assert torch.allclose(free.returns[rows, first], free.sequences.reward, atol=1e-5)
    assert not torch.allclose(paid.returns[rows, first], paid.sequences.reward, atol=1e-2)
    once = dataclasses.replace(
        SETTINGS, epochs=1, minibatches=1, kl_coefficient=100.0, target_kl=None
    )
    still = free._replace(advantages=torch.zeros_like(free.advantages))
    update(*agent, make_optimizer(*agent, once), still, once, torch.Generator())
    after = score(*agent, reference, free.sequences).logprobs
    distance = (after - free.reference_logprobs)[free.generated].square().mean()
    before = (free.logprobs - free.reference_logprobs)[free.generated].square().mean()
    assert distance < before


def test_the_policy_stops_where_its_own_kl_passes_the_target_and_the_critic_goes_on(
    agent: Agent,
) -> None:
    batch = _batch(agent, SETTINGS, _policy())
    wild = dataclasses.replace(SETTINGS, learning_rate=0.3, target_kl=0.01, minibatches=4, epochs=2)
    optimizer = make_optimizer(*agent, wild)
    moves: list[bool] = []
    values: list[bool] = []
    step = optimizer.step

    def watched() -> None:
        trunk, head = (group["params"] for group in optimizer.param_groups)
        before = [p.detach().clone() for p in (*trunk, *head)]
        step()
        same = [torch.equal(a, b) for a, b in zip(before, (*trunk, *head), strict=True)]
        moves.append(not all(same[: len(trunk)]))
        values.append(not all(same[len(trunk) :]))

    optimizer.step = watched  # type: ignore[method-assign,assignment]
    stats = update(*agent, optimizer, batch, wild, torch.Generator().manual_seed(0))
    assert moves[0]
    assert not moves[-1]
    assert moves == sorted(moves, reverse=True), "once stopped, it stays so"
    assert all(values) or agent[1] is None
    assert stats["update/policy_steps"] == sum(moves) / 8


def test_a_huge_value_loss_does_not_shrink_the_step_of_the_policy(agent: Agent) -> None:
    """Both gradients are clipped, each by its own norm."""
    batch = _batch(agent, SETTINGS, _policy())
    once = dataclasses.replace(SETTINGS, epochs=1, minibatches=1)
    moved = []
    for scale in (1.0, 1e4):
        mine = _copy(agent)
        groups = make_optimizer(*mine, once).param_groups
        optimizer = torch.optim.SGD([{"params": group["params"]} for group in groups], lr=0.1)
        far = batch._replace(returns=scale * batch.returns)
        update(*mine, optimizer, far, once, torch.Generator().manual_seed(0))
        moved.append(torch.cat([p.detach().flatten() for p in mine[0].parameters()]))
    assert torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[0], torch.cat([p.flatten() for p in agent[0].parameters()]))


def test_a_broken_loss_stops_the_run_before_the_weights_break(agent: Agent) -> None:
    batch = _batch(agent, SETTINGS, agent[0])
    nan = torch.full_like(batch.returns, float("nan"))
    broken = batch._replace(returns=nan, advantages=nan)
    before = copy.deepcopy(agent[0].state_dict())
    with pytest.raises(DivergedError, match="finite"):
        update(*agent, make_optimizer(*agent, SETTINGS), broken, SETTINGS, torch.Generator())
    assert all(torch.equal(before[name], weight) for name, weight in agent[0].state_dict().items())


def test_gradient_checkpointing_gives_the_same_update() -> None:
    once = dataclasses.replace(SETTINGS, epochs=1, minibatches=1)
    weights = []
    for checkpointing in (False, True):
        model = ModelSettings(model_width=16, model_layers=2, gradient_checkpointing=checkpointing)
        policy = make_policy(model, vocab_size=VOCAB, seed=0)
        mine = (policy, make_critic("head", policy))
        batch = _batch(mine, SETTINGS, policy)
        update(*mine, make_optimizer(*mine, once), batch, once, torch.Generator().manual_seed(0))
        weights.append(torch.cat([p.detach().flatten() for p in _parameters(mine)]))
    assert torch.allclose(weights[0], weights[1], atol=1e-6)


def test_ppo_learns_to_copy_a_token(agent: Agent) -> None:
    settings = Args(
        learning_rate=3e-3,
        epochs=2,
        minibatches=4,
        kl_coefficient=0.0,
        warmup_updates=0,
        fgo=False,
    )
    reference = copy.deepcopy(agent[0])
    optimizer = make_optimizer(*agent, settings)
    env = CopyEnv(256, max_new_tokens=2)
    shuffle = torch.Generator().manual_seed(0)
    rewards = []
    for iteration in range(40):
        sequences = play(agent[0], env, episodes=env.num_envs, seed=iteration).sequences
        rewards.append(float(sequences.solved.float().mean()))
        batch = _prepared(agent, reference, sequences, settings)
        update(*agent, optimizer, batch, settings, shuffle)
    assert rewards[0] < 0.1
    assert rewards[-1] > 3 * max(rewards[0], 0.05)
