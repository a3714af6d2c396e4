"""Landlock: files that a program may see, and nothing else.

Reading: the standard library, the packages that were named, shared libraries of the system, time
zones. Writing: the private directory and `/dev/null`. No connections, no abstract sockets, no
signals to processes outside, where the kernel knows these (Landlock ABI 4 and 6).
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
import sys
import sysconfig
from collections.abc import Iterable

from . import confine

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_ALL_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_NEWER = (1 << 16) - 1  # ABI 5: ioctl on devices
_EXECUTE = 1 << 0
_DEVICES = (1 << 6) | (1 << 11) | (1 << 15)  # make char, make block, ioctl
_NET_ABI, _SCOPE_ABI = 4, 6

_READABLE = (
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)
_LIB = ("lib", "lib64")
_PREFIXES = ("", "/usr", "/usr/local", sys.base_exec_prefix)
_OF_THE_LINKER = re.compile(r".*-linux-(gnu|musl)\w*$|locale$")
_SHARED_OBJECT = re.compile(r".*\.so(\.|$)")
_PACKAGES = ("site-packages", "dist-packages")


def abi() -> int:
    """The kernel's Landlock version; 0 if it has none."""
    return max(0, int(confine.libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)))


class Ruleset:
    """The rules of one worker.

    Args:
        seen: Paths and rights, see :func:`visible`.
        writable: The private directory, or None for a process that writes nothing.
    """

    def __init__(self, seen: Iterable[tuple[str, int]], writable: str | None) -> None:
        version = abi()
        self._all = _ALL_OF_ABI.get(version, _ALL_NEWER)
        attributes = struct.pack(
            "<QQQ",
            self._all,
            0b11 if version >= _NET_ABI else 0,
            0b11 if version >= _SCOPE_ABI else 0,
        )
        size = 24 if version >= _SCOPE_ABI else 16 if version >= _NET_ABI else 8
        made = confine.libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0)
        if made < 0:
            raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
        self.descriptor = int(made)
        for path, rights in seen:
            self._allow(path, rights)
        self._allow("/dev/null", _READ_FILE | _WRITE_FILE)
        if writable is not None:
            self._allow(writable, self._all & ~_EXECUTE & ~_DEVICES)

    def _allow(self, path: str, rights: int) -> None:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        if not os.path.isdir(path):
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
        rule = struct.pack("<Qi", rights & self._all, descriptor)
        confine.libc.syscall(_ADD, self.descriptor, _PATH_BENEATH, rule, 0)
        os.close(descriptor)

    def enforce(self) -> bool:
        """Restricts this process for good; False if the kernel refuses.

        The process must have given up new privileges before.
        """
        return bool(confine.libc.syscall(_RESTRICT, self.descriptor, 0) == 0)


def visible(packages: Iterable[str], hidden: Iterable[str]) -> list[tuple[str, int]]:
    """What a program may read, and with which rights.

    Args:
        packages: Files and folders of the packages that may be seen.
        hidden: Folders or files that may not be seen, wherever they lie.
    """
    hidden = [os.path.realpath(path) for path in hidden]
    seen: dict[str, int] = {}
    for path in (*_READABLE, *packages, *shared_libraries()):
        _add_visible(seen, os.path.realpath(path), hidden)
    for path in _standard_library():
        nested = [os.path.realpath(os.path.join(path, name)) for name in _PACKAGES]
        _add_visible(seen, path, [*hidden, *filter(os.path.isdir, nested)])
    return list(seen.items())


def _add_visible(seen: dict[str, int], path: str, hidden: list[str]) -> None:
    """Adds a file or a folder, but nothing in it that is hidden.

    Names can be listed there all the same: the kernel knows no right to list a folder that does
    not hold for those in it.
    """
    if path in seen or any(path == each or path.startswith(each + os.sep) for each in hidden):
        return
    within = [each for each in hidden if each.startswith(path + os.sep)]
    # The kernel copies every rule for some children: one is better than one for each entry.
    seen[path] = _READ_DIR if within else _READ_FILE | _READ_DIR
    if within:
        with os.scandir(path) as entries:
            for entry in entries:
                target = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                _add_visible(seen, target, hidden)


def shared_libraries() -> list[str]:
    """Where the dynamic linker finds what modules in C need, and no folder that may hold more."""
    found = []
    folders = {os.path.realpath(f"{prefix}/{lib}") for prefix in _PREFIXES for lib in _LIB}
    for folder in filter(os.path.isdir, folders):
        with os.scandir(folder) as entries:
            for entry in entries:
                wanted = _OF_THE_LINKER if entry.is_dir() else _SHARED_OBJECT
                if wanted.match(entry.name):
                    found.append(entry.path)
    return found


def _standard_library() -> set[str]:
    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    paths.add(os.path.dirname(os.__file__))
    paths.update(path for path in sys.path if path.endswith(("lib-dynload", ".zip")))
    return {os.path.realpath(path) for path in paths if path and os.path.exists(path)}
