"""The last few tokens as the observation, for agents that want one short vector."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from codegym.errors import ConfigurationError

__all__ = ["RecentTokens"]


class RecentTokens(
    gymnasium.ObservationWrapper[npt.NDArray[np.int64], Any, Any],
    gymnasium.utils.RecordConstructorArgs,
):
    """Observes the last `count` tokens, newest last, padded on the left with ``vocab_size``.

    Args:
        env: A ``CodeGen-...`` environment.
        count: Number of tokens.

    Raises:
        ConfigurationError: If `count` is not positive or larger than the context.

    Example:
        >>> import gymnasium
        >>> import codegym
        >>> env = RecentTokens(gymnasium.make("CodeGen-Mini-v0", tokenizer="byte"), count=8)
        >>> obs, info = env.reset(seed=0)
        >>> obs.shape, obs.dtype
        ((8,), dtype('int64'))
        >>> env.close()
    """

    def __init__(self, env: gymnasium.Env[Any, Any], count: int = 32) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, count=count)
        gymnasium.ObservationWrapper.__init__(self, env)
        ids = self._source_space()
        if not 0 < count <= ids.shape[0]:
            raise ConfigurationError(
                f"count must be from 1 to the context length {ids.shape[0]}, got {count!r}."
            )
        self.count, self._vocab_size = count, int(ids.high.max()) + 1
        self.observation_space = gymnasium.spaces.Box(0, self._vocab_size, (count,), np.int64)

    def observation(self, observation: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        """The last tokens, (count,) int64."""
        length = int(observation["attention_mask"].sum())
        recent = observation["input_ids"][max(0, length - self.count) : length]
        padded = np.full(self.count, self._vocab_size, dtype=np.int64)
        padded[self.count - len(recent) :] = recent
        return padded

    def _source_space(self) -> gymnasium.spaces.Box:
        space: object = self.env.observation_space
        ids = space.get("input_ids") if isinstance(space, gymnasium.spaces.Dict) else None
        if not isinstance(ids, gymnasium.spaces.Box):
            raise ConfigurationError(
                f"RecentTokens wraps an environment that observes input_ids, got {space}."
            )
        return ids
