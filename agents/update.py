"""One PPO iteration after the rollout: log-probabilities, advantages, minibatch updates.

In the order of StepCoder: log-probabilities of the policy and of the frozen reference over the
stored sequences, advantages, clipped surrogate times the FGO mask, token-level KL penalty.

What keeps an update from running away: the critic's gradient does not reach the policy's trunk; the
KL penalty is a term of the loss, so that returns stay as bounded as rewards are; the policy's part
of an update ends when its own KL passes a target; the two gradients are clipped each for itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from agents.advantages import generalised_advantages, whiten
from agents.at_once import at_once
from agents.losses import (
    approximate_kl,
    kl_penalised_rewards,
    kl_penalty,
    masked_mean,
    policy_loss,
    value_loss,
)
from agents.policy import CausalLMPolicy, TokenScores
from agents.sequences import Sequences, Tokens, generated_mask, length_buckets
from codegym.errors import CodegymError, ConfigurationError

__all__ = [
    "Batch",
    "DivergedError",
    "OldScores",
    "PPOSettings",
    "make_optimizer",
    "prepare",
    "score",
    "update",
]


class DivergedError(CodegymError, ArithmeticError):
    """A loss is no finite number any more: the run can only be resumed from an earlier state."""


_FINITE = ("learning_rate", "critic_learning_rate", "kl_coefficient", "entropy_coefficient")
_POSITIVE = ("clip_range", "max_grad_norm", "temperature", "microbatch_tokens")
_POSITIVE_OR_NONE = ("reward_clip", "value_clip", "target_kl")
_SHARES = ("gamma", "gae_lambda")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOSettings:
    """The knobs of the update."""

    learning_rate: float = 6e-4
    """of the policy; ten times SFT's is too much for a small model"""
    critic_learning_rate: float = 1e-3
    """of the value head and of the critic's own trunk"""
    epochs: int = 1
    """passes over the episodes of an iteration"""
    minibatches: int = 8
    """optimiser steps per epoch"""
    clip_range: float = 0.2
    """of the probability *ratio*"""
    reward_clip: float | None = None
    """what the environment pays for a token is clipped to plus and minus this (StepCoder's 0.8);
    None: not"""
    value_clip: float | None = None
    """how far a value may move in one iteration; None: not clipped. Clipping at 0.2 slowed a value
    head that starts at zero"""
    entropy_coefficient: float = 0.0
    """weight of an entropy bonus"""
    kl_coefficient: float = 0.02
    """beta: weight of the token-level penalty for leaving the reference"""
    kl: Literal["loss", "reward"] = "loss"
    """where that penalty stands: a term of the loss; or part of the reward, as in StepCoder's
    equation, where returns grow with it"""
    target_kl: float | None = 0.05
    """the update of an iteration ends early when its own KL to the policy that wrote the programs
    passes this; nats per token, None: never"""
    gamma: float = 1.0
    """discount per token"""
    gae_lambda: float = 1.0
    """1: Monte-Carlo returns; less trusts the critic more"""
    whiten_advantages: bool = True
    """to zero mean and unit variance over the generated tokens"""
    fgo: bool = True
    """Fine-Grained Optimization: the policy learns from executed tokens only"""
    mask_value: bool = False
    """whether FGO masks the value loss as well"""
    mask_kl: bool = False
    """whether FGO masks the KL penalty as well"""
    warmup_updates: int = 3
    """first iterations in which only the critic learns"""
    max_grad_norm: float = 1.0
    """of the policy's gradient, and of the critic's, each for itself"""
    temperature: float = 1.0
    """of the policy, in rollouts and losses"""
    microbatch_tokens: int = 2048
    """rows x columns of one forward pass; changes memory and speed, not the update. A tiny model on
    a CPU is fastest with 500-2,000, which stay in the cache; a GPU wants more"""

    def refuse_meaningless(self) -> None:
        """Refuses numbers that an update cannot use, NaN included.

        Raises:
            ConfigurationError: If there is one.
        """
        allowed: list[tuple[tuple[str, ...], str, Callable[[float], bool]]] = [
            (_FINITE, "0 or more", lambda value: 0.0 <= value < math.inf),
            (_POSITIVE, "above 0", lambda value: 0.0 < value < math.inf),
            (_POSITIVE_OR_NONE, "above 0 or None", lambda value: 0.0 < value < math.inf),
            (_SHARES, "from 0 to 1", lambda value: 0.0 <= value <= 1.0),
        ]
        for names, expected, fits in allowed:
            for name in names:
                value = getattr(self, name)
                may_be_none = names is _POSITIVE_OR_NONE
                if not ((value is None and may_be_none) or (value is not None and fits(value))):
                    raise ConfigurationError(f"{name} must be {expected}, got {value}.")


class Batch(NamedTuple):
    """What an iteration learns from. All (B, T) tensors are aligned with the tokens.

    Attributes:
        sequences: The episodes.
        generated: (B, T) bool: tokens the policy chose.
        policy_mask: (B, T) bool: those whose surrogate counts.
        value_mask: (B, T) bool: those whose value is learned.
        kl_mask: (B, T) bool: those that pay for leaving the reference.
        logprobs: (B, T) before the update.
        values: (B, T) before the update.
        reference_logprobs: (B, T) of the frozen reference.
        advantages: (B, T).
        returns: (B, T).
        metrics: Named scalars of the rollout.
    """

    sequences: Sequences
    generated: Tensor
    policy_mask: Tensor
    value_mask: Tensor
    kl_mask: Tensor
    logprobs: Tensor
    values: Tensor
    reference_logprobs: Tensor
    advantages: Tensor
    returns: Tensor
    metrics: Mapping[str, float]


class OldScores(NamedTuple):
    """What policy and reference said before the update; (B, T), aligned with the tokens.

    Attributes:
        logprobs: Of the policy.
        values: Of its critic.
        reference_logprobs: Of the reference.
    """

    logprobs: Tensor
    values: Tensor
    reference_logprobs: Tensor


def make_optimizer(policy: CausalLMPolicy, settings: PPOSettings) -> torch.optim.AdamW:
    """AdamW without weight decay, with a learning rate each for policy and critic.

    Args:
        policy: Parameters that need no gradient are left out.
        settings: The two learning rates.

    Returns:
        An optimiser whose first group is the trunk, the second the value head and critic.
    """
    trunk = [p for p in policy.trunk.parameters() if p.requires_grad]
    mine = {id(p) for p in policy.trunk.parameters()}
    rest = [p for p in policy.parameters() if p.requires_grad and id(p) not in mine]
    groups = [
        {"params": trunk, "lr": settings.learning_rate},
        {"params": rest, "lr": settings.critic_learning_rate},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.0)


def score(
    policy: CausalLMPolicy,
    reference: CausalLMPolicy,
    tokens: Tokens | Sequences,
    settings: PPOSettings,
) -> OldScores:
    """What both models say of the tokens; needs no grades.

    Args:
        policy: As it was in the rollout.
        reference: Frozen.
        tokens: Of the episodes.
        settings: Temperature, size of a forward pass.

    Returns:
        Log-probabilities and values.
    """
    own = policy.critic is not None
    (logprobs, values), (own_values, reference_logprobs) = at_once(
        lambda: _score_all(policy, tokens, settings, values=not own),
        lambda: (
            _value_all(policy, tokens, settings) if own else None,
            _score_all(reference, tokens, settings, values=False)[0],
        ),
    )
    values = own_values if values is None else values
    assert values is not None
    return OldScores(logprobs, values, reference_logprobs)


def prepare(scores: OldScores, sequences: Sequences, settings: PPOSettings) -> Batch:
    """Rewards, advantages, returns and masks.

    Args:
        scores: Of the sequences' tokens.
        sequences: The episodes.
        settings: Beta, gamma, lambda, masks.

    Returns:
        A batch for :func:`update`.
    """
    generated = generated_mask(
        sequences.start_length, sequences.length, sequences.input_ids.shape[1]
    )
    executed = generated & sequences.loss_mask
    logprobs, values, reference_logprobs = scores
    paid = sequences.token_rewards
    if settings.reward_clip is not None:
        paid = paid.clamp(-settings.reward_clip, settings.reward_clip)
    kl_mask = executed if settings.mask_kl else generated
    if settings.kl == "reward":
        paid = kl_penalised_rewards(
            paid, logprobs, reference_logprobs, kl_mask, beta=settings.kl_coefficient
        )
    advantages, returns = generalised_advantages(
        paid, values, generated, gamma=settings.gamma, lam=settings.gae_lambda
    )
    variance = returns[generated].var(correction=0)
    residual = (returns - values)[generated].var(correction=0)
    metrics = {
        "kl/reference_k1": float(approximate_kl(logprobs, reference_logprobs, generated).k1),
        "kl/reference_k3": float(approximate_kl(logprobs, reference_logprobs, generated).k3),
        "policy/entropy_estimate": float(-masked_mean(logprobs, generated)),
        "policy/executed_share": float(executed.sum() / generated.sum()),
        # Undefined where all returns are equal; a scalar that is not finite is not logged.
        "value/explained_variance": float(1.0 - residual / variance)
        if variance > 1e-6
        else math.nan,
        "value/mean_return": float(masked_mean(returns, generated)),
    }
    if settings.whiten_advantages:
        advantages = whiten(advantages, generated)
    return Batch(
        sequences=sequences,
        generated=generated,
        policy_mask=executed if settings.fgo else generated,
        value_mask=executed if settings.mask_value else generated,
        kl_mask=kl_mask,
        logprobs=logprobs,
        values=values,
        reference_logprobs=reference_logprobs,
        advantages=advantages,
        returns=returns,
        metrics=metrics,
    )


def update(
    policy: CausalLMPolicy,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    settings: PPOSettings,
    generator: torch.Generator,
    *,
    value_only: bool = False,
) -> dict[str, float]:
    """Epochs of minibatches on one batch.

    A minibatch is a random set of episodes. It is computed in groups of similar length whose
    gradients add up to the minibatch's.

    Args:
        policy: Changed in place.
        optimizer: Of :func:`make_optimizer`.
        batch: Of :func:`prepare`.
        settings: The knobs.
        generator: Shuffles the episodes; on the CPU.
        value_only: Only the critic learns: the value head, and its own trunk if it has one. The
            policy's trunk gets no gradient.

    Returns:
        Named scalars, each the mean over the minibatches; ``first_ratio_error`` is the largest
        distance of a ratio from 1 in the first minibatch, which should be rounding error;
        ``policy_steps`` is the share of the minibatches in which the policy moved.

    Raises:
        DivergedError: If a loss or a gradient is not finite. The policy is left as before that
            step.
    """
    # Checkpointing works in training mode only; elsewhere dropout stays off, as in the rollout.
    nn.Module.train(policy.trunk, _uses_checkpointing(policy))
    totals: dict[str, float] = {}
    steps = policy_steps = 0
    first_ratio_error = 0.0
    for _ in range(settings.epochs):
        order = torch.randperm(len(batch.sequences.reward), generator=generator)
        for rows in order.chunk(settings.minibatches):
            optimizer.zero_grad(set_to_none=True)
            index = rows.to(batch.logprobs.device)
            stats, error = _accumulate(policy, batch, index, settings, value_only=value_only)
            if steps == 0:
                first_ratio_error = error
            if settings.target_kl is not None and stats["kl/update_k3"] > settings.target_kl:
                value_only = True  # from here on; of this minibatch the policy takes nothing
                _drop_policy_gradient(optimizer)
            stats |= _clip(optimizer, settings.max_grad_norm)
            if not all(math.isfinite(value) for value in stats.values()):
                optimizer.zero_grad(set_to_none=True)
                raise DivergedError(
                    f"Expected finite losses and gradients, got {stats}. Lower the learning rate "
                    "or raise the KL coefficient, and resume from the last checkpoint."
                )
            optimizer.step()
            steps += 1
            policy_steps += not value_only
            for name, value in stats.items():
                totals[name] = totals.get(name, 0.0) + value
    optimizer.zero_grad(set_to_none=True)
    nn.Module.train(policy, False)
    means = {name: total / steps for name, total in totals.items()}
    return {
        **means,
        "update/first_ratio_error": first_ratio_error,
        "update/policy_steps": policy_steps / steps,
    }


def _clip(optimizer: torch.optim.Optimizer, max_norm: float) -> dict[str, float]:
    """Clips the gradient of each of the two groups for itself; returns their norms."""
    names = ("update/policy_gradient_norm", "update/critic_gradient_norm")
    return {
        name: float(torch.nn.utils.clip_grad_norm_(group["params"], max_norm))
        for name, group in zip(names, optimizer.param_groups, strict=True)
    }


def _drop_policy_gradient(optimizer: torch.optim.Optimizer) -> None:
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = None


def _uses_checkpointing(policy: CausalLMPolicy) -> bool:
    return any(getattr(module, "gradient_checkpointing", False) for module in policy.modules())


def _accumulate(
    policy: CausalLMPolicy,
    batch: Batch,
    index: Tensor,
    settings: PPOSettings,
    *,
    value_only: bool,
) -> tuple[dict[str, float], float]:
    """Adds one minibatch's gradient; returns its losses and the largest |ratio - 1|."""
    minibatch = _Minibatch(policy, batch, index, settings)
    if policy.critic is None:
        parts = [minibatch.together(value_only=value_only)]
    elif value_only:
        parts = [minibatch.critic(), {}]
    else:
        parts = list(at_once(minibatch.actor, minibatch.critic))
    stats = {
        "loss/policy": 0.0,
        "loss/value": 0.0,
        "policy/clip_fraction": 0.0,
        "kl/update_k3": 0.0,
    }
    for part in parts:
        stats |= part
    return stats, stats.pop("largest", 0.0)


class _Minibatch:
    """One minibatch's gradient, computed in groups of similar length and added up.

    A critic with a trunk of its own shares nothing with the policy, so that both gradients can be
    computed at the same time.
    """

    def __init__(
        self, policy: CausalLMPolicy, batch: Batch, index: Tensor, settings: PPOSettings
    ) -> None:
        self._policy, self._batch, self._settings = policy, batch, settings
        self._groups = list(
            length_buckets(batch.sequences.length, index, max_tokens=settings.microbatch_tokens)
        )
        self._policy_count = batch.policy_mask[index].sum()
        self._value_count = batch.value_mask[index].sum()
        self._kl_count = batch.kl_mask[index].sum()
        self._generated_count = batch.generated[index].sum()

    def actor(self) -> dict[str, float]:
        """The policy's gradient, and what is to be told of it."""
        totals: dict[str, float] = {}
        for rows in self._groups:
            loss, stats = self._policy_loss(rows, self._score(rows, values=False))
            loss.backward()  # type: ignore[no-untyped-call]
            _add(totals, stats)
        return totals

    def critic(self) -> dict[str, float]:
        """The gradient of a critic of its own."""
        total = 0.0
        for rows in self._groups:
            loss = self._value_loss(rows, self._policy.score_values(*self._inputs(rows)))
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return {"loss/value": total}

    def together(self, *, value_only: bool) -> dict[str, float]:
        """Both gradients, of a critic that is a head on the policy's trunk."""
        totals: dict[str, float] = {}
        trunk = list(self._policy.trunk.parameters())
        for rows in self._groups:
            scores = self._score(rows, values=True)
            assert scores.values is not None
            value = self._value_loss(rows, scores.values)
            loss, stats = self._policy_loss(rows, scores)
            (value if value_only else value + loss).backward()  # type: ignore[no-untyped-call]
            _add(totals, {**stats, "loss/value": float(value.detach())})
        if value_only:  # where the head's gradient does not stop before the trunk
            for parameter in trunk:
                parameter.grad = None
        return totals

    def _inputs(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sequences = self._batch.sequences
        return (
            self._cut(sequences.input_ids, rows),
            sequences.start_length[rows],
            sequences.length[rows],
        )

    def _cut(self, tensor: Tensor, rows: Tensor) -> Tensor:
        """Of (B, T), the rows of a group up to the longest of them."""
        return tensor[rows, : int(self._batch.sequences.length[rows].max())]

    def _score(self, rows: Tensor, *, values: bool) -> TokenScores:
        return self._policy.score(
            *self._inputs(rows),
            temperature=self._settings.temperature,
            values=values,
            entropy=self._settings.entropy_coefficient != 0.0,
        )

    def _policy_loss(self, rows: Tensor, scores: TokenScores) -> tuple[Tensor, dict[str, float]]:
        """Clipped surrogate, KL penalty and entropy bonus of a group."""
        batch, settings = self._batch, self._settings
        old_logprobs = self._cut(batch.logprobs, rows)
        surrogate = policy_loss(
            scores.logprobs,
            old_logprobs,
            self._cut(batch.advantages, rows),
            self._cut(batch.policy_mask, rows),
            clip_range=settings.clip_range,
            normaliser=self._policy_count,
        )
        loss = surrogate.loss
        if settings.kl == "loss":
            penalty = kl_penalty(
                scores.logprobs,
                self._cut(batch.reference_logprobs, rows),
                self._cut(batch.kl_mask, rows),
                normaliser=self._kl_count,
            )
            loss = loss + settings.kl_coefficient * penalty
        if scores.entropy is not None:
            generated = self._cut(batch.generated, rows)
            bonus = masked_mean(scores.entropy, generated, normaliser=self._generated_count)
            loss = loss - settings.entropy_coefficient * bonus
        shift = (scores.logprobs.detach() - old_logprobs).exp() - 1.0
        return loss, {
            "loss/policy": float(surrogate.loss.detach()),
            "policy/clip_fraction": float(surrogate.clip_fraction),
            "kl/update_k3": float(surrogate.approximate_kl),
            "largest": float(shift.abs().max()),
        }

    def _value_loss(self, rows: Tensor, values: Tensor) -> Tensor:
        batch = self._batch
        return value_loss(
            values,
            self._cut(batch.values, rows),
            self._cut(batch.returns, rows),
            self._cut(batch.value_mask, rows),
            clip_range=self._settings.value_clip,
            normaliser=self._value_count,
        )


def _add(totals: dict[str, float], stats: Mapping[str, float]) -> None:
    for name, value in stats.items():
        before = totals.get(name, 0.0)
        totals[name] = max(before, value) if name == "largest" else before + value


@torch.no_grad()
def _score_all(
    model: CausalLMPolicy, tokens: Tokens | Sequences, settings: PPOSettings, *, values: bool
) -> tuple[Tensor, Tensor | None]:
    """(B, T) log-probabilities, and values if wanted, of all episodes, computed in groups."""
    logprobs = torch.zeros(tokens.input_ids.shape, device=tokens.input_ids.device)
    found = torch.zeros_like(logprobs) if values else None
    for rows, *inputs in _groups(tokens, settings):
        scores = model.score(*inputs, temperature=settings.temperature, values=values)
        width = scores.logprobs.shape[1]
        logprobs[rows, :width] = scores.logprobs
        if found is not None:
            assert scores.values is not None
            found[rows, :width] = scores.values
    return logprobs, found


@torch.no_grad()
def _value_all(model: CausalLMPolicy, tokens: Tokens | Sequences, settings: PPOSettings) -> Tensor:
    """(B, T) values of a critic of its own, computed in groups."""
    values = torch.zeros(tokens.input_ids.shape, device=tokens.input_ids.device)
    for rows, *inputs in _groups(tokens, settings):
        scored = model.score_values(*inputs)
        values[rows, : scored.shape[1]] = scored
    return values


def _groups(
    tokens: Tokens | Sequences, settings: PPOSettings
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Rows of similar length, with their tokens and lengths."""
    everything = torch.arange(len(tokens.length), device=tokens.input_ids.device)
    for rows in length_buckets(tokens.length, everything, max_tokens=settings.microbatch_tokens):
        width = int(tokens.length[rows].max())
        yield rows, tokens.input_ids[rows, :width], tokens.start_length[rows], tokens.length[rows]
