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


def wait_until_blocked(thread: threading.Thread) -> None:
    """Returns when a thread waits for another one to tell it something."""

    def blocked() -> bool:
        frame = sys._current_frames().get(thread.ident or 0)
        return frame is not None and frame.f_code is threading.Condition.wait.__code__

    wait_until(blocked)
