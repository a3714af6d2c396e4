"""What a start state is, and the protocol that every distribution over them fulfils."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from codegym.errors import StartStateError

__all__ = ["Reference", "StartState", "StartStates", "whole_stage"]


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """The canonical program of a problem, seen from where the prompt ends.

    Attributes:
        problem_id: The id of the problem that the solution is of.
        program: The whole canonical program.
        header: The part of it that the prompt already shows (starter code); may be empty.

    Raises:
        StartStateError: If the program does not begin with the header.
    """

    problem_id: str
    program: str
    header: str = ""

    def __post_init__(self) -> None:
        if not self.program.startswith(self.header):
            raise StartStateError(
                f"The canonical program of problem {self.problem_id!r} does not begin with the "
                f"header its prompt shows ({self.header[:60]!r})."
            )

    @property
    def rest(self) -> str:
        """What is left to write from the empty prefix."""
        return self.program[len(self.header) :]


@dataclasses.dataclass(frozen=True, slots=True)
class StartState:
    """Where an episode begins.

    Attributes:
        prefix: Code given after the prompt; ends with a newline or is empty.
        stage: 0 is the empty prefix; larger is nearer to the end of the solution.
        num_stages: Number of stages of this problem, at least 1.
    """

    prefix: str
    stage: int
    num_stages: int


@runtime_checkable
class StartStates(Protocol):
    """A distribution over start states, shared by all sub-environments that use it.

    Two attributes are optional: ``needs_solutions``, True if all start states are taken from
    canonical solutions (an environment warns where no problem has one); and ``problem_ids``, the
    problems that it names (an environment refuses one that it does not have).
    """

    def num_stages(self, reference: Reference) -> int:
        """Number of stages that a problem has, at least 1."""
        ...

    def draw(
        self, reference: Reference, rng: np.random.Generator, stage: int | None = None
    ) -> StartState:
        """Draws a start state, or returns the one of a given stage.

        Raises:
            StartStateError: If the problem has no such stage.
        """
        ...

    def update(self, reference: Reference, start: StartState, *, solved: bool) -> None:
        """Learns the outcome of an episode that began at a drawn start state."""
        ...

    def describe(self, reference: Reference) -> Mapping[str, float]:
        """What ``info["curriculum"]`` shows for a problem."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that was learned, as JSON-able data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state_dict` returned.

        Raises:
            StartStateError: If it belongs to another kind of distribution.
        """
        ...


def whole_stage(reference: Reference, stage: int, num_stages: int) -> int:
    """`stage` if the problem has it.

    Raises:
        StartStateError: Otherwise, naming the legal range.
    """
    legal = isinstance(stage, int | np.integer) and not isinstance(stage, bool)
    if not legal or not 0 <= stage < num_stages:
        raise StartStateError(
            f"Problem {reference.problem_id!r} has the stages 0 to {num_stages - 1} "
            f"(0 is the empty prefix), got {stage!r}."
        )
    return int(stage)
