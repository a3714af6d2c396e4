"""Children that each fork their successor: the supervisor's side of `child/link.py`."""

from __future__ import annotations

import contextlib
import marshal
import socket
from typing import Any, Self

from . import supervise
from .message import Span
from .supervise import Run, ZygoteClient, new_run


class Chain:
    """Begins one run after the other. The one before must be dead.

    A context manager, which closes it.

    Args:
        zygote: The zygote that forks the first child.
        orders: What that is to do, as often as its `runs` say.
        request: Descriptor of the file of the request.
        runs: How many runs there are to be.
    """

    def __init__(self, zygote: ZygoteClient, orders: Any, request: int, runs: int) -> None:
        self._zygote = zygote
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
        """Whether no process waits for an input: all had theirs, or the last one left none."""
        return self._left == 0 or (self._begun and not self._zygote.successor)

    def begin(self, span: Span, stdin: memoryview | None) -> Run:
        """Begins the next run.

        Args:
            span: The place of the run's input in the request.
            stdin: What it is to read from descriptor 0; None for nothing.
        """
        self._left -= 1
        with new_run(stdin) as (run, standard):
            if not self._begun:
                self._begun = True
                others = [] if self._theirs is None else [self._theirs.fileno()]
                self._zygote.fork(self._orders, [*standard, *others, self._request], wait=True)
                if self._theirs is not None:
                    self._theirs.close()
                return run
            assert self._channel is not None
            with contextlib.suppress(ConnectionError):  # it is dead, which the zygote will tell
                supervise.send(self._channel, marshal.dumps(span), standard)
            run.pid, self._zygote.successor = self._zygote.successor, 0
        return run

    def close(self) -> None:
        """Sends inherited who waits, and takes note of it."""
        for end in (self._channel, self._theirs):
            if end is not None:
                end.close()
        while not self._zygote.clean:
            self._zygote.read_death()
        self._zygote.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
