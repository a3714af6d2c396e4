"""Executors that run nothing: what they see is a function of the program's text."""

from __future__ import annotations

import random
import threading
import zlib
from concurrent.futures import Future
from typing import Any

from codegym.errors import ClosedError, WorkerError
from codegym.execution import (
    Call,
    ExitReason,
    FakeExecutor,
    Observation,
    Request,
    Result,
    Stdin,
    encode_value,
)
from codegym.problems import CallTest, Problem, ProblemSet, StdinTest

REASONS = (
    ExitReason.FINISHED,
    ExitReason.FINISHED,
    ExitReason.FINISHED,
    ExitReason.EXCEPTION,
    ExitReason.COMPILE_ERROR,
    ExitReason.CPU_LIMIT,
)


def key_of(request: Request) -> int:
    return zlib.crc32(request.program.encode("utf-8", "surrogateescape"))


class MadeUp(FakeExecutor):
    """Answers at once. A third of all programs is right, others fail in several ways.

    Args:
        problems: Whose tests it knows the answers to.
    """

    def __init__(self, problems: ProblemSet) -> None:
        super().__init__(self.observe)
        self._answers = {key: value for p in problems for key, value in _answers(p)}

    @property
    def programs(self) -> list[str]:
        return [request.program for request in self.requests]

    def observe(self, request: Request) -> tuple[Observation, ...]:
        key = key_of(request)
        return tuple(self._observation(key, k, one) for k, one in enumerate(request.inputs))

    def _observation(self, key: int, k: int, one: Any) -> Observation:
        reason = REASONS[key % len(REASONS)]
        lines = frozenset(line for line in range(1, 12) if (key >> line) & 1)
        if reason is ExitReason.COMPILE_ERROR:
            return Observation(reason, error_type="SyntaxError", error_message="made up")
        if reason is not ExitReason.FINISHED:
            name = "ValueError" if reason is ExitReason.EXCEPTION else None
            return Observation(reason, error_type=name, executed_lines=lines)
        right = key % len(REASONS) < 2 or (key >> 8) % (k + 2) == 0
        answer = self._answers.get(repr(one)) if right else "wrong"
        text = answer if isinstance(answer, str) else ""
        encoded = encode_value(answer)
        return Observation(reason, answer=encoded, stdout=text, executed_lines=lines)


def _answers(problem: Problem) -> Any:
    for test in problem.tests:
        if isinstance(test, StdinTest):
            yield repr(Stdin(test.stdin)), test.stdout
        elif isinstance(test, CallTest):
            yield repr(Call(test.args, test.kwargs, test.expression)), test.expected


class Late:
    """Answers from another thread, after random delays and in a random order.

    Args:
        inner: Knows the answers.
        seed: Of delays and order.
        longest: Longest delay, in seconds; it is shared by those that wait.
        fails: Texts; a program that holds one of them cannot be run.
    """

    def __init__(
        self, inner: MadeUp, *, seed: int = 0, longest: float = 0.004, fails: tuple[str, ...] = ()
    ) -> None:
        self.inner, self.fails, self.held = inner, fails, False
        self._random, self._longest = random.Random(seed), longest
        self._waiting: list[tuple[int, Request, Future[Result]]] = []
        self._changed = threading.Condition()
        self._closed = False
        self.submitted = 0
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def submit(self, request: Request) -> Future[Result]:
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise ClosedError("closed")
            self._waiting.append((self.submitted, request, future))
            self.submitted += 1
            self._changed.notify()
        return future

    def close(self) -> None:
        with self._changed:
            self._closed = True
            pending, self._waiting = self._waiting, []
            self._changed.notify()
        for *_, future in pending:
            future.set_exception(ClosedError("The executor was closed."))
        self.thread.join()

    def hold(self, held: bool) -> None:
        """Answers nothing while `held`."""
        with self._changed:
            self.held = held
            self._changed.notify()

    def answer(self, number: int) -> None:
        """Answers one request of those that are held; 0 is the first that was ever submitted."""
        with self._changed:
            (chosen,) = (one for one in self._waiting if one[0] == number)
            self._waiting.remove(chosen)
        self._give(*chosen[1:])

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (self.held or not self._waiting):
                    self._changed.wait()
                pause = self._random.random() * self._longest / (1 + len(self._waiting))
                if not self._closed and pause:
                    self._changed.wait(pause)
                if self._closed:
                    return
                if self.held or not self._waiting:
                    continue
                chosen = self._waiting.pop(self._random.randrange(len(self._waiting)))
            self._give(*chosen[1:])

    def _give(self, request: Request, future: Future[Result]) -> None:
        if any(text in request.program for text in self.fails):
            future.set_exception(WorkerError("the machine is on fire"))
        else:
            future.set_result(Result(self.inner.observe(request)))
