"""A cross-entropy sampler: problems are drawn from cells that are harder and harder for the policy.

The equations are in :mod:`agents.methods.roml`, which it is the sampler of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym import Grade
from codegym.errors import ConfigurationError
from codegym.problems import Problem

__all__ = ["CrossEntropy", "CrossEntropySampler", "conditional_value_at_risk", "worst"]

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """The numbers of the sampler, as :class:`agents.methods.roml.Args` says them."""

    features: tuple[str, ...]
    alpha: float
    least_share: float
    keep: float
    smoothing: float
    batch: int


class CrossEntropySampler:
    """Draws problems from cells that are harder and harder: a problem sampler of codegym.

    Args:
        problems: What is drawn from.
        settings: Features and the sampler's numbers.
        score: The return of a grade.

    Attributes:
        cells: The features of each cell.
        phi: (C,) probability of each.

    Raises:
        ConfigurationError: If a problem has no such feature.
    """

    def __init__(
        self, problems: Sequence[Problem], settings: CrossEntropy, score: Callable[[Grade], float]
    ) -> None:
        members: dict[tuple[str, ...], list[int]] = {}
        for index, problem in enumerate(problems):
            members.setdefault(_features(problem, settings.features), []).append(index)
        self.cells, self._settings, self._score = sorted(members), settings, score
        self._members = [members[cell] for cell in self.cells]
        self._shares = np.array([len(each) for each in self._members]) / len(problems)
        self.phi: FloatArray = self._shares.copy()
        self._found: list[tuple[int, float]] = []
        self._risk = float("nan")

    @property
    def probability(self) -> FloatArray:
        """(C,) what the cells are drawn from."""
        keep = self._settings.keep
        return keep * self._shares + (1.0 - keep) * self.phi

    def draw(self, rng: np.random.Generator) -> int:
        """Index of a problem of a cell that was drawn."""
        return int(rng.choice(self._members[rng.choice(len(self.cells), p=self.probability)]))

    def update(self, problem: Problem, grade: Grade) -> None:
        """Counts a return; a full batch changes phi."""
        cell = self.cells.index(_features(problem, self._settings.features))
        self._found.append((cell, float(self._score(grade))))
        if len(self._found) >= self._settings.batch:
            self._change()

    def _change(self) -> None:
        """Equations 3 to 5 of :mod:`agents.methods.roml`."""
        settings = self._settings
        cells = np.array([cell for cell, _ in self._found])
        returns = np.array([found for _, found in self._found])
        weights = (self._shares / self.probability)[cells]
        self._risk = conditional_value_at_risk(returns, weights, settings.alpha)
        part = weights * worst(returns, weights, settings.alpha, settings.least_share)
        share = np.bincount(cells, part, minlength=len(self.cells)) / part.sum()
        self.phi = settings.smoothing * self.phi + (1.0 - settings.smoothing) * share
        self._found.clear()

    def metrics(self) -> dict[str, float]:
        """CVaR of the last batch (NaN before the first), and the probability of each cell."""
        drawn = zip(self.cells, self.probability.tolist(), strict=True)
        return {"roml/cvar": self._risk, **{f"roml/{'-'.join(c)}": p for c, p in drawn}}

    def state_dict(self) -> dict[str, Any]:
        """Phi, the open batch, and the last CVaR."""
        return {"phi": self.phi.tolist(), "found": list(self._found), "risk": self._risk}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores them."""
        self.phi, self._risk = np.array(state["phi"]), float(state["risk"])
        self._found = [(int(cell), float(found)) for cell, found in state["found"]]


def _features(problem: Problem, names: Sequence[str]) -> tuple[str, ...]:
    told = {"difficulty": problem.difficulty, **problem.metadata}
    for name in names:
        if name not in told:
            raise ConfigurationError(
                f"Problem {problem.id!r} has no feature {name!r}. Features that it has: "
                f"{', '.join(sorted(told))}."
            )
    return tuple(str(told[name]) for name in names)


def worst(
    values: FloatArray, weights: FloatArray, alpha: float, least_share: float = 0.0
) -> FloatArray:
    """How much each value belongs to the worst ones.

    Args:
        values: (N,).
        weights: (N,).
        alpha: Share of the weight that the worst have at least.
        least_share: Share of the values that they are at least.

    Returns:
        (N,) in [0, 1]: 1 below a level, 0 above it, and in between, where values are as bad as each
        other, so much that the shares are met.

    >>> worst(np.array([3.0, 1.0, 1.0, 0.0]), np.ones(4), 0.5).tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    part, weight, count = np.zeros(len(values)), alpha * weights.sum(), least_share * len(values)
    for level in np.unique(values):
        here = values == level
        needed = max(weight / weights[here].sum(), count / here.sum())
        part[here] = min(max(needed, 0.0), 1.0)
        weight, count = weight - weights[here].sum(), count - here.sum()
    return part


def conditional_value_at_risk(values: FloatArray, weights: FloatArray, alpha: float) -> float:
    """The mean of the worst values that have the share alpha of the weight.

    >>> conditional_value_at_risk(np.array([3.0, 1.0, 2.0, 0.0]), np.ones(4), 0.5)
    0.5
    """
    part = weights * worst(values, weights, alpha)
    return float(values @ part / part.sum())
