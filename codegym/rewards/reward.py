"""The reward protocol, and how rewards are made of others.

A reward is a pure function of the grade. It returns named terms; the environment's reward is their
sum, and ``info["reward_terms"]`` shows them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from codegym.errors import ConfigurationError, RewardError
from codegym.grading.verdict import Grade

__all__ = ["FunctionReward", "Reward", "WeightedReward", "checked_terms"]


@runtime_checkable
class Reward(Protocol):
    """Maps the grade of a program to named terms."""

    def __call__(self, grade: Grade) -> Mapping[str, float]:
        """The terms, finite numbers by name; the reward is their sum."""
        ...


class FunctionReward:
    """Any function of the grade as a reward of one term.

    Args:
        function: Takes a :class:`~codegym.grading.Grade`, returns a number or named terms.
        name: Name of the term if it returns a number; the function's own name by default.

    >>> from codegym.grading import Grade, Verdict
    >>> half = FunctionReward(lambda grade: 0.5 * grade.pass_ratio, name="half")
    >>> half(Grade(Verdict.WRONG_ANSWER, tests_passed=1, tests_total=2))
    {'half': 0.25}
    """

    def __init__(
        self, function: Callable[[Grade], float | Mapping[str, float]], *, name: str | None = None
    ) -> None:
        if not callable(function):
            raise ConfigurationError(f"A reward must be callable, got {type(function).__name__}.")
        self.function = function
        self.name = str(name or getattr(function, "__name__", type(function).__name__))

    def __call__(self, grade: Grade) -> Mapping[str, float]:
        """The function's value under its name."""
        value = self.function(grade)
        return value if isinstance(value, Mapping) else {self.name: value}


class WeightedReward:
    """A weighted sum of rewards; a term is named ``"<part>/<term of the part>"``.

    Args:
        parts: Name to ``(weight, reward)``.

    >>> from codegym.grading import Grade, Verdict
    >>> from codegym.rewards import BinaryReward, PassRatioReward
    >>> both = WeightedReward({"all": (1.0, BinaryReward()), "some": (0.1, PassRatioReward())})
    >>> both(Grade(Verdict.ACCEPTED, tests_passed=2, tests_total=2))
    {'all/unit_tests': 1.0, 'some/pass_ratio': 0.1}
    """

    def __init__(self, parts: Mapping[str, tuple[float, Reward]]) -> None:
        if not parts:
            raise ConfigurationError("A WeightedReward needs at least one part.")
        for name, (_, reward) in parts.items():
            if not callable(reward):
                raise ConfigurationError(
                    f"The part {name!r} of a WeightedReward must be a callable of the grade, got "
                    f"{type(reward).__name__}."
                )
        self.parts = dict(parts)

    def __call__(self, grade: Grade) -> Mapping[str, float]:
        """The terms of all parts, each times its weight."""
        return {
            f"{name}/{term}": weight * value
            for name, (weight, reward) in self.parts.items()
            for term, value in checked_terms(reward, grade).items()
        }


def checked_terms(reward: Reward, grade: Grade) -> dict[str, float]:
    """The terms of a reward as floats; none if there is no verdict.

    A grade that is not :attr:`~codegym.grading.Grade.judged` says nothing of the program, so no
    reward is asked about it.

    Raises:
        RewardError: If the reward did not return a mapping of names to finite numbers.
    """
    if not grade.judged:
        return {}
    terms = reward(grade)
    legal = isinstance(terms, Mapping) and len(terms) > 0
    if not legal or not all(_is_finite(value) for value in terms.values()):
        raise RewardError(
            "A reward must return a non-empty mapping of names to finite numbers; "
            f"{type(reward).__name__} returned {terms!r} for the verdict {grade.verdict.value!r}."
        )
    return {str(name): float(value) for name, value in terms.items()}


def _is_finite(value: object) -> bool:
    try:
        return math.isfinite(value)  # type: ignore[arg-type]  # non-numbers raise TypeError
    except TypeError:
        return False
