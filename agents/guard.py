"""Watches a run: says when the policy has run away, and which of its states was the last good one.

A policy that runs away does not come back by itself: its programs no longer pass, so nothing tells
it the way. The guard notices three things: a loss that is not finite, a KL to the reference that
no useful policy has, and success that falls far below the best so far. The trainer then goes back
to the last state that passed, with a smaller step, and gives up after a few such returns.

Success is the held-out pass rate where problems are held out. Without them it is the share of
training episodes that passed, which falls for a good reason as well, when start states move back:
only a far deeper fall counts there.
"""

from __future__ import annotations

import dataclasses

from codegym.errors import CodegymError, ConfigurationError

__all__ = ["DivergedError", "Guard", "GuardSettings", "GuardState", "RunawayError"]

_LOWEST_IN_TRAINING = 0.2  # share of the best training success; moving start states may halve it


class DivergedError(CodegymError, ArithmeticError):
    """A loss is not a finite number any more: the run must go back to an earlier state."""


class RunawayError(CodegymError, ArithmeticError):
    """The policy ran away again and again, however small the step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuardSettings:
    """What a run may do before it is sent back."""

    guard: bool = True
    """whether a run that goes wrong goes back to its last good state"""
    max_kl: float = 1.0
    """KL to the reference above which a policy has run away, in nats per token; a useful one stays
    below 0.3"""
    lowest_success: float = 0.5
    """held-out success below this share of the best so far is a collapse"""
    backoff: float = 0.5
    """factor on both learning rates at each return"""
    max_returns: int = 3
    """returns before the run gives up"""


@dataclasses.dataclass(slots=True)
class GuardState:
    """What a checkpoint keeps of the guard.

    Attributes:
        best: Highest success so far, in [0, 1]; -1 before the first.
        best_iteration: When that was.
        returns: The reason of each return, in order.
    """

    best: float = -1.0
    best_iteration: int = 0
    returns: list[str] = dataclasses.field(default_factory=list)


class Guard:
    """Judges iterations and evaluations. It changes nothing; the trainer does.

    Args:
        settings: The bounds.
        held_out: Whether success is measured on held-out problems.

    Raises:
        ConfigurationError: If a bound has no meaning.
    """

    def __init__(self, settings: GuardSettings, *, held_out: bool) -> None:
        for name, high in (("lowest_success", 1.0), ("backoff", 1.0), ("max_kl", float("inf"))):
            value = getattr(settings, name)
            if not 0.0 < value <= high:
                raise ConfigurationError(f"{name} must be above 0 and at most {high}, got {value}.")
        if settings.max_returns < 0:
            raise ConfigurationError(f"max_returns must be 0 or more, got {settings.max_returns}.")
        self.settings = settings
        self.state = GuardState()
        self._lowest = settings.lowest_success if held_out else _LOWEST_IN_TRAINING

    @property
    def rate_factor(self) -> float:
        """Factor on the learning rates."""
        return float(self.settings.backoff ** len(self.state.returns))

    def after_iteration(self, reference_kl: float) -> str | None:
        """Judges an iteration.

        Args:
            reference_kl: KL to the reference over its rollout, in nats per token.

        Returns:
            Why the run must go back; None if it need not.
        """
        if self.settings.guard and not reference_kl <= self.settings.max_kl:
            return f"KL to the reference {reference_kl:.2f}, at most {self.settings.max_kl:g}"
        return None

    def after_check(self, success: float, iteration: int) -> str | None:
        """Judges what was measured, and remembers the best.

        Args:
            success: In [0, 1].
            iteration: Iterations done.

        Returns:
            Why the run must go back; None if this state is a good one.
        """
        state = self.state
        if self.settings.guard and success < self._lowest * state.best:
            return (
                f"success {success:.3f}, less than {self._lowest:g} of the best, {state.best:.3f} "
                f"at iteration {state.best_iteration}"
            )
        if success > state.best:
            state.best, state.best_iteration = success, iteration
        return None

    def count_return(self, iteration: int, reason: str) -> None:
        """Notes that the run goes back.

        Args:
            iteration: Iterations done.
            reason: Of :meth:`after_iteration` or :meth:`after_check`.

        Raises:
            RunawayError: If it has gone back as often as it may.
        """
        self.state.returns.append(f"iteration {iteration}: {reason}")
        if len(self.state.returns) > self.settings.max_returns:
            raise RunawayError(
                f"Expected a run that stays near its best; it ran away {len(self.state.returns)} "
                f"times ({'; '.join(self.state.returns)}), the last time with the learning rates "
                f"x {self.rate_factor / self.settings.backoff:g}. The best policy is kept. Lower "
                "learning_rate, raise kl_coefficient, or allow more returns with max_returns."
            )
