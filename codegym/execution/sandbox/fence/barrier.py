"""All kernel barriers of a worker: built once, put before each program, tried out before use."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import struct
from collections.abc import Iterable

from . import confine, landlock, namespaces, seccomp, threads

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522
_OWN_PROCESSES = 8  # worker, program process, tester: they count as well
_FULL_LANDLOCK = 3  # before, `truncate` by path was not covered


class Barrier:
    """What stands between a program and the machine.

    Args:
        isolated: False for resource limits only.
        box: The private directory of the worker.
        packages: Files and folders of packages that a program may see.
        hidden: Folders that it may not see, wherever they lie.
    """

    def __init__(
        self, isolated: bool, box: str, packages: Iterable[str], hidden: Iterable[str]
    ) -> None:
        self._filters: tuple[seccomp.Filter, seccomp.Filter] | None = None
        self._rules: tuple[landlock.Ruleset, landlock.Ruleset] | None = None
        self._namespaces = self._asks = self._counts_threads = False
        self._isolated = isolated
        if not isolated:
            return
        self._namespaces = namespaces.enter(box)
        confine.libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        self._asks = threads.supported()
        # The kernel counts for this user alone, but it exempts root.
        self._counts_threads = not self._asks and self._namespaces and os.geteuid() != 0
        if seccomp.supported():
            self._filters = seccomp.of_zygote(), seccomp.of_child()
        if landlock.abi() > 0:
            seen = landlock.visible(packages, hidden)
            with contextlib.suppress(OSError):
                self._rules = landlock.Ruleset(seen, box), landlock.Ruleset(seen, None)

    def close_in_zygote(self, channel: socket.socket | None = None) -> None:
        """Closes in a process that will do nothing but fork children; they inherit it.

        Args:
            channel: A socket to the supervisor, which answers for threads: see `threads.accept`.
        """
        if channel is not None:
            if self._asks:
                threads.offer(channel)
            else:
                channel.send(b"-")
        if not self._isolated:
            return
        drop_capabilities()
        if self._rules is not None:
            self._rules[0].enforce()
        if self._filters is not None and not self._filters[0].install():
            self._filters = None

    def forbid_writing(self) -> None:
        """Takes the private directory away from a child."""
        if self._rules is not None:
            self._rules[1].enforce()

    def close_in(self, threads: int) -> bool:
        """Closes a child in for good; False if the kernel refuses.

        Args:
            threads: How many threads it may have, where the kernel counts them for us alone.
        """
        if self._counts_threads:
            confine.limit(resource.RLIMIT_NPROC, threads + _OWN_PROCESSES)
        return self._filters is not None and self._filters[1].install()

    def enforced(self) -> dict[str, bool]:
        """What really holds, tried out in a child that is closed in."""
        if not self._isolated:
            return dict.fromkeys(("files", "calls", "threads", "namespaces"), False)
        child = os.fork()
        if child == 0:
            code = 0
            try:
                self.close_in_zygote()
                filtered = self.close_in(1)
                code = 1 * _refused("/") + 2 * (filtered and _refuses_fork())
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return {
            "files": code > 0 and bool(code & 1) and landlock.abi() >= _FULL_LANDLOCK,
            "calls": code > 0 and bool(code & 2),
            "threads": code > 0 and (self._asks or self._counts_threads),
            "namespaces": self._namespaces,
        }


def _refused(folder: str) -> bool:
    try:
        os.listdir(folder)
    except PermissionError:
        return True
    return False


def _refuses_fork() -> bool:
    try:
        if os.fork() == 0:
            os._exit(0)
    except PermissionError:
        return True
    return False


def drop_capabilities() -> None:
    """Gives up what a user namespace, or root, may do; children inherit it."""
    header = struct.pack("<Ii", _CAPABILITY_VERSION, 0)
    confine.libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))
