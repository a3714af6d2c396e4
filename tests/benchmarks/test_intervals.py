from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.intervals import Interval, median_of_ratios, percentiles, ratio_of_sums, shown


def test_a_burst_that_hits_both_halves_of_a_block_moves_no_ratio() -> None:
    calm = [1.0] * 20
    noisy = [1.0] * 10 + [50.0] * 10
    assert median_of_ratios([3 * x for x in noisy], noisy) == Interval(3.0, 3.0, 3.0)
    assert ratio_of_sums([3 * x for x in calm], calm) == Interval(3.0, 3.0, 3.0)


def test_a_burst_in_one_block_moves_no_median() -> None:
    assert median_of_ratios([2.0] * 30 + [400.0], [1.0] * 31).value == 2.0
    assert ratio_of_sums([2.0] * 30 + [400.0], [1.0] * 31).value > 10


@pytest.mark.parametrize("estimate", [median_of_ratios, ratio_of_sums])
def test_the_interval_holds_the_truth_about_95_times_in_100(
    estimate: Callable[[list[float], list[float]], Interval],
) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(80):
        base = rng.lognormal(0.0, 0.5, 40)
        other = 2 * base * rng.lognormal(0.0, 0.2, 40)
        interval = estimate(other.tolist(), base.tolist())
        truth = 2.0 if estimate is median_of_ratios else 2.0 * float(np.exp(0.02))
        held += interval.low <= truth <= interval.high
    assert 68 <= held <= 80


def test_the_inverse_turns_the_bounds_round() -> None:
    assert Interval(2.0, 1.0, 4.0).inverse() == Interval(0.5, 0.25, 1.0)


@pytest.mark.parametrize(("top", "bottom"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_not_paired_is_refused(top: list[float], bottom: list[float]) -> None:
    with pytest.raises(ValueError, match="as many numerators as denominators"):
        median_of_ratios(top, bottom)


def test_percentiles_are_milliseconds() -> None:
    assert percentiles([k / 1000 for k in range(101)]) == pytest.approx(
        {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    )


def test_one_block_and_one_value_have_no_interval() -> None:
    assert median_of_ratios([3.0], [2.0]) == Interval(1.5, 1.5, 1.5)
    assert shown([2.0]) == "2.0"
    assert shown([1.0, 2.0, 3.0], sign=True) == "+2.0 ± 2.5"  # t(2) = 4.303
