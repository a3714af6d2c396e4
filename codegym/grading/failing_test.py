"""Which test failed first, in words: its input, what was expected, and what came."""

from __future__ import annotations

import dataclasses

from codegym.grading.verdict import Grade, TestGrade, Verdict
from codegym.problems import CallTest, CodeTest, Problem, StdinTest, UnitTest

__all__ = ["FailingTest", "failing_test"]

_SHOWN = 400


@dataclasses.dataclass(frozen=True, slots=True)
class FailingTest:
    """The first test that a program failed.

    Attributes:
        number: Its number in the problem, from 1.
        input: What the program was given: standard input, a call, or a line of test code.
        expected: What it should have printed or returned; None of test code, which says so itself.
        test: The test in a line.
        verdict: On this test alone.
        error_type: Name of the exception's class, or None.
        error_message: A sentence for a human: the exception's text, or what was expected and what
            came.
    """

    number: int
    input: str
    expected: str | None
    test: str
    verdict: Verdict
    error_type: str | None
    error_message: str | None


def failing_test(problem: Problem, grade: Grade) -> FailingTest | None:
    """The first test that failed; None if none did.

    Args:
        problem: Whose tests they are.
        grade: Of a program on this problem.

    Example:
        >>> from codegym.problems import CallTest, Problem
        >>> problem = Problem("double", "Double x.", "", (CallTest((3,), 6),), entry_point="f")
        >>> failed = TestGrade(Verdict.WRONG_ANSWER, error_message="Expected 6, got 9.")
        >>> failing_test(problem, Grade(Verdict.WRONG_ANSWER, 0, 1, tests=(failed,))).test
        'f(3) must return 6'
    """
    for number, (test, result) in enumerate(zip(problem.tests, grade.tests, strict=False), 1):
        if result is not None and result.verdict is not Verdict.ACCEPTED:
            given, expected, line = _in_words(test, result, problem.entry_point)
            return FailingTest(
                number=number,
                input=given,
                expected=expected,
                test=line,
                verdict=result.verdict,
                error_type=result.error_type,
                error_message=result.error_message,
            )
    return None


def _in_words(
    test: UnitTest, result: TestGrade, entry_point: str | None
) -> tuple[str, str | None, str]:
    """Input, what is expected, and both in a line."""
    if isinstance(test, StdinTest):
        given, expected = _cut(test.stdin), _cut(test.stdout)
        return given, expected, f"stdin {given!r} must print {expected!r}"
    if isinstance(test, CodeTest):
        code = _failing_code(test, result)
        return code, None, code
    assert isinstance(test, CallTest)
    if test.expression is not None:
        call = test.expression
    else:
        arguments = [repr(value) for value in test.args]
        arguments += [f"{name}={value!r}" for name, value in test.kwargs]
        call = f"{entry_point}({', '.join(arguments)})"
    given, expected = _cut(call), _cut(repr(test.expected))
    return given, expected, f"{given} must return {expected}"


def _failing_code(test: CodeTest, result: TestGrade) -> str:
    failed = result.checks_passed
    if failed >= len(test.checks):
        return _cut(test.source.strip())
    first, *after = test.checks[failed : failed + 2]
    lines = test.source.splitlines()[first - 1 : after[0] - 1 if after else first]
    return _cut(" ".join(line.strip() for line in lines).strip())


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
