"""Mini's programs with an opening, and those that choose one of many arms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from codegym.errors import UnknownNameError
from codegym.grading import Grader
from codegym.masks import statement_coverage
from codegym.problems import Problem, flawed_solution, load_mini
from codegym.programs import Program

Shape = Literal["opening", "dispatch"]
SHAPES: tuple[Shape, ...] = ("opening", "dispatch")


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


def body(problem: Problem) -> list[str]:
    lines = problem.canonical_solution.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("def ")) + 1 :]


@pytest.mark.parametrize("shape", SHAPES)
def test_solutions_pass_and_most_programs_of_a_weak_coder_fail(
    shape: Shape, grader: Grader
) -> None:
    problems = load_mini(shape=shape, size=30)
    rng = np.random.default_rng(0)
    right = grader.grade_many([(one, one.canonical_solution) for one in problems])
    assert all(grade.solved for grade in right)
    wrong = [(one, flawed_solution(one, rng, 1.8)) for one in problems]
    assert sum(grade.solved for grade in grader.grade_many(wrong)) <= 3


@pytest.mark.parametrize("shape", SHAPES)
def test_splits_have_no_program_in_common_and_no_program_comes_twice(shape: Shape) -> None:
    found = [
        "\n".join(body(one))
        for split in ("train", "validation", "test")
        for one in load_mini(split=split, shape=shape, size=100)
    ]
    # A dispatch with one arm is nearly all of its few programs; none is in two splits.
    assert len(set(found)) == len(found) == 300


def test_a_shape_has_problems_of_its_own_and_plain_ones_stay_what_they_were() -> None:
    plain = load_mini(size=3)
    assert load_mini(shape="plain", size=3).ids == plain.ids
    for shape in SHAPES:
        assert not set(load_mini(shape=shape, size=3).ids) & set(plain.ids)
    with pytest.raises(UnknownNameError, match="Did you mean 'opening'"):
        load_mini(shape="openign")  # type: ignore[arg-type]


def test_a_weak_coder_gets_openings_wrong_and_ends_as_often_as_elsewhere() -> None:
    problems = load_mini(shape="opening", difficulty="6-8", size=60)
    rng = np.random.default_rng(0)
    first, last = [], []
    for problem in problems:
        ours = body(problem)
        theirs = flawed_solution(problem, rng).splitlines()[-len(ours) :]
        assert "r = " in ours[0]
        first += [a != b for a, b in zip(ours[1:3], theirs[1:3], strict=True)]
        last += [a != b for a, b in zip(ours[-4:-1], theirs[-4:-1], strict=True)]
    assert np.mean(first) > 0.8  # 120 draws of 0.88-0.93
    assert np.mean(last) < 0.55  # 180 draws of 0.22-0.53


def test_a_test_of_a_dispatch_runs_one_arm(grader: Grader) -> None:
    problems = load_mini(shape="dispatch", difficulty="6-8", size=20)

    def executed(tests: int) -> float:
        shown = list(problems.with_tests(tests))
        grades = grader.grade_many([(one, one.canonical_solution) for one in shown])
        return float(
            np.mean(
                [
                    statement_coverage(Program(one.canonical_solution), grade.executed_lines)
                    for one, grade in zip(shown, grades, strict=True)
                ]
            )
        )

    assert executed(1) < 0.6
    assert executed(100) == 1.0
