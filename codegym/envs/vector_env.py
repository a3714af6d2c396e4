"""Many programs at a time: one environment, all sub-environments in numpy arrays.

Episodes are those of as many single environments under the same seeds and actions; only the
grading is shared: programs that end in the same step are judged together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from codegym.envs.arguments import TaskArguments, check_arguments, positive
from codegym.envs.code_env import CodeEnv
from codegym.envs.reset_options import ResetOptions
from codegym.envs.task import CodeTask, Episode, TaskViews, find_stop
from codegym.errors import (
    ClosedError,
    ConfigurationError,
    InvalidActionError,
    ResetNeededError,
    UnknownNameError,
)

__all__ = ["CodeVectorEnv"]

Observation = dict[str, Any]  # of (num_envs, L) arrays
Flags = npt.NDArray[np.bool_]


class CodeVectorEnv(TaskViews, VectorEnv[Observation, npt.NDArray[np.int64], npt.NDArray[Any]]):
    """The vector form of :class:`~codegym.envs.CodeEnv`, which documents the episode.

    Observations, actions, rewards, flags and infos are batched as Gymnasium's ``SyncVectorEnv``
    does: ``input_ids`` and ``attention_mask`` have shape (num_envs, context_length), and each key
    of an info has an array and a mask ``_key`` of the sub-environments that told it.

    Args:
        num_envs: Number of sub-environments.
        autoreset_mode: When a sub-environment that ended begins anew: on the next step, in the
            same step (with ``final_obs`` and ``final_info``), or when
            ``reset(options={"reset_mask": ...})`` says so. While it waits for that, in the mode
            ``DISABLED``, it ignores its action, returns reward 0 and keeps its flags, so that
            agents can finish a batch of episodes of different lengths.
        task: Keyword arguments of :class:`~codegym.envs.CodeTask`.

    Raises:
        ConfigurationError: If an argument is unknown or has no meaning.
        DataError: If the problems can not be loaded.

    Example:
        >>> import numpy as np
        >>> envs = CodeVectorEnv(2, tokenizer="byte", context_length=2000)
        >>> obs, infos = envs.reset(seed=0)
        >>> ends = np.full(2, envs.tokenizer.end_id)
        >>> obs, rewards, terminated, truncated, infos = envs.step(ends)
        >>> obs["input_ids"].shape, terminated.tolist(), infos["verdict"].tolist()
        ((2, 2000), [True, True], ['compile_error', 'compile_error'])
        >>> envs.close()
    """

    def __init__(
        self,
        num_envs: int,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **task: Unpack[TaskArguments],
    ) -> None:
        check_arguments(task)
        self.num_envs = positive("num_envs", num_envs)
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {**CodeEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.task = CodeTask(**task)
        self.single_action_space = self.task.action_space
        self.single_observation_space = self.task.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        shape = (num_envs, self.task.context_length)
        self._ids = np.full(shape, self.tokenizer.pad_id, dtype=np.int64)
        self._attention = np.zeros(shape, dtype=np.int8)
        self._length = np.zeros(num_envs, dtype=np.int64)
        self._start_length = np.zeros(num_envs, dtype=np.int64)
        self._episodes: list[Episode | None] = [None] * num_envs
        self._written = [b""] * num_envs
        self._terminated = np.zeros(num_envs, dtype=bool)
        self._truncated = np.zeros(num_envs, dtype=bool)
        self._rngs: list[np.random.Generator | None] = [None] * num_envs

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins new episodes.

        Args:
            seed: One seed for each sub-environment, or an int: ``seed + i`` for the i-th.
            options: Those of :class:`~codegym.envs.CodeEnv`, each a single value or a sequence of
                one for each sub-environment (None: not asked for); and ``reset_mask``,
                (num_envs,) bool, the sub-environments to reset.

        Returns:
            The whole batch's observation, and the infos of the sub-environments that were reset.

        Raises:
            ConfigurationError: If seeds, options or the mask do not fit the batch.
            ResetNeededError: If a sub-environment that was never reset is left out.
        """
        self._check_open()
        given = dict(options or {})
        mask = self._reset_mask(given.pop("reset_mask", None))
        seeds = self._seeds(seed)
        parsed = [ResetOptions.parse(one) for one in _unbatch(given, self.num_envs)]
        infos: dict[str, Any] = {}
        for i in np.flatnonzero(mask).tolist():
            if seeds[i] is not None or self._rngs[i] is None:
                self._rngs[i] = seeding.np_random(seeds[i])[0]
            self._begin(i, parsed[i], infos)
        return self._observation(), infos

    def step(
        self, actions: npt.NDArray[np.int64]
    ) -> tuple[Observation, npt.NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Appends one token to each running sub-environment.

        Args:
            actions: (num_envs,) token ids.

        Raises:
            InvalidActionError: If the batch has another shape, no integer type, or an id outside
                of the vocabulary where it matters.
            ResetNeededError: Before the first reset.
            ExecutionError: If a program could not be run.
        """
        self._check_open()
        if None in self._episodes:
            raise ResetNeededError("step() was called before the first reset(). Call reset().")
        waiting = self._terminated | self._truncated
        tokens = self._checked(actions, ~waiting)
        running = np.flatnonzero(~waiting)
        self._append(running, tokens[running])
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            for i in np.flatnonzero(waiting).tolist():
                self._begin(i, ResetOptions(), infos)
        ended = running[self._terminated[running] | self._truncated[running]]
        terminated, truncated = self._terminated.copy(), self._truncated.copy()
        if len(ended):
            self._judge(ended.tolist(), rewards, infos)
        return self._observation(), rewards, terminated, truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Ends the workers that were started for this environment (called by ``close``)."""
        self.task.close()

    def _append(self, rows: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64]) -> None:
        """Writes one token to each of some rows and sets the flags of those that end."""
        position = self._length[rows]
        self._ids[rows, position] = tokens
        self._attention[rows, position] = 1
        self._length[rows] = position + 1
        terminated = tokens == self.tokenizer.end_id
        for k, i in enumerate(rows.tolist()):
            episode = self._episodes[i]
            if episode is not None and episode.prompt.stop:
                self._written[i] += self.tokenizer.token_bytes(int(tokens[k]))
                terminated[k] |= find_stop(self._written[i], episode.prompt.stop) is not None
        length = self._length[rows]
        budget_used = length - self._start_length[rows] >= self.task.max_new_tokens
        budget_used |= length >= self.task.context_length
        self._terminated[rows] = terminated
        self._truncated[rows] = budget_used & ~terminated

    def _judge(
        self, ended: list[int], rewards: npt.NDArray[np.float64], infos: dict[str, Any]
    ) -> None:
        pairs = [(self._episode(i), self._generated(i)) for i in ended]
        for i, outcome in zip(ended, self.task.judge(pairs), strict=True):
            rewards[i] = outcome.reward
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                final = {"final_obs": self._single_observation(i), "final_info": outcome.info}
                self._add_info(infos, final, i)
            else:
                self._add_info(infos, outcome.info, i)
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            for i in ended:
                self._begin(i, ResetOptions(), infos)

    def _begin(self, i: int, options: ResetOptions, infos: dict[str, Any]) -> None:
        rng = self._rngs[i]
        if rng is None:
            raise ResetNeededError(f"Sub-environment {i} was never reset. Call reset().")
        episode = self.task.begin(rng, options)
        length = len(episode.token_ids)
        self._episodes[i], self._written[i] = episode, b""
        self._length[i] = self._start_length[i] = length
        self._ids[i] = self.tokenizer.pad_id
        self._ids[i, :length] = episode.token_ids
        self._attention[i] = 0
        self._attention[i, :length] = 1
        self._terminated[i] = self._truncated[i] = False
        self._add_info(infos, episode.info(), i)

    def _episode(self, i: int) -> Episode:
        episode = self._episodes[i]
        if episode is None:
            raise ResetNeededError(f"Sub-environment {i} was never reset. Call reset().")
        return episode

    def _generated(self, i: int) -> npt.NDArray[np.int64]:
        return self._ids[i, self._start_length[i] : self._length[i]].copy()

    def _observation(self) -> Observation:
        return {"input_ids": self._ids.copy(), "attention_mask": self._attention.copy()}

    def _single_observation(self, i: int) -> Observation:
        return {"input_ids": self._ids[i].copy(), "attention_mask": self._attention[i].copy()}

    def _checked(self, actions: object, matters: Flags) -> npt.NDArray[np.int64]:
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
            raise InvalidActionError(
                f"Actions are an int array of shape ({self.num_envs},), one token id for each "
                f"sub-environment; got shape {array.shape} and dtype {array.dtype}."
            )
        wrong = ((array < 0) | (array >= self.tokenizer.vocab_size)) & matters
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            raise InvalidActionError(
                f"An action is a token id from 0 to {self.tokenizer.vocab_size - 1}; "
                f"sub-environment {i} got {array[i]}."
            )
        return array.astype(np.int64, copy=False)

    def _reset_mask(self, mask: object) -> Flags:
        if mask is None:
            return np.ones(self.num_envs, dtype=bool)
        array = np.asarray(mask)
        if array.shape != (self.num_envs,) or array.dtype != np.bool_ or not array.any():
            raise ConfigurationError(
                f'options["reset_mask"] must be a bool array of shape ({self.num_envs},) with at '
                f"least one True, got shape {array.shape} and dtype {array.dtype}."
            )
        return array

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int):
            return [seed + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ConfigurationError(
                f"Give one seed for each of the {self.num_envs} sub-environments, or an int; got "
                f"{len(seed)} seeds."
            )
        return seed

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError("The vector environment was closed. Make a new one.")


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    names = {one.value: one for one in AutoresetMode} | {one.name: one for one in AutoresetMode}
    if mode not in names:
        raise UnknownNameError("autoreset mode", mode, names)
    return names[mode]


def _unbatch(options: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Options of each sub-environment from single values and sequences of num_envs values.

    A prefix is the exception: a flat sequence of ints is one prefix of token ids, for all.
    """
    singles: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for name, value in options.items():
        batched = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
        if (
            name == "prefix"
            and batched
            and all(np.ndim(v) == 0 and not isinstance(v, str) and v is not None for v in value)
        ):
            batched = False
        if batched and len(value) != num_envs:
            raise ConfigurationError(
                f'options["{name}"] must be one value or one for each of the {num_envs} '
                f"sub-environments, got {len(value)}."
            )
        values = value if batched else [value] * num_envs
        for single, one in zip(singles, values, strict=True):
            single[name] = one.item() if isinstance(one, np.generic) else one
    return singles
