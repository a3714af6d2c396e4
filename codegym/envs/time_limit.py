"""Gymnasium's limit of steps, told to the environment that it is put on.

``gymnasium.make(id, max_episode_steps=n)`` puts a ``TimeLimit`` around the environment and tells it
nothing: the wrapper would say that an episode is truncated whose program nobody judged. A token is
a step, so the limit is one more budget of tokens, which the environment keeps itself.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from codegym.errors import ConfigurationError

__all__ = ["checked_limit", "limit_of_wrappers"]


def checked_limit(max_episode_steps: object) -> int | None:
    """A limit of steps as Gymnasium takes it: a positive int, or None or -1 for none.

    Raises:
        ConfigurationError: If it is anything else.
    """
    if max_episode_steps is None or max_episode_steps == -1:
        return None
    if not isinstance(max_episode_steps, int) or max_episode_steps <= 0:
        raise ConfigurationError(
            "max_episode_steps must be a positive int, or None or -1 for no limit of its own; got "
            f"{max_episode_steps!r}."
        )
    return max_episode_steps


def limit_of_wrappers(env: gymnasium.Env[Any, Any]) -> int | None:
    """The least limit of the ``TimeLimit`` wrappers whose ``reset`` is being called; None without.

    Wrappers know what they wrap, and not the other way round. While a wrapper resets, it is found
    on the stack of calls.

    Args:
        env: The environment, whose ``reset`` is being called.
    """
    limits = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is TimeLimit.reset.__code__:
            wrapper = frame.f_locals["self"]
            if wrapper.unwrapped is env:
                limits.append(int(wrapper._max_episode_steps))
        frame = frame.f_back
    return min(limits, default=None)
