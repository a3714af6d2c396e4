"""A process that forks children on command, and does nothing else.

A fork shares memory that both sides then copy page by page as they touch it, so the process that
forks should touch little: supervision is another's business (`supervise.py`). And since every
child is its copy, it never holds anything of a program; children read that themselves.

Commands come as marshalled tuples with descriptors; answers are marshalled tuples
`(pid, status, cpu_seconds, peak_memory_bytes, clean)`, one for each process below that died.
`clean` says that no other is left. What happens to a child before it runs anything of a program is
told on a pipe, in the order of the commands: see `protocol.py`.
"""

from __future__ import annotations

import array
import importlib
import marshal
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from .fence import confine
from .protocol import Stage, pack_news

# The wrappers of the module `signal` convert to enums, which costs a child 0.1 ms.
_signal: Any = importlib.import_module("_signal")

COMMAND_BYTES = 1 << 16
MOST_DESCRIPTORS = 8
FAULT = 70  # exit code of a process that failed by our own fault


class Zygote:
    """The loop of a zygote.

    Args:
        channel: Packets from and to the supervisor.
        news: Descriptor of the pipe for news; children get it as their last descriptor.
        start: What a child does, given its orders and descriptors; returns never.
    """

    def __init__(
        self, channel: socket.socket, news: int, start: Callable[[bytes, list[int]], None]
    ) -> None:
        self._channel = channel
        self._news = news
        self._start = start

    def serve(self) -> None:
        """Forks children until the supervisor hangs up."""
        room = socket.CMSG_SPACE(4 * MOST_DESCRIPTORS)
        own = os.getpid()
        # The frames of ours that lie below a program's own are not to count as its.
        sys.setrecursionlimit(_RECURSION_LIMIT + _depth() + _FRAMES_OF_A_CHILD)
        while True:
            command, ancillary, _, _ = self._channel.recvmsg(COMMAND_BYTES, room)
            if not command:
                os._exit(0)
            descriptors = array.array("i", ancillary[0][2]).tolist()
            pid = os.fork()
            if pid == 0:
                try:
                    os.setsid()
                    if confine.signal_with_parent(own, _signal.SIGKILL):
                        self._start(command, [*descriptors, self._news])
                finally:
                    os._exit(FAULT)
            for descriptor in descriptors:
                os.close(descriptor)
            os.write(self._news, pack_news(pid, Stage.BORN))
            if command.endswith(_WAIT):
                self._wait()

    def _wait(self) -> None:
        """Tells of every death until nothing is left below."""
        clean = False
        while not clean:
            pid, status, usage = os.wait4(-1, 0)
            clean = _childless()
            cpu = usage.ru_utime + usage.ru_stime
            answer = (pid, status, cpu, usage.ru_maxrss * 1024, clean)
            self._channel.send(marshal.dumps(answer))


_WAIT = b"w"
_RECURSION_LIMIT = 1000  # Python's default
_FRAMES_OF_A_CHILD = 3


def _depth() -> int:
    depth, frame = 0, sys._getframe().f_back
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


def pack(orders: Any, wait: bool) -> bytes:
    """A command: fork a child with these orders; then maybe wait for all children."""
    return marshal.dumps(orders) + (_WAIT if wait else b"-")


def _childless() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # which takes no death away
    except ChildProcessError:
        return True
    return False
