"""A zygote for one program that has many inputs: it compiles the program once for all children."""

from __future__ import annotations

import os
import socket

from .message import Request
from .supervise import Nursery
from .task import order


class Session:
    """The supervisor's side; the zygote is a child of the worker's own, see `actions.py`.

    Args:
        parent: Where children come from without it.
        request: Holds the program, which a child must have compiled before: nothing is limited.
        null: Descriptor of the null device.

    Attributes:
        nursery: Where children come from now.
    """

    def __init__(self, parent: Nursery, request: Request, null: int) -> None:
        self._parent = parent
        channel, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        births, births_write = os.pipe()
        told = order(
            program=request.head["program"],
            prelude=request.head["prelude"],
            given=[],
            report_bytes=request.head["report_bytes"],
            lines=request.head["lines"],
            traced=request.head["coverage"],
        )
        descriptors = [null, null, 2, request.file, theirs.fileno(), births_write]
        parent.fork(("session", None, told), descriptors, wait=True)
        theirs.close()
        os.close(births_write)
        self.nursery = Nursery(channel, births, parent.next_birth(), parent.base)

    def close(self) -> None:
        """Ends the zygote and waits for it."""
        self.nursery.close()
        while not self._parent.next_death()[-1]:
            pass
