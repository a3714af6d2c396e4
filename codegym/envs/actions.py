"""What callers pass as actions, checked: one token, one for each sub-environment, or many."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym.errors import InvalidActionError

__all__ = ["checked_batch", "checked_continuation", "checked_token"]

IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def checked_token(action: object, vocab_size: int) -> int:
    """One token id, from 0 to ``vocab_size - 1``.

    Raises:
        InvalidActionError: If the action is anything else.
    """
    try:
        token = index(action)  # type: ignore[arg-type]  # others raise TypeError
    except TypeError:
        token = -1
    if not 0 <= token < vocab_size or action is True or action is False:
        raise InvalidActionError(
            f"An action is a token id, an int from 0 to {vocab_size - 1}; got {action!r} of type "
            f"{type(action).__name__}."
        )
    return token


def checked_batch(actions: object, vocab_size: int, matters: Flags) -> IntArray:
    """One token for each sub-environment, (num_envs,) int64.

    Args:
        actions: What a caller passed.
        vocab_size: Ids run from 0 to one less.
        matters: (num_envs,) whose ids are checked; others are not written.

    Raises:
        InvalidActionError: If the shape is wrong, or if they are not ints or not token ids.
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


def checked_continuation(tokens: object, vocab_size: int) -> IntArray:
    """The tokens of a continuation, (T,) int64 with T of at least 1.

    Raises:
        InvalidActionError: If there are none, or if they are not ints or not token ids.
    """
    array = np.asarray(tokens)
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


def _outside(array: npt.NDArray[Any], vocab_size: int) -> Flags:
    outside: Flags = (array < 0) | (array >= vocab_size)
    return outside
