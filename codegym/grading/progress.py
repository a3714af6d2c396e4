"""One program on its way through the tests of a problem, in shares that are run together."""

from __future__ import annotations

import dataclasses

from codegym.errors import (
    ConfigurationError,
    ExecutionError,
    ProblemError,
    RequestTooLargeError,
)
from codegym.execution.limits import ExecutionLimits
from codegym.execution.result import (
    Call,
    ExitReason,
    Observation,
    Request,
    Result,
    Stdin,
    TestCode,
)
from codegym.execution.serialization import pack_request
from codegym.execution.values import encode_value
from codegym.grading.checking import (
    answer_bytes,
    checker_request,
    fitting,
    graded_by,
    question_bytes,
    too_large,
)
from codegym.grading.comparer import Comparer
from codegym.grading.judge import compare_answer, failure, grade_of
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
        questions: Where the problem has a checker, the bytes that it is given of each test, in
            that order, beside the answer.

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
        asks = problem.checker is not None
        self.questions = [question_bytes(problem.tests[i]) for i in self.order] if asks else []
        self._encoded: dict[int, bytes] = {}

    def test(self, index: int) -> UnitTest:
        """The test that is run as number `index`."""
        return self.problem.tests[self.order[index]]

    def judge(self, index: int, seen: Observation, comparer: Comparer) -> TestGrade | None:
        """The grade of the test that is run as number `index`; None if a checker must say it.

        Raises:
            ExecutionError: If the answer could not be compared, which is not its fault.
        """
        test = self.test(index)

        def encoded() -> bytes:
            assert isinstance(test, CallTest)
            if index not in self._encoded:
                self._encoded[index] = encode_value([test.expected, *test.alternatives])
            return self._encoded[index]

        failed = failure(test, seen)
        if failed is not None or self.problem.checker is not None:
            return failed
        return compare_answer(self.problem, test, seen, comparer, encoded)


class Progress:
    """Which tests of a plan were run on a program, and which are to be run next.

    Args:
        plan: The tests.
        program: Source of the program.
        limits: What a test may use.
        comparer: Compares the answers.
        coverage: Whether executed lines are wanted.
        stop: Whether to leave out the tests after the first that fails. The first test is then
            run alone, and each share after it is twice as long as the one before: whether an
            answer is right is only known here, so the rest of a share may be run in vain.

    Where the problem has a checker, each share is followed by requests to run that on the answers
    of the share, as many in each as have room. A test on which the checker failed is not one that
    the program fails.
    """

    def __init__(
        self,
        plan: Plan,
        program: str,
        limits: ExecutionLimits,
        comparer: Comparer,
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
        self._comparer = comparer
        self._graded: list[TestGrade] = []
        self._share_graded: list[TestGrade | None] = []  # None: the checker is asked about it
        self._answers: list[tuple[int, Observation]] = []  # which the checker is to be asked about
        self._checked: list[TestGrade] = []  # what it said of those before them
        self._asked = 0  # tests or answers in the last request
        self._most = len(plan.inputs)  # of them in a request
        self._executed: list[frozenset[int]] = []
        self._failed = False

    @property
    def finished(self) -> bool:
        """Whether no more tests are to be run, and no checker either."""
        all_graded = len(self._graded) == len(self._plan.inputs)
        return not self._answers and (self._failed or all_graded)

    def next_request(self) -> Request:
        """What to run next: the program, or the problem's checker on its answers."""
        problem = self._plan.problem
        if self._answers:
            assert problem.checker is not None
            questions, most = self._plan.questions, self._limits.output_bytes
            sizes = [questions[index] + answer_bytes(seen) for index, seen in self._answers]
            self._asked = min(fitting(sizes), self._most)
            return checker_request(
                problem,
                problem.checker,
                [(self._plan.test(index), seen) for index, seen in self._answers[: self._asked]],
                max(questions) + most,
            )
        first = len(self._graded)
        self._asked = min(self._share, self._most, len(self._plan.inputs) - first)
        return Request(
            program=self._program,
            inputs=self._plan.inputs[first : first + self._asked],
            entry_point=problem.entry_point,
            prelude=problem.prelude,
            limits=self._limits,
            coverage=self._coverage,
            stop_on_error=self._stop,
            packages=problem.packages,
        )

    def refuse(self, error: RequestTooLargeError) -> None:
        """Takes note that the last request is too large for the executor: the next one is smaller.

        How much a program prints, and how long it is, is its own doing, so neither is an error.

        Args:
            error: What the executor said.

        Raises:
            RequestTooLargeError: If a single test of the problem is too large.
        """
        if self._asked > 1:
            self._most = self._asked // 2
        elif self._answers:
            _, seen = self._answers.pop(0)
            self._take_checked([too_large(seen)])
        elif self._program_is_to_blame(error.most_bytes):
            self._asked = len(self._plan.inputs) - len(self._graded)
            seen = Observation(ExitReason.COMPILE_ERROR, error_message=_TOO_LONG)
            self.record(Result((seen,) * self._asked))
        else:
            raise error

    def _program_is_to_blame(self, most_bytes: float) -> bool:
        """Whether there would be room for an empty program, in a request as a server gets it."""
        request = self.next_request()
        without = len(pack_request(dataclasses.replace(request, program="")))
        # Where the executor does not say what it takes, whether the program is most of it.
        return without <= (most_bytes or len(pack_request(request)) / 2)

    def record(self, result: Result) -> None:
        """Takes the result of the last request.

        Raises:
            ExecutionError: If it has observations for other inputs than were asked for, or an
                answer could not be compared.
        """
        if self._answers:
            self._record_checks(result)
            return
        first = len(self._graded)
        self._share *= 2
        for index, observation in enumerate(result.observations[: self._asked], first):
            graded = self._plan.judge(index, observation, self._comparer)
            self._share_graded.append(graded)
            self._executed.append(observation.executed_lines)
            if graded is None:
                self._answers.append((index, observation))
            elif self._stop and _fails(graded):
                break
        else:
            self._check_count(result)
        if not self._answers:
            self._settle()

    def _record_checks(self, result: Result) -> None:
        checker = self._plan.problem.checker
        assert checker is not None
        self._check_count(result)
        seen = zip(self._answers, result.observations, strict=False)
        grades = [
            graded_by(checker, self._plan.test(index), answer, said)
            for (index, answer), said in seen
        ]
        del self._answers[: self._asked]
        self._take_checked(grades)

    def _take_checked(self, grades: list[TestGrade]) -> None:
        self._checked += grades
        if self._stop and any(map(_fails, grades)):
            self._answers.clear()
        if not self._answers:
            self._settle()

    def _settle(self) -> None:
        """Takes the grades of a share, those that the checker said among them."""
        said = iter(self._checked)
        for graded in self._share_graded:
            self._graded.append(next(said) if graded is None else graded)
            if self._stop and _fails(self._graded[-1]):
                self._failed = True
                break
        self._share_graded.clear()
        self._checked.clear()
        del self._executed[len(self._graded) :]

    def _check_count(self, result: Result) -> None:
        if len(result.observations) != self._asked:
            raise ExecutionError(
                f"The executor reported on {len(result.observations)} of {self._asked} tests of "
                f"problem {self._plan.problem.id!r}. It must return one observation for each input."
            )

    def grade(self) -> Grade:
        """The grade, when no more tests are to be run."""
        tests: list[TestGrade | None] = [None] * len(self._plan.order)
        for index, graded in zip(self._plan.order, self._graded, strict=False):
            tests[index] = graded
        return grade_of(self._plan.problem, tests, ExecutedLines.union_of(self._executed))


_TOO_LONG = "The program is too long to be sent to where programs are run."


def _fails(graded: TestGrade) -> bool:
    """Whether the program is known to fail this test."""
    return graded.verdict not in (Verdict.ACCEPTED, Verdict.JUDGE_ERROR)


def _input(test: UnitTest) -> Stdin | Call | TestCode:
    if isinstance(test, StdinTest):
        return Stdin(test.stdin)
    if isinstance(test, CallTest):
        return Call(test.args, test.kwargs, test.expression)
    return TestCode(test.source, test.name, test.setup, tuple(test.checks), test.classes)


def _answer_bytes(test: UnitTest) -> int:
    if isinstance(test, StdinTest):
        accepted = (test.stdout, *test.alternatives)
        return max(len(text.encode("utf-8", "surrogatepass")) for text in accepted)
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
