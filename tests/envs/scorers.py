"""Line scorers without a model, and process rewards of every form."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from codegym.rewards import (
    Difference,
    OutcomeWeighted,
    Potential,
    ProcessForm,
    ProcessReward,
    RunningMean,
)

FORMS: dict[str, ProcessForm] = {
    "outcome": OutcomeWeighted(),
    "online": RunningMean(0.4),
    "difference": Difference(0.3),
    "potential": Potential(2.0),
    "potential, discounted": Potential(0.5, gamma=0.9),
}


def process_reward(name: str, scorer: Any = None, **arguments: Any) -> ProcessReward:
    """A process reward of a form; scores depend on the tokens and nothing else."""
    return ProcessReward(scorer or hashed, form=FORMS[name], **arguments)


def lines(tokens: Any, ends: Any) -> list[Any]:
    """The tokens up to each end that is asked for."""
    for each, some in zip(tokens, ends, strict=True):
        assert each.dtype == some.dtype == np.int64
        assert some.tolist() == sorted(set(some.tolist())), "ascending"
        assert some[-1] == len(each), "nothing comes after the last end"
    return [each[:end] for each, some in zip(tokens, ends, strict=True) for end in some]


def hashed(tokens: Any, ends: Any) -> Any:
    """Scores in [-1.5, 1.5]: some are clipped."""
    keys = [zlib.crc32(np.asarray(one, dtype=np.int64).tobytes()) for one in lines(tokens, ends)]
    return np.array(keys) / 2**32 * 3 - 1.5


class Texts:
    """Scores texts by a function, and remembers what it was asked.

    Args:
        tokenizer: Of the environment.
        function: Of the text of a line and what comes before it.
    """

    def __init__(self, tokenizer: Any, function: Callable[[str], float]) -> None:
        self._decode, self._function = tokenizer.decode, function
        self.calls: list[list[str]] = []
        self.broken: Any = None  # what is returned instead, or raised

    def __call__(self, tokens: Any, ends: Any) -> Any:
        texts = [self._decode(one.tolist()) for one in lines(tokens, ends)]
        self.calls.append(texts)
        if isinstance(self.broken, BaseException):
            raise self.broken
        if self.broken is not None:
            return self.broken
        return [self._function(text) for text in texts]
