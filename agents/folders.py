"""Folders that are replaced whole, so that one that exists is never half-written.

A folder is written under another name first and then renamed. What it replaces is deleted last:
whenever the process is killed, one of the two is there.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["recover", "replaced", "replacing"]


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A folder that takes the place of another one when all is written.

    Args:
        folder: Need not be there. It is as it was if the body fails.

    Yields:
        Where to write.
    """
    draft, old = _beside(folder, "draft"), replaced(folder)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    yield draft
    recover(folder)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Clears up after a process that was killed while it replaced a folder.

    Args:
        folder: Of :func:`replacing`; afterwards it is there if it ever was.
    """
    old = replaced(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def replaced(folder: Path) -> Path:
    """Where a folder is kept while another one takes its place."""
    return _beside(folder, "old")


def _beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f"{folder.name}.{kind}")
