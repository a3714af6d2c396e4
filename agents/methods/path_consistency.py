"""Logits as Q values, and how inconsistent they are along a program.

The equations are in :mod:`agents.methods.soft_q`.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from agents.sequences import Sequences, generated_mask, token_groups

__all__ = ["SoftValues", "errors", "read", "rest", "soft_values"]


class SoftValues(NamedTuple):
    """Equation 1; (B, T), aligned with the tokens, 0 where nothing was generated.

    Attributes:
        advantages: A of token t.
        values: V of the state in which it was chosen.
    """

    advantages: Tensor
    values: Tensor

    def less(self, prior: Self) -> SoftValues:
        """What is left without those of the prior."""
        return SoftValues(self.advantages - prior.advantages, self.values - prior.values)


def soft_values(
    model: nn.Module, input_ids: Tensor, start: Tensor, length: Tensor, *, temperature: float = 1.0
) -> SoftValues:
    """Equation 1 of the generated tokens of stored sequences.

    Args:
        model: (B, T) int64 tokens -> (B, T, actions) logits, as a policy is.
        input_ids: (B, T) int64, padded on the right.
        start: (B,) first generated column, at least 1.
        length: (B,) first padding column.
        temperature: Q is the logits over this.

    Returns:
        A and V.
    """
    q = model(input_ids)[:, :-1] / temperature
    values = q.logsumexp(-1)
    chosen = q.gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    mask = generated_mask(start, length, input_ids.shape[1])[:, 1:]
    found = (torch.where(mask, x, torch.zeros_like(x)) for x in (chosen - values, values))
    return SoftValues(*(nn.functional.pad(x, (1, 0)) for x in found))


@torch.no_grad()
def read(
    model: nn.Module, episodes: Sequences, *, temperature: float, microbatch_tokens: int
) -> SoftValues:
    """Equation 1 of all episodes, computed in groups of similar length, without a gradient."""
    whole = SoftValues(*(torch.zeros_like(episodes.token_rewards) for _ in range(2)))
    for rows, *inputs in token_groups(episodes, microbatch_tokens):
        found = soft_values(model, *inputs, temperature=temperature)
        for into, part in zip(whole, found, strict=True):
            into[rows, : part.shape[1]] = part
    return whole


def rest(tokens: Tensor) -> Tensor:
    """(B, T): each token's own and all that follow it, added up."""
    return tokens.flip(1).cumsum(1).flip(1)


def errors(one: SoftValues, other: SoftValues, rewards: Tensor) -> tuple[Tensor, Tensor]:
    """What is squared in equations 2 and 3.

    Args:
        one: Has the A.
        other: Has the V.
        rewards: (B, T), 0 where nothing was generated.

    Returns:
        (B, T) of a single step, and (B, T) of all that follow.
    """
    after = nn.functional.pad(other.values[:, 1:], (0, 1))
    single = one.advantages - (rewards + after - other.values)
    return single, rest(one.advantages) - (rest(rewards) - other.values)
