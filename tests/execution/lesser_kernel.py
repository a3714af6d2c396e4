"""Runs a command as on a kernel that lacks something, by a filter that all its processes inherit.

`python lesser_kernel.py landlock,seccomp,namespaces COMMAND...`: the calls of what is named are
answered as by a kernel without it (namespaces: as by one that does not allow them). Needs neither
root nor a container.
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
LANDLOCK = (444, 445, 446)
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _FIRST_ARGUMENT = 0, 16

Code = list[tuple[int, int, int, int]]


def _refuse(number: int, error: int) -> Code:
    return [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]


FEATURES: dict[str, Code] = {
    "landlock": [line for number in LANDLOCK for line in _refuse(number, ENOSYS)],
    "namespaces": _refuse(UNSHARE, EPERM),
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
