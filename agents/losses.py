"""The losses of PPO as pure functions of tensors.

Every mean is over a mask and divided by a normaliser that the caller may fix, so that a minibatch
computed in several pieces has the same gradient as in one. A mask without a single true entry gives
0, never NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "KlEstimates",
    "Loss",
    "LossInput",
    "PolicyLoss",
    "approximate_kl",
    "clipped_loss",
    "kl_penalty",
    "masked_mean",
    "policy_loss",
    "value_loss",
]

_EPSILON = 1e-8


class PolicyLoss(NamedTuple):
    """The clipped surrogate and what it says of the update.

    Attributes:
        loss: () to be minimised.
        clip_fraction: () share of masked tokens whose ratio was outside the clip range.
        approximate_kl: () Schulman's k3 estimate of KL(old || new) over the masked tokens.
    """

    loss: Tensor
    clip_fraction: Tensor
    approximate_kl: Tensor


class KlEstimates(NamedTuple):
    """Schulman's three estimators of KL(p || q) from samples of p, as means over a mask.

    Attributes:
        k1: () mean of ``log p - log q``: unbiased, may be negative.
        k2: () mean of half its square: biased, low variance.
        k3: () mean of ``q/p - 1 - log q/p``: unbiased and never negative.
    """

    k1: Tensor
    k2: Tensor
    k3: Tensor


class LossInput(NamedTuple):
    """A group of episodes of one minibatch; all tensors of two dimensions are (B, T).

    Attributes:
        logprobs: Of the current policy, with a gradient.
        old_logprobs: Of the policy that wrote the tokens.
        reference_logprobs: Of the frozen reference.
        advantages: Of the tokens.
        mask: bool: the tokens that are learned from.
        generated: bool: all tokens that were written.
        mask_count: () tokens of the whole minibatch in `mask`, so that groups add up to it.
        generated_count: () the same of `generated`.
    """

    logprobs: Tensor
    old_logprobs: Tensor
    reference_logprobs: Tensor
    advantages: Tensor
    mask: Tensor
    generated: Tensor
    mask_count: Tensor
    generated_count: Tensor


Loss = Callable[[LossInput], tuple[Tensor, dict[str, Tensor]]]
"""A group -> its () part of the minibatch's loss, and named () scalars that add up likewise."""


def clipped_loss(
    *, clip_range: float = 0.2, clip_high: float | None = None, kl_coefficient: float = 0.0
) -> Loss:
    """PPO's loss: clipped surrogate and KL penalty.

    Args:
        clip_range: See :func:`policy_loss`.
        clip_high: Likewise.
        kl_coefficient: Weight of :func:`kl_penalty`; 0: no such term.

    Returns:
        A loss that says ``loss/policy``, ``policy/clip_fraction`` and ``kl/update_k3``.
    """
    return partial(
        _clipped_loss, clip_range=clip_range, clip_high=clip_high, kl_coefficient=kl_coefficient
    )


def _clipped_loss(
    group: LossInput, *, clip_range: float, clip_high: float | None, kl_coefficient: float
) -> tuple[Tensor, dict[str, Tensor]]:
    surrogate = policy_loss(
        group.logprobs,
        group.old_logprobs,
        group.advantages,
        group.mask,
        clip_range=clip_range,
        clip_high=clip_high,
        normaliser=group.mask_count,
    )
    loss = surrogate.loss
    if kl_coefficient:
        penalty = kl_penalty(
            group.logprobs,
            group.reference_logprobs,
            group.generated,
            normaliser=group.generated_count,
        )
        loss = loss + kl_coefficient * penalty
    return loss, {
        "loss/policy": surrogate.loss.detach(),
        "policy/clip_fraction": surrogate.clip_fraction,
        "kl/update_k3": surrogate.approximate_kl,
    }


def masked_mean(
    values: Tensor, mask: Tensor, *, normaliser: Tensor | float | None = None
) -> Tensor:
    """Sum of masked values over `normaliser`.

    Args:
        values: (...) floats; entries outside the mask may be anything, NaN included.
        mask: (...) bool.
        normaliser: The divisor; by default the number of true entries.

    Returns:
        () mean; 0 where nothing is masked in.
    """
    total = torch.where(mask, values, torch.zeros_like(values)).sum()
    return total / ((mask.sum() if normaliser is None else normaliser) + _EPSILON)


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_range: float = 0.2,
    clip_high: float | None = None,
    normaliser: Tensor | float | None = None,
) -> PolicyLoss:
    """PPO's clipped surrogate on the tokens of a mask (StepCoder's FGO where it is the loss mask).

    ``L = -sum_t m_t min(r_t A_t, clip(r_t, 1 - eps, 1 + eps) A_t) / (sum_t m_t + 1e-8)``

    `clip_range` clips the *ratio*. Clipping the reward is another thing and not done here.

    Args:
        logprobs: (B, T) of the current policy, with gradient.
        old_logprobs: (B, T) of the policy that wrote the tokens.
        advantages: (B, T).
        mask: (B, T) bool.
        clip_range: eps.
        clip_high: eps above 1, where it is another one (DAPO's decoupled clip); None: the same.
        normaliser: See :func:`masked_mean`.

    Returns:
        The loss and two measures of the step.
    """
    difference = torch.where(mask, logprobs - old_logprobs, torch.zeros_like(logprobs))
    ratio = difference.exp()
    high = clip_range if clip_high is None else clip_high
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + high)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    with torch.no_grad():
        outside = ((ratio < 1.0 - clip_range) | (ratio > 1.0 + high)).to(ratio.dtype)
        clip_fraction = masked_mean(outside, mask, normaliser=normaliser)
        k3 = masked_mean(ratio - 1.0 - difference, mask, normaliser=normaliser)
    return PolicyLoss(-masked_mean(surrogate, mask, normaliser=normaliser), clip_fraction, k3)


def value_loss(
    values: Tensor,
    returns: Tensor,
    mask: Tensor,
    *,
    normaliser: Tensor | float | None = None,
) -> Tensor:
    """Half the squared error of the critic.

    Args:
        values: (B, T) of the current critic, with gradient.
        returns: (B, T) targets.
        mask: (B, T) bool: all generated tokens, unless the critic is masked by FGO as well.
        normaliser: See :func:`masked_mean`.

    Returns:
        () loss.
    """
    return 0.5 * masked_mean((values - returns).square(), mask, normaliser=normaliser)


def kl_penalty(
    logprobs: Tensor,
    reference_logprobs: Tensor,
    mask: Tensor,
    *,
    normaliser: Tensor | float | None = None,
) -> Tensor:
    """A loss whose gradient is that of the KL to the reference, token by token.

    ``mean of (log pi - log pi_ref)^2 / 2``, Schulman's k2. On tokens that the policy itself wrote,
    its expected gradient is that of ``KL(pi || pi_ref)`` at each token, which is not true of k1
    (expected gradient 0) nor of k3 (the gradient of ``KL(pi_ref || pi)``).

    Args:
        logprobs: (B, T) of the current policy, with gradient.
        reference_logprobs: (B, T) of the frozen reference.
        mask: (B, T) bool: the tokens that pay.
        normaliser: See :func:`masked_mean`.

    Returns:
        () loss.
    """
    log_ratio = torch.where(mask, logprobs - reference_logprobs, torch.zeros_like(logprobs))
    return 0.5 * masked_mean(log_ratio.square(), mask, normaliser=normaliser)


def approximate_kl(logprobs: Tensor, other_logprobs: Tensor, mask: Tensor) -> KlEstimates:
    """How far a policy is from another on tokens that the first one wrote.

    Args:
        logprobs: (B, T) of the policy that wrote them (p).
        other_logprobs: (B, T) of the other one (q).
        mask: (B, T) bool.

    Returns:
        Three estimates of KL(p || q) per token, in nats.
    """
    log_ratio = torch.where(mask, other_logprobs - logprobs, torch.zeros_like(logprobs))
    return KlEstimates(
        k1=masked_mean(-log_ratio, mask),
        k2=masked_mean(0.5 * log_ratio.square(), mask),
        k3=masked_mean(log_ratio.exp() - 1.0 - log_ratio, mask),
    )
