"""The private directory of a worker's programs, made empty again after each run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any


def empty_box(box: str) -> None:
    """Makes the private directory empty and accessible again, whatever a program did to it."""
    try:
        with os.scandir(box) as entries:
            found = list(entries)
    except FileNotFoundError:
        os.mkdir(box, 0o700)
        return
    except PermissionError:
        os.chmod(box, 0o700)
        empty_box(box)
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, onerror=_unlock)
        else:
            os.unlink(entry.path)


def _unlock(function: Callable[..., Any], path: str, _error: object) -> None:
    """Removes what a program made unremovable by taking its own rights away."""
    for locked in (os.path.dirname(path), path):
        if os.path.isdir(locked) and not os.path.islink(locked):
            os.chmod(locked, 0o700)
    if function in (os.unlink, os.remove, os.rmdir):
        function(path)
    else:
        shutil.rmtree(path, ignore_errors=True)
