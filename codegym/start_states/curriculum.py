"""CCCS, the Curriculum of Code Completion Subtasks of StepCoder (arXiv 2402.01391, section 3.1).

For a canonical solution with E conditional statements there are ``n = ceil(sqrt(E))`` stages with
stride ``s = ceil(E / n)``. Stage c begins at conditional ``s * c``; an episode starts at stage
``n - 1``, near the end of the solution, and each problem moves to 0, the empty prefix, at the pace
at which the policy solves it:

    rho <- alpha * solved + (1 - alpha) * rho;    rho > threshold:  stage <- stage - 1, rho <- 0

The paper prints ``min(c - 1, 0)`` for the move, which would jump to the start; its text asks for
one step, ``max(c - 1, 0)``. It names neither alpha nor the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from codegym.errors import ConfigurationError, StartStateError
from codegym.programs.syntax import CONDITIONALS
from codegym.start_states.prefix import check_kind, conditional_prefixes
from codegym.start_states.start_state import Reference, StartState, whole_stage

__all__ = ["CurriculumOfSubtasks", "stage_starts"]


def stage_starts(num_conditionals: int) -> list[int]:
    """Index of the conditional at which each stage begins, by stage.

    Stage 0 stands for the empty prefix, whatever lies before the first conditional.

    >>> stage_starts(5), stage_starts(16), stage_starts(0)
    ([0, 2, 4], [0, 4, 8, 12], [0])
    """
    if num_conditionals < 0:
        raise ConfigurationError(f"A number of conditionals is at least 0, got {num_conditionals}.")
    if num_conditionals < 2:
        return [0]
    stages = math.ceil(math.sqrt(num_conditionals))
    stride = math.ceil(num_conditionals / stages)
    return [stride * stage for stage in range(stages)]


class CurriculumOfSubtasks:
    """CCCS start states: one stage per problem, which only ever falls.

    One object is shared by all sub-environments. It is not part of an environment's seed or saved
    state: save and load it with the policy it was moved by.

    Args:
        threshold: A problem moves on when its moving average of success exceeds this.
        alpha: Weight of the newest episode in the moving average, in (0, 1].
        kinds: The statements that count as conditional.

    Raises:
        ConfigurationError: If the threshold could never be exceeded, or alpha is out of range.
    """

    needs_solutions = True

    def __init__(
        self,
        *,
        threshold: float = 0.6,
        alpha: float = 0.2,
        kinds: tuple[str, ...] = CONDITIONALS,
    ) -> None:
        if not 0 < alpha <= 1:
            raise ConfigurationError(f"alpha must be in (0, 1], got {alpha!r}.")
        if not 0 <= threshold < 1:
            raise ConfigurationError(
                f"threshold must be in [0, 1): an average of successes cannot exceed 1, "
                f"got {threshold!r}."
            )
        self.threshold, self.alpha, self.kinds = threshold, alpha, tuple(kinds)
        self._stage: dict[str, int] = {}
        self._success: dict[str, float] = {}

    def num_stages(self, reference: Reference) -> int:
        """``ceil(sqrt(E))``, at least 1."""
        return len(self._starts(reference)[1])

    def stage(self, reference: Reference) -> int:
        """The stage at which a problem's episodes begin now."""
        return self._stage.get(reference.problem_id, self.num_stages(reference) - 1)

    def draw(
        self, reference: Reference, rng: np.random.Generator, stage: int | None = None
    ) -> StartState:
        """The start state of the problem's stage, or of a given one. Draws nothing from `rng`."""
        prefixes, starts = self._starts(reference)
        stage = self.stage(reference) if stage is None else stage
        stage = whole_stage(reference, stage, len(starts))
        return StartState(prefixes[starts[stage]] if stage else "", stage, len(starts))

    def update(self, reference: Reference, start: StartState, *, solved: bool) -> None:
        """Counts an episode, if it began at the stage at which the problem still is.

        Episodes that ran while the problem moved on began at an easier stage: they say nothing
        of the new one.
        """
        if start.stage != self.stage(reference):
            return
        key = reference.problem_id
        success = self.alpha * solved + (1 - self.alpha) * self._success.get(key, 0.0)
        if success > self.threshold and start.stage > 0:
            self._stage[key], success = start.stage - 1, 0.0
        self._success[key] = success

    def describe(self, reference: Reference) -> Mapping[str, float]:
        """Stage, number of stages and moving average of success of a problem."""
        return {
            "stage": self.stage(reference),
            "num_stages": self.num_stages(reference),
            "success_rate": self._success.get(reference.problem_id, 0.0),
        }

    def state_dict(self) -> dict[str, Any]:
        """Stages and averages of all problems that were tried, and the parameters."""
        return {
            "kind": type(self).__name__,
            "threshold": self.threshold,
            "alpha": self.alpha,
            "kinds": list(self.kinds),
            "stage": dict(self._stage),
            "success": dict(self._success),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores stages and averages.

        Raises:
            StartStateError: If the state is of another kind or was saved with other parameters.
        """
        check_kind(self, state)
        saved = (state["threshold"], state["alpha"], tuple(state["kinds"]))
        if saved != (self.threshold, self.alpha, self.kinds):
            raise StartStateError(
                f"The curriculum was saved with threshold, alpha, kinds = {saved}, but this one "
                f"has {(self.threshold, self.alpha, self.kinds)}: its averages would not compare."
            )
        self._stage = {str(key): int(value) for key, value in state["stage"].items()}
        self._success = {str(key): float(value) for key, value in state["success"].items()}

    def _starts(self, reference: Reference) -> tuple[list[str], list[int]]:
        prefixes = conditional_prefixes(reference, self.kinds)
        return prefixes, stage_starts(len(prefixes))
