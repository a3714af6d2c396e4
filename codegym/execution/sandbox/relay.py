"""Children that take turns at the inputs of a program: the supervisor's side of `turns.py`."""

from __future__ import annotations

import contextlib
import functools
import marshal
import socket
from typing import Any

from . import supervise
from .message import Span
from .supervise import Nursery, Run


class Relay:
    """Begins one run after the other. The one before must be dead.

    Args:
        nursery: Where the first child comes from.
        orders: What that is to do, as often as its `runs` say.
        request: Descriptor of the file of the request.
        runs: How many runs there are to be.
    """

    def __init__(self, nursery: Nursery, orders: Any, request: int, runs: int) -> None:
        self._nursery = nursery
        self._orders = orders
        self._request = request
        self._left = runs
        self._begun = False
        self._channel: socket.socket | None = None
        self._theirs: socket.socket | None = None
        if runs > 1:
            self._channel, self._theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)

    @property
    def over(self) -> bool:
        """Whether nobody waits for a turn: all had theirs, or the last one left none behind."""
        return self._left == 0 or (self._begun and not self._nursery.successor)

    def run(self, span: Span, stdin: int) -> Run:
        """Begins the next run, on the input at `span` of the request and on descriptor `stdin`."""
        self._left -= 1
        if self._begun:
            run = supervise.start(functools.partial(self._pass_on, span), stdin)
            run.pid, self._nursery.successor = self._nursery.successor, 0
            return run
        self._begun = True
        return supervise.start(self._begin, stdin)

    def _begin(self, standard: list[int]) -> None:
        others = [] if self._theirs is None else [self._theirs.fileno()]
        self._nursery.fork(self._orders, [*standard, *others, self._request], wait=True)
        if self._theirs is not None:
            self._theirs.close()

    def _pass_on(self, span: Span, standard: list[int]) -> None:
        assert self._channel is not None
        with contextlib.suppress(ConnectionError):  # it is dead, which the zygote will tell
            supervise.send(self._channel, marshal.dumps(span), standard)

    def close(self) -> None:
        """Sends home who waits, and takes note of it."""
        for end in (self._channel, self._theirs):
            if end is not None:
                end.close()
        while not self._nursery.clean:
            self._nursery.read_death()
        self._nursery.forget()
