"""What stepping cannot be faster than: the interpreter's and the memory's share of it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.stepping_peers.contender import Contender, Lengths

__all__ = ["copies", "function", "scatter"]


def function(lengths: Lengths) -> Contender:
    """A Python method that writes one token to two arrays and returns five values."""
    ids = np.zeros(lengths.context, dtype=np.int64)
    mask = np.zeros(lengths.context, dtype=np.int8)
    obs = {"input_ids": ids, "attention_mask": mask}
    action = np.int64(97)

    class Bare:
        length = lengths.prompt

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            length = self.length
            ids[length] = action
            mask[length] = 1
            self.length = length + 1
            return obs, 0.0, False, False, {}

        def begin(self) -> None:
            self.length = lengths.prompt

    bare = Bare()
    step = functools.partial(bare.step, action)
    return Contender("floor: a bare Python step", 1, bare.begin, step, lengths.new - 1)


def scatter(lengths: Lengths, num_envs: int) -> Contender:
    """NumPy writes one token to each row of both arrays, and nothing else."""
    ids = np.full((num_envs, lengths.context), 0, dtype=np.int64)
    mask = np.full((num_envs, lengths.context), 0, dtype=np.int8)
    flat_ids, flat_mask = ids.reshape(-1), mask.reshape(-1)
    start = np.arange(num_envs) * lengths.context + lengths.prompt
    place, tokens = start.copy(), np.full(num_envs, 97)

    def begin() -> None:
        place[:] = start

    def step() -> None:
        flat_ids[place] = tokens
        flat_mask[place] = 1
        np.add(place, 1, out=place)

    return Contender("floor: NumPy writes the tokens", num_envs, begin, step, lengths.new - 1)


def copies(lengths: Lengths, num_envs: int) -> Contender:
    """NumPy copies both arrays, as ``copy=True`` must, and nothing else."""
    ids = np.full((num_envs, lengths.context), 1, dtype=np.int64)
    mask = np.full((num_envs, lengths.context), 1, dtype=np.int8)
    return Contender(
        "floor: NumPy copies the arrays",
        num_envs,
        lambda: None,
        lambda: (ids.copy(), mask.copy()),
        lengths.new - 1,
    )
