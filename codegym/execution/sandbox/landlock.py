"""Landlock: files that a program may see, and nothing else.

Reading: the interpreter's libraries, installed packages, the C libraries, time zones. Writing: the
private directory and `/dev/null`. No connections, no abstract sockets, no signals to processes
outside, where the kernel knows these (Landlock ABI 4 and 6).
"""

from __future__ import annotations

import ctypes
import os
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

# A package that holds solutions must not be readable by what is to find them.
_HIDDEN_PACKAGES = ("codegym",)
_READABLE = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)


def abi() -> int:
    """The kernel's Landlock version; 0 if it has none."""
    return max(0, int(confine.libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)))


class Ruleset:
    """The rules of one worker.

    Args:
        packages: Directories with installed packages.
        writable: The private directory, or None for a process that writes nothing.
    """

    def __init__(self, packages: Iterable[str], writable: str | None) -> None:
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
        for path in _READABLE:
            self._allow(path, _READ_FILE | _READ_DIR)
        for path in (*_libraries(), *packages):
            self._allow_visible(path)
        self._allow("/dev/null", _READ_FILE | _WRITE_FILE)
        if writable is not None:
            self._allow(writable, self._all & ~_EXECUTE & ~_DEVICES)

    def _allow_visible(self, folder: str) -> None:
        """Allows reading a folder of modules, except packages that must stay hidden."""
        nested = os.path.join(folder, "site-packages")
        hidden = [place for place in (folder, nested) if _holds_hidden(place)]
        if not hidden:
            # The kernel copies every rule for every child: one is better than one for each entry.
            self._allow(folder, _READ_FILE | _READ_DIR)
            return
        self._allow(folder, _READ_DIR)
        for place in hidden:
            for entry in os.listdir(place):
                if entry not in (*_HIDDEN_PACKAGES, "site-packages"):
                    self._allow(os.path.join(place, entry), _READ_FILE | _READ_DIR)
        if folder not in hidden:
            for entry in os.listdir(folder):
                if entry != "site-packages":
                    self._allow(os.path.join(folder, entry), _READ_FILE | _READ_DIR)

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


def _holds_hidden(folder: str) -> bool:
    return any(os.path.isdir(os.path.join(folder, name)) for name in _HIDDEN_PACKAGES)


def _libraries() -> set[str]:
    """Folders of the interpreter's own library, without installed packages."""
    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    paths.add(os.path.dirname(os.__file__))
    paths.update(folder for folder in sys.path if folder.endswith("lib-dynload"))
    return {os.path.realpath(path) for path in paths if path}
