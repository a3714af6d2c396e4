"""Means and ratios with 95 % intervals, and percentiles. Pure functions.

A block is a short stretch of time in which two things were measured one after the other, so that
whatever else the machine did hit both. Blocks are resampled (bootstrap, fixed seed); what is
measured within one block is not taken to be independent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_RESAMPLES = 2_000
_OUTER = (2.5, 97.5)


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float

    def inverse(self) -> Interval:
        """Of the ratio the other way round."""
        return Interval(1 / self.value, 1 / self.high, 1 / self.low)

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval by Student's t; NaN for a single value.

    Args:
        values: One for each seed.
    """
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return float(np.mean(values)), float(half)


def median_of_ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The median of the ratios of paired blocks: robust where blocks are alike.

    Args:
        numerators: A mean or total for each block.
        denominators: The same of the other, in the same order.

    Raises:
        ValueError: If there are no pairs, or not as many of one as of the other.
    """
    top, bottom = _paired(numerators, denominators)
    ratios = top / bottom
    return _interval(float(np.median(ratios)), np.median(ratios[_draws(len(ratios))], axis=1))


def ratio_of_sums(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The ratio of the totals: what counts where blocks are not alike.

    Args:
        numerators: A total for each block.
        denominators: The same of the other, in the same order.

    Raises:
        ValueError: If there are no pairs, or not as many of one as of the other.
    """
    top, bottom = _paired(numerators, denominators)
    draws = _draws(len(top))
    resampled = top[draws].sum(axis=1) / bottom[draws].sum(axis=1)
    return _interval(float(top.sum() / bottom.sum()), resampled)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    values = np.percentile(np.asarray(seconds), [50, 95, 99])
    return {f"p{q}": 1e3 * float(v) for q, v in zip((50, 95, 99), values, strict=True)}


def _paired(
    numerators: Sequence[float], denominators: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(numerators) != len(denominators) or not numerators:
        raise ValueError(
            "Expected as many numerators as denominators, at least one; got "
            f"{len(numerators)} and {len(denominators)}."
        )
    return np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)


def _draws(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, count, (_RESAMPLES, count))


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(resampled, _OUTER)
    return Interval(value, float(low), float(high))
