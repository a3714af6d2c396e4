"""Rewards by name, so that an environment's spec stays plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.grading.verdict import Grade
from codegym.rewards.outcome import BinaryReward, PassRatioReward, RLTFReward, StepCoderReward
from codegym.rewards.reward import FunctionReward, Reward

__all__ = ["make_reward"]

_BY_NAME: dict[str, Callable[[], Reward]] = {
    "stepcoder": StepCoderReward,
    "binary": BinaryReward,
    "pass_ratio": PassRatioReward,
    "rltf": RLTFReward,
}


def make_reward(spec: str | Callable[[Grade], float | Mapping[str, float]]) -> Reward:
    """The reward of a name, or any callable of the grade as a reward.

    Args:
        spec: ``"stepcoder"``, ``"binary"``, ``"pass_ratio"``, ``"rltf"``, or a callable that
            returns a number or named terms.

    Raises:
        UnknownNameError: If the name is not one of these.
        ConfigurationError: If it is neither a name nor callable.
    """
    if isinstance(spec, str):
        if spec not in _BY_NAME:
            raise UnknownNameError("reward", spec, _BY_NAME)
        return _BY_NAME[spec]()
    if not callable(spec):
        raise ConfigurationError(
            f"reward must be one of {', '.join(map(repr, _BY_NAME))} or a callable of the grade, "
            f"got {type(spec).__name__}."
        )
    return FunctionReward(spec)
