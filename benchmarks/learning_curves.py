"""Curves of runs: what they hold over a whole run, and as bands in a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from benchmarks.intervals import mean_and_half

__all__ = ["band", "mean_over_run"]

Curve = Sequence[Mapping[str, float]]
"""Points of a run, each with ``tokens`` and pass@1 ``sampled`` and ``greedy``."""


def mean_over_run(curve: Curve) -> float:
    """Mean of the sampled pass rate over the run's tokens."""
    tokens = [point["tokens"] for point in curve]
    return float(trapezoid([point["sampled"] for point in curve], tokens) / tokens[-1])


def band(
    axis: Any,
    curves: Sequence[Curve],
    mode: str,
    *,
    unit: float = 1e6,
    over: str = "tokens",
    after: float = 0.0,
    **style: Any,
) -> None:
    """Draws pass@1 in % as the mean of some seeds and its 95 % band.

    Args:
        axis: Of matplotlib.
        curves: Of each seed; where some are shorter, what all have is drawn.
        mode: ``"sampled"`` or ``"greedy"``.
        unit: Of the x-axis.
        over: What stands on it.
        after: What was spent before the first point.
        **style: Of the line.
    """
    if not curves:
        return
    points = range(min(map(len, curves)))
    places = np.array([np.mean([curve[k][over] for curve in curves]) + after for k in points])
    found = [mean_and_half([100 * curve[k][mode] for curve in curves]) for k in points]
    means = np.array([mean for mean, _ in found])
    halves = np.nan_to_num([half for _, half in found])
    low, high = np.clip(means - halves, 0, 100), np.clip(means + halves, 0, 100)
    axis.plot(places / unit, means, **style)
    axis.fill_between(places / unit, low, high, color=style["color"], alpha=0.12, lw=0)
