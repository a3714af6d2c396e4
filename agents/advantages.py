"""Advantage estimators: token rewards and values of whole episodes -> advantages and returns.

Whitening is a part of an estimator. An episode's last token is its end, also where the token budget
cut it off: the program was judged and its reward given, so nothing is bootstrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.scoring import Scored

__all__ = [
    "Advantages",
    "Estimator",
    "gae",
    "generalised_advantages",
    "group_baseline",
    "group_means",
    "state_values",
    "whiten",
]


class Advantages(NamedTuple):
    """Both are 0 outside the mask.

    Attributes:
        advantages: (B, T).
        returns: (B, T) targets of the critic: advantage + value.
    """

    advantages: Tensor
    returns: Tensor


Estimator = Callable[[Tensor, Scored], Advantages]
"""(B, T) token rewards, scored episodes -> advantages and returns."""


def gae(*, gamma: float = 1.0, lam: float = 1.0, whitened: bool = True) -> Estimator:
    """Generalised advantage estimation with the critic's values.

    Args:
        gamma: Discount per token.
        lam: See :func:`generalised_advantages`.
        whitened: Whether advantages have zero mean and unit variance over the generated tokens.

    Returns:
        An estimator.
    """
    return partial(_gae, gamma=gamma, lam=lam, whitened=whitened)


def group_baseline(*, scale: bool = True) -> Estimator:
    """GRPO (arXiv 2402.03300, eq. 3): an episode's return less the mean return of its group.

    Needs no values. All tokens of an episode have the same advantage.

    Args:
        scale: Whether it is divided by the standard deviation of the group's returns.

    Returns:
        An estimator.
    """
    return partial(_group_baseline, scale=scale)


def state_values(values: Tensor) -> Estimator:
    """The advantage of each step from values of the states between steps (VinePPO, 2410.01679).

    ``A_t = r_t + ... + V(next state that has a value) - V(state of token t)``: a step is a run of
    tokens that begins where a value is given, and all of its tokens have its advantage.

    Args:
        values: (B, T) value of the state *before* token t, where one was estimated, such as by
            completions; NaN elsewhere. Each episode's first generated token needs one.

    Returns:
        An estimator.
    """
    return partial(_state_values, values=values)


def group_means(values: Tensor, group: Tensor) -> Tensor:
    """The mean over each row's group.

    Args:
        values: (B,) floats.
        group: (B,) int64: rows with the same number are one group.

    Returns:
        (B,).
    """
    _, inverse = np.unique(group.numpy(force=True), return_inverse=True)
    index = torch.from_numpy(inverse).to(values.device)
    total = values.new_zeros(int(index.max()) + 1).index_add(0, index, values)
    count = values.new_zeros(len(total)).index_add(0, index, torch.ones_like(values))
    return (total / count)[index]


def _gae(
    rewards: Tensor, scored: Scored, *, gamma: float, lam: float, whitened: bool
) -> Advantages:
    advantages, returns = generalised_advantages(
        rewards, scored.values, scored.generated, gamma=gamma, lam=lam
    )
    return Advantages(whiten(advantages, scored.generated) if whitened else advantages, returns)


def _group_baseline(rewards: Tensor, scored: Scored, *, scale: bool) -> Advantages:
    group, mask = scored.sequences.group, scored.generated
    returns = torch.where(mask, rewards, torch.zeros_like(rewards)).sum(1)
    advantage = returns - group_means(returns, group)
    if scale:
        advantage = advantage / (group_means(advantage.square(), group).sqrt() + 1e-6)
    return Advantages(advantage[:, None] * mask, returns[:, None] * mask)


def _state_values(rewards: Tensor, scored: Scored, *, values: Tensor) -> Advantages:
    mask = scored.generated
    begins = mask & ~values.isnan()
    rewards = torch.where(mask, rewards, torch.zeros_like(rewards))
    zero = rewards.new_zeros(rewards.shape[0])
    # Backwards: the value of the next state that has one, and what is paid until it is reached.
    after, paid = zero, zero
    target = torch.zeros_like(rewards)
    for t in range(rewards.shape[1] - 1, -1, -1):
        paid = paid + rewards[:, t]
        target[:, t] = paid + after
        after = torch.where(begins[:, t], values[:, t], after)
        paid = torch.where(begins[:, t], zero, paid)
    # Forwards: a step's advantage is that of its first token.
    advantages, running = torch.zeros_like(rewards), zero
    for t in range(rewards.shape[1]):
        running = torch.where(begins[:, t], target[:, t] - values[:, t], running)
        advantages[:, t] = torch.where(mask[:, t], running, zero)
    return Advantages(advantages, torch.where(mask, target, torch.zeros_like(target)))


def generalised_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float = 1.0, lam: float = 1.0
) -> Advantages:
    """GAE (Schulman et al. 2016, eq. 16) on the masked columns, which are contiguous in each row.

    ``delta_t = r_t + gamma V_{t+1} - V_t`` and ``A_t = delta_t + gamma lam A_{t+1}``, where V and A
    are 0 after the last masked column.

    Args:
        rewards: (B, T) paid for token t.
        values: (B, T) of the state in which token t was chosen.
        mask: (B, T) bool: the generated tokens.
        gamma: Discount per token.
        lam: 1 gives Monte-Carlo returns minus values, 0 one-step errors.

    Returns:
        Advantages and returns.
    """
    rewards = torch.where(mask, rewards, torch.zeros_like(rewards))
    values = torch.where(mask, values, torch.zeros_like(values))
    advantages = torch.zeros_like(rewards)
    running = rewards.new_zeros(rewards.shape[0])
    next_value = torch.zeros_like(running)
    for t in range(rewards.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        running = torch.where(mask[:, t], delta + gamma * lam * running, torch.zeros_like(running))
        advantages[:, t] = running
        next_value = values[:, t]
    return Advantages(advantages, advantages + values)


def whiten(values: Tensor, mask: Tensor, *, shift_mean: bool = True) -> Tensor:
    """Scales masked values to unit variance, and to zero mean if asked.

    Args:
        values: (B, T).
        mask: (B, T) bool: the only entries that are counted.
        shift_mean: Whether the mean is removed as well.

    Returns:
        (B, T), 0 outside the mask. Fewer than two masked entries are returned as they are.
    """
    chosen = values[mask]
    if chosen.numel() < 2:
        return torch.where(mask, values, torch.zeros_like(values))
    mean, scale = chosen.mean(), chosen.std(correction=0)
    white = (values - mean) / (scale + 1e-8)
    if not shift_mean:
        white = white + mean
    return torch.where(mask, white, torch.zeros_like(values))
