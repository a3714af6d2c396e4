"""From observations to a grade: each test's verdict, then the worst of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegym.execution.result import ExitReason, Observation
from codegym.grading.checker import Checker
from codegym.grading.verdict import Grade, TestGrade, Verdict
from codegym.problems.problem import CallTest, CodeTest, Problem, StdinTest, UnitTest

__all__ = ["grade_of", "judge_test"]

_WORST_FIRST = (
    Verdict.COMPILE_ERROR,
    Verdict.RUNTIME_ERROR,
    Verdict.MEMORY_LIMIT,
    Verdict.TIME_LIMIT,
    Verdict.OUTPUT_LIMIT,
    Verdict.WRONG_ANSWER,
    Verdict.ACCEPTED,
)

_VERDICTS = {
    ExitReason.COMPILE_ERROR: Verdict.COMPILE_ERROR,
    ExitReason.EXCEPTION: Verdict.RUNTIME_ERROR,
    ExitReason.KILLED: Verdict.RUNTIME_ERROR,
    ExitReason.CPU_LIMIT: Verdict.TIME_LIMIT,
    ExitReason.WALL_LIMIT: Verdict.TIME_LIMIT,
    ExitReason.MEMORY_LIMIT: Verdict.MEMORY_LIMIT,
    ExitReason.OUTPUT_LIMIT: Verdict.OUTPUT_LIMIT,
    ExitReason.TEST_FAILED: Verdict.WRONG_ANSWER,
}

_SENTENCES = {
    ExitReason.CPU_LIMIT: "The program used more CPU time than allowed.",
    ExitReason.WALL_LIMIT: "The program ran longer than allowed.",
    ExitReason.MEMORY_LIMIT: "The program needed more memory than allowed.",
    ExitReason.OUTPUT_LIMIT: "The program printed or returned more than allowed.",
}


def grade_of(
    problem: Problem, tests: Sequence[TestGrade | None], executed_lines: frozenset[int]
) -> Grade:
    """The grade of a program.

    Args:
        problem: What was asked.
        tests: One grade for each test of the problem; None for tests that were not run. At least
            one was.
        executed_lines: Union over the tests that ran.
    """
    ran = [test for test in tests if test is not None]
    verdict = min((test.verdict for test in ran), key=_WORST_FIRST.index)
    first = next(test for test in ran if test.verdict is verdict)
    return Grade(
        verdict=verdict,
        tests_passed=sum(test.checks_passed for test in ran),
        tests_total=sum(map(_checks, problem.tests)),
        executed_lines=executed_lines,
        error_type=first.error_type,
        error_message=first.error_message,
        error_line=first.error_line,
        tests=tuple(tests),
    )


def _checks(test: UnitTest) -> int:
    """How many tests it counts as."""
    return max(1, len(test.checks)) if isinstance(test, CodeTest) else 1


def judge_test(
    problem: Problem,
    test: UnitTest,
    seen: Observation,
    checker: Checker,
    encoded: Callable[[], bytes],
) -> TestGrade:
    """The grade of one test.

    Args:
        problem: What was asked.
        test: One of its tests.
        seen: What happened on it.
        checker: Compares the answers.
        encoded: The list of what a :class:`CallTest` accepts, encoded.

    Raises:
        ClosedError: If the checker was closed.
        WorkerError: If it failed.
    """
    total = _checks(test)
    passed = min(seen.checks_passed, total - 1)
    if seen.reason is not ExitReason.FINISHED:
        return TestGrade(
            verdict=_VERDICTS[seen.reason],
            error_type=seen.error_type,
            error_message=seen.error_message or _SENTENCES.get(seen.reason),
            error_line=seen.error_line,
            cpu_seconds=seen.cpu_seconds,
            checks_passed=passed,
            checks_total=total,
        )
    if seen.exit_code != 0:
        return TestGrade(
            verdict=Verdict.RUNTIME_ERROR,
            error_type="SystemExit",
            error_message=f"The program ended with exit code {seen.exit_code}.",
            cpu_seconds=seen.cpu_seconds,
            checks_total=total,
        )
    complaint = _complaint(problem, test, seen, checker, encoded)
    return TestGrade(
        verdict=Verdict.ACCEPTED if complaint is None else Verdict.WRONG_ANSWER,
        error_message=complaint,
        cpu_seconds=seen.cpu_seconds,
        checks_passed=total if complaint is None else passed,
        checks_total=total,
    )


def _complaint(
    problem: Problem,
    test: UnitTest,
    seen: Observation,
    checker: Checker,
    encoded: Callable[[], bytes],
) -> str | None:
    """What is wrong with the answer; None if it is right."""
    if isinstance(test, StdinTest):
        return checker.check_output(seen.stdout, test.stdout, problem.comparison)
    if seen.answer is None:
        return "The call did not return."
    if not isinstance(test, CallTest):
        return None
    return checker.check_value(seen.answer, test, problem.comparison, encoded)
