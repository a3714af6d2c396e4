"""How many threads a process may have, whoever the user is.

The kernel's own limit counts all processes of a user, and none of root's. So a filter on the
zygote, which its children inherit, has the kernel ask (seccomp user notification, Linux 5.5)
before a thread is made, and the supervisor answers: it holds the only descriptor that is asked on.

Between an answer and the thread that comes of it another thread may ask: a process whose threads
all ask at the same moment may get to twice its limit, less one, and never beyond.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct

from . import confine, seccomp

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_NOTIFY = 0x7FC00000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_ASKED = struct.Struct("<QII64x")  # id, thread, flags, the call
_ANSWER = struct.Struct("<QqiI")  # id, value, error, flags
_CONTINUE = 1


def supported() -> bool:
    """Whether the kernel asks, tried out in a child."""
    if not seccomp.supported():
        return False
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if _listen() >= 0 else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _listen() -> int:
    """Puts the filter on this process for good; the descriptor to answer on, or -1."""
    asking = seccomp.of_new_threads(_NOTIFY)
    number, flags = _SECCOMP[platform.machine()], ctypes.c_ulong(_NEW_LISTENER)
    return int(confine.libc.syscall(number, _SET_MODE_FILTER, flags, asking.reference))


def offer(channel: socket.socket) -> None:
    """Has the kernel ask about the threads of this process and its children, from now on.

    Args:
        channel: Its other end is with the supervisor, which calls :func:`accept`.
    """
    descriptor = _listen()
    if descriptor < 0:
        channel.send(b"-")
        return
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
    channel.sendmsg([b"+"], [rights])
    os.close(descriptor)


def accept(channel: socket.socket) -> Threads | None:
    """What was offered at the other end; None if its kernel cannot ask."""
    descriptors = socket.recv_fds(channel, 1, 1)[1]
    return Threads(descriptors[0]) if descriptors else None


class Threads:
    """Answers for the threads of all processes below a zygote.

    Args:
        descriptor: The descriptor at which the kernel asks.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """What to poll for questions."""
        return self._descriptor

    def answer(self, most: int) -> None:
        """Answers one question, which must be there.

        Args:
            most: How many threads a process may have, its first one among them.
        """
        asked = bytearray(_ASKED.size)
        with contextlib.suppress(FileNotFoundError):  # who asked is dead
            fcntl.ioctl(self._descriptor, _RECEIVE, asked)
            number, thread, _ = _ASKED.unpack(asked)
            there = len(os.listdir(f"/proc/{thread}/task"))
            if there < most:
                answer = _ANSWER.pack(number, 0, 0, _CONTINUE)
            else:
                answer = _ANSWER.pack(number, 0, -errno.EAGAIN, 0)
            fcntl.ioctl(self._descriptor, _SEND, answer)
