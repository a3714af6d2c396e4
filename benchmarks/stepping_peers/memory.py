"""Memory of a vector environment, by `tracemalloc`, which NumPy's arrays report to."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence

import numpy as np

from benchmarks.stepping_peers.contender import Lengths
from benchmarks.stepping_peers.ours import LETTER, arguments
from codegym.envs import CodeVectorEnv

__all__ = ["bytes_per_token", "taken"]


def taken(lengths: Lengths, num_envs: int) -> int:
    """Bytes that an environment holds after a reset and a step, its spaces included."""
    given = arguments(lengths)
    gc.collect()
    tracemalloc.start()
    envs = CodeVectorEnv(num_envs, copy=False, **given)
    envs.reset(seed=0)
    envs.step(np.full(num_envs, LETTER))
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    envs.close()
    return size


def bytes_per_token(sizes: Sequence[int], all_lengths: Sequence[Lengths], num_envs: int) -> float:
    """Slope over the context of the bytes of a sub-environment (least squares)."""
    contexts = [lengths.context for lengths in all_lengths]
    slope, _ = np.polyfit(contexts, [size / num_envs for size in sizes], 1)
    return float(slope)
