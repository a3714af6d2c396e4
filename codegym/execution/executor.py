"""The seam between grading and the machines that run programs."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from codegym.execution.result import Request, Result

__all__ = ["Executor"]


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
