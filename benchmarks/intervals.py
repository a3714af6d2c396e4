"""Means and ratios with 95 % intervals, by scipy, and percentiles. Pure functions.

A block is a short stretch of time in which two things were measured one after the other, so that
whatever else the machine did hit both. Blocks are resampled (bootstrap, fixed seed); what is
measured within one block is not taken to be independent.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["Interval", "mean_and_half", "median_of_ratios", "percentiles", "ratio_of_sums", "shown"]

_RESAMPLES = 2_000


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float

    def inverse(self) -> Interval:
        """The interval of the ratio the other way round."""
        return Interval(1 / self.value, 1 / self.high, 1 / self.low)

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval by Student's t; NaN for a single value."""
    if len(values) < 2:
        return float(np.mean(values)), math.nan
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return float(np.mean(values)), float(half)


def shown(values: Sequence[float], *, sign: bool = False) -> str:
    """Mean and half of its 95 % interval as a cell of a table; of one value, the value alone."""
    mean, half = mean_and_half(values)
    return f"{mean:{'+' if sign else ''}.1f}" + ("" if math.isnan(half) else f" ± {half:.1f}")


def median_of_ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The median of the ratios of paired blocks: robust where blocks are alike.

    Args:
        numerators: A mean or total for each block.
        denominators: The same of the other, in the same order.

    Raises:
        ValueError: If there are no pairs, or not as many of one as of the other.
    """
    return _estimate(
        numerators, denominators, lambda top, bottom, axis=-1: np.median(top / bottom, axis=axis)
    )


def ratio_of_sums(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The ratio of the totals: what counts where blocks are not alike.

    Args:
        numerators: A total for each block.
        denominators: The same of the other, in the same order.

    Raises:
        ValueError: If there are no pairs, or not as many of one as of the other.
    """
    return _estimate(
        numerators, denominators, lambda top, bottom, axis=-1: top.sum(axis) / bottom.sum(axis)
    )


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    values = np.percentile(np.asarray(seconds), [50, 95, 99])
    return {f"p{q}": 1e3 * float(v) for q, v in zip((50, 95, 99), values, strict=True)}


def _estimate(
    numerators: Sequence[float], denominators: Sequence[float], statistic: Callable[..., Any]
) -> Interval:
    if len(numerators) != len(denominators) or not numerators:
        raise ValueError(
            "Expected as many numerators as denominators, at least one; got "
            f"{len(numerators)} and {len(denominators)}."
        )
    pairs = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    value = float(statistic(*pairs))
    if len(numerators) == 1:  # nothing to resample
        return Interval(value, value, value)
    found = stats.bootstrap(
        pairs,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))
