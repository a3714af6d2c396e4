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
from collections.abc import Sequence
from typing import Any

from . import memory

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_M_ARENA_MAX = -8
_STACK_BYTES = 112 * 2**20
MAX_DESCRIPTORS = 1024

_NAMES = ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NOFILE")
_RLIMITS = tuple(getattr(resource, name) for name in _NAMES)
_RAISED = (*_RLIMITS, resource.RLIMIT_DATA, resource.RLIMIT_NPROC)

libc: Any = ctypes.CDLL(None, use_errno=True)
prctl: Any = ctypes.CDLL(None).prctl
"""Without `errno`, which costs a child twenty page faults."""


def signal_with_parent(parent: int, number: int) -> bool:
    """Asks the kernel for a signal when the parent dies; False if it is dead already."""
    prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    return os.getppid() == parent


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
    for which in _RAISED:  # what the parent has set for itself
        _, hard = resource.getrlimit(which)
        resource.setrlimit(which, (hard, hard))
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


def rlimits(limits: dict[str, Any], base_memory: int) -> tuple[int, ...]:
    """What :func:`set_rlimits` is to set for a run, none above the present hard limits.

    Args:
        limits: What a program may use.
        base_memory: Bytes of address space that a child has before it runs anything.

    Raises:
        ValueError: If this process may not give a program what it is to have.
    """
    cpu, files = math.ceil(limits["cpu_seconds"]), (limits["file_bytes"], limits["open_files"])
    needed = (cpu, base_memory + limits["memory_bytes"], *files)
    # The supervisor watches CPU time and resident memory; these are the nets below it.
    wanted = (cpu + 2, base_memory + memory.ADDRESS_SPACE * limits["memory_bytes"], *files)
    granted = []
    for name, least, value, most in zip(_NAMES, needed, wanted, hard_limits(), strict=True):
        unlimited = most == resource.RLIM_INFINITY
        if not unlimited and most < least:
            raise ValueError(
                f"a program is to have {least} of {name}, but this process was started with a "
                f"hard limit of {most}: raise it (`ulimit`) or ask for less in ExecutionLimits"
            )
        granted.append(value if unlimited else min(value, most))
    return tuple(granted)


def hard_limits() -> list[int]:
    """The present hard limits of what :func:`set_rlimits` sets.

    A list: a tuple that is made from a generator leaves CPython's list of free tuples one longer,
    until some 2,000 are kept.
    """
    return [resource.getrlimit(which)[1] for which in _RLIMITS]


def set_rlimits(values: Sequence[int]) -> None:
    """Sets the limits of a run, soft and hard, for good."""
    setrlimit = resource.setrlimit
    for which, value in zip(_RLIMITS, values, strict=True):
        setrlimit(which, (value, value))


def take_descriptors(standard: list[int], keep: list[int]) -> None:
    """Makes the given descriptors 0, 1, 2, those in `keep` 3, 4, ..., and closes the others."""
    first_free = 3 + len(keep)
    wanted = [*standard, *(fcntl.fcntl(kept, fcntl.F_DUPFD, first_free) for kept in keep)]
    for target, source in enumerate(wanted):
        os.dup2(source, target)
    os.closerange(first_free, MAX_DESCRIPTORS)


def new_streams() -> None:
    """Makes the `sys.stdin`, `sys.stdout`, `sys.stderr` that every program gets.

    As `create_stdio` of CPython's `pylifecycle.c` makes them. They remember what they were opened
    on (a file, two pipes: as in a child), but not which one; so they are made once, and a child
    only puts its own descriptors below them.
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
            newline="\n",  # also for reading: Python leaves "\r\n" as it is on Linux
            line_buffering=number == 2,
        )
        stream.mode = "w" if number else "r"  # type: ignore[misc]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    for number, descriptor in enumerate(kept):
        os.dup2(descriptor, number)
    for descriptor in (*kept, file, reader, writer):
        os.close(descriptor)
