"""The seam between grading and the machines that run programs, and an executor without machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from codegym.errors import ClosedError, ConfigurationError
from codegym.execution.result import Observation, Request, Result

__all__ = ["Executor", "FakeExecutor"]


@runtime_checkable
class Executor(Protocol):
    """Runs programs; reports what happened; knows nothing of right or wrong.

    An implementation may run them anywhere. It raises
    :class:`~codegym.errors.ExecutionError` (through the future) when *it* failed, and reports an
    :class:`~codegym.execution.result.Observation` when the *program* did.
    """

    def submit(self, request: Request) -> Future[Result]:
        """Starts a request. Thread-safe; returns at once."""
        ...

    def close(self) -> None:
        """Ends all workers. Pending futures raise :class:`~codegym.errors.ClosedError`."""
        ...


class FakeExecutor:
    """Runs nothing: what it reports is a function of the request. For tests and benchmarks.

    Args:
        observe: Returns what is seen of the program, one observation for each input. What it
            raises, the future raises. What a call returned stands in
            :attr:`Observation.answer` as :func:`~codegym.execution.encode_value` encodes it.

    Attributes:
        requests: All requests so far, in their order.
        closed: Whether :meth:`close` was called.

    Example:
        >>> from codegym.execution import ExitReason, encode_value
        >>> from codegym.grading import Grader
        >>> from codegym.problems import CallTest, Problem, StdinTest
        >>> executor = FakeExecutor(lambda _: [Observation(ExitReason.FINISHED, stdout="6")])
        >>> problem = Problem("double", "", "", (StdinTest("3", "6"),))
        >>> Grader(executor).grade(problem, "whatever").solved
        True
        >>> six = Observation(ExitReason.FINISHED, answer=encode_value(6))
        >>> problem = Problem("f", "", "", (CallTest((3,), 6),), entry_point="f")
        >>> Grader(FakeExecutor(lambda _: [six])).grade(problem, "whatever").solved
        True
    """

    def __init__(self, observe: Callable[[Request], Iterable[Observation]]) -> None:
        self._observe = observe
        self.requests: list[Request] = []
        self.closed = False

    def submit(self, request: Request) -> Future[Result]:
        """Answers at once.

        Raises:
            ClosedError: After :meth:`close`. The future raises a ``ConfigurationError`` if what
                `observe` returned is not made of observations.
        """
        if self.closed:
            raise ClosedError("This executor was closed. Make a new FakeExecutor.")
        self.requests.append(request)
        future: Future[Result] = Future()
        try:
            future.set_result(Result(tuple(map(_checked, self._observe(request)))))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Refuses requests from now on."""
        self.closed = True


def _checked(seen: object) -> Observation:
    """`seen` if it is an observation that a grader can read."""
    if not isinstance(seen, Observation):
        raise ConfigurationError(
            "FakeExecutor(observe): observe(request) must return an Observation for each input, "
            f"got {seen!r:.80} among them."
        )
    answer: object = seen.answer
    if answer is not None and not isinstance(answer, bytes):
        raise ConfigurationError(
            "Observation.answer must be the bytes of an encoded value, got "
            f"{type(answer).__name__}: write answer=codegym.execution.encode_value({answer!r:.80})."
        )
    return seen
