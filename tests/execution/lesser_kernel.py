"""Runs a command as on a kernel that lacks something, by a filter that all its processes inherit.

`python lesser_kernel.py landlock,seccomp,namespaces COMMAND...`: the calls of what is named are
answered as by a kernel without it (namespaces: as by one that does not allow them; listener: by a
seccomp that cannot ask another process). `container` stands for what Docker refuses to a container
that was started without options. Needs neither root nor a container.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

ENOSYS, EPERM, EINVAL = 38, 1, 22
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_GET_SECCOMP = 38, 22, 21
ARM = platform.machine() == "aarch64"
PRCTL, SECCOMP, UNSHARE = (167, 277, 97) if ARM else (157, 317, 272)
NEW_LISTENER = 8
LANDLOCK = (444, 445, 446)
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _FIRST_ARGUMENT = 0, 16

Code = list[tuple[int, int, int, int]]


def _refuse(number: int, error: int) -> Code:
    return [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]


CLONE, CLONE_NEW_ANYTHING = (220 if ARM else 56), 0x7E020000
# mount, umount2, pivot_root, setns, keyctl, add_key, request_key, bpf, perf_event_open,
# userfaultfd, io_uring_setup, move_mount, open_tree, fsopen: what Docker's profile leaves out for
# who has not CAP_SYS_ADMIN
REFUSED_BY_DOCKER = (
    (40, 39, 41, 268, 219, 217, 218, 280, 241, 282, 425, 429, 428, 430)
    if ARM
    else (165, 166, 155, 308, 250, 248, 249, 321, 298, 323, 425, 429, 428, 430)
)
_ANY_BIT = 0x45
_SECOND_ARGUMENT = 24

FEATURES: dict[str, Code] = {
    "landlock": [line for number in LANDLOCK for line in _refuse(number, ENOSYS)],
    "namespaces": _refuse(UNSHARE, EPERM),
    "container": [
        *_refuse(UNSHARE, EPERM),
        *[line for number in REFUSED_BY_DOCKER for line in _refuse(number, EPERM)],
        (_EQUAL, 0, 4, CLONE),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, CLONE_NEW_ANYTHING),
        (_RETURN, 0, 0, _ERRNO | EPERM),
        (_LOAD, 0, 0, _NUMBER),
    ],
    "listener": [
        (_EQUAL, 0, 4, SECCOMP),
        (_LOAD, 0, 0, _SECOND_ARGUMENT),
        (_ANY_BIT, 0, 1, NEW_LISTENER),
        (_RETURN, 0, 0, _ERRNO | EINVAL),
        (_LOAD, 0, 0, _NUMBER),
    ],
    "seccomp": [
        *_refuse(SECCOMP, ENOSYS),
        (_EQUAL, 0, 6, PRCTL),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        *_refuse(PR_SET_SECCOMP, EINVAL),
        *_refuse(PR_GET_SECCOMP, EINVAL),
        (_LOAD, 0, 0, _NUMBER),
    ],
}


def take_away(features: list[str]) -> None:
    """Installs the filter on this process, for it and all that come from it."""
    code: Code = [(_LOAD, 0, 0, _NUMBER)]
    for feature in features:
        code += FEATURES[feature]
    code.append((_RETURN, 0, 0, _ALLOW))
    text = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in code))
    program = struct.pack("@HP", len(code), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    unset = [ctypes.c_ulong(0)] * 3
    if libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), *unset) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.c_char_p(program), *unset[1:]) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


if __name__ == "__main__":
    take_away(sys.argv[1].split(","))
    os.execv(sys.argv[2], sys.argv[2:])
