"""A right program may print and return what its problem expects, however long that is."""

from __future__ import annotations

import dataclasses

import pytest

from codegym.errors import ProblemError
from codegym.execution import ExecutionLimits, FakeExecutor
from codegym.grading import Grader, Verdict, progress
from codegym.grading.comparer import Comparer
from codegym.problems import CallTest, Problem, StdinTest

LIMITS = ExecutionLimits(cpu_seconds=60.0, wall_seconds=3600.0, output_bytes=1000)


def test_the_output_limit_is_at_least_twice_the_expected_output() -> None:
    printed = Problem("p", "", "", (StdinTest("", "x" * 10_000),))
    returned = Problem("r", "", "", (CallTest((), ["y" * 1000] * 6_000),), entry_point="f")
    cases = [
        (printed, "print('x' * 10_000)", Verdict.ACCEPTED),
        (printed, "print('x' * 19_000)", Verdict.WRONG_ANSWER),
        (printed, "print('x' * 21_000)", Verdict.OUTPUT_LIMIT),
        (returned, "def f(): return ['y' * 1000] * 6_000", Verdict.ACCEPTED),
        (returned, "def f(): return ['y' * 1000] * 14_000", Verdict.OUTPUT_LIMIT),
    ]
    with Grader(limits=LIMITS) as grader:
        for problem, program, verdict in cases:
            assert grader.grade(problem, program).verdict is verdict, program


def test_a_larger_limit_stays() -> None:
    plan = progress.Plan(Problem("p", "", "", (StdinTest("", "x"),)), shortest_first=False)
    for limit in (1000, 10**6):
        limits = dataclasses.replace(LIMITS, output_bytes=limit)
        made = progress.Progress(plan, "", limits, Comparer(), coverage=False, stop=False)
        request = made.next_request()
        assert request.limits == limits


@pytest.mark.parametrize(
    "test",
    [StdinTest("", "x" * 101), CallTest((), ["y"] * 50), CallTest((), 0, alternatives=("z" * 99,))],
)
def test_a_problem_whose_answer_no_program_may_give_is_refused(
    monkeypatch: pytest.MonkeyPatch, test: StdinTest | CallTest
) -> None:
    monkeypatch.setattr(progress, "LONGEST_ANSWER", 100)
    problem = Problem("p", "", "", (test,), entry_point="f" if isinstance(test, CallTest) else None)
    executor = FakeExecutor(lambda _: ())
    grader = Grader(executor)
    for _ in range(2):
        with pytest.raises(ProblemError, match="expects an answer"):
            grader.grade(problem, "")
    assert executor.requests == []
