"""A filter on system calls: what a program of pure computation never needs is refused.

Denied with EPERM: new processes and programs (threads are allowed), signals to others, sockets
(but a stream `socketpair`, which asyncio wants), looking into other processes, mounts and
namespaces, kernel interfaces such as bpf, io_uring, keyctl or perf, System V and POSIX queues,
scheduling of others, clocks, changing owner, mode, times or attributes of files (Landlock does not
cover those). Calls newer than the list are unknown to it and answered with ENOSYS.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

from . import confine

# name: (x86_64, aarch64); None where the architecture lacks the call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242),
    "bind": (49, 200), "listen": (50, 201),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "setns": (308, 268), "unshare": (272, 97), "move_mount": (429, 429), "open_tree": (428, 428),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "io_submit": (209, 2),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "personality": (135, 92), "syslog": (103, 116), "vhangup": (153, 58),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262), "inotify_init": (253, None), "inotify_init1": (294, 26),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "mq_unlink": (241, 181),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setsid": (112, 157), "setpgid": (109, 154), "seccomp": (317, 277), "memfd_secret": (447, 447),
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159), "capset": (126, 91),
    "setfsuid": (122, 151), "setfsgid": (123, 152), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
_CLONE3 = 435
_LAST_KNOWN = 469

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _GREATER, _BITS = 0x15, 0x25, 0x45
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_CLONE_THREAD = 0x10000
_AF_UNIX, _SOCK_STREAM = 1, 1
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_SECCOMP = 15, 16, 22


_Code = tuple[int, int, int, int]


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("true", ctypes.c_uint8),
        ("false", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def _only(argument: int, allowed: list[int], mask: int | None = None) -> list[_Code]:
    """Instructions that allow a call if the (masked) argument is one of `allowed`."""
    code: list[_Code] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
    if mask is not None:
        code.append((_AND, 0, 0, mask))
    for value in allowed:
        code += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*code, (_RETURN, 0, 0, _ERRNO | _EPERM)]


def _special(arch: int, pid: int) -> list[tuple[int, list[_Code]]]:
    """Calls that depend on an argument: number and what to do with it."""

    def pick(*numbers: int) -> int:
        return numbers[arch]

    socketpair: list[_Code] = [(_LOAD, 0, 0, _ARGUMENTS), (_EQUAL, 1, 0, _AF_UNIX)]
    socketpair += [(_RETURN, 0, 0, _ERRNO | _EPERM), *_only(1, [_SOCK_STREAM], mask=0xF)]
    return [
        (pick(56, 220), _only(0, [_CLONE_THREAD], mask=_CLONE_THREAD)),  # clone
        (pick(62, 129), _only(0, [pid])),  # kill
        (pick(234, 131), _only(0, [pid])),  # tgkill
        (pick(302, 261), _only(0, [0, pid])),  # prlimit64
        (pick(203, 122), _only(0, [0, pid])),  # sched_setaffinity
        (pick(157, 167), _only(0, [_PR_SET_NAME, _PR_GET_NAME])),  # prctl
        (pick(53, 199), socketpair),
    ]


def _instructions(arch: int, audit: int, pid: int) -> list[_Code]:
    numbers = sorted(n for pair in _DENIED.values() if (n := pair[arch]) is not None)
    code: list[_Code] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_GREATER, 1, 0, _LAST_KNOWN),
        (_EQUAL, 0, 1, _CLONE3),  # its flags are behind a pointer: the C library falls back
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
    ]
    for number, body in _special(arch, pid):
        code += [(_EQUAL, 0, len(body), number), *body]
    for index, number in enumerate(numbers):
        code.append((_EQUAL, len(numbers) - index, 0, number))
    return [*code, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | _EPERM)]


class Filter:
    """A prebuilt filter; only the process's own id is filled in at the last moment."""

    def __init__(self) -> None:
        arch, audit = _ARCHITECTURES[platform.machine()]
        marker = 0x7FFFFFF1  # no pid is as large
        code = _instructions(arch, audit, marker)
        self._code = (_Instruction * len(code))(*(_Instruction(*one) for one in code))
        self._own = [i for i, instruction in enumerate(code) if instruction[3] == marker]
        self._program = _Program(len(code), self._code)

    @staticmethod
    def supported() -> bool:
        """Whether a filter for this machine's architecture exists."""
        return platform.machine() in _ARCHITECTURES

    def install(self) -> bool:
        """Puts the filter on this process for good; False if the kernel refuses.

        The process must have given up new privileges before.
        """
        for index in self._own:
            self._code[index].k = os.getpid()
        libc: Any = confine.libc
        return bool(libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(self._program), 0, 0) == 0)
