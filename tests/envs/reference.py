"""Vector environments as their definition: as many single ones, stepped in a fixed order."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from codegym.envs import CodeEnv


def plain(value: Any) -> Any:
    """The value with object arrays as lists, which NumPy can not compare when they hold arrays."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        return [plain(item) for item in value]
    return value


class SingleEnvs:
    """N single environments that share a start distribution and a grader.

    A step: those that wait begin, those that run write and end in the order of their index, and
    in the mode SAME_STEP those that ended begin.
    """

    def __init__(self, num_envs: int, mode: AutoresetMode, **arguments: Any) -> None:
        self.envs = [CodeEnv(**arguments) for _ in range(num_envs)]
        self.mode = mode
        self._add = VectorEnv()
        self._add.num_envs = num_envs
        self.obs: list[Any] = [None] * num_envs
        self.terminated = np.zeros(num_envs, dtype=bool)
        self.truncated = np.zeros(num_envs, dtype=bool)

    def reset(self, seed: int | None = None, mask: Any = None) -> Any:
        infos: dict[str, Any] = {}
        for i in range(len(self.envs)):
            if mask is None or mask[i]:
                self._begin(i, infos, None if seed is None else seed + i)
        return self._batch(), infos

    def step(self, actions: Any) -> Any:
        ended = self.terminated | self.truncated
        rewards = np.zeros(len(self.envs))
        infos: dict[str, Any] = {}
        if self.mode is AutoresetMode.NEXT_STEP:
            for i in np.flatnonzero(ended):
                self._begin(i, infos)
        for i in np.flatnonzero(~ended):
            self.obs[i], rewards[i], self.terminated[i], self.truncated[i], info = self.envs[
                i
            ].step(actions[i])
            done = self.terminated[i] or self.truncated[i]
            if done and self.mode is AutoresetMode.SAME_STEP:
                info = {"final_obs": self.obs[i], "final_info": info}
            self._add._add_info(infos, info, i)
        terminated, truncated = self.terminated.copy(), self.truncated.copy()
        if self.mode is AutoresetMode.SAME_STEP:
            for i in np.flatnonzero(terminated | truncated):
                self._begin(i, infos)
        return self._batch(), rewards, terminated, truncated, infos

    def _begin(self, i: int, infos: dict[str, Any], seed: int | None = None) -> None:
        self.obs[i], info = self.envs[i].reset(seed=seed)
        self.terminated[i] = self.truncated[i] = False
        self._add._add_info(infos, info, i)

    def _batch(self) -> dict[str, Any]:
        return {
            key: np.stack([obs[key] for obs in self.obs]) for key in ("input_ids", "attention_mask")
        }
