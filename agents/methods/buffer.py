"""A buffer of the episodes of the last iterations, for methods that learn from what is older."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.sequences import Sequences, concatenate, take

__all__ = ["EpisodeBuffer", "Stored"]


class Stored(NamedTuple):
    """Episodes, and what a method knows of each besides.

    Attributes:
        sequences: B episodes.
        baseline: (B,) what their rewards are compared with.
    """

    sequences: Sequences
    baseline: Tensor


class EpisodeBuffer:
    """Holds whole iterations, and forgets those that are too old.

    Args:
        most_age: Iterations for which episodes are kept: those of iteration i are drawn up to
            iteration i + most_age.
    """

    def __init__(self, most_age: int) -> None:
        self._most_age = most_age
        self._held: list[tuple[int, Stored]] = []

    def add(self, iteration: int, stored: Stored) -> None:
        """Holds the episodes of an iteration, and forgets what is too old for the next one."""
        oldest = iteration + 1 - self._most_age
        self._held = [held for held in [*self._held, (iteration, stored)] if held[0] >= oldest]

    def draw(self, count: int, seed: int) -> Stored | None:
        """Some of the episodes, each at most once.

        Args:
            count: So many, or all if there are fewer.
            seed: Decides which.

        Returns:
            The episodes; None if there is none to draw.
        """
        if not self._held or not count:
            return None
        sequences = concatenate([stored.sequences for _, stored in self._held])
        baseline = torch.cat([stored.baseline for _, stored in self._held])
        order = torch.randperm(len(baseline), generator=torch.Generator().manual_seed(seed))
        rows = order[:count].to(baseline.device)
        return Stored(take(sequences, rows), baseline[rows])

    def state_dict(self) -> dict[str, Any]:
        """All that it holds, as tensors and plain data."""
        return {"held": [(i, tuple(s.sequences), s.baseline) for i, s in self._held]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`state_dict` returned."""
        self._held = [(i, Stored(Sequences(*parts), b)) for i, parts, b in state["held"]]
