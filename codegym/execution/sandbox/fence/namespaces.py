"""Namespaces, where an unprivileged process may have them: once for each worker.

No network at all, no System V objects of others, no privilege that means anything outside, and a
private directory of bounded size that vanishes with the worker.
"""

from __future__ import annotations

import ctypes
import os

from . import confine

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_NETWORK = 0x20000, 0x8000000, 0x10000000, 0x40000000
_SHARED_NOT, _RECURSIVE = 1 << 18, 1 << 14
_DETACH = 2
_NO_SUID, _NO_DEVICES, _NO_EXEC = 2, 4, 8
BOX_BYTES = 64 * 2**20
_BOX_FILES = 4096


def allowed() -> bool:
    """Whether a process may do this here, tried out in a child."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if _unshare() else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _unshare() -> bool:
    flags = _NEW_USER | _NEW_MOUNTS | _NEW_IPC | _NEW_NETWORK
    user, group = os.geteuid(), os.getegid()
    if confine.libc.unshare(flags) != 0:
        return False
    try:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except OSError:
        return False
    return _mount(None, "/", None, _SHARED_NOT | _RECURSIVE, None)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> bool:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    flag = ctypes.c_ulong(flags)
    return bool(confine.libc.mount(texts[0], texts[1], texts[2], flag, texts[3]) == 0)


def enter(box: str) -> bool:
    """Moves this process into namespaces of its own; `box` becomes a small file system."""
    if not allowed() or not _unshare():
        return False
    options = f"size={BOX_BYTES},nr_inodes={_BOX_FILES},mode=700"
    return _mount("codegym", box, "tmpfs", _NO_SUID | _NO_DEVICES | _NO_EXEC, options)


def leave(box: str) -> None:
    """Unmounts the private directory, so that it can be removed; nothing if it is not a mount."""
    confine.libc.umount2(os.fsencode(box), _DETACH)
