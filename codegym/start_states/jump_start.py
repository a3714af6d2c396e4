"""JSRL, jump-start reinforcement learning (arXiv 2204.02372), with a guide that writes programs.

The guide acts for the first h steps (here: lines), the learner for the rest, and h shrinks as the
learner keeps up. With the canonical solution as guide this is a curriculum like CCCS, but with one
h for all problems and no regard for syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from codegym.errors import ConfigurationError
from codegym.start_states.prefix import LinePrefixes, check_kind
from codegym.start_states.start_state import Reference, StartState, whole_stage

__all__ = ["JumpStart"]


def _canonical(reference: Reference) -> str:
    return reference.rest


class JumpStart:
    """The guide writes a share of the lines; the share falls while the learner keeps its level.

    Args:
        guide: Writes the code that follows the prompt; the canonical solution by default.
        horizons: Number of values that the share takes, from 1 down to 0, at least 2.
        window: Number of episodes over which success is averaged before each decision.
        tolerance: The share falls when the average is at least ``best - tolerance * best``,
            where ``best`` is the best average so far.
        random: If true, the share is drawn uniformly for each episode instead (JSRL-Random).

    Raises:
        ConfigurationError: If a number is out of range.
    """

    def __init__(
        self,
        *,
        guide: Callable[[Reference], str] = _canonical,
        horizons: int = 10,
        window: int = 256,
        tolerance: float = 0.1,
        random: bool = False,
    ) -> None:
        if horizons < 2 or window < 1 or not 0 <= tolerance <= 1:
            raise ConfigurationError(
                "JumpStart needs horizons >= 2, window >= 1 and a tolerance in [0, 1], got "
                f"{horizons}, {window}, {tolerance}."
            )
        self.guide, self.horizons, self.window = guide, horizons, window
        self.tolerance, self.random = tolerance, random
        self._horizon, self._best = horizons - 1, 0.0
        self._outcomes: list[bool] = []

    @property
    def needs_solutions(self) -> bool:
        """Whether the canonical solution is the guide."""
        return self.guide is _canonical

    def num_stages(self, reference: Reference) -> int:
        """The number of horizons, the same for every problem."""
        return self.horizons

    def draw(
        self, reference: Reference, rng: np.random.Generator, stage: int | None = None
    ) -> StartState:
        """The guide's lines up to the horizon."""
        if stage is None:
            stage = int(rng.integers(self.horizons)) if self.random else self._horizon
        stage = whole_stage(reference, stage, self.horizons)
        lines = LinePrefixes().prefixes(Reference(reference.problem_id, self.guide(reference)))
        index = round((len(lines) - 1) * stage / (self.horizons - 1))
        return StartState(lines[index], stage, self.horizons)

    def update(self, reference: Reference, start: StartState, *, solved: bool) -> None:
        """Counts an episode of the present horizon; decides when the window is full."""
        if self.random or start.stage != self._horizon:
            return
        self._outcomes.append(solved)
        if len(self._outcomes) < self.window:
            return
        average = sum(self._outcomes) / len(self._outcomes)
        self._best = max(self._best, average)
        self._outcomes.clear()
        if self._best > 0 and average >= self._best * (1 - self.tolerance):
            self._horizon = max(self._horizon - 1, 0)

    def describe(self, reference: Reference) -> Mapping[str, float]:
        """The horizon and the best average of success so far."""
        return {"stage": self._horizon, "num_stages": self.horizons, "best": self._best}

    def state_dict(self) -> dict[str, Any]:
        """The horizon, the best average and the open window."""
        return {
            "kind": type(self).__name__,
            "horizon": self._horizon,
            "best": self._best,
            "outcomes": list(self._outcomes),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the horizon, the best average and the open window."""
        check_kind(self, state)
        self._horizon, self._best = int(state["horizon"]), float(state["best"])
        self._outcomes = [bool(outcome) for outcome in state["outcomes"]]
