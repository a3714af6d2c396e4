"""Filters on system calls: what a program of pure computation needs is allowed, nothing else.

Of a call that is not in the lists of `calls.py` a program learns that the kernel does not know it
(ENOSYS), so that a C library falls back on an older one. Refused with EPERM is what the standard
library link into a `PermissionError`: new processes and programs (threads are allowed), signals
to others, sockets (but a connected `socketpair`, which asyncio wants and which carries bytes, no
descriptors), changing owner, mode, times or attributes of files (Landlock does not cover those).

Putting a filter on a process takes time, and more of it for each call that the filters before it
allow. So there are two: a long one, put once on the zygote and inherited, and a short one for each
child, with what depends on its own process id and what the zygote itself needs: to fork.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from . import calls, confine

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_EQUAL, _AT_LEAST, _ABOVE, _ANY_BIT = 0x15, 0x35, 0x25, 0x45
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EPERM, _EINVAL, _ENOTTY, _ENOSYS, _EOPNOTSUPP = 1, 22, 25, 38, 95
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_CLONE_THREAD = 0x10000
_THREADS = (0x3D0F00, 0x7D0F00)
"""The flags of a thread, as glibc and musl make it: nothing that is not shared."""
_FORKS = (0x1200011, 0x11)
"""The flags of a fork, as the two make it."""
_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE = 1, 1, 5, 0xF
_MSG_OOB = 1
_MAP_HUGETLB = 0x40000  # pages of a store that all share, and that no limit on memory counts
_O_ASYNC = 0x2000  # would have the kernel send signals
_O_DSYNC = 0x1000  # would have every byte on the disk before the next
_FALLOCATE = (0, 3)  # not: keeping the size, which no limit on the size of files looks at
_SIGKILL, _RLIMIT_CPU = 9, 0
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_SECCOMP = 15, 16, 22
_F_SETFL, _F_SETPIPE_SZ, _LARGEST_PIPE = 4, 1031, 1 << 16
# DUPFD, GETFD, SETFD, GETFL, GETLK, SETLK, SETLKW, OFD_GETLK, _SETLK, _SETLKW, DUPFD_CLOEXEC,
# GETPIPE_SZ. Not: owners and signals, leases, notes of changes, seals.
_FCNTL = (0, 1, 2, 3, 5, 6, 7, 36, 37, 38, 1030, 1032)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, TCGETS2
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x802C542A)
# NORMAL to DONTNEED, FREE, REMOVE, DONTFORK, DOFORK, HUGEPAGE to KEEPONFORK, GUARD_INSTALL and
# _REMOVE. Not: merging pages with those of others, putting them out to the disk.
_MADVISE = (0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 102, 103)
_MEMBARRIER = (0, 8, 16)  # asking, and the barrier among threads of one process
# REUSEADDR, SNDBUF, RCVBUF, KEEPALIVE, LINGER, RCVTIMEO, SNDTIMEO
_SOL_SOCKET, _SOCKET_OPTIONS = 1, (2, 7, 8, 9, 13, 20, 21)
_BY_FILTER = 2
_OWN = 0x7FFFFFF1  # stands for the own process id; no process has it
_WORD = struct.Struct("<I")

Code = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, value."""
ALLOWED: Code = (_RETURN, 0, 0, _ALLOW)
_PRETENDED: Code = (_RETURN, 0, 0, _ERRNO)
_REFUSED: Code = (_RETURN, 0, 0, _ERRNO | _EPERM)
_INVALID: Code = (_RETURN, 0, 0, _ERRNO | _EINVAL)
_NO_TERMINAL: Code = (_RETURN, 0, 0, _ERRNO | _ENOTTY)
_UNKNOWN: Code = (_RETURN, 0, 0, _ERRNO | _ENOSYS)
_UNSUPPORTED: Code = (_RETURN, 0, 0, _ERRNO | _EOPNOTSUPP)
_Actions = dict[int, list[Code]]

_INSTRUCTION = struct.Struct("<HBBI")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.c_void_p))


def _argument(index: int, *, upper: bool = False) -> Code:
    """Loads the lower half of an argument, all that the kernel takes of an `int`, or the upper."""
    return _LOAD, 0, 0, _ARGUMENTS + 8 * index + 4 * upper


def _only(
    index: int, values: tuple[int, ...], mask: int | None = None, otherwise: Code = _REFUSED
) -> list[Code]:
    """Instructions that allow a call if the (masked) argument is one of `values`."""
    code: list[Code] = [_argument(index)]
    if mask is not None:
        code.append((_AND, 0, 0, mask))
    for value in values:
        code += [(_EQUAL, 0, 1, value), ALLOWED]
    return [*code, otherwise]


def _without(index: int, bits: int) -> list[Code]:
    """Instructions that allow a call unless the argument has one of these bits."""
    return [_argument(index), (_ANY_BIT, 0, 1, bits), _REFUSED, ALLOWED]


def _at_most(index: int, value: int) -> list[Code]:
    return [_argument(index), (_ABOVE, 0, 1, value), _REFUSED, ALLOWED]


def _if(
    index: int, value: int, then: list[Code], otherwise: list[Code], *, upper: bool = False
) -> list[Code]:
    """Instructions for one value of an argument (of half of it), and those for all others."""
    return [_argument(index, upper=upper), (_EQUAL, 0, len(then), value), *then, *otherwise]


def _prlimit() -> list[Code]:
    """Allows a process its own limits, and pretends to set the one on CPU time.

    Above that one the kernel kills, as only we may.
    """
    new_limit = 2  # a pointer; none if the limit is only asked for
    own = _only(0, (0, _OWN))
    asks = _if(new_limit, 0, _if(new_limit, 0, own, [_PRETENDED], upper=True), [_PRETENDED])
    return _if(1, _RLIMIT_CPU, asks, own)


def _depends_in_zygote() -> dict[str, list[Code]]:
    pipe_size = _at_most(2, _LARGEST_PIPE)
    flags = _without(2, _O_ASYNC)
    fcntl = _if(1, _F_SETFL, flags, _if(1, _F_SETPIPE_SZ, pipe_size, _only(1, _FCNTL)))
    pair = _only(1, (_SOCK_STREAM, _SOCK_SEQPACKET), mask=_SOCK_TYPE)
    prctl = (_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_SECCOMP)
    anything = [ALLOWED]
    return {
        "open": _without(1, _O_DSYNC),
        "openat": _without(2, _O_DSYNC),
        "fallocate": _only(1, _FALLOCATE),
        "preadv2": _only(5, (0,)),
        "pwritev2": _only(5, (0,)),
        "clone": _only(0, (*_THREADS, *_FORKS)),
        "fcntl": fcntl,
        "ioctl": _only(1, _IOCTL, otherwise=_NO_TERMINAL),
        "mmap": _without(3, _MAP_HUGETLB),
        "madvise": _only(2, _MADVISE, otherwise=_INVALID),
        "membarrier": _only(0, _MEMBARRIER, otherwise=_INVALID),
        "socketpair": _if(0, _AF_UNIX, pair, [_REFUSED]),
        "setsockopt": _if(1, _SOL_SOCKET, _only(2, _SOCKET_OPTIONS), [_REFUSED]),
        "sendto": _without(3, _MSG_OOB),
        "recvfrom": _without(3, _MSG_OOB),
        "recvmsg": _without(2, _MSG_OOB),
        "sched_setaffinity": _only(0, (0,)),
        "prctl": _only(0, (*prctl, _PR_SET_NAME, _PR_GET_NAME)),
        "fork": anything,  # the C library of Alpine
        "kill": anything,
        "tgkill": anything,
        "prlimit64": anything,
    }


def _depends_in_child() -> dict[str, list[Code]]:
    # A process that dies by SIGKILL was killed by its supervisor, or by the machine.
    return {
        "fork": [_REFUSED],
        "clone": _only(0, (_CLONE_THREAD,), mask=_CLONE_THREAD),
        "kill": _if(0, _OWN, _if(1, _SIGKILL, [_REFUSED], [ALLOWED]), [_REFUSED]),
        "tgkill": _if(0, _OWN, _if(2, _SIGKILL, [_REFUSED], [ALLOWED]), [_REFUSED]),
        "prlimit64": _prlimit(),
        "prctl": _only(0, (_PR_SET_NAME, _PR_GET_NAME)),
    }


def _actions(arch: int, *, once: bool) -> _Actions:
    """What is done on which number; of others see :func:`instructions`."""
    depends = _depends_in_zygote() if once else _depends_in_child()
    actions = {calls.DEPENDS[name][arch]: code for name, code in depends.items()}
    if once:
        for table, code in (
            (calls.ALLOWED, ALLOWED),
            (calls.REFUSED, _REFUSED),
            (calls.PRETENDED, _PRETENDED),
            (calls.UNSUPPORTED, _UNSUPPORTED),
        ):
            actions |= {pair[arch]: [code] for pair in table.values()}
    return {number: code for number, code in actions.items() if number is not None}


def instructions(audit: int, actions: _Actions, otherwise: Code) -> list[Code]:
    """The whole filter.

    Args:
        audit: The kernel's number for the architecture; calls of others are refused.
        actions: Code for each call number; it ends in a return.
        otherwise: The return for all other numbers.
    """
    ranges: list[tuple[int, list[Code]]] = [(0, [otherwise])]
    for number in sorted(actions):
        if ranges[-1][0] == number:
            ranges.pop()
        if not ranges or ranges[-1][1] != actions[number]:
            ranges.append((number, actions[number]))
        ranges.append((number + 1, [otherwise]))
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, audit),
        _REFUSED,
        (_LOAD, 0, 0, _NUMBER),
        *_search(ranges),
    ]


def _search(ranges: list[tuple[int, list[Code]]]) -> list[Code]:
    """A binary search for the range that the loaded number lies in.

    The kernel runs a new filter on every call number to find those that are always allowed, so a
    linear search costs each child a few tenths of a millisecond.
    """
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    if len(below) < 256:  # an offset in a byte
        return [(_AT_LEAST, len(below), 0, ranges[middle][0]), *below, *above]
    far = (_JUMP, 0, 0, len(below))
    return [(_AT_LEAST, 0, 1, ranges[middle][0]), far, *below, *above]


def _architecture() -> tuple[int, int]:
    """Which column of the tables this machine has, and the kernel's number for it."""
    return _ARCHITECTURES[platform.machine()]


def supported() -> bool:
    """Whether there are filters for this machine's architecture."""
    return platform.machine() in _ARCHITECTURES


class Filter:
    """A prebuilt filter; only the process's own id is filled in at the last moment.

    Args:
        actions: Code for each call number; it ends in a return.
        otherwise: The return for all other numbers.
    """

    def __init__(self, actions: _Actions, otherwise: Code) -> None:
        self.code = instructions(_architecture()[1], actions, otherwise)
        self._memory = bytearray(b"".join(_INSTRUCTION.pack(*one) for one in self.code))
        self._own = [8 * i + 4 for i, one in enumerate(self.code) if one[3] == _OWN]
        held = (ctypes.c_char * len(self._memory)).from_buffer(self._memory)
        self._program = _Program(len(self.code), ctypes.addressof(held))
        self.reference = ctypes.byref(self._program)

    def install(self) -> bool:
        """Puts the filter on this process for good; False if the kernel refuses.

        The process must have given up new privileges before.
        """
        pid = os.getpid()
        for offset in self._own:
            _WORD.pack_into(self._memory, offset, pid)
        return bool(confine.prctl(_PR_SET_SECCOMP, _BY_FILTER, self.reference, 0, 0) == 0)


def of_zygote() -> Filter:
    """The list of what is allowed."""
    return Filter(_actions(_architecture()[0], once=True), _UNKNOWN)


def of_child() -> Filter:
    """What the list allows, and a child may not do all the same."""
    return Filter(_actions(_architecture()[0], once=False), ALLOWED)


def of_new_threads(code: int) -> Filter:
    """Allows everything, but answers a call for a new thread with this code."""
    number = calls.DEPENDS["clone"][_architecture()[0]]
    assert number is not None
    told = [_argument(0), (_ANY_BIT, 0, 1, _CLONE_THREAD), (_RETURN, 0, 0, code), ALLOWED]
    return Filter({number: told}, ALLOWED)
