"""Programs that run until a test lets them go, and limits of time that no test reaches.

With them the order of events is the test's, not the scheduler's.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from codegym.execution import ExecutionLimits
from tests.waiting import wait_until

from .process_tree import below

UNTIMED = ExecutionLimits(cpu_seconds=3600.0, wall_seconds=3600.0, memory_bytes=128 * 2**20)
NAME = "held"
"""Of a process that a test looks for."""
HELD = f"""\
import ctypes, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
ctypes.CDLL(None).prctl(15, b{NAME!r})
signal.sigwait([signal.SIGUSR1])
"""
"""Gives its process a name by which it is found, then waits; what follows it runs afterwards."""


def held_below(pid: int, besides: Collection[int] = ()) -> set[int]:
    """Processes of programs that wait, or were let go and have not ended yet."""
    return {found for found in below(pid) if found not in besides and _name(found) == NAME}


def wait_for_held(pid: int, count: int = 1, besides: Collection[int] = ()) -> list[int]:
    """Processes of held programs, when there are as many."""
    wait_until(lambda: len(held_below(pid, besides)) >= count)
    return sorted(held_below(pid, besides))


def let_go(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)


def let_go_until_done(futures: Sequence[Future[Any]]) -> None:
    """Lets every held program go, also those that are run again, until all is answered."""
    gone: set[int] = set()

    def done() -> bool:
        for pid in held_below(os.getpid(), gone):
            gone.add(pid)
            with contextlib.suppress(ProcessLookupError):
                let_go(pid)
        return all(future.done() for future in futures)

    wait_until(done)


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
