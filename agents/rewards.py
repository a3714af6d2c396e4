"""Token rewards: what each generated token is paid, as a sum of named terms.

A term is a function of the scored episodes. What the environment paid is one or two of them:
``"tests"``, for the tests' outcome, and ``"process"``, for the scores of lines, where the
environment was made with a process reward. ``"kl"`` is the penalty for leaving the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from agents.scoring import Scored
from codegym.rewards import ProcessReward

__all__ = [
    "TokenReward",
    "TokenRewards",
    "kl_reward",
    "outcome_reward",
    "process_reward",
    "token_rewards",
    "total_reward",
]

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


def token_rewards(
    reward: object, *, clip: float | None = None, kl_coefficient: float = 0.0
) -> dict[str, TokenReward]:
    """All that a token is paid, by what it is paid for.

    Args:
        reward: The reward that the environment was made with.
        clip: See :func:`outcome_reward`.
        kl_coefficient: Weight of :func:`kl_reward`; 0: no such term.

    Returns:
        ``"tests"``; ``"process"`` if the reward is a process reward; ``"kl"`` if it has a weight.
    """
    terms: dict[str, TokenReward] = {"tests": outcome_reward(clip)}
    if isinstance(reward, ProcessReward):
        terms["process"] = process_reward
    if kl_coefficient:
        terms["kl"] = kl_reward(kl_coefficient)
    return terms


def outcome_reward(clip: float | None = None) -> TokenReward:
    """What the tests' outcome pays, for the last token.

    Args:
        clip: The outcome is clipped to plus and minus this (StepCoder's 0.8); None: not.

    Returns:
        A term.
    """
    return partial(_outcome, clip=clip)


def process_reward(scored: Scored) -> Tensor:
    """What the scores of lines pay, for the tokens that the environment names."""
    return scored.sequences.token_rewards - _outcome(scored, clip=None)


def kl_reward(beta: float) -> TokenReward:
    """A penalty for leaving the reference: ``-beta (log pi - log pi_ref)`` of each token.

    StepCoder (arXiv 2402.01391, section 3.2).

    Args:
        beta: Weight of the penalty.

    Returns:
        A term.
    """
    return partial(_kl, beta=beta)


def _outcome(scored: Scored, *, clip: float | None) -> Tensor:
    sequences = scored.sequences
    outcome = sequences.outcome if clip is None else sequences.outcome.clamp(-clip, clip)
    nothing = torch.zeros_like(sequences.token_rewards)
    return nothing.scatter(1, sequences.length[:, None] - 1, outcome[:, None])


def _kl(scored: Scored, *, beta: float) -> Tensor:
    log_ratio = scored.logprobs - scored.reference_logprobs
    return -(beta * torch.where(scored.generated, log_ratio, torch.zeros_like(log_ratio)))
