"""From observations to a grade: each test's verdict, then the worst of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegym.execution.result import ExitReason, Observation
from codegym.grading.comparer import Comparer
from codegym.grading.verdict import Grade, TestGrade, Verdict
from codegym.problems.problem import CallTest, CodeTest, Problem, StdinTest, UnitTest

__all__ = [
    "NO_PROGRAM",
    "checks",
    "compare_answer",
    "failure",
    "grade_of",
    "grade_without_program",
    "judged",
]

NO_PROGRAM = (
    "The answer holds no program: reasoning that does not end, no code block of Python, or nothing."
)
"""What a grade says of an answer in which no program was found."""

_WORST_FIRST = (
    Verdict.COMPILE_ERROR,
    Verdict.RUNTIME_ERROR,
    Verdict.MEMORY_LIMIT,
    Verdict.TIME_LIMIT,
    Verdict.OUTPUT_LIMIT,
    Verdict.WRONG_ANSWER,
    Verdict.JUDGE_ERROR,
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
        tests_total=sum(map(checks, problem.tests)),
        executed_lines=executed_lines,
        error_type=first.error_type,
        error_message=first.error_message,
        error_line=first.error_line,
        tests=tuple(tests),
    )


def grade_without_program(problem: Problem, message: str) -> Grade:
    """The grade where there is no program to run: a compile error on every test.

    Args:
        problem: What was asked.
        message: A sentence for a human.
    """
    tests = [
        TestGrade(Verdict.COMPILE_ERROR, error_message=message, checks_total=checks(test))
        for test in problem.tests
    ]
    return grade_of(problem, tests, frozenset())


def checks(test: UnitTest) -> int:
    """How many tests it counts as."""
    return max(1, len(test.checks)) if isinstance(test, CodeTest) else 1


def failure(test: UnitTest, seen: Observation) -> TestGrade | None:
    """The grade of a test on which the program came to no answer; None if it came to one."""
    total = checks(test)
    if seen.reason is not ExitReason.FINISHED:
        return TestGrade(
            verdict=_VERDICTS[seen.reason],
            error_type=seen.error_type,
            error_message=seen.error_message or _SENTENCES.get(seen.reason),
            error_line=seen.error_line,
            cpu_seconds=seen.cpu_seconds,
            checks_passed=min(seen.checks_passed, total - 1),
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
    if seen.answer is None and not isinstance(test, StdinTest):
        return judged(test, seen, "The call did not return.")
    return None


def judged(test: UnitTest, seen: Observation, complaint: str | None) -> TestGrade:
    """The grade of a test on which the program came to an answer.

    Args:
        test: A test of the problem.
        seen: What happened on it.
        complaint: What is wrong with the answer; None if it is right.
    """
    total = checks(test)
    return TestGrade(
        verdict=Verdict.ACCEPTED if complaint is None else Verdict.WRONG_ANSWER,
        error_message=complaint,
        cpu_seconds=seen.cpu_seconds,
        checks_passed=total if complaint is None else min(seen.checks_passed, total - 1),
        checks_total=total,
    )


def compare_answer(
    problem: Problem,
    test: UnitTest,
    seen: Observation,
    comparer: Comparer,
    encoded: Callable[[], bytes],
) -> TestGrade:
    """The grade of a test on which the program came to an answer, by comparison.

    Args:
        problem: What was asked.
        test: One of its tests.
        seen: What happened on it; :func:`failure` has nothing to say of it.
        comparer: Compares the answers.
        encoded: The list of what a :class:`CallTest` accepts, encoded.

    Raises:
        ClosedError: If the comparer was closed.
        WorkerError: If it failed.
    """
    return judged(test, seen, _complaint(problem, test, seen, comparer, encoded))


def _complaint(
    problem: Problem,
    test: UnitTest,
    seen: Observation,
    comparer: Comparer,
    encoded: Callable[[], bytes],
) -> str | None:
    """What is wrong with the answer; None if it is right."""
    if isinstance(test, StdinTest):
        return comparer.check_output(seen.stdout, test, problem.comparison, problem.any_order)
    if seen.answer is None or not isinstance(test, CallTest):
        return None
    return comparer.check_value(seen.answer, test, problem.comparison, encoded, problem.any_order)
