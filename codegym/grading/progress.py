"""One program on its way through the tests of a problem, in shares that are run together."""

from __future__ import annotations

import dataclasses

from codegym.errors import ConfigurationError, ExecutionError, ProblemError
from codegym.execution.limits import ExecutionLimits
from codegym.execution.result import Call, Observation, Request, Result, Stdin, TestCode
from codegym.execution.values import encode_value
from codegym.grading.checker import Checker
from codegym.grading.judge import grade_of, judge_test
from codegym.grading.verdict import Grade, TestGrade, Verdict
from codegym.problems.problem import LONGEST_ANSWER, CallTest, Problem, StdinTest, UnitTest
from codegym.programs.executed import ExecutedLines

__all__ = ["Plan", "Progress"]


class Plan:
    """In which order the tests of a problem are run.

    Args:
        problem: What is asked.
        shortest_first: Order them by the length of their input; else as the problem does.

    Attributes:
        inputs: What to run a program on, in that order.
        output_bytes: What a program must be allowed to print or return: twice the longest answer.

    Raises:
        ProblemError: If an answer is longer than an executor can take.
    """

    def __init__(self, problem: Problem, shortest_first: bool) -> None:
        self.problem = problem
        self.order = list(range(len(problem.tests)))
        if shortest_first:
            self.order.sort(key=lambda index: _length(problem.tests[index]))
        self.inputs = tuple(_input(problem.tests[index]) for index in self.order)
        longest = max((_answer_bytes(test) for test in problem.tests), default=0)
        if longest > LONGEST_ANSWER:
            raise ProblemError(
                f"Problem {problem.id!r} expects an answer of {longest} bytes. No program can be "
                f"asked for more than {LONGEST_ANSWER}: leave out that test."
            )
        self.output_bytes = 2 * longest
        self._encoded: dict[int, bytes] = {}

    def judge(self, index: int, seen: Observation, checker: Checker) -> TestGrade:
        """The grade of the test that is run as number `index`.

        Raises:
            ExecutionError: If the answer could not be compared, which is not its fault.
        """
        test = self.problem.tests[self.order[index]]

        def encoded() -> bytes:
            assert isinstance(test, CallTest)
            if index not in self._encoded:
                self._encoded[index] = encode_value([test.expected, *test.alternatives])
            return self._encoded[index]

        return judge_test(self.problem, test, seen, checker, encoded)


class Progress:
    """Which tests of a plan were run on a program, and which are to be run next.

    Args:
        plan: The tests.
        program: Source of the program.
        limits: What a test may use.
        checker: Compares the answers.
        coverage: Whether executed lines are wanted.
        stop: Whether to leave out the tests after the first that fails. The first test is then
            run alone, and each share after it is twice as long as the one before: whether an
            answer is right is only known here, so the rest of a share may be run in vain.
    """

    def __init__(
        self,
        plan: Plan,
        program: str,
        limits: ExecutionLimits,
        checker: Checker,
        *,
        coverage: bool,
        stop: bool,
    ) -> None:
        self._plan = plan
        self._program = program
        needed = max(limits.output_bytes, plan.output_bytes)
        self._limits = dataclasses.replace(limits, output_bytes=needed)
        self._coverage = coverage
        self._stop = stop
        self._share = 1 if stop else len(plan.inputs)
        self._checker = checker
        self._graded: list[TestGrade] = []
        self._executed: list[frozenset[int]] = []
        self._failed = False

    @property
    def finished(self) -> bool:
        """Whether no more tests are to be run."""
        return self._failed or len(self._graded) == len(self._plan.inputs)

    def next_request(self) -> Request:
        """What to run next."""
        first = len(self._graded)
        return Request(
            program=self._program,
            inputs=self._plan.inputs[first : first + self._share],
            entry_point=self._plan.problem.entry_point,
            prelude=self._plan.problem.prelude,
            limits=self._limits,
            coverage=self._coverage,
            stop_on_error=self._stop,
            packages=self._plan.problem.packages,
        )

    def record(self, result: Result) -> None:
        """Takes the result of the last request.

        Raises:
            ExecutionError: If it has observations for other inputs than were asked for, or an
                answer could not be compared.
        """
        first = len(self._graded)
        asked = min(self._share, len(self._plan.inputs) - first)
        for observation in result.observations[:asked]:
            graded = self._plan.judge(len(self._graded), observation, self._checker)
            self._graded.append(graded)
            self._executed.append(observation.executed_lines)
            if self._stop and graded.verdict is not Verdict.ACCEPTED:
                self._failed = True
                return
        if len(result.observations) != asked:
            raise ExecutionError(
                f"The executor reported on {len(result.observations)} of {asked} tests of problem "
                f"{self._plan.problem.id!r}. It must return one observation for each input."
            )
        self._share *= 2

    def grade(self) -> Grade:
        """The grade, when no more tests are to be run."""
        tests: list[TestGrade | None] = [None] * len(self._plan.order)
        for index, graded in zip(self._plan.order, self._graded, strict=False):
            tests[index] = graded
        return grade_of(self._plan.problem, tests, ExecutedLines.union_of(self._executed))


def _input(test: UnitTest) -> Stdin | Call | TestCode:
    if isinstance(test, StdinTest):
        return Stdin(test.stdin)
    if isinstance(test, CallTest):
        return Call(test.args, test.kwargs, test.expression)
    return TestCode(test.source, test.name, test.setup, tuple(test.checks), test.classes)


def _answer_bytes(test: UnitTest) -> int:
    if isinstance(test, StdinTest):
        return len(test.stdout.encode("utf-8", "surrogatepass"))
    if isinstance(test, CallTest):
        return max(map(_encoded_bytes, (test.expected, *test.alternatives)))
    return 0


def _encoded_bytes(value: object) -> int:
    try:
        return len(encode_value(value))
    except (ConfigurationError, RecursionError):
        return 0  # no program can return it


def _length(test: UnitTest) -> int:
    if isinstance(test, StdinTest):
        return len(test.stdin)
    if isinstance(test, CallTest):
        return len(repr(test.args)) + len(repr(test.kwargs)) + len(test.expression or "")
    return len(test.source)
