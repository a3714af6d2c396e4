"""Action masks from the vocabulary of the canonical solution, for agents that explore at random."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from codegym.envs.code_env import CodeEnv
from codegym.errors import ConfigurationError
from codegym.tokenization.tokenizer import end_ids

__all__ = ["AllowedTokens"]


class AllowedTokens(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Tells which tokens occur in the problem's canonical solution, and those that end a program.

    A random policy over a few hundred tokens never writes a program; over the dozen tokens of the
    solution it sometimes does. The mask is advice: the environment accepts every token.
    ``MaskablePPO`` of sb3-contrib finds it through :meth:`action_masks`.

    Args:
        env: A ``CodeGen-...`` environment.

    Raises:
        ConfigurationError: If `env` is not a codegym environment.

    Example:
        >>> import gymnasium
        >>> import codegym
        >>> env = AllowedTokens(gymnasium.make("CodeGen-Mini-v0", tokenizer="byte"))
        >>> obs, info = env.reset(seed=0)
        >>> env.action_masks().shape == (env.action_space.n,)
        True
        >>> env.close()
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        if not isinstance(env.unwrapped, CodeEnv):
            raise ConfigurationError(
                f"AllowedTokens wraps a codegym environment, got {type(env.unwrapped).__name__}."
            )
        self._code_env = env.unwrapped
        self._mask = np.ones(self._code_env.tokenizer.vocab_size, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Resets the environment and makes the mask of its problem."""
        obs, info = self.env.reset(seed=seed, options=options)
        problem = self._code_env.problems.by_id(info["problem_id"])
        tokenizer = self._code_env.tokenizer
        self._mask[:] = False
        self._mask[tokenizer.encode(self._code_env.task.reference(problem).rest)] = True
        self._mask[list(end_ids(tokenizer))] = True
        return obs, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Which tokens are allowed, (vocab_size,) bool."""
        return self._mask.copy()
