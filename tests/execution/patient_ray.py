"""Ray without the half minute that it gives itself to start: a busy machine needs longer."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil

from tests.waiting import wait_until

__all__ = ["start_without_deadline"]


def start_without_deadline() -> None:
    """From now on `ray.init` in this process waits until its node has registered.

    Ray has no setting for this deadline. Its others are set in `test_ray_executor.py`.
    """
    import ray._private.services as services

    get_node: Any = services.get_node

    def when_registered(address: str, node: str) -> Any:
        found = []

        def look() -> list[Any]:
            for child in psutil.Process().children():  # else we would wait for ever
                dead = child.name() == "raylet" and child.status() == psutil.STATUS_ZOMBIE
                assert not dead, "Ray's raylet ended while it started: see the log in RAY_TMPDIR"
            with contextlib.suppress(RuntimeError):
                found.append(get_node(address, node))
            return found

        return wait_until(look)[0]

    services.get_node = when_registered
