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

from codegym.errors import CodegymError

__all__ = ["DivergedError", "Guard", "GuardState", "RunawayError"]

_MAX_KL = 1.0  # to the reference, nats per token; a useful policy stays below 0.3
_LOWEST_SUCCESS = 0.5  # share of the best held-out success
_LOWEST_IN_TRAINING = 0.2  # share of the best training success; moving start states may halve it
_BACKOFF = 0.5  # factor on the learning rates at each return
_MAX_RETURNS = 3


class DivergedError(CodegymError, ArithmeticError):
    """A loss is not a finite number any more: the run must go back to an earlier state."""


class RunawayError(CodegymError, ArithmeticError):
    """The policy ran away again and again, however small the step."""


@dataclasses.dataclass(slots=True)
class GuardState:
    """What a checkpoint keeps of the guard.

    Attributes:
        best: Highest success so far, in [0, 1]; -1 before the first.
        best_iteration: When that was.
        solved_at_best: Share of training episodes that passed before that; None: none was played.
        returns: The reason of each return, in order.
    """

    best: float = -1.0
    best_iteration: int = 0
    solved_at_best: float | None = None
    returns: list[str] = dataclasses.field(default_factory=list)


class Guard:
    """Judges iterations and evaluations. It changes nothing; the trainer does.

    Args:
        enabled: Whether it judges; otherwise it only remembers the best.
        held_out: Whether success is measured on held-out problems.
    """

    def __init__(self, *, enabled: bool, held_out: bool) -> None:
        self.enabled = enabled
        self.state = GuardState()
        self._lowest = _LOWEST_SUCCESS if held_out else _LOWEST_IN_TRAINING

    @property
    def rate_factor(self) -> float:
        """Factor on the learning rates."""
        return float(_BACKOFF ** len(self.state.returns))

    def after_iteration(self, reference_kl: float) -> str | None:
        """Judges an iteration.

        Args:
            reference_kl: KL to the reference over its rollout, in nats per token.

        Returns:
            Why the run must go back; None if it need not.
        """
        if self.enabled and not reference_kl <= _MAX_KL:  # NaN is not, either
            return f"KL to the reference {reference_kl:.2f}, at most {_MAX_KL:g}"
        return None

    def after_check(
        self, success: float, iteration: int, *, solved: float | None = None
    ) -> str | None:
        """Judges what was measured, and remembers the best.

        Args:
            success: In [0, 1].
            iteration: Iterations done.
            solved: Share of the training episodes since the last check that passed; None: none
                was played.

        Returns:
            Why the run must go back; None if this state is a good one.
        """
        state = self.state
        if self.enabled and success < self._lowest * state.best:
            return (
                f"success {success:.3f}, less than {self._lowest:g} of the best, {state.best:.3f} "
                f"at iteration {state.best_iteration}"
            )
        if success > state.best:
            state.best, state.best_iteration, state.solved_at_best = success, iteration, solved
        return None

    def drift(self, success: float, solved: float) -> dict[str, float]:
        """What training and held-out success did since the best check.

        Where both are above 0, the policy learns what its training problems and their tests let
        pass, and not what is asked.

        Args:
            success: Held out.
            solved: Share of the training episodes since the last check that passed.

        Returns:
            ``drift/training_rise`` and ``drift/held_out_fall``; nothing where the best check was
            before all training.
        """
        if self.state.solved_at_best is None:
            return {}
        return {
            "drift/training_rise": solved - self.state.solved_at_best,
            "drift/held_out_fall": self.state.best - success,
        }

    def count_return(self, iteration: int, reason: str) -> None:
        """Notes that the run goes back.

        Args:
            iteration: Iterations done.
            reason: Of :meth:`after_iteration` or :meth:`after_check`.

        Raises:
            RunawayError: If it has gone back as often as it may.
        """
        self.state.returns.append(f"iteration {iteration}: {reason}")
        if len(self.state.returns) > _MAX_RETURNS:
            raise RunawayError(
                f"Expected a run that stays near its best; it ran away {len(self.state.returns)} "
                f"times ({'; '.join(self.state.returns)}), the last time with the learning rates "
                f"x {self.rate_factor / _BACKOFF:g}. The best policy is kept. Lower learning_rate, "
                "or raise kl_coefficient."
            )
