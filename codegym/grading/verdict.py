"""What a grader says of a program."""

from __future__ import annotations

import dataclasses
import enum

__all__ = ["Grade", "TestGrade", "Verdict"]


class Verdict(enum.StrEnum):
    """The verdicts of online judges."""

    ACCEPTED = "accepted"  #: Every test passed.
    WRONG_ANSWER = "wrong_answer"  #: An answer differs from what is expected.
    RUNTIME_ERROR = "runtime_error"  #: An exception left the program, or it crashed.
    TIME_LIMIT = "time_limit"  #: It took more CPU time, or time on the clock, than it may.
    MEMORY_LIMIT = "memory_limit"  #: It used more memory than it may.
    OUTPUT_LIMIT = "output_limit"  #: It printed or returned more than it may.
    COMPILE_ERROR = "compile_error"  #: It is not a Python program; nothing ran.
    #: None of these: the problem's checker failed on an answer, so nobody knows if it is right.
    JUDGE_ERROR = "judge_error"


@dataclasses.dataclass(frozen=True, slots=True)
class TestGrade:
    """The verdict on one test.

    Attributes:
        verdict: The verdict of this test alone.
        error_type: Name of the exception's class, or None.
        error_message: A sentence for a human: the exception's text, or how the answer differed.
        error_line: 1-based line of the program, or None. Of a judge error these three tell of the
            checker, not of the program.
        cpu_seconds: CPU time used.
        checks_passed: How many of the tests it counts as passed: all of them if it is accepted.
        checks_total: How many tests it counts as: 1, but for test code, whose asserts or test
            functions count one by one.
    """

    __test__ = False  # not a test class of pytest

    verdict: Verdict
    error_type: str | None = None
    error_message: str | None = None
    error_line: int | None = None
    cpu_seconds: float = 0.0
    checks_passed: int = 0
    checks_total: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on a program.

    The verdict of a program that fails in several ways is the worst of its tests, in the order
    compile error, runtime error, memory, time and output limit, wrong answer (StepCoder's
    precedence: compile > runtime > fail). `error_*` come from the first test with that verdict.
    A program that fails no test, but on one of them the problem's checker failed, has the verdict
    ``"judge_error"``, which is none: no reward is made of it (see :attr:`judged`).

    Attributes:
        verdict: ``"accepted"`` only if every test was run and passed.
        tests_passed: Number of tests that were run and passed. Of test code, the asserts up to the
            first that failed, or the test functions that passed, count one by one.
        tests_total: Number of tests of the problem, counted in the same way.
        executed_lines: 1-based lines of the program, union over the tests that ran; as
            :class:`~codegym.programs.ExecutedLines` they tell statements on one line apart.
        error_type: Name of the exception's class, or None.
        error_message: A sentence for a human, or None.
        error_line: 1-based line of the program, or None.
        tests: One entry for each test of the problem, in its order; None for a test that was not
            run, because the grader stops at the first failure.
    """

    verdict: Verdict
    tests_passed: int
    tests_total: int
    executed_lines: frozenset[int] = frozenset()
    error_type: str | None = None
    error_message: str | None = None
    error_line: int | None = None
    tests: tuple[TestGrade | None, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether there is a verdict; if not, the problem's checker is at fault."""
        return self.verdict is not Verdict.JUDGE_ERROR

    @property
    def solved(self) -> bool:
        """Whether all tests passed."""
        return self.verdict is Verdict.ACCEPTED

    @property
    def tests_run(self) -> int:
        """Number of tests that were run: all, unless the grader stops at the first failure."""
        return sum(test.checks_total for test in self.tests if test is not None)

    @property
    def pass_ratio(self) -> float:
        """Share of the tests that passed, in [0, 1]; a lower bound if some were not run."""
        return self.tests_passed / self.tests_total
