"""Who is let in: a bounded number of requests and bytes at a time, and nobody once it stops.

A server that takes on all that comes answers nobody in time. Here what cannot be done soon is
refused at once, with the time after which to ask again, and costs next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Admission", "RefusedError"]

_BODIES = 8
_RETRY_SECONDS = 1
_STILL_SECONDS = 2.0


class RefusedError(Exception):
    """A request is not answered with a result.

    Args:
        status: The HTTP status.
        detail: What was expected, what came, what to do.
        retry: Whether the same request may be granted a little later.
        close: Whether the connection is closed, and what is still to come of the request not read.
    """

    def __init__(
        self, status: int, detail: str, *, retry: bool = False, close: bool = False
    ) -> None:
        self.status = status
        self.detail = detail
        self.headers = {"Retry-After": str(_RETRY_SECONDS)} if retry else {}
        self.headers |= {"Connection": "close"} if close else {}
        super().__init__(detail)


class Admission:
    """Counts who is in. Not thread-safe: it belongs to an event loop.

    Args:
        requests: How many may be in at a time.
        body_bytes: Size of a request at most. Those that are in have eight times as much together.
        clock: Tells the time in seconds.

    Attributes:
        admitted: How many have arrived and are not answered.
        held_bytes: How many bytes of bodies are held, of those that are arriving as well.
        stopping: Whether nobody is let in any more.
    """

    def __init__(
        self, requests: int, body_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.requests = requests
        self.body_bytes = body_bytes
        self.clock = clock
        self.admitted = 0
        self.held_bytes = 0
        self.stopping = False
        self._arriving: dict[Place, None] = {}  # which hold bytes, the longest silent one first

    def enter(self, announced: int, give_up: Callable[[], None]) -> Place:
        """Lets a request arrive, as a context that it leaves at its end.

        Args:
            announced: Size of its body.
            give_up: Called if it stands still while others need its room.

        Raises:
            RefusedError: If there is no room, or will be none for its body.
        """
        self.check_size(announced)
        self.check_room()
        return Place(self, give_up)

    def check_room(self) -> None:
        """Checks that one more may be in.

        Raises:
            RefusedError: If not.
        """
        if self.stopping:
            raise RefusedError(503, "The server is being stopped.", retry=True)
        if self.admitted >= self.requests:
            raise RefusedError(
                503,
                f"The server is full: {self.admitted} requests run or wait. Ask again later, and "
                "send fewer at a time.",
                retry=True,
            )

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

    def __init__(self, admission: Admission, give_up: Callable[[], None]) -> None:
        self._admission = admission
        self._give_up = give_up
        self._bytes = 0
        self._heard = 0.0
        self._arrived = False

    def hold(self, size: int) -> None:
        """Takes note of bytes that came.

        Raises:
            RefusedError: If there is no room for them, and none that is wasted on others.
        """
        admission, most = self._admission, _BODIES * self._admission.body_bytes
        admission.check_size(self._bytes + size)
        arriving = admission._arriving
        arriving.pop(self, None)
        while admission.held_bytes + size > most and arriving:
            other = next(iter(arriving))
            if admission.clock() < other._heard + _STILL_SECONDS:
                break
            other._leave_for_others()
        arriving[self] = None
        self._heard = admission.clock()
        if admission.held_bytes + size > most:
            raise RefusedError(
                503, "The server holds as many bytes as it can. Ask again later.", retry=True
            )
        self._bytes += size
        admission.held_bytes += size

    def arrive(self) -> None:
        """Takes note that the body is here. Until then it takes no room but that of its bytes.

        Raises:
            RefusedError: If there is no room any more.
        """
        self._admission.check_room()
        self._admission._arriving.pop(self, None)
        self._admission.admitted += 1
        self._arrived = True

    def _leave_for_others(self) -> None:
        del self._admission._arriving[self]
        self._give_up()
        self._release()

    def _release(self) -> None:
        self._admission.held_bytes -= self._bytes
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._admission._arriving.pop(self, None)
        self._admission.admitted -= self._arrived
        self._release()
