"""How many connections are open, and for how long one that asks for nothing.

uvicorn waits for the head of a first request for ever, and so would a client that does not read
its answer be waited for. Here a connection that does nothing is closed after a while, and sooner if
there are too many and its place is needed: a silent crowd keeps nobody out. One that has only just
come is no crowd: on a busy machine a client may take a second between its connection and its
request, and is to hear that there is too much to do, and not that its connection is lost.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["make_protocol"]

_READ_BYTES = 1 << 14  # at once: the event loop stands still while a piece is taken apart
_PATIENCE = 5.0  # seconds of silence, after which a connection makes room for others


def make_protocol(most: int, idle_seconds: float) -> type[H11Protocol]:
    """What uvicorn makes of each connection, for one server.

    Args:
        most: How many connections may be open. For one more, that which has waited for a request
            for the longest time is closed, if it has for five seconds, or if twice as many are
            open. Otherwise the new one is let in, and told by uvicorn that there are too many.
        idle_seconds: How long one may take to send the head of its next request, however it
            dribbles in, and go without reading any more of an answer.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    connections: set[Connection] = set()
    waiting: dict[Connection, float] = {}  # for a request since when, the longest first

    class Connection(H11Protocol):
        """A connection that is watched from its first moment to its last."""

        _timer: asyncio.TimerHandle | None = None
        _unread = 0

        def connection_made(self, transport: Any) -> None:
            transport.max_size = _READ_BYTES
            super().connection_made(transport)
            connections.add(self)
            self._wait_for_request()
            if len(connections) > most:
                self._make_room()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            if self._is_answering():
                waiting.pop(self, None)

        def on_response_complete(self) -> None:
            if self in connections:
                self._wait_for_request()
            super().on_response_complete()  # which may begin with the next request

        def _make_room(self) -> None:
            late = self.loop.time() - (_PATIENCE if len(connections) <= 2 * most else 0.0)
            for one, since in waiting.items():
                if since > late:
                    return
                if one is not self and not one.transport.get_write_buffer_size():
                    one._leave()
                    return

        def _wait_for_request(self) -> None:
            waiting.pop(self, None)
            waiting[self] = self.loop.time()
            self._watch()

        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _watch(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._unread = self.transport.get_write_buffer_size()
            self._timer = self.loop.call_later(idle_seconds, self._look)

        def _look(self) -> None:
            """Closes the connection if nothing came of it since it was last looked at."""
            unread = self.transport.get_write_buffer_size()
            reads = unread < self._unread
            if reads or (not unread and self._is_answering()):
                self._watch()
            else:
                self._leave()

        def _leave(self) -> None:
            self._forget()
            self.transport.abort()  # what is not read by now would be waited for

        def _forget(self) -> None:
            connections.discard(self)
            waiting.pop(self, None)

    return Connection
