"""The arms of `benchmarks/start_states.py`: where an episode begins, and what it learns from."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from codegym.start_states import (
    CurriculumOfSubtasks,
    EmptyPrefix,
    JumpStart,
    LinePrefixes,
    Reference,
    StartState,
    StartStates,
    UniformPrefixes,
)

__all__ = ["ARMS", "AT_OTHER_RATES", "CORE", "Arm", "Ordered"]

Order = Callable[[str, int], Sequence[int]]
"""(problem id, number of stages) -> the stages, in the order in which a problem passes them."""


class Ordered:
    """A curriculum over the prefixes of another distribution, in any order of its stages.

    A problem moves to the next stage by the rule of :class:`CurriculumOfSubtasks`: when the moving
    average of its successes passes the threshold. It stays at the last stage of its order.

    Args:
        prefixes: Has the prefixes.
        order: Their order.
        alpha: Weight of the newest episode in the average.
        threshold: Above it a problem moves on.
    """

    needs_solutions = True

    def __init__(
        self, prefixes: StartStates, order: Order, *, alpha: float = 0.2, threshold: float = 0.6
    ) -> None:
        self._prefixes, self._order = prefixes, order
        self._alpha, self._threshold = alpha, threshold
        self._moves: dict[str, int] = {}
        self._success: dict[str, float] = {}

    def num_stages(self, reference: Reference) -> int:
        """As many as there are prefixes."""
        return self._prefixes.num_stages(reference)

    def stage(self, reference: Reference) -> int:
        """Where a problem is now."""
        stages = self._stages(reference)
        return stages[min(self._moves.get(reference.problem_id, 0), len(stages) - 1)]

    def draw(
        self, reference: Reference, rng: np.random.Generator, stage: int | None = None
    ) -> StartState:
        """The start state of the problem's stage, or of a given one."""
        return self._prefixes.draw(
            reference, rng, self.stage(reference) if stage is None else stage
        )

    def update(self, reference: Reference, start: StartState, *, solved: bool) -> None:
        """Counts an episode that began where the problem still is."""
        if start.stage != self.stage(reference):
            return
        key = reference.problem_id
        success = self._alpha * solved + (1 - self._alpha) * self._success.get(key, 0.0)
        if success > self._threshold:
            self._moves[key], success = self._moves.get(key, 0) + 1, 0.0
        self._success[key] = success

    def describe(self, reference: Reference) -> Mapping[str, float]:
        """Stage and number of stages of a problem."""
        return {"stage": self.stage(reference), "num_stages": self.num_stages(reference)}

    def state_dict(self) -> dict[str, Any]:
        """Moves and averages."""
        return {"moves": dict(self._moves), "success": dict(self._success)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores moves and averages."""
        self._moves, self._success = dict(state["moves"]), dict(state["success"])

    def _stages(self, reference: Reference) -> Sequence[int]:
        return self._order(reference.problem_id, self.num_stages(reference))


def _backwards(_: str, stages: int) -> Sequence[int]:
    return range(stages - 1, -1, -1)


def _last_only(_: str, stages: int) -> Sequence[int]:
    return [stages - 1]


def _shuffled(problem_id: str, stages: int) -> Sequence[int]:
    order = np.random.default_rng(zlib.crc32(problem_id.encode())).permutation(stages)
    found: list[int] = order.tolist()
    return found


class Arm(NamedTuple):
    """What distinguishes the runs of an arm.

    Attributes:
        start: Makes the start distribution.
        fgo: Whether only executed tokens are learned from.
    """

    start: Callable[[], StartStates]
    fgo: bool = False


ARMS = {
    "sparse": Arm(EmptyPrefix),
    "uniform": Arm(UniformPrefixes),
    "cccs": Arm(CurriculumOfSubtasks),
    "last stage only": Arm(lambda: Ordered(CurriculumOfSubtasks(), _last_only)),
    "cccs, random order": Arm(lambda: Ordered(CurriculumOfSubtasks(), _shuffled)),
    # Some 30 stages a problem: by CCCS's own alpha, no problem would pass them in the budget.
    "reverse by lines": Arm(lambda: Ordered(LinePrefixes(), _backwards, alpha=0.5)),
    "jsrl": Arm(JumpStart),
    "sparse + fgo": Arm(EmptyPrefix, fgo=True),
    "uniform + fgo": Arm(UniformPrefixes, fgo=True),
    "cccs + fgo": Arm(CurriculumOfSubtasks, fgo=True),
}
CORE = ("sparse", "uniform", "cccs")
"""The arms that come first."""
AT_OTHER_RATES = ("sparse", "cccs")
"""The arms that are compared at other flaw rates of SFT."""
