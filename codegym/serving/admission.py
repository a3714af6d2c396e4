"""Who is let in: a bounded number of requests and bytes at a time, and nobody once it stops.

A server that takes on all that comes answers nobody in time. Here what cannot be done soon is
refused at once, with the time after which to ask again, and costs next to nothing.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

__all__ = ["Admission", "RefusedError"]

_BODIES = 8
_RETRY_SECONDS = 1


class RefusedError(Exception):
    """A request is not answered with a result.

    Args:
        status: The HTTP status.
        detail: What was expected, what came, what to do.
        retry: Whether the same request may be granted a little later.
    """

    def __init__(self, status: int, detail: str, *, retry: bool = False) -> None:
        self.status = status
        self.detail = detail
        self.headers = {"Retry-After": str(_RETRY_SECONDS)} if retry else {}
        super().__init__(detail)


class Admission:
    """Counts who is in. Not thread-safe: it belongs to an event loop.

    Args:
        requests: How many may be in at a time.
        body_bytes: Size of a request at most. Those that are in have eight times as much together.

    Attributes:
        admitted: How many are in.
        held_bytes: How many bytes of their bodies are held.
        stopping: Whether nobody is let in any more.
    """

    def __init__(self, requests: int, body_bytes: int) -> None:
        self.requests = requests
        self.body_bytes = body_bytes
        self.admitted = 0
        self.held_bytes = 0
        self.stopping = False

    def enter(self, announced: int | None) -> Place:
        """Lets a request in, as a context that it leaves at its end.

        Args:
            announced: Size of its body, if that is known.

        Raises:
            RefusedError: If there is no room, or will be none for its body.
        """
        if self.stopping:
            raise RefusedError(503, "The server is being stopped.", retry=True)
        if announced is not None:
            self.check_size(announced)
        if self.admitted >= self.requests:
            raise RefusedError(
                503,
                f"The server is full: {self.admitted} requests run or wait. Ask again later, and "
                "send fewer at a time.",
                retry=True,
            )
        return Place(self)

    def check_size(self, size: int) -> None:
        """Checks the size of one body.

        Raises:
            RefusedError: If it is too large.
        """
        if size > self.body_bytes:
            raise RefusedError(
                413,
                f"A request has at most {self.body_bytes} bytes here, and this one has {size} or "
                "more. Send fewer or smaller tests and files, or start the server with a larger "
                "limit.",
            )


class Place:
    """The place of one request, from its first byte to its answer."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._bytes = 0

    def hold(self, size: int) -> None:
        """Takes note of bytes that came.

        Raises:
            RefusedError: If there is no room for them.
        """
        self._admission.check_size(self._bytes + size)
        if self._admission.held_bytes + size > _BODIES * self._admission.body_bytes:
            raise RefusedError(
                503, "The server holds as many bytes as it can. Ask again later.", retry=True
            )
        self._bytes += size
        self._admission.held_bytes += size

    def __enter__(self) -> Self:
        self._admission.admitted += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._admission.admitted -= 1
        self._admission.held_bytes -= self._bytes
