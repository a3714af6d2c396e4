"""Files of a request: put into the private directory before a run, and taken out of it afterwards.

What a program leaves is of its own making: names may have become links, pipes or folders, and one
file may have many names. So nothing is followed, only regular files are read, and what is read is
bounded as a whole.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence

MOST_BYTES = 32 * 2**20
"""Of all files together, those that are put there and those that are taken out."""
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooLargeError(Exception):
    """The files that are to be taken out have more than :data:`MOST_BYTES`."""


def place(box: str, files: Iterable[tuple[str, memoryview]]) -> None:
    """Writes files into an empty directory, and makes the folders that they lie in.

    Args:
        box: The private directory.
        files: Relative paths without `..`, and contents.

    Raises:
        OSError: If a file cannot be written.
    """
    for name, data in files:
        path = os.path.join(box, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)


def fetch(box: str, names: Sequence[str]) -> list[tuple[str, bytes]]:
    """Names and contents of those files that are there. What is no regular file is left out.

    Args:
        box: The private directory.
        names: Relative paths without `..`.

    Raises:
        TooLargeError: If they are too large as a whole.
    """
    found = []
    room = MOST_BYTES
    for name in names:
        with contextlib.suppress(OSError):
            data = _read(box, name.split("/"), room)
            room -= len(data)
            found.append((name, data))
    return found


def _read(box: str, parts: Sequence[str], room: int) -> bytes:
    """The content of a regular file; OSError if it is none, or not to be reached."""
    folder = os.open(box, os.O_RDONLY | _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        # A pipe must not keep this process waiting for somebody to write into it.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(parts[-1], flags, dir_fd=folder)
    finally:
        os.close(folder)
    with open(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError("no regular file")
        if seen.st_size > room:
            raise TooLargeError
        return file.read()
