"""The private directory of a worker's programs: made empty after each run, removed at the end.

A program may have nested directories as deep as its time allowed, given them any names and taken
its own rights to them away. So nothing here recurses, spells a path out or holds more than a few
descriptors: what lies deeper is moved up first.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator

_BATCH = 1_000
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def empty_box(box: str) -> None:
    """Makes the directory empty and accessible again; makes it, if it is gone.

    Raises:
        OSError: If something cannot be removed.
    """
    try:
        folder = _open(box, None)
    except FileNotFoundError:
        os.mkdir(box, 0o700)
        return
    try:
        secret = os.urandom(8).hex()  # no program has given a name with it
        unused = (f"{secret}-{number}" for number in itertools.count())
        while entries := _first(folder):
            for name, is_folder in entries:
                if is_folder:
                    _dissolve(name, folder, unused)
                else:
                    os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)


def remove_box(box: str) -> None:
    """Removes the directory and all that is in it, as far as that is possible."""
    with contextlib.suppress(OSError):
        empty_box(box)
        os.rmdir(box)


def _dissolve(name: str, parent: int, unused: Iterator[str]) -> None:
    """Removes a directory; those in it become its neighbours."""
    folder = _open(name, parent)
    try:
        while entries := _first(folder):
            for entry, is_folder in entries:
                if is_folder:
                    _move(entry, folder, next(unused), parent)
                else:
                    os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _first(folder: int) -> list[tuple[str, bool]]:
    """Names of some entries, and which of them are directories."""
    with os.scandir(folder) as entries:
        some = itertools.islice(entries, _BATCH)
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in some]


def _move(name: str, folder: int, new_name: str, target: int) -> None:
    try:
        os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=target)
    except PermissionError:  # it does not let its own `..` be changed
        os.close(_open(name, folder))
        os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=target)


def _open(path: str, parent: int | None) -> int:
    """Opens a directory, and gives its owner all rights to it."""
    held = os.open(path, os.O_PATH | _FOLDER, dir_fd=parent)
    try:
        # Not by name: what bears the name may be a link by then.
        itself = f"/proc/self/fd/{held}"
        if os.stat(itself).st_mode & 0o777 != 0o700:
            os.chmod(itself, 0o700)
        return os.open(".", os.O_RDONLY | _FOLDER, dir_fd=held)
    finally:
        os.close(held)
