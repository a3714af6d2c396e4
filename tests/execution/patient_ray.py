"""Ray without the deadlines that it gives itself to start: a busy machine needs longer."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil

from tests.waiting import wait_until

__all__ = ["start_without_deadline"]


class _RayletEndedError(Exception):
    """A part of Ray did not start in the time that another part gives it."""


def start_without_deadline() -> None:
    """From now on `ray.init` in this process waits until its node has registered.

    Ray has no setting for this deadline. Its others are set in `test_ray_executor.py`; where the
    raylet obeys none and ends, Ray is started anew.
    """
    import ray
    import ray._private.services as services

    init: Any = ray.init

    def init_until_it_lasts(*args: Any, **named: Any) -> Any:
        while True:
            before = set(psutil.Process().children())
            try:
                return init(*args, **named)
            except _RayletEndedError:
                ray.shutdown()
                for child in set(psutil.Process().children()) - before:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
                        child.wait()

    ray.init = init_until_it_lasts

    get_node: Any = services.get_node

    def when_registered(address: str, node: str) -> Any:
        found = []

        def look() -> list[Any]:
            for child in psutil.Process().children():  # else we would wait for ever
                dead = child.name() == "raylet" and child.status() == psutil.STATUS_ZOMBIE
                if dead:
                    raise _RayletEndedError
            with contextlib.suppress(RuntimeError):
                found.append(get_node(address, node))
            return found

        return wait_until(look)[0]

    services.get_node = when_registered
