"""A host to attack: a folder with a file in it, and a port; and what was done to them."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Self

__all__ = ["Host"]

_BESIDE = ("/dev/shm/escaped", "/tmp/escaped")


class Host:
    """Watches a folder and a port for traces of a program that should have had no access.

    Args:
        folder: A folder that programs may try to write to.
        secret: The content of the file `victim`.
    """

    def __init__(self, folder: Path, secret: str) -> None:
        self._folder = folder
        (folder / "victim").write_text(secret)
        (folder / "victim").chmod(0o666)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._before = self._seen()

    @property
    def port(self) -> int:
        """The TCP port of 127.0.0.1 to connect to."""
        port: int = self._listener.getsockname()[1]
        return port

    def effects(self) -> list[str]:
        """What has changed since the start, in words; empty if nothing has."""
        after = self._seen()
        names = sorted(after.keys() | self._before.keys())
        effects = [
            f"changed the file {name}"
            for name in names
            if after.get(name) != self._before.get(name)
        ]
        effects += [f"made the file {name}" for name in _BESIDE if os.path.lexists(name)]
        with contextlib.suppress(BlockingIOError):
            self._listener.accept()[0].close()
            effects.append("connected to the network")
        return effects

    def close(self) -> None:
        """Closes the port. The folder stays its owner's."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _seen(self) -> dict[str, tuple[int, bytes]]:
        return {str(p.relative_to(self._folder)): _state(p) for p in self._folder.rglob("*")}


def _state(path: Path) -> tuple[int, bytes]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return mode, os.readlink(path).encode()
    if not stat.S_ISREG(mode):
        return mode, b""
    try:
        with path.open("rb") as file:
            return mode, file.read(4096)
    except PermissionError:
        return mode, b""
