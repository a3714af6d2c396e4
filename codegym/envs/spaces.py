"""The spaces of observations, for one environment and for a batch of them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

__all__ = ["UniformBox", "observation_space"]


class UniformBox(gymnasium.spaces.Box):
    """A ``Box`` of ints with the same bounds everywhere, of which it keeps two numbers.

    Gymnasium's keeps 18 bytes for each element, twice as much as a token of context takes itself.

    Args:
        low: Least value.
        high: Largest value.
        shape: Shape of the elements.
        dtype: An int type.

    >>> UniformBox(0, 7, (2, 3), np.int8) == gymnasium.spaces.Box(0, 7, (2, 3), np.int8)
    True
    """

    def __init__(self, low: int, high: int, shape: tuple[int, ...], dtype: type[Any]) -> None:
        gymnasium.Space.__init__(self, shape, dtype)
        self.low = np.broadcast_to(np.array(low, dtype=dtype), shape)
        self.high = np.broadcast_to(np.array(high, dtype=dtype), shape)
        self.bounded_below = np.broadcast_to(np.array(True), shape)
        self.bounded_above = self.bounded_below
        self.low_repr, self.high_repr = str(low), str(high)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy keeps two numbers as well, and draws what this one would draw.
        low, high = int(self.low.flat[0]), int(self.high.flat[0])
        return UniformBox, (low, high, self.shape, self.dtype.type), {"_np_random": self._np_random}


def observation_space(
    vocab_size: int, context_length: int, num_envs: int | None = None
) -> gymnasium.spaces.Dict:
    """Token ids and attention mask, both of shape (context_length,).

    Args:
        vocab_size: Ids run from 0 to one less.
        context_length: L.
        num_envs: N: the shape is (N, L) instead.
    """
    shape = (context_length,) if num_envs is None else (num_envs, context_length)
    return gymnasium.spaces.Dict(
        {
            "input_ids": UniformBox(0, vocab_size - 1, shape, np.int64),
            "attention_mask": UniformBox(0, 1, shape, np.int8),
        }
    )
