"""Plays a vector environment token by token, by whole continuations, or both."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from codegym.envs import CodeVectorEnv
from codegym.errors import ExecutionError

from .reference import Play, Writer, rounded, row_of, told_by

START = (
    "problem_id",
    "source",
    "difficulty",
    "stage",
    "num_stages",
    "prompt_length",
    "start_length",
)
NOWHERE = -7
"""An action that would be refused if it were looked at."""


class Player:
    """Plays until each sub-environment has finished some episodes.

    Args:
        envs: Freshly made.
        writer: The tokens.
        lane: ``"tokens"``, ``"sequences"`` or ``"both"``.
        budget: Tokens that are at hand for each episode.
        seed: Of the environments and of what is left to chance here.
        dense: Whether something may be paid before the end.
    """

    def __init__(
        self,
        envs: CodeVectorEnv,
        writer: Writer,
        *,
        lane: str,
        budget: int,
        seed: int,
        dense: bool = False,
    ) -> None:
        self.dense = dense
        self.envs, self.writer, self.lane, self.budget = envs, writer, lane, budget
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.plays: list[list[Play | None]] = [[] for _ in range(envs.num_envs)]
        self.judging = np.zeros(envs.num_envs, dtype=bool)
        self.ended = np.zeros(envs.num_envs, dtype=bool)
        self.position = np.zeros(envs.num_envs, dtype=int)
        self.open: list[Play | None] = [None] * envs.num_envs
        self.failures = 0

    def play(self, episodes: int) -> list[list[Play | None]]:
        self._began(*self.envs.reset(seed=self.seed))
        while min(map(len, self.plays)) < episodes:
            try:
                self._take(*self._advance())
            except ExecutionError as error:
                self.failures += 1
                self._reset_failed(error)
            self._reset_some()
        return [plays[:episodes] for plays in self.plays]

    def _advance(self) -> Any:
        if self.lane != "tokens":
            for i in np.flatnonzero(~self.judging & ~self.ended).tolist():
                if self.rng.random() < 0.6:
                    self._submit(i)
        if self.lane == "sequences":
            return self.envs.collect(wait=bool(self.rng.random() < 0.7))
        actions = np.full(self.envs.num_envs, NOWHERE)
        for i in np.flatnonzero(~self.judging & ~self.ended).tolist():
            actions[i] = self._left(i)[0]
        result = self.envs.step(actions)
        self.position += actions != NOWHERE  # not if the step raised
        return result

    def _submit(self, i: int) -> None:
        left = self._left(i)
        count = int(self.rng.integers(1, len(left) + 1))
        if self.lane == "both" and count == len(left):
            count -= 1  # a token stays for the step, in case the episode does not end
        if count:
            taken = self.envs.submit(i, left[:count].tolist())
            assert 1 <= taken <= count
            self.position[i] += taken
            # Whether it ended is told by the next step; until then nothing more may be given.
            self.judging[i] = taken < count or not self._writes(i)

    def _writes(self, i: int) -> bool:
        return bool(self.envs._writing[i])

    def _left(self, i: int) -> Any:
        return self.writer.tokens(i, len(self.plays[i]), self.budget)[self.position[i] :]

    def _began(self, obs: Any, infos: Any) -> None:
        for i in np.flatnonzero(infos["_start_length"]).tolist():
            start = {key: value for key, value in told_by(infos, i).items() if key in START}
            self.open[i] = Play(start, row_of(obs, i))
            self.position[i] = 0
            self.ended[i] = self.judging[i] = False

    def _take(self, obs: Any, rewards: Any, terminated: Any, truncated: Any, infos: Any) -> None:
        same = self.envs.autoreset_mode is AutoresetMode.SAME_STEP
        was_ended = self.ended.copy()
        done = (terminated | truncated) & ~was_ended
        assert not (terminated & truncated).any()
        assert not rewards[was_ended | self.judging & ~done].any()
        assert self.dense or not rewards[~done].any()
        for i in np.flatnonzero(rewards).tolist():
            paid = self.open[i]
            assert paid is not None
            paid.reward += float(rewards[i])
        told = infos.get("_final_info" if same else "_verdict", np.zeros_like(done))
        np.testing.assert_array_equal(told, done)
        for i in np.flatnonzero(done).tolist():
            play = self.open[i]
            assert play is not None
            info = told_by(infos, i)
            play.last_obs = info["final_obs"] if same else row_of(obs, i)
            play.info = info["final_info"] if same else info
            play.info.pop("judging", None)
            play.reward, play.terminated = rounded(play.reward), bool(terminated[i])
            play.truncated = bool(truncated[i])
            self.plays[i].append(play)
            self.ended[i] = True
        self.judging = infos.get("judging", np.zeros_like(done)).copy()
        assert not (self.judging & (terminated | truncated)).any()
        if "_start_length" in infos and (same or self.envs.autoreset_mode.name == "NEXT_STEP"):
            begins = self.ended if same else was_ended
            begun = {**infos, "_start_length": infos["_start_length"] & begins}
            self._began(obs, begun)

    def _reset_failed(self, error: ExecutionError) -> None:
        (note,) = error.__notes__
        i = int(re.findall(r"sub-environment (\d+)", note)[0])
        self.plays[i].append(None)
        self._reset(np.arange(self.envs.num_envs) == i)

    def _reset_some(self) -> None:
        if self.envs.autoreset_mode is AutoresetMode.DISABLED and self.ended.any():
            mask = self.ended & (self.rng.random(len(self.ended)) < 0.5)
            if mask.any():
                self._reset(mask)

    def _reset(self, mask: Any) -> None:
        self._began(*self.envs.reset(options={"reset_mask": mask}))
