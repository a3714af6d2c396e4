"""Filters on system calls: what a program of pure computation never needs is refused.

Denied with EPERM: new processes and programs (threads are allowed), signals to others, sockets
(but a connected `socketpair`, which asyncio wants), looking into other processes, mounts and
namespaces, kernel interfaces such as bpf, io_uring, keyctl or perf, System V and POSIX queues,
scheduling of others, clocks, changing owner, mode, times or attributes of files (Landlock does not
cover those). Calls newer than the list are unknown to it and answered with ENOSYS.

Putting a filter on a process takes time, so there are two: a long one for what the worker itself
never needs, put on it once and inherited, and a short one for each child.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable

from . import confine

# name: (x86_64, aarch64); None where the architecture lacks the call.
_DENIED_ONCE: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242),
    "bind": (49, 200), "listen": (50, 201), "execve": (59, 221), "execveat": (322, 281),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "kcmp": (312, 272), "mount": (165, 40), "pivot_root": (155, 41), "chroot": (161, 51),
    "setns": (308, 268), "unshare": (272, 97), "move_mount": (429, 429), "open_tree": (428, 428),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "io_submit": (209, 2), "timer_create": (222, 107), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "personality": (135, 92),
    "syslog": (103, 116), "vhangup": (153, 58), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "fanotify_init": (300, 262), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "mq_unlink": (241, 181), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "seccomp": (317, 277),
    "memfd_secret": (447, 447), "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145),
    "setregid": (114, 143), "setresuid": (117, 147), "setresgid": (119, 149),
    "setgroups": (116, 159), "setfsuid": (122, 151), "setfsgid": (123, 152), "mknod": (133, None),
    "mknodat": (259, 33),
}  # fmt: skip
_DENIED_EACH: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None), "vfork": (58, None), "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434), "umount2": (166, 39), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "setsid": (112, 157), "setpgid": (109, 154),
    "capset": (126, 91),
}  # fmt: skip
_CLONE3 = 435
_LAST_KNOWN = 469

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _AT_LEAST = 0x15, 0x35
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_CLONE_THREAD = 0x10000
_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET = 1, 1, 5
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_SECCOMP = 15, 16, 22
_SIGKILL, _F_SETSIG, _RLIMIT_CPU = 9, 10, 0
_LARGEST_JUMP = 255
_BY_FILTER = 2
_OWN = 0x7FFFFFF1  # stands for the own process id; no process has it
_WORD = struct.Struct("<I")


_Code = tuple[int, int, int, int]
_ALLOWED: _Code = (_RETURN, 0, 0, _ALLOW)
_REFUSED: _Code = (_RETURN, 0, 0, _ERRNO | _EPERM)
_PRETENDED: _Code = (_RETURN, 0, 0, _ERRNO)
_UNKNOWN: _Code = (_RETURN, 0, 0, _ERRNO | _ENOSYS)
_Actions = dict[int, list[_Code]]


_INSTRUCTION = struct.Struct("<HBBI")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.c_void_p))


def _only(argument: int, allowed: list[int], mask: int | None = None) -> list[_Code]:
    """Instructions that allow a call if the (masked) argument is one of `allowed`."""
    code: list[_Code] = [_argument(argument)]
    if mask is not None:
        code.append((_AND, 0, 0, mask))
    for value in allowed:
        code += [(_EQUAL, 0, 1, value), _ALLOWED]
    return [*code, _REFUSED]


def _not(argument: int, refused: int) -> list[_Code]:
    """Instructions that allow a call unless the argument is `refused`."""
    return [_argument(argument), (_EQUAL, 0, 1, refused), _REFUSED, _ALLOWED]


def _argument(index: int) -> _Code:
    return _LOAD, 0, 0, _ARGUMENTS + 8 * index


def _signal_to(pid: int, number: int) -> list[_Code]:
    """Allows any signal to the process itself, except the one that tells of our own failures.

    A process that dies by SIGKILL was killed by its supervisor, or by the machine.
    """
    rest = _not(number, _SIGKILL)
    return [_argument(0), (_EQUAL, 0, len(rest), pid), *rest, _REFUSED]


def _unless_cpu_limit(resource: int, value: int, rest: list[_Code]) -> list[_Code]:
    """Pretends to set the limit on CPU time: above it the kernel kills, as only we may."""
    return [
        _argument(resource),
        (_EQUAL, 0, 3, _RLIMIT_CPU),
        _argument(value),  # a pointer; none if the limit is only asked for
        (_EQUAL, 1, 0, 0),
        _PRETENDED,
        *rest,
    ]


def _special_once(arch: int) -> dict[int, list[_Code]]:
    socketpair: list[_Code] = [_argument(0), (_EQUAL, 1, 0, _AF_UNIX)]
    socketpair += [_REFUSED, *_only(1, [_SOCK_STREAM, _SOCK_SEQPACKET], mask=0xF)]
    return {
        (72, 25)[arch]: _not(1, _F_SETSIG),  # fcntl
        (203, 122)[arch]: _only(0, [0]),  # sched_setaffinity
        (53, 199)[arch]: socketpair,
    }


def _special_each(arch: int) -> dict[int, list[_Code]]:
    return {
        (56, 220)[arch]: _only(0, [_CLONE_THREAD], mask=_CLONE_THREAD),  # clone
        _CLONE3: [_UNKNOWN],  # its flags are behind a pointer: the C library falls back
        (62, 129)[arch]: _signal_to(_OWN, 1),  # kill
        (234, 131)[arch]: _signal_to(_OWN, 2),  # tgkill
        (302, 261)[arch]: _unless_cpu_limit(1, 2, _only(0, [0, _OWN])),  # prlimit64
        (160, 164)[arch]: _unless_cpu_limit(0, 1, [_ALLOWED]),  # setrlimit
        (157, 167)[arch]: _only(0, [_PR_SET_NAME, _PR_GET_NAME]),  # prctl
    }


def _instructions(audit: int, numbers: Iterable[int], special: _Actions) -> list[_Code]:
    actions = {number: [_REFUSED] for number in numbers} | special
    ranges = [(0, [_ALLOWED])]
    for number in sorted(actions):
        if ranges[-1][0] == number:
            ranges.pop()
        ranges += [(number, actions[number]), (number + 1, [_ALLOWED])]
    ranges = [r for r in ranges if r[0] <= _LAST_KNOWN] + [(_LAST_KNOWN + 1, [_UNKNOWN])]
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, audit),
        _REFUSED,
        (_LOAD, 0, 0, _NUMBER),
        *_search(ranges),
    ]


def _search(ranges: list[tuple[int, list[_Code]]]) -> list[_Code]:
    """A binary search for the range that the loaded number lies in.

    The kernel runs a new filter on every call number to find those that are always allowed, so a
    linear search costs each child a few tenths of a millisecond.
    """
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    if len(below) > _LARGEST_JUMP:
        raise ValueError(f"a jump over {len(below)} instructions; the limit is {_LARGEST_JUMP}")
    return [(_AT_LEAST, len(below), 0, ranges[middle][0]), *below, *above]


class Filter:
    """A prebuilt filter; only the process's own id is filled in at the last moment.

    Args:
        once: The filter of a worker; else that of a child.
    """

    def __init__(self, *, once: bool) -> None:
        arch, audit = _ARCHITECTURES[platform.machine()]
        table = _DENIED_ONCE if once else _DENIED_EACH
        numbers = [number for pair in table.values() if (number := pair[arch]) is not None]
        special = _special_once(arch) if once else _special_each(arch)
        code = _instructions(audit, numbers, special)
        self._memory = bytearray(b"".join(_INSTRUCTION.pack(*one) for one in code))
        self._own = [8 * i + 4 for i, instruction in enumerate(code) if instruction[3] == _OWN]
        held = (ctypes.c_char * len(self._memory)).from_buffer(self._memory)
        self._program = _Program(len(code), ctypes.addressof(held))
        self._reference = ctypes.byref(self._program)

    @staticmethod
    def supported() -> bool:
        """Whether a filter for this machine's architecture exists."""
        return platform.machine() in _ARCHITECTURES

    def install(self) -> bool:
        """Puts the filter on this process for good; False if the kernel refuses.

        The process must have given up new privileges before.
        """
        pid = os.getpid()
        for offset in self._own:
            _WORD.pack_into(self._memory, offset, pid)
        return bool(confine.prctl(_PR_SET_SECCOMP, _BY_FILTER, self._reference, 0, 0) == 0)
