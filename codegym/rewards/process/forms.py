r"""How scores of lines become rewards of tokens: one small class for each form, behind one method.

Notation: an episode has N generated tokens and T scored lines; line m ends with token t_m and
has the score R_m in [-1, 1]. A sum over no line is 0.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from codegym.errors import ConfigurationError, UnknownNameError

__all__ = [
    "Difference",
    "OutcomeWeighted",
    "Potential",
    "ProcessForm",
    "RunningMean",
    "make_process_form",
]

FloatArray = npt.NDArray[np.float64]

Pays = Literal["at the end", "at line ends", "at each token"]
"""When something is paid before an end: never, at the ends of lines, or with each token."""


@runtime_checkable
class ProcessForm(Protocol):
    """Turns the scores of an episode's lines into rewards of its tokens."""

    @property
    def pays(self) -> Pays:
        """When rewards are known and paid."""
        ...

    @property
    def scores_the_end(self) -> bool:
        """Whether the score of a line that ends with the program matters."""
        ...

    @property
    def spread(self) -> float:
        """By how much a failing program can be paid more than a solved one for their scores."""
        ...

    def token_rewards(
        self, ends: Sequence[int], scores: Sequence[float], count: int, *, solved: bool | None
    ) -> FloatArray:
        """What generated tokens earn for the scored lines, the outcome aside.

        What an earlier call said of a token that is no longer the last one stays so.

        Args:
            ends: (T,) the last token of each scored line, counted from the first generated one,
                ascending.
            scores: (T,) in [-1, 1].
            count: N, the number of generated tokens.
            solved: Whether all tests passed; None: the episode goes on.

        Returns:
            (N,) float64.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class OutcomeWeighted:
    """``w * R_m / T`` for token t_m, with another `w` if the program is solved.

    The form of arXiv 2410.17621, Eq. 3 and section 4.1. Neither T nor the weight is known before
    the end, where all is paid.

    Attributes:
        weight: `w` of a program that fails.
        solved_weight: `w` of a program that is solved.

    Raises:
        ConfigurationError: If a weight is not a finite number of at least 0.
    """

    weight: float = 0.25
    solved_weight: float = 0.025

    def __post_init__(self) -> None:
        _check_number("weight", self.weight)
        _check_number("solved_weight", self.solved_weight)

    @property
    def pays(self) -> Pays:
        """All is paid at the end, as T is known only then."""
        return "at the end"

    @property
    def scores_the_end(self) -> bool:
        """True: the last line is paid for its score as any other is."""
        return True

    @property
    def spread(self) -> float:
        """``weight + solved_weight``."""
        return self.weight + self.solved_weight

    def token_rewards(
        self, ends: Sequence[int], scores: Sequence[float], count: int, *, solved: bool | None
    ) -> FloatArray:
        """Shares of the mean score, (N,); zeros while the episode goes on."""
        rewards = np.zeros(count)
        if solved is not None:
            weight = self.solved_weight if solved else self.weight
            rewards[_places(ends)] = weight * np.array(scores, np.float64) / max(1, len(scores))
        return rewards


@dataclasses.dataclass(frozen=True, slots=True)
class RunningMean:
    """``w * (mean(R_1..R_m) - mean(R_1..R_(m-1)))`` for token t_m, the first mean 0.

    Sums to ``w / T * sum(R_m)`` without knowing T.

    Attributes:
        weight: `w`.

    Raises:
        ConfigurationError: If the weight is not a finite number of at least 0.
    """

    weight: float = 0.25

    def __post_init__(self) -> None:
        _check_number("weight", self.weight)

    @property
    def pays(self) -> Pays:
        """Each scored line is paid when it ends."""
        return "at line ends"

    @property
    def scores_the_end(self) -> bool:
        """True: the last line is paid for its score as any other is."""
        return True

    @property
    def spread(self) -> float:
        """``2 * weight``."""
        return 2 * self.weight

    def token_rewards(
        self, ends: Sequence[int], scores: Sequence[float], count: int, *, solved: bool | None
    ) -> FloatArray:
        """What the mean score grows by, (N,)."""
        rewards = np.zeros(count)
        means = np.cumsum(np.array(scores, np.float64)) / np.arange(1, len(scores) + 1)
        rewards[_places(ends)] = self.weight * np.diff(means, prepend=0.0)
        return rewards


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """``w * (R_m - R_(m-1))`` for token t_m, with ``R_0 = 0``.

    Sums to ``w * R_T``, so that padding earns nothing (IRCoCo, arXiv 2401.16637; compare the step
    advantages of arXiv 2410.08146).

    Attributes:
        weight: `w`.

    Raises:
        ConfigurationError: If the weight is not a finite number of at least 0.
    """

    weight: float = 0.25

    def __post_init__(self) -> None:
        _check_number("weight", self.weight)

    @property
    def pays(self) -> Pays:
        """Each scored line is paid when it ends."""
        return "at line ends"

    @property
    def scores_the_end(self) -> bool:
        """True: the last line is paid for its score as any other is."""
        return True

    @property
    def spread(self) -> float:
        """``2 * weight``."""
        return 2 * self.weight

    def token_rewards(
        self, ends: Sequence[int], scores: Sequence[float], count: int, *, solved: bool | None
    ) -> FloatArray:
        """What the score grows by, (N,)."""
        rewards = np.zeros(count)
        rewards[_places(ends)] = self.weight * np.diff(np.array(scores, np.float64), prepend=0.0)
        return rewards


@dataclasses.dataclass(frozen=True, slots=True)
class Potential:
    """``gamma * Phi(s') - Phi(s)`` for each token (Ng, Harada and Russell, ICML 1999).

    Phi is ``w`` times the score of the last line that has ended, and 0 at the start and after the
    last token, whether the end is a termination or a truncation. For a learner with the same
    discount per token, no policy gains or loses by it; with ``gamma=1`` it sums to 0. The score
    of a line that ends with the last token, or of a last line without newline, cannot matter and
    is not asked for.

    Attributes:
        weight: `w`.
        gamma: Discount per token, in (0, 1]. With another value than 1, every token is paid for
            and costs a look at all earlier ones.

    Raises:
        ConfigurationError: If the weight is not a finite number of at least 0, or gamma is out of
            range.
    """

    weight: float = 0.25
    gamma: float = 1.0

    def __post_init__(self) -> None:
        _check_number("weight", self.weight)
        _check_number("gamma", self.gamma)
        if not 0 < self.gamma <= 1:
            raise ConfigurationError(f"gamma must be above 0 and at most 1, got {self.gamma!r}.")

    @property
    def pays(self) -> Pays:
        """Each scored line is paid when it ends if gamma is 1, else each token at once."""
        return "at line ends" if self.gamma == 1 else "at each token"

    @property
    def scores_the_end(self) -> bool:
        """False: the potential is 0 at the end, whatever the score."""
        return False

    @property
    def spread(self) -> float:
        """0, since a potential changes no ranking of programs."""
        return 0.0

    def token_rewards(
        self, ends: Sequence[int], scores: Sequence[float], count: int, *, solved: bool | None
    ) -> FloatArray:
        """What the discounted potential grows by, (N,)."""
        # State t is that after t tokens; a line is in force from the state after its last one.
        ended = np.searchsorted(_places(ends), np.arange(count + 1), side="left")
        potential = self.weight * np.concatenate([[0.0], np.array(scores, np.float64)])[ended]
        if solved is not None:
            potential[count] = 0.0
        rewards = np.zeros(count)
        rewards += self.gamma * potential[1:] - potential[:-1]
        return rewards


_BY_NAME: dict[str, type[OutcomeWeighted | RunningMean | Difference | Potential]] = {
    "outcome": OutcomeWeighted,
    "online": RunningMean,
    "difference": Difference,
    "potential": Potential,
}


def make_process_form(spec: str | ProcessForm) -> ProcessForm:
    """The form of a name with its default weight, or the one handed in.

    Args:
        spec: ``"outcome"``, ``"online"``, ``"difference"``, ``"potential"``, or a
            :class:`ProcessForm`.

    Raises:
        UnknownNameError: If the name is not one of these.
        ConfigurationError: If it is neither a name nor a :class:`ProcessForm`.
    """
    if isinstance(spec, str):
        if spec not in _BY_NAME:
            raise UnknownNameError("form of a process reward", spec, _BY_NAME)
        return _BY_NAME[spec]()
    if isinstance(spec, type) or not isinstance(spec, ProcessForm):
        raise ConfigurationError(
            f"form must be one of {', '.join(map(repr, _BY_NAME))} or an object such as "
            f"codegym.rewards.RunningMean(weight=0.2), got {spec!r:.80}."
        )
    return spec


def _places(ends: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(ends, dtype=np.int64)


def _check_number(name: str, value: object) -> None:
    legal = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not legal or not math.isfinite(value) or value < 0:  # type: ignore[arg-type,operator]  # a Real
        raise ConfigurationError(f"{name} must be a finite number of at least 0, got {value!r}.")
