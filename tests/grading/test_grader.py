"""Verdicts, their precedence, the cache, and faults that are never a grade."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from codegym.errors import (
    ClosedError,
    ConfigurationError,
    ExecutionError,
    UnknownNameError,
    WorkerError,
)
from codegym.execution import (
    ExecutionLimits,
    ExitReason,
    FakeExecutor,
    LocalExecutor,
    Observation,
    Request,
    Result,
    encode_value,
)
from codegym.grading import Grader, Verdict
from codegym.problems.problem import CallTest, CodeTest, Problem, StdinTest

LIMITS = ExecutionLimits(cpu_seconds=1.0, wall_seconds=3600.0, memory_bytes=128 * 2**20)
DOUBLE = Problem("double", "Double x.", "", (CallTest((3,), 6), CallTest((0,), 0)), entry_point="f")
ECHO = Problem("echo", "Echo.", "", (StdinTest("a b\n", "a b\n"), StdinTest("c", "c\n")))


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with LocalExecutor(workers=1) as executor:
        yield Grader(executor, LIMITS)


class Recorded(FakeExecutor):
    """An executor that answers from a list; a future in it is the answer itself."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(self._next)
        self.answers = list(answers)

    def _next(self, _request: Request) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit(self, request: Request) -> Future[Result]:
        if isinstance(self.answers[0], Future):
            self.requests.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return super().submit(request)


def right(value: Any) -> Observation:
    return Observation(ExitReason.FINISHED, answer=encode_value(value))


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("def f(x): return 2 * x", Verdict.ACCEPTED),
        ("class Solution:\n    def f(self, x): return 2 * x", Verdict.ACCEPTED),
        ("def f(x): return 6", Verdict.WRONG_ANSWER),
        ("def f(x): return x.y", Verdict.RUNTIME_ERROR),
        ("def f(x):\n    while True: pass", Verdict.TIME_LIMIT),
        ("def f(x): return [0] * 10**9", Verdict.MEMORY_LIMIT),
        ("def f(x): return 'x' * 10**7", Verdict.OUTPUT_LIMIT),
        ("def f(x) return", Verdict.COMPILE_ERROR),
        ("\0", Verdict.COMPILE_ERROR),
        ("\ud800", Verdict.COMPILE_ERROR),
        ("", Verdict.RUNTIME_ERROR),
    ],
)
def test_each_verdict(grader: Grader, program: str, verdict: Verdict) -> None:
    grade = grader.grade(DOUBLE, program)
    assert grade.verdict is verdict
    assert grade.verdict == verdict.value
    assert grade.solved is (verdict is Verdict.ACCEPTED)
    assert grade.tests_total == 2


def test_a_grade_tells_passes_lines_and_the_first_worst_error(grader: Grader) -> None:
    program = "def f(x):\n    if x == 3:\n        return 6\n    return 1 // x\n"
    grade = grader.grade(DOUBLE, program)
    assert (grade.verdict, grade.tests_passed) == (Verdict.RUNTIME_ERROR, 1)
    assert grade.pass_ratio == 0.5
    assert (grade.error_type, grade.error_line) == ("ZeroDivisionError", 4)
    assert grade.executed_lines == {1, 2, 3, 4}
    assert [test and test.verdict for test in grade.tests] == ["accepted", "runtime_error"]
    wrong = grader.grade(DOUBLE, "def f(x): return x")
    assert wrong.error_message == "Expected 6, got 3."


def test_stdin_and_code_tests(grader: Grader) -> None:
    assert grader.grade(ECHO, "print(input())").solved
    assert grader.grade(ECHO, "print(input().split()[0])").verdict is Verdict.WRONG_ANSWER
    code = CodeTest("def check(g):\n    for i in range(5): assert g(i) == i * i\ncheck(sq)", "sq")
    square = Problem("square", "", "", (code,), entry_point="sq")
    assert grader.grade(square, "def sq(x): return x ** 2").solved
    assert grader.grade(square, "def sq(x): return x").verdict is Verdict.WRONG_ANSWER
    assert grader.grade(square, "def sq(x): return x.z").verdict is Verdict.RUNTIME_ERROR


def test_alternatives_are_as_good() -> None:
    problem = Problem("a", "", "", (CallTest((), 1, alternatives=(2, [3])),), entry_point="f")
    for value, good in ((1, True), (2, True), ([3], True), (3, False)):
        grade = Grader(Recorded([right(value)])).grade(problem, str(value))
        assert grade.solved is good


def test_precedence_is_compile_runtime_limits_wrong() -> None:
    reasons = [
        (ExitReason.FINISHED, Verdict.WRONG_ANSWER),
        (ExitReason.OUTPUT_LIMIT, Verdict.OUTPUT_LIMIT),
        (ExitReason.WALL_LIMIT, Verdict.TIME_LIMIT),
        (ExitReason.CPU_LIMIT, Verdict.TIME_LIMIT),
        (ExitReason.MEMORY_LIMIT, Verdict.MEMORY_LIMIT),
        (ExitReason.EXCEPTION, Verdict.RUNTIME_ERROR),
        (ExitReason.KILLED, Verdict.RUNTIME_ERROR),
        (ExitReason.COMPILE_ERROR, Verdict.COMPILE_ERROR),
    ]
    for count in range(1, len(reasons) + 1):
        some = reasons[:count]
        tests = tuple(CallTest((i,), "never") for i in range(count))
        problem = Problem("p", "", "", tests, entry_point="f")
        grade = Grader(Recorded([Observation(r, answer=b"null") for r, _ in some])).grade(
            problem, ""
        )
        assert grade.verdict is some[-1][1]


def test_grades_are_remembered_by_content() -> None:
    executor = Recorded([right(6), right(0)])
    grader = Grader(executor, cache_size=2)
    same = Problem("other id", "Double x.", "", DOUBLE.tests, entry_point="f")
    first = grader.grade(DOUBLE, "a")
    assert grader.grade(same, "a") is first
    assert len(executor.requests) == 1
    grader.grade(DOUBLE, "b")
    grader.grade(DOUBLE, "a")  # used again: "b" is the oldest now
    grader.grade(DOUBLE, "c")
    grader.grade(DOUBLE, "a")
    assert len(executor.requests) == 3
    grader.grade(DOUBLE, "b")
    assert len(executor.requests) == 4


def test_a_program_in_flight_is_not_started_twice() -> None:
    pending: Future[Result] = Future()
    executor = Recorded(pending)
    grader = Grader(executor)
    futures = [grader.submit(DOUBLE, "a") for _ in range(3)]
    assert not any(future.done() for future in futures)
    pending.set_result(Result((right(6), right(0))))
    assert all(future.result().solved for future in futures)
    assert len(executor.requests) == 1


def test_no_expected_answer_is_sent() -> None:
    executor = Recorded([right("SECRET")])
    problem = Problem(
        "p", "SECRET", "SECRET", (CallTest((1,), "SECRET", alternatives=("SECRET",)),), "f", "f"
    )
    assert Grader(executor).grade(problem, "program").solved
    assert "SECRET" not in repr(executor.requests)


def test_faults_are_raised_and_not_remembered() -> None:
    executor = Recorded(WorkerError("lost"), [right(6), right(0)])
    grader = Grader(executor)
    with pytest.raises(WorkerError):
        grader.grade(DOUBLE, "a")
    assert grader.grade(DOUBLE, "a").solved
    short = Grader(Recorded([right(6)]))
    with pytest.raises(ExecutionError, match="1 of 2"):
        short.grade(DOUBLE, "a")


def test_an_argument_that_is_no_data_is_refused_and_leaves_nothing_pending() -> None:
    problem = Problem("p", "", "", (CallTest((object(),), 1),), entry_point="f")
    with LocalExecutor(workers=1) as executor:
        grader = Grader(executor)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="plain data"):
                grader.grade(problem, "x = 1")


def test_grade_many_keeps_order(grader: Grader) -> None:
    pairs = [(DOUBLE, f"def f(x): return {n} * x") for n in range(4)]
    assert [g.solved for g in grader.grade_many(pairs)] == [False, False, True, False]
    assert grader.grade_many([]) == []


class Interrupts(Future[Result]):
    """A future that is interrupted by Ctrl-C while somebody waits for it."""

    def add_done_callback(self, fn: Any) -> None:
        raise KeyboardInterrupt


def started() -> Future[Result]:
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()
    return future


def failed() -> Future[Result]:
    future: Future[Result] = Future()
    future.set_exception(WorkerError("lost"))
    return future


@pytest.mark.parametrize(
    ("last", "error"),
    [(failed(), WorkerError), (Interrupts(), KeyboardInterrupt)],
    ids=["failure", "interrupt"],
)
def test_what_nobody_waits_for_any_more_is_not_run(
    last: Future[Result], error: type[BaseException]
) -> None:
    running, asked_twice, waiting = started(), Future[Result](), Future[Result]()
    executor = Recorded(running, asked_twice, waiting, last, [right(6), right(0)])
    grader = Grader(executor)
    kept = [grader.submit(DOUBLE, "running"), grader.submit(DOUBLE, "asked twice")]
    pairs = [(DOUBLE, name) for name in ("running", "asked twice", "waiting", "last")]
    with pytest.raises(error):
        grader.grade_many(pairs)
    assert [running.cancelled(), asked_twice.cancelled(), waiting.cancelled()] == [
        False, False, True,
    ]  # fmt: skip
    for future in (running, asked_twice):
        future.set_result(Result((right(6), right(0))))
    assert all(future.result().solved for future in kept)
    assert grader.grade(DOUBLE, "waiting").solved
    assert len(executor.requests) == 5


def test_a_program_that_runs_when_nobody_waits_any_more_is_run_to_the_end_of_its_share() -> None:
    running = started()
    executor = Recorded(running, [right(6), right(0)])
    grader = Grader(executor)
    first = grader.submit(DOUBLE, "a")
    first.cancel()
    second = grader.submit(DOUBLE, "a")
    running.set_result(Result((right(6), right(0))))
    assert second.result().solved
    assert len(executor.requests) == 1
    running = started()
    executor = Recorded(running, [right(0)])
    grader = Grader(executor, stop_at_first_failure=True)
    grader.submit(DOUBLE, "a").cancel()
    running.set_result(Result((right(6),)))
    assert len(executor.requests) == 1


def test_closing_closes_only_its_own_executor() -> None:
    executor = Recorded([right(6), right(0)])
    with Grader(executor) as grader:
        assert grader.executor is executor
    assert not executor.closed
    with pytest.raises(ClosedError):
        _ = grader.executor
    with pytest.raises(ClosedError):
        grader.grade(DOUBLE, "a")
    with Grader() as own:
        assert own.grade(DOUBLE, "def f(x): return x + x").solved
        with Grader(own.executor) as other:
            assert other.grade(DOUBLE, "def f(x): return 2 * x").solved
        assert own.grade(DOUBLE, "def f(x): return x * 2").solved
    own.close()
    with pytest.raises(ClosedError):
        own.submit(DOUBLE, "a")


def test_arguments_without_meaning_are_refused() -> None:
    grader = Grader(Recorded([right(6), right(0)]))
    for program in (None, b"x", 3):
        with pytest.raises(ConfigurationError, match="str"):
            grader.grade(DOUBLE, program)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="submit"):
        Grader(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="http"):
        Grader("pool")
    with pytest.raises(ConfigurationError, match="cache_size"):
        Grader(cache_size=-1)
    for argument in ("coverage", "stop_at_first_failure", "shortest_first"):
        with pytest.raises(ConfigurationError, match=f"{argument} must be True or False, got 'y"):
            Grader(**{argument: "yes"})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"limits must be .* got 5"):
        Grader(limits=5)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Did you mean 'cpu_seconds'"):
        Grader(limits={"cpu_second": 1})


def test_limits_may_be_a_mapping_as_those_of_environments() -> None:
    assert Grader(limits={"cpu_seconds": 1}).limits == ExecutionLimits(cpu_seconds=1)


@pytest.mark.parametrize("problem", ["p", None, (DOUBLE,)])
def test_what_is_no_problem_is_refused(problem: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Expected a codegym\.Problem, got"):
        Grader(Recorded([right(6), right(0)])).grade(problem, "x")


@pytest.mark.parametrize(
    "pairs", [None, 5, DOUBLE, [DOUBLE], [("a", "b", "c")], [(DOUBLE,)], ["ab"], [None]]
)
def test_what_are_no_pairs_is_refused(pairs: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\(problem, program\) pairs"):
        Grader(Recorded([right(6), right(0)])).grade_many(pairs)
