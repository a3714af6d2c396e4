"""RoML: quantiles and CVaR by hand, and a sampler that must find the hard part."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codegym
from agents.methods import roml
from agents.methods.cross_entropy import (
    CrossEntropy,
    CrossEntropySampler,
    conditional_value_at_risk,
    worst,
)
from agents.methods.roml import RoML
from agents.telemetry import RunLogger
from codegym.envs import ProblemSampler
from codegym.errors import ConfigurationError
from codegym.grading import Verdict
from codegym.problems import Problem
from tests.agents.methods.conftest import TINY, run_and_resume

NUMBERS = CrossEntropy(
    features=("difficulty",), alpha=0.1, least_share=0.2, keep=0.2, smoothing=0.5, batch=100
)


def _problem(index: int, difficulty: str, **metadata: Any) -> Problem:
    return Problem(
        id=f"p{index}",
        description="",
        canonical_solution="def f():\n    pass\n",
        tests=(codegym.problems.CallTest((), 0),),
        starter_code="def f():\n",
        entry_point="f",
        difficulty=difficulty,
        source="t",
        metadata=metadata,
    )


# Nine of ten problems are easy.
PROBLEMS = [_problem(i, "hard" if i % 10 == 0 else "easy") for i in range(100)]


def _grade(score: float) -> codegym.Grade:
    return codegym.Grade(Verdict.ACCEPTED, tests_passed=round(100 * score), tests_total=100)


def _sampler(**changes: Any) -> CrossEntropySampler:
    settings = dataclasses.replace(NUMBERS, **changes)
    return CrossEntropySampler(PROBLEMS, settings, lambda grade: grade.pass_ratio)


def test_the_worst_have_both_shares() -> None:
    values = np.array([3.0, 1.0, 1.0, 0.0])
    assert worst(values, np.ones(4), 0.25).tolist() == [0.0, 0.0, 0.0, 1.0]
    assert worst(values, np.ones(4), 0.125).tolist() == [0.0, 0.0, 0.0, 0.5]
    assert worst(values, np.ones(4), 0.25, 0.5).tolist() == [0.0, 0.5, 0.5, 1.0]
    assert worst(values, np.ones(4), 1.0).tolist() == [1.0] * 4
    # Of eight the eighth is the 0 alone; a half of four values, whatever they weigh, is one more.
    weights = np.array([2.0, 4.0, 1.0, 1.0])
    assert worst(values, weights, 0.125).tolist() == [0.0, 0.0, 0.0, 1.0]
    assert worst(values, weights, 0.125, 0.5).tolist() == [0.0, 0.5, 0.5, 1.0]
    # Of eight, a half: one up to 0, and three of the five that have the value 1.
    assert worst(values, weights, 0.5).tolist() == [0.0, 0.6, 0.6, 1.0]


def test_cvar_is_the_mean_of_the_worst() -> None:
    values = np.array([3.0, 1.0, 2.0, 0.0])
    assert conditional_value_at_risk(values, np.ones(4), 0.25) == 0.0
    assert conditional_value_at_risk(values, np.ones(4), 0.5) == pytest.approx(0.5)
    # .375 of four: 0, and half of 1, over one and a half.
    assert conditional_value_at_risk(values, np.ones(4), 0.375) == pytest.approx(0.5 / 1.5)
    assert conditional_value_at_risk(values, np.ones(4), 1.0) == pytest.approx(1.5)
    weights = np.array([1.0, 4.0, 2.0, 1.0])  # a half of eight: 0 once, 1 three times
    assert conditional_value_at_risk(values, weights, 0.5) == pytest.approx(3 / 4)


def test_a_batch_changes_phi_as_counted_by_hand() -> None:
    """Cells easy (.9) and hard (.1), drawn so, ten episodes, of which a fifth is counted."""
    sampler = _sampler(batch=10, least_share=0.2, alpha=0.1)
    assert sampler.cells == [("easy",), ("hard",)]
    assert sampler.probability.tolist() == pytest.approx([0.9, 0.1])
    for score in (0.0, 0.5, 0.5, 1.0):
        sampler.update(PROBLEMS[0], _grade(score))  # hard
    for score in (0.5, 1.0, 1.0, 1.0, 1.0, 1.0):
        sampler.update(PROBLEMS[1], _grade(score))
    # All weights are 1. The worst two are the 0, and a third of each .5: two hard ones and an easy.
    assert sampler.phi.tolist() == pytest.approx([0.5 * 0.9 + 0.5 / 6, 0.5 * 0.1 + 0.5 * 5 / 6])
    assert sampler.metrics()["roml/cvar"] == pytest.approx(0.0)
    p = sampler.probability
    phi = 0.05 + 5 / 12
    assert p.tolist() == pytest.approx([0.18 + 0.8 * (1 - phi), 0.02 + 0.8 * phi])
    # Now weights are p0 / p. Of five and five that fail alike, phi is the shares of the weights.
    before, weights = sampler.phi.copy(), np.array([0.9, 0.1]) / p
    for episode in range(10):
        sampler.update(PROBLEMS[episode % 2], _grade(0.0))
    expected = 0.5 * before + 0.5 * weights / weights.sum()
    assert sampler.phi.tolist() == pytest.approx(expected.tolist())


def test_half_of_the_weight_is_counted_where_cells_weigh_differently() -> None:
    """Phi .5 and .5, so p = .58 and .42: an easy episode weighs e = .9/.58, a hard one h = .1/.42.

    Scores 0 (hard), .5 (hard and easy) and 1 (easy). Half of the weight is e + h: the 0 has h of
    it, the two of .5, which weigh e + h, the remaining e, so that they count by q = e / (e + h).
    Of e + h, easy ones then have q e, which is q^2.
    """
    sampler = _sampler(batch=4, least_share=0.1, alpha=0.5, smoothing=0.25)
    sampler.load_state_dict({"phi": [0.5, 0.5], "found": [], "risk": 0.0})
    assert sampler.probability.tolist() == pytest.approx([0.58, 0.42])
    for index, score in ((0, 0.0), (0, 0.5), (1, 0.5), (1, 1.0)):  # of ten, the first is hard
        sampler.update(PROBLEMS[index], _grade(score))
    e, h = 0.9 / 0.58, 0.1 / 0.42
    q = e / (e + h)
    expected = [0.25 * 0.5 + 0.75 * share for share in (q**2, 1.0 - q**2)]
    assert sampler.phi.tolist() == pytest.approx(expected)
    assert sampler.metrics()["roml/cvar"] == pytest.approx(0.5 * q)
    # A least share of three of four episodes: those of .5 belong whole.
    sampler = _sampler(batch=4, least_share=0.75, alpha=0.5, smoothing=0.25)
    sampler.load_state_dict({"phi": [0.5, 0.5], "found": [], "risk": 0.0})
    for index, score in ((0, 0.0), (0, 0.5), (1, 0.5), (1, 1.0)):
        sampler.update(PROBLEMS[index], _grade(score))
    share = e / (e + 2.0 * h)
    assert sampler.phi[0] == pytest.approx(0.25 * 0.5 + 0.75 * share)
    assert sampler.metrics()["roml/cvar"] == pytest.approx(0.5 * q), "which alpha alone decides"


def test_the_hard_part_is_found_and_left_again() -> None:
    """A tenth of the problems fails; when it is learned and the rest forgotten, that comes."""
    sampler, rng = _sampler(), np.random.default_rng(0)

    def rounds(score: dict[str, float], count: int) -> float:
        drawn = 0
        for _ in range(count):
            problem = PROBLEMS[sampler.draw(rng)]
            drawn += problem.difficulty == "hard"
            sampler.update(problem, _grade(score[problem.difficulty]))
        return drawn / count

    assert rounds({"hard": 0.0, "easy": 1.0}, 100) == pytest.approx(0.1, abs=0.08)
    rounds({"hard": 0.0, "easy": 1.0}, 800)
    assert rounds({"hard": 0.0, "easy": 1.0}, 200) == pytest.approx(0.82, abs=0.1)
    assert sampler.metrics()["roml/cvar"] == pytest.approx(0.0, abs=0.15)
    rounds({"hard": 1.0, "easy": 0.0}, 1000)
    assert rounds({"hard": 1.0, "easy": 0.0}, 200) < 0.1


def test_problems_of_a_cell_are_drawn_alike() -> None:
    sampler, rng = _sampler(), np.random.default_rng(1)
    drawn = np.bincount([sampler.draw(rng) for _ in range(20000)], minlength=100)
    assert drawn.min() > 120
    assert drawn.max() < 290


def test_it_goes_on_where_it_stood() -> None:
    sampler, rng = _sampler(batch=30), np.random.default_rng(0)
    for _ in range(75):
        problem = PROBLEMS[sampler.draw(rng)]
        sampler.update(problem, _grade(float(problem.difficulty == "easy")))
    other = _sampler(batch=30)
    other.load_state_dict(sampler.state_dict())
    assert other.state_dict() == sampler.state_dict()
    assert isinstance(sampler, ProblemSampler)
    draws = [[s.draw(np.random.default_rng(5)) for _ in range(20)] for s in (sampler, other)]
    assert draws[0] == draws[1]


def test_features_are_of_the_problem_or_refused() -> None:
    problems = [_problem(0, "easy", conditionals=1), _problem(1, "easy", conditionals=2)]
    both = dataclasses.replace(NUMBERS, features=("difficulty", "conditionals"))
    sampler = CrossEntropySampler(problems, both, lambda _: 0.0)
    assert sampler.cells == [("easy", "1"), ("easy", "2")]
    with pytest.raises(ConfigurationError, match="no feature 'length'"):
        CrossEntropySampler(
            problems, dataclasses.replace(NUMBERS, features=("length",)), lambda _: 0.0
        )


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    args = roml.Args(**TINY, batch=8, critic="none", warmup_updates=0)
    trainer, scalars = run_and_resume(RoML, args, grader, tmp_path)
    assert trainer.sampler is trainer.cross_entropy
    assert all("roml/cvar" in row for row in scalars)
    shares = [
        value
        for name, value in scalars[-1].items()
        if name.startswith("roml/") and name != "roml/cvar"
    ]
    assert sum(shares) == pytest.approx(1.0)


def test_a_return_is_the_reward_and_the_numbers_are_those_of_the_settings(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    numbers: dict[str, Any] = {
        "features": ("difficulty",),
        "alpha": 0.3,
        "least_share": 0.4,
        "keep": 0.1,
        "smoothing": 0.7,
        "batch": 9,
    }
    args = roml.Args(**TINY, **numbers, critic="none", warmup_updates=0)
    with RunLogger(tmp_path, quiet=True) as logger:
        trainer = RoML.make(args, grader=grader, logger=logger)
        trainer.close()
    sampler = trainer.cross_entropy
    assert sampler._settings == CrossEntropy(**numbers)
    for verdict in (Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.COMPILE_ERROR):
        sampler.update(trainer.problems[0], codegym.Grade(verdict, tests_passed=0, tests_total=1))
    assert [found for _, found in sampler.state_dict()["found"]] == [1.0, -0.3, -1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": "uniform"}, "sampler='uniform' has no effect here"),
        ({"alpha": 0.0}, "alpha must be finite and above 0 and at most 1"),
        ({"batch": 0}, "batch must be finite and at least 1"),
    ],
)
def test_what_has_no_meaning_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        roml.Args(**{**TINY, **change})
