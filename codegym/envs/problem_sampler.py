"""Which problem comes next: the samplers that draw problems, and the protocol of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.grading.verdict import Grade
from codegym.problems.problem import Problem

__all__ = ["ProblemSampler", "StageSampler", "UniformSampler", "make_sampler"]


@runtime_checkable
class ProblemSampler(Protocol):
    """Draws problems, and may learn from their grades. All sub-environments share one.

    It is not part of an environment's seed or saved state: save and load it with the policy whose
    grades it has seen. To compare methods, give each of them a sampler of the same kind.
    """

    def draw(self, rng: np.random.Generator) -> int:
        """Index of a problem in the environment's problem set. Randomness comes from `rng` only."""
        ...

    def update(self, problem: Problem, grade: Grade) -> None:
        """Learns the grade of an episode whose problem it drew, in the order of the ends."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that was learned, as JSON-able data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state_dict` returned."""
        ...


class _WithoutMemory:
    """Base of samplers that learn nothing."""

    def update(self, problem: Problem, grade: Grade) -> None:
        """Does nothing: the sampler has no memory."""
        return

    def state_dict(self) -> dict[str, Any]:
        """Only the kind of the sampler, which learns nothing."""
        return {"kind": type(self).__name__}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Checks the kind; there is nothing else to restore.

        Raises:
            ConfigurationError: If the state is of another kind.
        """
        if state.get("kind") != type(self).__name__:
            raise ConfigurationError(
                f"Expected the saved state of a {type(self).__name__}, got that of "
                f"{state.get('kind')!r}. Make the environment with the sampler that was saved."
            )


class UniformSampler(_WithoutMemory):
    """Draws all problems equally often.

    Args:
        num_problems: Number of problems.
    """

    def __init__(self, num_problems: int) -> None:
        self.num_problems = num_problems

    def draw(self, rng: np.random.Generator) -> int:
        """Draws the index of a problem."""
        return int(rng.integers(self.num_problems))


class StageSampler(_WithoutMemory):
    """Draws problems in proportion to their number of start stages, as StepCoder does.

    Args:
        problems: The problems; all are looked at once, at the first draw.
        num_stages: Tells the number of stages of a problem.
    """

    def __init__(self, problems: Sequence[Problem], num_stages: Callable[[Problem], int]) -> None:
        self._problems, self._num_stages = problems, num_stages

    def draw(self, rng: np.random.Generator) -> int:
        """Draws the index of a problem."""
        point = rng.random() * self._cumulative_stages[-1]
        return int(np.searchsorted(self._cumulative_stages, point, side="right"))

    @functools.cached_property
    def _cumulative_stages(self) -> npt.NDArray[np.float64]:
        stages = [self._num_stages(problem) for problem in self._problems]
        return np.cumsum(np.array(stages, dtype=np.float64))


def make_sampler(
    spec: str | ProblemSampler,
    problems: Sequence[Problem],
    num_stages: Callable[[Problem], int] | None,
) -> ProblemSampler:
    """The sampler of a name, or the one handed in.

    Args:
        spec: ``"stages"``, ``"uniform"``, or an object.
        problems: What is drawn from.
        num_stages: Tells the number of stages of a problem; None: each has one.

    Raises:
        UnknownNameError: If the name is not one of these.
        ConfigurationError: If it is neither a name nor a :class:`ProblemSampler`.
    """
    if isinstance(spec, str):
        if spec not in ("stages", "uniform"):
            raise UnknownNameError("problem sampler", spec, ("stages", "uniform"))
        if spec == "uniform" or num_stages is None:
            return UniformSampler(len(problems))
        return StageSampler(problems, num_stages)
    if isinstance(spec, type) or not isinstance(spec, ProblemSampler):
        raise ConfigurationError(
            "sampler must be 'stages', 'uniform' or an object with the methods of "
            f"codegym.envs.ProblemSampler, got {spec!r:.80}."
        )
    return spec
