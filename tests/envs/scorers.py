"""Step scorers without a model, and process rewards of every mode."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from codegym.rewards import ProcessReward

MODES: dict[str, dict[str, Any]] = {
    "outcome": {},
    "online": {"weight": 0.4},
    "difference": {"weight": 0.3},
    "potential": {"weight": 2.0},
    "potential, discounted": {"weight": 0.5, "gamma": 0.9},
}


def process_reward(name: str, scorer: Any = None, **arguments: Any) -> ProcessReward:
    """A process reward of a mode; scores depend on the tokens and nothing else."""
    mode: Any = name.partition(",")[0]
    return ProcessReward(scorer or hashed, **{"mode": mode, **MODES[name], **arguments})


def hashed(sequences: Any) -> Any:
    """Scores in [-1.5, 1.5]: some are clipped."""
    keys = [zlib.crc32(np.asarray(one, dtype=np.int64).tobytes()) for one in sequences]
    return np.array(keys) / 2**32 * 3 - 1.5


class Texts:
    """Scores texts by a function, and remembers what it was asked.

    Args:
        tokenizer: Of the environment.
        function: Of the text of a sequence.
    """

    def __init__(self, tokenizer: Any, function: Callable[[str], float]) -> None:
        self._decode, self._function = tokenizer.decode, function
        self.calls: list[list[str]] = []
        self.broken: Any = None  # what is returned instead, or raised

    def __call__(self, sequences: Any) -> Any:
        texts = [self._decode(one.tolist()) for one in sequences]
        self.calls.append(texts)
        if isinstance(self.broken, BaseException):
            raise self.broken
        if self.broken is not None:
            return self.broken
        return [self._function(text) for text in texts]
