"""Grades programs: sends the inputs to an executor, compares the answers here."""

from __future__ import annotations

import collections
import functools
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Self

from codegym.errors import ClosedError, ConfigurationError, ProblemError
from codegym.execution.executor import Executor
from codegym.execution.limits import ExecutionLimits
from codegym.execution.pool import LocalExecutor
from codegym.execution.result import Call, Request, Result, Stdin, TestCode
from codegym.grading.judge import judge
from codegym.grading.verdict import Grade
from codegym.problems.problem import CallTest, Problem, StdinTest, UnitTest

__all__ = ["Grader"]

_Key = tuple[str, str, ExecutionLimits, bool]
_REMEMBERED_PROBLEMS = 1_024


class Grader:
    r"""Says whether programs solve problems. May be used from several threads.

    A policy in training writes the same program often: grades are kept, and a program that is
    being graded is not started twice. A failure of codegym's own is raised, never graded or kept.

    Args:
        executor: Runs the programs; default: a :class:`~codegym.execution.pool.LocalExecutor`
            with one worker for each CPU, made at first use and closed with the grader. An
            executor that is given stays its owner's.
        limits: What one test may use.
        coverage: Whether grades tell the executed lines.
        cache_size: Number of grades that are kept; 0 keeps none.

    Raises:
        ConfigurationError: If an argument has no meaning.

    Example:
        >>> from codegym.problems.problem import CallTest, Problem
        >>> double = Problem("double", "Double x.", "", (CallTest((3,), 6),), entry_point="f")
        >>> with Grader() as grader:
        ...     grader.grade(double, "def f(x):\n    return x + x\n").verdict.value
        'accepted'
    """

    def __init__(
        self,
        executor: Executor | None = None,
        limits: ExecutionLimits | None = None,
        *,
        coverage: bool = True,
        cache_size: int = 65_536,
    ) -> None:
        if executor is not None and not isinstance(executor, Executor):
            raise ConfigurationError(
                "executor must have submit() and close() (see codegym.execution.Executor), got "
                f"{type(executor).__name__}."
            )
        if not isinstance(cache_size, int) or cache_size < 0:
            raise ConfigurationError(
                f"cache_size must be an int of at least 0, got {cache_size!r}."
            )
        self.limits = ExecutionLimits() if limits is None else limits
        self.coverage = coverage
        self._executor = executor
        self._owned = executor is None
        self._closed = False
        self._lock = threading.RLock()
        self._grades: collections.OrderedDict[_Key, Grade] = collections.OrderedDict()
        self._cache_size = cache_size
        self._running: dict[tuple[int, _Key], Future[Grade]] = {}
        self._hash_of = functools.lru_cache(_REMEMBERED_PROBLEMS)(_content_hash)

    def grade(self, problem: Problem, program: str) -> Grade:
        """Grades one program.

        Raises:
            ConfigurationError: If `program` is no str.
            ClosedError: After :meth:`close`.
            ExecutionError: If codegym could not run the program; never the program's fault.
        """
        return self.submit(problem, program).result()

    def grade_many(self, pairs: Iterable[tuple[Problem, str]]) -> list[Grade]:
        """Grades `(problem, program)` pairs side by side; results in their order.

        Raises:
            ConfigurationError: If a program is no str.
            ClosedError: After :meth:`close`.
            ExecutionError: If codegym could not run one of the programs.
        """
        return [future.result() for future in [self.submit(*pair) for pair in pairs]]

    def submit(self, problem: Problem, program: str) -> Future[Grade]:
        """Starts grading; returns at once. The future raises what :meth:`grade` does.

        Raises:
            ConfigurationError: If `program` is no str.
            ClosedError: After :meth:`close`.
        """
        if not isinstance(program, str):
            raise ConfigurationError(
                f"A program is a str with Python source, got {type(program).__name__}."
            )
        if not problem.tests:
            raise ProblemError(f"Problem {problem.id!r} has no tests; nothing can pass.")
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
            mine = (os.getpid(), key)  # a fork must not wait for its parent's futures
            running = self._running.get(mine)
            if running is not None:
                running.add_done_callback(functools.partial(_pass_on, answer))
                return answer
            executor = self._ensure_executor()
            first = self._running[mine] = Future()
        first.add_done_callback(functools.partial(_pass_on, answer))
        try:
            result = executor.submit(self._request(problem, program))
        except BaseException:
            with self._lock:
                self._running.pop(mine, None)
            raise
        result.add_done_callback(functools.partial(self._finish, problem, mine, first))
        return answer

    def close(self) -> None:
        """Closes the executor that this grader made. May be called twice."""
        with self._lock:
            self._closed = True
            executor = self._executor if self._owned else None
        if executor is not None:
            executor.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Gymnasium copies the spec that holds an environment's arguments; a pool is shared.
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ensure_executor(self) -> Executor:
        if self._executor is None:
            self._executor = LocalExecutor()
        return self._executor

    def _request(self, problem: Problem, program: str) -> Request:
        return Request(
            program=program,
            inputs=tuple(_input(test) for test in problem.tests),
            entry_point=problem.entry_point,
            prelude=problem.prelude,
            limits=self.limits,
            coverage=self.coverage,
        )

    def _finish(
        self,
        problem: Problem,
        mine: tuple[int, _Key],
        answer: Future[Grade],
        result: Future[Result],
    ) -> None:
        try:
            grade = judge(problem, result.result())
        except BaseException as error:
            with self._lock:
                self._running.pop(mine, None)
            answer.set_exception(error)
            return
        with self._lock:
            self._running.pop(mine, None)
            if self._cache_size:
                self._grades[mine[1]] = grade
                while len(self._grades) > self._cache_size:
                    self._grades.popitem(last=False)
        answer.set_result(grade)


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


def _pass_on(answer: Future[Grade], first: Future[Any]) -> None:
    error = first.exception()
    if error is None:
        answer.set_result(first.result())
    else:
        answer.set_exception(error)


def _input(test: UnitTest) -> Stdin | Call | TestCode:
    if isinstance(test, StdinTest):
        return Stdin(test.stdin)
    if isinstance(test, CallTest):
        return Call(test.args, test.kwargs, test.expression)
    return TestCode(test.source, test.name)
