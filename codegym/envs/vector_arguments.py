"""The arguments of a vector environment's methods, checked and spread over its sub-environments."""

from __future__ import annotations

import numbers
import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from codegym.errors import (
    ConfigurationError,
    EpisodeError,
    InvalidActionError,
    UnknownNameError,
)

__all__ = [
    "Judging",
    "batch_of_tokens",
    "continuation_tokens",
    "make_autoreset_mode",
    "make_judging",
    "refuse_fork",
    "reset_mask",
    "spread_options",
    "spread_seeds",
    "sub_env_index",
]

Judging = Literal["sync", "async"]
"""Whether a step waits for the grades of the programs that it ends."""

_JUDGING: dict[object, Judging] = {"sync": "sync", "async": "async"}


def make_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """The mode of a name, or the one handed in.

    Raises:
        UnknownNameError: If there is no such mode.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    names = {one.value: one for one in AutoresetMode} | {one.name: one for one in AutoresetMode}
    if mode not in names:
        raise UnknownNameError("autoreset mode", mode, names)
    return names[mode]


def make_judging(judging: object) -> Judging:
    """`judging` if it is a way of judging.

    Raises:
        UnknownNameError: Otherwise.
    """
    if not isinstance(judging, str) or judging not in _JUDGING:
        raise UnknownNameError("way of judging", judging, map(str, _JUDGING))
    return _JUDGING[judging]


def refuse_fork(pid: int) -> NoReturn:
    """Says that the environment is used in a fork of the process `pid`, which made it.

    Raises:
        EpisodeError: Always.
    """
    raise EpisodeError(
        f"This vector environment was made in process {pid} and is used in its fork "
        f"{os.getpid()}, where its pending grades never arrive and its random numbers would "
        "repeat. Make a new one in each process."
    )


def sub_env_index(index: object, num_envs: int) -> int:
    """`index` as an int from 0 to ``num_envs - 1``.

    Raises:
        ConfigurationError: If it is none.
    """
    try:
        i = -1 if isinstance(index, bool) else operator.index(index)  # type: ignore[arg-type]  # others raise TypeError
    except TypeError:
        i = -1
    if not 0 <= i < num_envs:
        raise ConfigurationError(
            f"A sub-environment is named by an int from 0 to {num_envs - 1}, got {index!r}."
        )
    return i


def batch_of_tokens(
    actions: object, vocab_size: int, matters: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """One token for each sub-environment, (num_envs,) int64.

    Args:
        actions: What a caller passed.
        vocab_size: Ids run from 0 to one less.
        matters: (num_envs,) whose ids are checked; others are not written.

    Raises:
        InvalidActionError: If the shape is wrong, or if they are no ints or no token ids.
    """
    array = np.asarray(actions)
    if array.shape != matters.shape or array.dtype.kind not in "iu":
        raise InvalidActionError(
            f"Actions are an int array of shape {matters.shape}, one token id for each "
            f"sub-environment; got shape {array.shape} and dtype {array.dtype}."
        )
    if array.min() < 0 or array.max() >= vocab_size:
        for i in np.flatnonzero(_outside(array, vocab_size) & matters).tolist():
            raise InvalidActionError(
                f"An action is a token id from 0 to {vocab_size - 1}; sub-environment {i} got "
                f"{array[i]}."
            )
    return array.astype(np.int64, copy=False)


def continuation_tokens(given: object, vocab_size: int) -> npt.NDArray[np.int64]:
    """The tokens of a continuation, (T,) int64 with T of at least 1.

    Raises:
        InvalidActionError: If they are none, no ints, or no token ids.
    """
    array = np.asarray(given)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "iu":
        raise InvalidActionError(
            "A continuation is a flat sequence of at least one token id; got shape "
            f"{array.shape} and dtype {array.dtype}."
        )
    for k in np.flatnonzero(_outside(array, vocab_size)).tolist():
        raise InvalidActionError(
            f"An action is a token id from 0 to {vocab_size - 1}; token {k} of the continuation "
            f"is {array[k]}."
        )
    return array.astype(np.int64, copy=False)


def reset_mask(mask: object, num_envs: int) -> npt.NDArray[np.bool_]:
    """The sub-environments to reset, (num_envs,) bool; all if no mask was given.

    Raises:
        ConfigurationError: If the mask has another shape or type, or holds no True.
    """
    if mask is None:
        return np.ones(num_envs, dtype=bool)
    array = np.asarray(mask)
    if array.shape != (num_envs,) or array.dtype != np.bool_ or not array.any():
        raise ConfigurationError(
            f'options["reset_mask"] must be a bool array of shape ({num_envs},) with at '
            f"least one True, got shape {array.shape} and dtype {array.dtype}."
        )
    return array


def spread_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> Sequence[int | None]:
    """One seed for each sub-environment: ``seed + i`` for the i-th if one was given.

    Raises:
        ConfigurationError: If there are more or fewer seeds than sub-environments.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, numbers.Integral):
        return [int(seed) + i for i in range(num_envs)]
    if not isinstance(seed, Sequence | np.ndarray) or len(seed) != num_envs:
        raise ConfigurationError(
            f"Give one seed for each of the {num_envs} sub-environments, or an int; got "
            f"{seed!r:.80}."
        )
    return [None if one is None else int(one) for one in seed]


def spread_options(options: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Options of each sub-environment from single values and sequences of num_envs values.

    A prefix is the exception: a flat sequence of ints is one prefix of token ids, for all.

    Raises:
        ConfigurationError: If a sequence has another length.
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


def _outside(array: npt.NDArray[Any], vocab_size: int) -> npt.NDArray[np.bool_]:
    outside: npt.NDArray[np.bool_] = (array < 0) | (array >= vocab_size)
    return outside
