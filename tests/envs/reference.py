"""Vector environments as their definition: as many single ones, stepped in a fixed order."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from codegym.envs import CodeEnv
from codegym.errors import ExecutionError


def assert_same(mine: Any, theirs: Any, path: str = "") -> None:
    """Equality to the byte of nested dicts, lists and arrays: types, shapes and values."""
    assert type(mine) is type(theirs), (path, mine, theirs)
    if isinstance(mine, Play):
        mine, theirs = vars(mine), vars(theirs)
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys(), path
        for key, value in mine.items():
            assert_same(value, theirs[key], f"{path}/{key}")
    elif isinstance(mine, tuple | list):
        assert len(mine) == len(theirs), path
        for k, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            assert_same(one, other, f"{path}/{k}")
    elif isinstance(mine, np.ndarray):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape), path
        if mine.dtype == object:
            assert_same(mine.tolist(), theirs.tolist(), path)
        else:
            assert np.array_equal(mine, theirs), (path, mine, theirs)
    else:
        assert mine == theirs, path


@dataclasses.dataclass
class Play:
    """One episode of one sub-environment, as its caller saw it; `reward` is that of all steps."""

    start: dict[str, Any]
    first_obs: dict[str, Any]
    last_obs: dict[str, Any] = dataclasses.field(default_factory=dict)
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] = dataclasses.field(default_factory=dict)


class Writer:
    """The tokens of each episode of each sub-environment: a function of both numbers.

    Args:
        tokenizer: Of the environments.
        letters: What is written.
        end: How often a token is the end token.
    """

    def __init__(self, tokenizer: Any, letters: str, end: float = 0.1) -> None:
        self._letters = np.array(tokenizer.encode(letters))
        self._end_id, self._end = tokenizer.end_id, end

    def tokens(self, i: int, episode: int, count: int) -> np.ndarray[Any, Any]:
        """(count,) tokens; more than an episode needs."""
        rng = np.random.default_rng([i, episode])
        tokens = rng.choice(self._letters, size=count)
        tokens[rng.random(count) < self._end] = self._end_id
        return tokens


def single_plays(
    writer: Writer, i: int, *, seed: int, episodes: int, budget: int, **arguments: Any
) -> list[Play | None]:
    """The episodes of sub-environment `i`, played by a single one; None if it could not be run."""
    env = CodeEnv(**arguments)
    plays: list[Play | None] = []
    for number in range(episodes):
        obs, info = env.reset(seed=seed + i if number == 0 else None)
        play = Play(info, obs)
        try:
            for token in writer.tokens(i, number, budget):
                step = env.step(token)
                play.reward += step[1]
                if step[2] or step[3]:
                    break
        except ExecutionError:
            plays.append(None)
        else:
            play.last_obs, _, play.terminated, play.truncated, play.info = step
            play.reward = rounded(play.reward)
            plays.append(play)
    return plays


def rounded(reward: float) -> float:
    """A return without what is left of the order in which its parts were added."""
    return round(reward, 12)


def told_by(infos: dict[str, Any], i: int) -> dict[str, Any]:
    """The info of one sub-environment out of a batch."""
    told: dict[str, Any] = {}
    for key, value in infos.items():
        if not key.startswith("_") and infos[f"_{key}"][i]:
            one = told_by(value, i) if isinstance(value, dict) else value[i]
            told[key] = one.item() if isinstance(one, np.generic) else one
    return told


def row_of(obs: dict[str, Any], i: int | slice) -> dict[str, Any]:
    """A copy of the observation of one sub-environment."""
    return {key: value[i].copy() for key, value in obs.items()}


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
            for i in np.flatnonzero(ended).tolist():
                self._begin(i, infos)
        for i in np.flatnonzero(~ended).tolist():
            self.obs[i], rewards[i], self.terminated[i], self.truncated[i], info = self.envs[
                i
            ].step(actions[i])
            done = self.terminated[i] or self.truncated[i]
            if done and self.mode is AutoresetMode.SAME_STEP:
                info = {"final_obs": self.obs[i], "final_info": info}
            self._add._add_info(infos, info, i)
        told = ended if self.mode is AutoresetMode.DISABLED else np.zeros_like(ended)
        terminated, truncated = self.terminated & ~told, self.truncated & ~told
        if self.mode is AutoresetMode.SAME_STEP:
            for i in np.flatnonzero(terminated | truncated).tolist():
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
