"""Waiting for what must come, however long that takes: no test fails because a machine is busy."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T]) -> T:
    """What the condition says when it has come true.

    There is no deadline. Where the condition never comes true the test hangs, and
    `faulthandler_timeout` in `pyproject.toml` has the place printed.
    """
    while not (said := condition()):
        time.sleep(0.002)
    return said


def let_it_get_stuck(thread: threading.Thread) -> None:
    """Returns when a thread has ended, or has stood still for a while and so probably waits.

    Probably: nothing that a test asserts may depend on it.
    """
    places: list[tuple[int, int] | None] = []

    def stuck() -> bool:
        frame = sys._current_frames().get(thread.ident or 0)
        places.append(frame and (id(frame), frame.f_lasti))
        return not thread.is_alive() or places[-20:] == places[-1:] * 20

    wait_until(stuck)
