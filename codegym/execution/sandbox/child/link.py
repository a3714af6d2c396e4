"""How a child comes to the point where the program's own code begins, and what it tells of that.

One program is often run on several inputs, and each run has a process of its own in which nothing
of the program ran before. So children form a chain: the first is closed in and compiles the
program; then, before it runs anything of it, it forks its successor, which waits. When the first is
dead, the successor is told its input, forks a successor of its own, and so on. What is dear is paid
once.

What a child tells on the pipe of news is true: it closes that pipe, and all else that only code of
ours may use, before the program's own code begins.
"""

from __future__ import annotations

import array
import importlib
import marshal
import os
import socket
from typing import Any

from ..fence import confine
from ..message import Span
from ..protocol import ExitReason, Stage, pack_news

_signal: Any = importlib.import_module("_signal")
MOST_TOGETHER = 64
"""How many inputs one process may run on."""

_PACKET_BYTES = 1 << 10
_STANDARD = 3


class Link:
    """A child's place in its chain, and its hold on what its program must not have.

    Args:
        request: Descriptor of the file with program and inputs.
        news: Descriptor of the pipe of news, the last one that is open.
        channel: Descriptor of the socket on which a successor is told its input, or -1.
        left: How many runs this process and its successors are to make.
        given: Where in the request the inputs of these runs are, as far as that is known: offset
            and length of each.
    """

    __slots__ = ("_channel", "_first", "_news", "_request", "_zygote", "given", "left")

    def __init__(
        self, *, request: int, news: int, channel: int, left: int, given: list[Span]
    ) -> None:
        self._request = request
        self._news = news
        self._channel = (
            None
            if channel < 0
            else socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=channel)
        )
        self._first = min(request, news, channel if channel >= 0 else news)
        self._zygote = os.getppid()
        self.left = left
        self.given = given

    def read(self, length: int, offset: int) -> bytes:
        """A part of the request."""
        return os.pread(self._request, length, offset)

    def tell(self, what: Stage | ExitReason) -> None:
        """Tells news of this process."""
        os.write(self._news, pack_news(os.getpid(), what))

    def all(self) -> list[bytes]:
        """The inputs that are known: this process is to make those runs itself."""
        return [self.read(length, offset) for offset, length in self.given]

    def take(self) -> bytes:
        """Returns in each process that is to make a run, when it is its turn: with its input."""
        while self.left > 1:
            successor = os.fork()
            if successor:
                os.write(self._news, pack_news(successor, Stage.WAITS))
                break
            self.left -= 1
            self._wait()
        (offset, length), *_ = self.given
        return self.read(length, offset)

    def _wait(self) -> None:
        """Waits for an input and for descriptors 0, 1 and 2; ends this process if none comes."""
        assert self._channel is not None
        room = socket.CMSG_SPACE(4 * _STANDARD)
        message, ancillary, _, _ = self._channel.recvmsg(_PACKET_BYTES, room)
        if not message or not confine.signal_with_parent(self._zygote, _signal.SIGKILL):
            os._exit(0)
        os.setsid()  # as the first one did
        for target, source in enumerate(array.array("i", ancillary[0][2])):
            os.dup2(source, target)
            os.close(source)
        self.given = [marshal.loads(message)]

    def begin(self, how: Stage) -> None:
        """Tells that the program begins, and lets go of all that it must not have."""
        self.tell(how)
        if self._channel is not None:
            self._channel.detach()
        os.closerange(self._first, self._news + 1)
        self.left, self.given = 0, []  # which run this is, is not the program's business
