"""One program on its way through the tests of a problem, in shares that are run together."""

from __future__ import annotations

from codegym.errors import ExecutionError
from codegym.execution.limits import ExecutionLimits
from codegym.execution.result import Call, Observation, Request, Result, Stdin, TestCode
from codegym.grading.judge import judge, judge_test
from codegym.grading.verdict import Grade, Verdict
from codegym.problems.problem import CallTest, Problem, StdinTest, UnitTest

__all__ = ["Course", "Plan"]


class Plan:
    """In which order the tests of a problem are run.

    Args:
        problem: What is asked.
        shortest_first: Order them by the length of their input; else as the problem does.
    """

    def __init__(self, problem: Problem, shortest_first: bool) -> None:
        self.problem = problem
        self.order = list(range(len(problem.tests)))
        if shortest_first:
            self.order.sort(key=lambda index: _length(problem.tests[index]))
        self.inputs = tuple(_input(problem.tests[index]) for index in self.order)


class Course:
    """Which tests of a plan were run on a program, and which are to be run next.

    Args:
        plan: The tests.
        program: Source of the program.
        limits: What a test may use.
        coverage: Whether executed lines are wanted.
        stop: Whether to leave out the tests after the first that fails. The first test is then
            run alone, and each share after it is twice as long as the one before: whether an
            answer is right is only known here, so the rest of a share may be run in vain.
    """

    def __init__(
        self, plan: Plan, program: str, limits: ExecutionLimits, *, coverage: bool, stop: bool
    ) -> None:
        self._plan = plan
        self._program = program
        self._limits = limits
        self._coverage = coverage
        self._stop = stop
        self._share = 1 if stop else len(plan.inputs)
        self._seen: list[Observation] = []
        self._failed = False

    @property
    def finished(self) -> bool:
        """Whether no more tests are to be run."""
        return self._failed or len(self._seen) == len(self._plan.inputs)

    def next_request(self) -> Request:
        """What to run next."""
        first = len(self._seen)
        return Request(
            program=self._program,
            inputs=self._plan.inputs[first : first + self._share],
            entry_point=self._plan.problem.entry_point,
            prelude=self._plan.problem.prelude,
            limits=self._limits,
            coverage=self._coverage,
            stop_on_error=self._stop,
        )

    def record(self, result: Result) -> None:
        """Takes the result of the last request.

        Raises:
            ExecutionError: If it has observations for other inputs than were asked for.
        """
        problem, first = self._plan.problem, len(self._seen)
        asked = min(self._share, len(self._plan.inputs) - first)
        for observation in result.observations[:asked]:
            test = problem.tests[self._plan.order[len(self._seen)]]
            self._seen.append(observation)
            if self._stop:
                graded = judge_test(problem, test, observation)
                if graded.verdict is not Verdict.ACCEPTED:
                    self._failed = True
                    return
        if len(result.observations) != asked:
            raise ExecutionError(
                f"The executor reported on {len(result.observations)} of {asked} tests of problem "
                f"{problem.id!r}. It must return one observation for each input."
            )
        self._share *= 2

    def grade(self) -> Grade:
        """The grade, when the course is finished."""
        seen: list[Observation | None] = [None] * len(self._plan.order)
        for index, observation in zip(self._plan.order, self._seen, strict=False):
            seen[index] = observation
        return judge(self._plan.problem, seen)


def _input(test: UnitTest) -> Stdin | Call | TestCode:
    if isinstance(test, StdinTest):
        return Stdin(test.stdin)
    if isinstance(test, CallTest):
        return Call(test.args, test.kwargs, test.expression)
    return TestCode(test.source, test.name, test.setup, tuple(test.checks))


def _length(test: UnitTest) -> int:
    if isinstance(test, StdinTest):
        return len(test.stdin)
    if isinstance(test, CallTest):
        return len(repr(test.args)) + len(repr(test.kwargs)) + len(test.expression or "")
    return len(test.source)
