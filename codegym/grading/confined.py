"""Leaves a process nothing but to compute, and to talk on the descriptors that it has.

Much narrower than what stands before a program (`execution/sandbox`), which needs files and
threads. Where the kernel has no seccomp, or the architecture is another, only the resource limits
hold: what runs here is code of ours, and this is what stands behind it.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import struct

__all__ = ["close_in", "limit_memory"]

# (x86_64, aarch64); None where the architecture lacks the call.
_ALLOWED: dict[str, tuple[int | None, int]] = {
    "read": (0, 63), "write": (1, 64), "recvfrom": (45, 207), "sendto": (44, 206),
    "poll": (7, 73), "ppoll": (271, 73), "mmap": (9, 222), "munmap": (11, 215),
    "mremap": (25, 216), "mprotect": (10, 226), "madvise": (28, 233), "brk": (12, 214),
    "futex": (202, 98), "sched_yield": (24, 124), "restart_syscall": (219, 128),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "setitimer": (38, 103), "getrlimit": (97, 163), "setrlimit": (160, 164),
    "prlimit64": (302, 261), "getpid": (39, 172), "gettid": (186, 178), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
_ARCHITECTURES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_SET_FILTER, _ALL_THREADS = 1, 1
_PR_SET_NO_NEW_PRIVS = 38


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.c_char_p))


def close_in() -> None:
    """Closes this process in for good, with all its threads."""
    for which in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(which, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # all of which are taken
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if platform.machine() in _ARCHITECTURES:
        index, audit, seccomp = _ARCHITECTURES[platform.machine()]
        code = _filter(audit, [one[index] for one in _ALLOWED.values()])
        program = _Program(len(code) // 8, code)
        libc.syscall(seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(program))


def _filter(audit: int, allowed: list[int | None]) -> bytes:
    """Instructions that allow these calls on this architecture, and refuse all others."""
    refuse, allow = (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)
    code = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, audit), refuse, (_LOAD, 0, 0, _NUMBER)]
    for number in allowed:
        if number is not None:
            code += [(_EQUAL, 0, 1, number), allow]
    return b"".join(struct.pack("<HBBI", *one) for one in [*code, refuse])


def limit_memory(size: int) -> None:
    """Limits the address space, which may grow by another call."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
