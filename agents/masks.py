"""Token masks: from which tokens a policy learns. StepCoder's FGO is one of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agents.advantages import group_means
from agents.scoring import Scored

__all__ = ["TokenMask", "executed", "generated", "informative"]

TokenMask = Callable[[Scored], Tensor]
"""Scored episodes -> (B, T) bool."""


def generated(scored: Scored) -> Tensor:
    """All tokens that the policy chose."""
    return scored.generated


def executed(scored: Scored) -> Tensor:
    """Fine-Grained Optimization (StepCoder, section 3.3): generated tokens that were executed."""
    return scored.generated & scored.sequences.loss_mask


def informative(scored: Scored) -> Tensor:
    """Generated tokens of groups whose episodes were not all rewarded alike (DAPO)."""
    reward = scored.sequences.reward
    alike = torch.isclose(group_means(reward, scored.sequences.group), reward)
    varied = group_means((~alike).float(), scored.sequences.group) > 0.0
    return scored.generated & varied[:, None]
