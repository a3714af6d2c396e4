"""Ray without the deadlines that it gives itself to start: a busy machine needs longer.

Some deadlines cannot be taken away: Ray's raylet ends itself where another part of Ray is slow.
Then Ray is started anew, and after a few times the process ends with `DID_NOT_START`, which says
nothing of codegym: no Ray was there to be tested with.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import psutil

from tests.waiting import wait_until

__all__ = ["DID_NOT_START", "RayletEndedError", "patient_environment", "start_without_deadline"]

DID_NOT_START = 75
"""Exit status where Ray itself does not start on this machine."""

_ATTEMPTS = 4


class RayletEndedError(Exception):
    """A part of Ray did not start in the time that another part gives it."""


@contextlib.contextmanager
def patient_environment() -> Iterator[dict[str, str]]:
    """Variables under which Ray gives up nothing because the machine is busy.

    They also keep its files, and its token, out of the user's home and `/tmp/ray`.
    """
    folder = tempfile.mkdtemp(prefix="ray-")  # pytest's are too long for the path of a socket
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "PYTEST_"))
    }
    try:
        yield inherited | {
            "RAY_TMPDIR": folder,
            "TMPDIR": folder,  # nobody else's folders are in it
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            # On a busy machine Ray's 15 would hardly ever have its turn.
            "RAY_worker_niceness": "0",
            "RAY_gcs_server_port_wait_time_s": "3600",
            "RAY_worker_register_timeout_seconds": "3600",
            "RAY_agent_register_timeout_ms": "3600000",
            "RAY_health_check_failure_threshold": "1000",
        }
    finally:
        shutil.rmtree(folder)


def start_without_deadline() -> None:
    """From now on `ray.init` in this process waits until its node has registered.

    Ray has no setting for this deadline. Its others are set by :func:`patient_environment`; where
    the raylet obeys none and ends, Ray is started anew, and at last the process ends.
    """
    import ray
    import ray._private.services as services

    init: Any = ray.init

    def init_until_it_lasts(*args: Any, **named: Any) -> Any:
        for _ in range(_ATTEMPTS):
            before = set(psutil.Process().children())
            try:
                return init(*args, **named)
            except RayletEndedError:
                ray.shutdown()
                _end(set(psutil.Process().children()) - before)
        os._exit(DID_NOT_START)

    ray.init = init_until_it_lasts

    get_node: Any = services.get_node

    def when_registered(address: str, node: str) -> Any:
        found = []

        def look() -> list[Any]:
            for child in psutil.Process().children():  # else we would wait for ever
                dead = child.name() == "raylet" and child.status() == psutil.STATUS_ZOMBIE
                if dead:
                    raise RayletEndedError
            with contextlib.suppress(RuntimeError):
                found.append(get_node(address, node))
            return found

        return wait_until(look)[0]

    services.get_node = when_registered


def _end(children: Iterable[psutil.Process]) -> None:
    """Ends what a Ray that did not start has left, through the objects that Ray has of them.

    One that ended behind its object's back would be warned of as still running.
    """
    owners: dict[int, Any] = {
        one.pid: one for one in gc.get_objects() if issubclass(type(one), subprocess.Popen)
    }
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            owner = owners.get(child.pid, child)
            owner.kill()
            owner.wait()
