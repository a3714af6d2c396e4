"""Curves of runs: what they hold over a whole run, and as bands in a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from benchmarks import page
from benchmarks.intervals import mean_and_half, shown

__all__ = ["MODES", "band", "differences", "half_way", "how_measured", "mean_over_run", "paired"]

Curve = Sequence[Mapping[str, float]]
"""Points of a run, each with ``tokens`` and pass@1 ``sampled`` and ``greedy``."""


MODES = ("sampled", "greedy")


def how_measured(args: Mapping[str, Any]) -> dict[str, str]:
    """What a comparison of runs says of its measurements, from its arguments: rows of a set-up."""
    return {
        "measured": f"pass@1 from the empty prefix: {args['samples']} sampled programs a problem, "
        f"and the greedy one; before, and after each of {args['points']} equal parts",
        "seeds": ", ".join(map(str, args["seeds"])),
        "intervals": "95 %, Student's t over seeds; of differences, over pairs with the same seed",
    }


def mean_over_run(curve: Curve, mode: str = "sampled") -> float:
    """Mean of the pass rate over the run's tokens: the area under the curve."""
    tokens = [point["tokens"] for point in curve]
    return float(trapezoid([point[mode] for point in curve], tokens) / tokens[-1])


def half_way(curve: Curve, mode: str = "sampled") -> float:
    """The pass rate when half of the tokens are generated, on a line between two points."""
    tokens = [point["tokens"] for point in curve]
    return float(np.interp(tokens[-1] / 2, tokens, [point[mode] for point in curve]))


def paired(rows: Sequence[Mapping[str, Any]], one: str, other: str) -> list[tuple[Curve, Curve]]:
    """The curves of two arms with the same seed, in order of the seeds."""
    by = {(row["arm"], row["seed"]): row["curve"] for row in rows}
    seeds = sorted(seed for arm, seed in by if arm == one and (other, seed) in by)
    return [(by[one, seed], by[other, seed]) for seed in seeds]


def differences(
    rows: Sequence[Mapping[str, Any]], pairs: Iterable[tuple[str, str]]
) -> Iterator[str]:
    """A table of points of pass@1 between arms, paired by seed.

    Args:
        rows: Each with ``arm``, ``seed`` and ``curve``.
        pairs: Arms to compare; those that have no seed in common are left out.
    """

    def cells() -> Iterator[list[str]]:
        for one, other in pairs:
            curves = paired(rows, one, other)
            if curves:
                found = (
                    [100 * (of(a, mode) - of(b, mode)) for a, b in curves]
                    for of in (_end, half_way, mean_over_run)
                    for mode in MODES
                )
                points = [shown(values, sign=True) for values in found]
                yield [f"{one} - {other}", str(len(curves)), *points]

    times = (f"{mode}, {when}" for when in ("half way", "mean over the run") for mode in MODES)
    return page.table(("", "seeds", *MODES, *times), cells())


def _end(curve: Curve, mode: str) -> float:
    return curve[-1][mode]


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
