"""The losses of PPO as pure functions of tensors.

Every mean is over a mask and divided by a normaliser that the caller may fix, so that a minibatch
computed in several pieces has the same gradient as in one. A mask without a single true entry gives
0, never NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "KlEstimates",
    "PolicyLoss",
    "approximate_kl",
    "kl_penalised_rewards",
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
        normaliser: See :func:`masked_mean`.

    Returns:
        The loss and two measures of the step.
    """
    difference = torch.where(mask, logprobs - old_logprobs, torch.zeros_like(logprobs))
    ratio = difference.exp()
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    with torch.no_grad():
        outside = ((ratio - 1.0).abs() > clip_range).to(ratio.dtype)
        clip_fraction = masked_mean(outside, mask, normaliser=normaliser)
        k3 = masked_mean(ratio - 1.0 - difference, mask, normaliser=normaliser)
    return PolicyLoss(-masked_mean(surrogate, mask, normaliser=normaliser), clip_fraction, k3)


def value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    *,
    clip_range: float | None = 0.2,
    normaliser: Tensor | float | None = None,
) -> Tensor:
    """Half the squared error of the value head, clipped as PPO's reference code does.

    Args:
        values: (B, T) of the current critic, with gradient.
        old_values: (B, T) of the critic before the update.
        returns: (B, T) targets.
        mask: (B, T) bool: all generated tokens, unless the critic is masked by FGO as well.
        clip_range: How far a value may move before its gradient stops; None: not clipped.
        normaliser: See :func:`masked_mean`.

    Returns:
        () loss.
    """
    error = (values - returns).square()
    if clip_range is not None:
        near = old_values + (values - old_values).clamp(-clip_range, clip_range)
        error = torch.maximum(error, (near - returns).square())
    return 0.5 * masked_mean(error, mask, normaliser=normaliser)


def kl_penalised_rewards(
    rewards: Tensor,
    logprobs: Tensor,
    reference_logprobs: Tensor,
    mask: Tensor,
    *,
    beta: float,
) -> Tensor:
    """Token-level reward with a penalty: ``R_t = r_t - beta (log pi - log pi_ref)``.

    StepCoder (arXiv 2402.01391, section 3.2), where ``r_t`` is 0 but for the last token.

    Args:
        rewards: (B, T) of the environment, paid for token t.
        logprobs: (B, T) of the policy that wrote the tokens.
        reference_logprobs: (B, T) of the frozen reference.
        mask: (B, T) bool: the tokens that pay.
        beta: Weight of the penalty.

    Returns:
        (B, T) rewards.
    """
    penalty = torch.where(mask, logprobs - reference_logprobs, torch.zeros_like(logprobs))
    return rewards - beta * penalty


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
