"""Token rewards: what each generated token is paid, as a sum of named terms.

A term is a function of the scored episodes. The environment's own reward is one of them: the tests'
outcome for the last token, and a process reward where the environment was made with one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from agents.scoring import Scored

__all__ = ["TokenReward", "TokenRewards", "environment_reward", "kl_reward", "total_reward"]

TokenReward = Callable[[Scored], Tensor]
"""Scored episodes -> (B, T) float32 paid for each token."""


class TokenRewards(NamedTuple):
    """The sum of some terms.

    Attributes:
        total: (B, T) paid for token t.
        means: Name -> what the term pays an episode, on average.
    """

    total: Tensor
    means: dict[str, float]


def total_reward(terms: Mapping[str, TokenReward], scored: Scored) -> TokenRewards:
    """Adds named token rewards in their order.

    Args:
        terms: At least one.
        scored: B episodes.

    Returns:
        The sum, and the mean of each term.
    """
    parts = {name: term(scored) for name, term in terms.items()}
    first, *rest = parts.values()
    total = first
    for part in rest:
        total = total + part
    return TokenRewards(total, {name: float(p.sum(1).mean()) for name, p in parts.items()})


def environment_reward(clip: float | None = None) -> TokenReward:
    """What the environment paid.

    Args:
        clip: Each token's reward is clipped to plus and minus this (StepCoder's 0.8); None: not.

    Returns:
        A term.
    """
    return partial(_environment, clip=clip)


def kl_reward(beta: float) -> TokenReward:
    """A penalty for leaving the reference: ``-beta (log pi - log pi_ref)`` of each token.

    StepCoder (arXiv 2402.01391, section 3.2).

    Args:
        beta: Weight of the penalty.

    Returns:
        A term.
    """
    return partial(_kl, beta=beta)


def _environment(scored: Scored, *, clip: float | None) -> Tensor:
    paid = scored.sequences.token_rewards
    return paid if clip is None else paid.clamp(-clip, clip)


def _kl(scored: Scored, *, beta: float) -> Tensor:
    log_ratio = scored.logprobs - scored.reference_logprobs
    return -(beta * torch.where(scored.generated, log_ratio, torch.zeros_like(log_ratio)))
