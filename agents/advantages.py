"""Generalised advantage estimation over the generated tokens of whole sequences.

An episode's last token is its end, also where the token budget cut it off: the program was judged
and its reward given, so nothing is bootstrapped.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Advantages", "generalised_advantages", "whiten"]


class Advantages(NamedTuple):
    """Both are 0 outside the mask.

    Attributes:
        advantages: (B, T).
        returns: (B, T) targets of the critic: advantage + value.
    """

    advantages: Tensor
    returns: Tensor


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
