"""Rewards, by hand."""

from __future__ import annotations

import math

import pytest

from codegym.errors import ConfigurationError, RewardError, UnknownNameError
from codegym.grading import Grade, Verdict
from codegym.rewards import WeightedReward, checked_terms, make_reward


def grade(verdict: Verdict, passed: int = 0, total: int = 4) -> Grade:
    return Grade(verdict, passed, total)


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        (Verdict.ACCEPTED, 1.0),
        (Verdict.WRONG_ANSWER, -0.3),
        (Verdict.RUNTIME_ERROR, -0.6),
        (Verdict.TIME_LIMIT, -0.6),
        (Verdict.MEMORY_LIMIT, -0.6),
        (Verdict.OUTPUT_LIMIT, -0.6),
        (Verdict.COMPILE_ERROR, -1.0),
    ],
)
def test_stepcoder_has_exactly_four_levels(verdict: Verdict, level: float) -> None:
    assert make_reward("stepcoder")(grade(verdict, 1)) == {"unit_tests": level}


def test_binary_and_pass_ratio() -> None:
    assert make_reward("binary")(grade(Verdict.ACCEPTED, 4)) == {"unit_tests": 1.0}
    assert make_reward("binary")(grade(Verdict.WRONG_ANSWER, 3)) == {"unit_tests": 0.0}
    assert make_reward("pass_ratio")(grade(Verdict.WRONG_ANSWER, 3)) == {"pass_ratio": 0.75}


@pytest.mark.parametrize(
    ("verdict", "passed", "value"),
    [
        (Verdict.ACCEPTED, 4, 1.0),
        (Verdict.WRONG_ANSWER, 0, -0.3),
        (Verdict.WRONG_ANSWER, 2, 0.35),  # -0.3 + 1.3 * 2/4
        (Verdict.RUNTIME_ERROR, 2, -0.6),
        (Verdict.COMPILE_ERROR, 0, -1.0),
    ],
)
def test_rltf_adaptive(verdict: Verdict, passed: int, value: float) -> None:
    assert sum(make_reward("rltf")(grade(verdict, passed)).values()) == pytest.approx(value)


def test_custom_callables_and_their_names() -> None:
    def half(g: Grade) -> float:
        return g.pass_ratio / 2

    assert make_reward(half)(grade(Verdict.WRONG_ANSWER, 2)) == {"half": 0.25}
    two = make_reward(lambda _: {"a": 1.0, "b": -2.0})
    assert checked_terms(two, grade(Verdict.ACCEPTED)) == {"a": 1.0, "b": -2.0}


def test_weighted_terms_sum_to_the_weighted_rewards() -> None:
    both = WeightedReward(
        {"s": (2.0, make_reward("stepcoder")), "p": (0.5, make_reward("pass_ratio"))}
    )
    terms = both(grade(Verdict.WRONG_ANSWER, 2))
    assert terms == {"s/unit_tests": -0.6, "p/pass_ratio": 0.25}


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "1", {}, {"a": math.nan}])
def test_what_is_no_reward_is_refused(value: object) -> None:
    with pytest.raises(RewardError, match="finite"):
        checked_terms(make_reward(lambda _: value), grade(Verdict.ACCEPTED))  # type: ignore[arg-type,return-value]


def test_wrong_names() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'stepcoder'"):
        make_reward("stepcodr")
    with pytest.raises(ConfigurationError, match="callable"):
        make_reward(1.0)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="at least one"):
        WeightedReward({})
