"""Grades programs: sends the inputs to an executor, has the answers compared."""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import os
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future
from typing import Any, Self

from codegym.errors import ClosedError, ConfigurationError, ProblemError, RequestTooLargeError
from codegym.execution.executor import Executor
from codegym.execution.limits import ExecutionLimits
from codegym.execution.local import LocalExecutor
from codegym.execution.remote import HTTPExecutor
from codegym.execution.result import Result
from codegym.grading.comparer import Comparer
from codegym.grading.limits import make_limits
from codegym.grading.progress import Plan, Progress
from codegym.grading.verdict import Grade
from codegym.problems.problem import Problem

__all__ = ["Grader"]

_Key = tuple[str, str, ExecutionLimits, bool]
_Mine = tuple[int, _Key]  # by process: a fork must not wait for its parent's futures
_REMEMBERED_PROBLEMS = 1_024


class Grader:
    r"""Says whether programs solve problems. May be used from several threads.

    A policy in training writes the same program often: grades are kept, and a program that is
    being graded is not started twice. A failure of codegym's own is raised, never graded or kept.
    Where a problem has a checker, the executor runs that as well, on the answers of the program; if
    it fails, the grade has the verdict ``"judge_error"``.

    Args:
        executor: Runs the programs; default: a :class:`~codegym.execution.local.LocalExecutor`
            with one worker for each CPU, made at first use and closed with the grader. An
            executor that is given stays its owner's. The URL of a `codegym serve`, such as
            `"http://127.0.0.1:8080"`, stands for an :class:`~codegym.execution.HTTPExecutor`,
            which is closed with the grader.
        limits: What one test may use, as an object or a mapping of its fields. A program may
            always print or return twice as many bytes as the longest answer that its problem
            expects.
        coverage: Whether grades tell the executed lines.
        stop_at_first_failure: Whether to leave out the tests after the first that fails, which is
            faster for a trainer that only asks whether a program is right. Such a grade has the
            verdict of that test, fewer executed lines, and `tests_run < tests_total`.
        shortest_first: Run tests with short inputs first; else in the problem's order.
        cache_size: Number of grades that are kept; 0 keeps none.

    Raises:
        ConfigurationError: If an argument has no meaning.
        ServerError: If `executor` is a URL and no server is there.

    Example:
        >>> from codegym.problems.problem import CallTest, Problem
        >>> double = Problem("double", "Double x.", "", (CallTest((3,), 6),), entry_point="f")
        >>> with Grader() as grader:
        ...     grader.grade(double, "def f(x):\n    return x + x\n").verdict.value
        'accepted'
    """

    def __init__(
        self,
        executor: Executor | str | None = None,
        limits: ExecutionLimits | Mapping[str, float] | None = None,
        *,
        coverage: bool = True,
        stop_at_first_failure: bool = False,
        shortest_first: bool = False,
        cache_size: int = 65_536,
    ) -> None:
        if executor is not None and not isinstance(executor, Executor | str):
            raise ConfigurationError(
                "executor must have submit() and close() (see codegym.execution.Executor), or be "
                f"the URL of a server, got {type(executor).__name__}."
            )
        for name, value in (
            ("coverage", coverage),
            ("stop_at_first_failure", stop_at_first_failure),
            ("shortest_first", shortest_first),
        ):
            if not isinstance(value, bool):
                raise ConfigurationError(f"{name} must be True or False, got {value!r:.80}.")
        if not isinstance(cache_size, int) or isinstance(cache_size, bool) or cache_size < 0:
            raise ConfigurationError(
                f"cache_size must be an int of at least 0, got {cache_size!r}."
            )
        self.limits = make_limits(limits)
        self.coverage = coverage
        self.stop_at_first_failure = stop_at_first_failure
        self.shortest_first = shortest_first
        self._url = executor if isinstance(executor, str) else None
        self._executor = HTTPExecutor(executor) if isinstance(executor, str) else executor
        self._owned = executor is None or self._url is not None
        self._closed = False
        self._comparer = Comparer()
        self._locks: dict[int, threading.RLock] = {}
        self._grades: collections.OrderedDict[_Key, Grade] = collections.OrderedDict()
        self._cache_size = cache_size
        self._running: dict[_Mine, _Run] = {}
        self._hash_of = functools.lru_cache(_REMEMBERED_PROBLEMS)(_content_hash)
        self._plan_of = functools.lru_cache(_REMEMBERED_PROBLEMS)(
            lambda one: Plan(one.problem, shortest_first)
        )

    def grade(self, problem: Problem, program: str) -> Grade:
        """Grades one program.

        Raises:
            ConfigurationError: If `problem` is not a Problem or `program` no str.
            ClosedError: After :meth:`close`.
            ExecutionError: If codegym could not run the program; never the program's fault.
        """
        future = self.submit(problem, program)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def grade_many(self, pairs: Iterable[tuple[Problem, str]]) -> list[Grade]:
        """Grades `(problem, program)` pairs side by side; results in their order.

        Where it raises, also when it is interrupted, programs that were not begun and that nobody
        else waits for are not run.

        Raises:
            ConfigurationError: If they are no such pairs.
            ClosedError: After :meth:`close`.
            ExecutionError: If codegym could not run one of the programs.
        """
        if not isinstance(pairs, Iterable):
            raise ConfigurationError(
                f"grade_many() takes (problem, program) pairs, got {type(pairs).__name__}."
            )
        futures: list[Future[Grade]] = []
        try:
            for pair in pairs:
                future = self.submit(*_checked_pair(pair))
                futures.append(future)
            concurrent.futures.wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def submit(self, problem: Problem, program: str) -> Future[Grade]:
        """Starts grading; returns at once. The future raises what :meth:`grade` does.

        It can be cancelled until it is done. The program is then not run, if it was not begun and
        nobody else waits for it.

        Raises:
            ConfigurationError: If `problem` is not a Problem or `program` no str.
            ClosedError: After :meth:`close`.
        """
        if not isinstance(problem, Problem):
            raise ConfigurationError(
                f"Expected a codegym.Problem, got {type(problem).__name__}. Take one from a set, "
                "such as load_problems(...)[0], or make one."
            )
        if not isinstance(program, str):
            raise ConfigurationError(
                f"A program is a str with Python source, got {type(program).__name__}."
            )
        if not problem.tests:
            raise ProblemError(f"Problem {problem.id!r} has no tests; nothing can pass.")
        plan = self._plan_of(_ById(problem))
        key = (self._hash_of(_ById(problem)), program, self.limits, self.coverage)
        answer: Future[Grade] = Future()
        with self._lock:
            if self._closed:
                raise ClosedError("This grader was closed. Make a new Grader.")
            known = self._grades.get(key)
            if known is not None:
                self._grades.move_to_end(key)
                answer.set_result(known)
                return answer
            mine = (os.getpid(), key)
            run = self._running.get(mine)
            is_new = run is None
            if run is None:
                run = self._running[mine] = _Run()
            run.waiting += 1
        answer.add_done_callback(functools.partial(self._leave, mine, run))
        run.grade.add_done_callback(functools.partial(_pass_on, answer))
        if not is_new:
            return answer
        progress = Progress(
            plan,
            program,
            self.limits,
            self._comparer,
            coverage=self.coverage,
            stop=self.stop_at_first_failure,
        )
        try:
            executor = self._ensure_executor()
            run.sent = executor.submit(progress.next_request())
            run.sent.add_done_callback(functools.partial(self._go_on, progress, mine, run))
        except BaseException:
            with self._lock:
                self._running.pop(mine, None)
            raise
        return answer

    def close(self) -> None:
        """Closes the executor that this grader made. May be called twice.

        What is being compared in a helper process right now raises a ClosedError.
        """
        with self._lock:
            self._closed = True
            executor = self._executor if self._owned else None
        self._comparer.close()
        if executor is not None:
            executor.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Gymnasium copies the spec that holds an environment's arguments; a pool is shared.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process: the same settings, workers of its own, nothing remembered.
        given = self._url if self._owned else self._executor
        settings: dict[str, Any] = {
            "coverage": self.coverage,
            "stop_at_first_failure": self.stop_at_first_failure,
            "shortest_first": self.shortest_first,
            "cache_size": self._cache_size,
        }
        return functools.partial(Grader, **settings), (given, self.limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def executor(self) -> Executor:
        """Runs the programs. Another grader with other settings may be given the same.

        Raises:
            ClosedError: After :meth:`close`.
        """
        with self._lock:
            if self._closed:
                raise ClosedError("This grader was closed. Make a new Grader.")
            return self._ensure_executor()

    @property
    def _lock(self) -> threading.RLock:
        # By process: at a fork another thread may hold the parent's, and would never let it go.
        pid = os.getpid()
        return self._locks.get(pid) or self._locks.setdefault(pid, threading.RLock())

    def _ensure_executor(self) -> Executor:
        with self._lock:
            if self._executor is None:
                self._executor = LocalExecutor()
            return self._executor

    def _go_on(self, progress: Progress, mine: _Mine, run: _Run, result: Future[Result]) -> None:
        """Takes a result, and sends off the next tests or tells the grade."""
        try:
            try:
                seen = result.result()
            except RequestTooLargeError as error:
                progress.refuse(error)
            else:
                progress.record(seen)
            if not progress.finished:
                with self._lock:
                    if not run.waiting:
                        self._running.pop(mine, None)
                        return
                run.sent = self._ensure_executor().submit(progress.next_request())
                run.sent.add_done_callback(functools.partial(self._go_on, progress, mine, run))
                return
            grade = progress.grade()
        except BaseException as error:
            with self._lock:
                self._running.pop(mine, None)
            run.grade.set_exception(error)
            return
        with self._lock:
            self._running.pop(mine, None)
            if self._cache_size:
                self._grades[mine[1]] = grade
                while len(self._grades) > self._cache_size:
                    self._grades.popitem(last=False)
        run.grade.set_result(grade)

    def _leave(self, mine: _Mine, run: _Run, answer: Future[Grade]) -> None:
        """Somebody waits no more. If it was the last, a program that was not begun is not run."""
        if not answer.cancelled():
            return
        with self._lock:
            run.waiting -= 1
            if not run.waiting and run.sent is not None:
                run.sent.cancel()  # which ends in _go_on, unless the program runs already


class _Run:
    """A program that is being graded, for one or several that wait for its grade."""

    def __init__(self) -> None:
        self.grade: Future[Grade] = Future()
        self.sent: Future[Result] | None = None
        self.waiting = 0


class _ById:
    """Makes a problem a cache key by identity: hashing its content is what is to be saved."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def __hash__(self) -> int:
        return id(self.problem)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.problem is self.problem


def _content_hash(problem: _ById) -> str:
    return problem.problem.content_hash


def _checked_pair(pair: object) -> tuple[Problem, str]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ConfigurationError(
            f"grade_many() takes (problem, program) pairs, got {pair!r:.80} among them."
        )
    return pair[0], pair[1]


def _pass_on(answer: Future[Grade], first: Future[Grade]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    error = first.exception()
    if error is None:
        answer.set_result(first.result())
    else:
        answer.set_exception(error)
