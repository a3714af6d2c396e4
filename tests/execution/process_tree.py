"""What runs below a process and what it leaves behind, as the kernel tells it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.python import PYTHON
from tests.waiting import wait_until

_PROCESSES = Path("/proc")


def children_of(pid: int) -> set[int]:
    """Living direct children; a zombie is none."""
    tasks = _PROCESSES / str(pid) / "task"
    found: set[int] = set()
    # A process may end at any moment, between two steps of a listing as well; then it has none.
    with contextlib.suppress(OSError):
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError):
                found.update(map(int, (tasks / task / "children").read_text().split()))
    return {child for child in found if alive(child)}


def below(pid: int) -> set[int]:
    """All living descendants."""
    children = children_of(pid)
    return children.union(*map(below, children))


def alive(pid: int) -> bool:
    try:
        return (_PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def mentioning(text: str) -> list[int]:
    """Processes whose command line holds this text: forked copies keep their parent's."""
    found = []
    for file in _PROCESSES.glob("[0-9]*/cmdline"):
        try:
            if text in file.read_text():
                found.append(int(file.parent.name))
        except (OSError, UnicodeDecodeError):
            continue
    return found


def wait_until_dead(pids: set[int]) -> None:
    wait_until(lambda: not any(map(alive, pids)))


def left_behind(folder: Path) -> list[str]:
    """What is in a temporary folder when no process names it, so that nobody is left to clear up.

    It returns only when those processes have ended.
    """
    wait_until(lambda: not mentioning(str(folder)))
    return sorted(os.listdir(folder))


@contextlib.contextmanager
def parents(folder: Path, *scripts: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Process groups of their own that run scripts; their temporary files go to `folder`."""
    started = [
        subprocess.Popen(
            [*PYTHON, "-c", script],
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for script in scripts
    ]
    try:
        yield started
    finally:
        for parent in started:
            with parent:
                parent.kill()
