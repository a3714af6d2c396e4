"""What a child gives up before it runs a program, besides what the kernel filters enforce.

Own session, own descriptors 0, 1, 2 and no other, rlimits. The filters are in
`seccomp.py` and `landlock.py`.
"""

from __future__ import annotations

import ctypes
import fcntl
import io
import math
import os
import resource
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_M_ARENA_MAX = -8
_STACK_BYTES = 112 * 2**20
MAX_DESCRIPTORS = 1024
KEPT_DESCRIPTORS = 2  # the barrier's, which closes them itself

libc: Any = ctypes.CDLL(None, use_errno=True)


def signal_with_parent(parent: int, number: int) -> None:
    """Asks the kernel for a signal when the parent dies; exits if it is dead already."""
    libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of every orphan below it, so that none gets away."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def hide_memory(hidden: bool = True) -> None:
    """Keeps other processes of the same user from reading this one's memory."""
    libc.prctl(_PR_SET_DUMPABLE, int(not hidden), 0, 0, 0)


def prepare_worker() -> None:
    """Limits that every process of a worker shares."""
    # One malloc arena: each further one reserves 64 MiB of the address space that is limited.
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    stack = _STACK_BYTES if hard == resource.RLIM_INFINITY else min(hard, _STACK_BYTES)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, hard))


def limit(which: int, value: int) -> None:
    """Sets a limit for good, soft and hard, but never above the present hard limit."""
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def address_space() -> int:
    """Bytes of address space that this process has mapped."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def soften(which: int, value: int | None) -> None:
    """Sets a soft limit that may be lifted again (None)."""
    _, hard = resource.getrlimit(which)
    if value is None or (hard != resource.RLIM_INFINITY and value > hard):
        value = hard
    resource.setrlimit(which, (value, hard))


def set_limits(limits: dict[str, Any], base_memory: int) -> None:
    """Sets the rlimits of a run for good."""
    # The supervisor watches the exact CPU time; this is the net below it.
    limit(resource.RLIMIT_CPU, math.ceil(limits["cpu_seconds"]) + 2)
    limit(resource.RLIMIT_AS, base_memory + limits["memory_bytes"])
    limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    limit(resource.RLIMIT_NOFILE, limits["open_files"])


def take_descriptors(stdin: int, stdout: int, stderr: int, keep: tuple[int, ...]) -> None:
    """Makes the given descriptors 0, 1, 2, those in `keep` 3, 4, ..., and closes the others."""
    first_free = 3 + len(keep)
    wanted = [stdin, stdout, stderr]
    wanted += [fcntl.fcntl(descriptor, fcntl.F_DUPFD, first_free) for descriptor in keep]
    for target, source in enumerate(wanted):
        os.dup2(source, target)
    os.closerange(first_free, MAX_DESCRIPTORS - KEPT_DESCRIPTORS)


def new_streams() -> None:
    """Makes the `sys.stdin`, `sys.stdout`, `sys.stderr` that every program gets.

    They remember what they were opened on (a file, two pipes: as in a child), but not which one;
    so they are made once, and a child only puts its own descriptors below them.
    """
    kept = [os.dup(number) for number in range(3)]
    file = os.memfd_create("stdin")
    reader, writer = os.pipe()
    for number, source in enumerate((file, writer, writer)):
        os.dup2(source, number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        raw.name = f"<{name}>"
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw) if number else io.BufferedReader(raw),
            encoding="utf-8",
            errors="backslashreplace" if number == 2 else "surrogateescape",
            newline="\n" if number else None,
            line_buffering=number == 2,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    for number, descriptor in enumerate(kept):
        os.dup2(descriptor, number)
    for descriptor in (*kept, file, reader, writer):
        os.close(descriptor)
