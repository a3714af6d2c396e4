"""Runs programs on a Ray cluster: actors that each hold a local executor.

Programs are sandboxed on the node where they run, exactly as :mod:`codegym.execution.local` does
it; what a node can not enforce is not enforced there. Ray is imported when an executor is made,
not before.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterable
from concurrent.futures import Future
from types import ModuleType
from typing import Self, get_args

from codegym.errors import ConfigurationError, ExecutionError, UnknownNameError, WorkerError
from codegym.execution.local import IsolationMode
from codegym.execution.packages import checked_names
from codegym.execution.ray_crew import NAMESPACE, Crew
from codegym.execution.result import Request, Result
from codegym.execution.wire import Message

__all__ = ["RayExecutor"]


class RayExecutor:
    """Runs programs on the CPUs of a Ray cluster.

    Uses the Ray that this process is connected to. Where there is none it calls `ray.init`, which
    joins the cluster at `address` or `$RAY_ADDRESS`, or one that runs on this machine, or starts
    one here; the last executor to be closed then ends it. To choose its resources, or to use Ray
    for more than this, call `ray.init` first: what you started is never shut down.

    A request goes to whichever worker is free next, so a slow program holds up no other. If the
    actor that runs it dies, the request is repeated once on another free worker, and Ray restarts
    the actor. May be used from several threads, but not in a fork of the process that made it.

    The nodes need this version of codegym, and their own Landlock and seccomp. Requests hold the
    tests' inputs: use Ray's token authentication on networks that others share.

    Args:
        workers: Number of programs that run at a time; default: one for each free CPU.
        workers_per_actor: How many of them share an actor, and with it a node. More of them save
            memory (an actor takes about 100 MB) and share the inputs of one long request.
        cpus_per_worker: What Ray sets aside for each. 0 takes nothing from other users of Ray.
        python: As for :class:`~codegym.execution.local.LocalExecutor`, a path on the nodes.
        isolation: As for :class:`~codegym.execution.local.LocalExecutor`, on each node.
        packages: As for :class:`~codegym.execution.local.LocalExecutor`, those of each node.
        address: The cluster, as `ray.init` understands it; Ray Client's `ray://` is untested.
        start_seconds: How long Ray may take to start, or to restart, an actor.

    Raises:
        ConfigurationError: If Ray is not installed, if an argument has no meaning, or if this
            process is connected to another cluster than `address`.
        IsolationError: If `isolation="strict"` and a node can not enforce everything.
        WorkerError: If the cluster can not be reached or does not start the actors.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        workers_per_actor: int = 1,
        cpus_per_worker: float = 1.0,
        python: str | None = None,
        isolation: IsolationMode = "auto",
        packages: Iterable[str] = (),
        address: str | None = None,
        start_seconds: float = 60.0,
    ) -> None:
        for name, value in (
            ("workers", 1 if workers is None else workers),
            ("workers_per_actor", workers_per_actor),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{name} must be a positive int, got {value!r}.")
        if not _is_number(cpus_per_worker) or cpus_per_worker < 0:
            raise ConfigurationError(
                f"cpus_per_worker must be a number of at least 0, got {cpus_per_worker!r}."
            )
        if not _is_number(start_seconds) or start_seconds <= 0:
            raise ConfigurationError(
                f"start_seconds must be a positive number, got {start_seconds!r}."
            )
        if isolation not in get_args(IsolationMode):
            raise UnknownNameError("isolation", isolation, get_args(IsolationMode))
        names = checked_names(packages)
        ray = _connect(address)
        if workers is None:
            workers = max(1, int(ray.available_resources().get("CPU", 0) / (cpus_per_worker or 1)))
        self._workers = workers
        self._pid = os.getpid()
        self._crew = Crew(ray, float(start_seconds))
        self._finalizer = weakref.finalize(self, self._crew.close)
        try:
            self._crew.start(
                sizes=_shares(workers, workers_per_actor),
                cpus_per_worker=cpus_per_worker,
                settings=(python, isolation, names),
            )
        except BaseException:
            self._finalizer()
            raise

    @property
    def workers(self) -> int:
        """Number of programs that run at a time at most."""
        return self._workers

    def submit(self, request: Request) -> Future[Result]:
        """Starts a request; returns at once.

        Raises:
            ClosedError: After :meth:`close`.
            ConfigurationError: If the request holds anything but text and plain data.
            ExecutionError: In a fork of the process that made this executor.
        """
        # The actor encodes the request again; here it tells what is wrong with it, and how long
        # a healthy worker may take.
        message = Message(request)
        if os.getpid() != self._pid:
            raise ExecutionError(
                f"This RayExecutor was made in process {self._pid} and Ray does not survive a "
                f"fork. Make one in process {os.getpid()}, before it needs it."
            )
        return self._crew.submit(request, message.inputs * message.patience)

    def run(self, request: Request) -> Result:
        """Runs a request and waits for it."""
        return self.submit(request).result()

    def close(self) -> None:
        """Ends all actors. Pending futures raise :class:`~codegym.errors.ClosedError`."""
        self._finalizer()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        # Gymnasium copies the spec that holds an environment's arguments; a pool is shared.
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(address: str | None) -> ModuleType:
    """Imports Ray, and sees to it that this process is connected to a cluster."""
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            "RayExecutor needs the package ray: pip install 'codegym[ray]'"
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(
                address=address, namespace=NAMESPACE, include_dashboard=False, log_to_driver=False
            )
        except Exception as error:  # Ray's are of any kind, Exception itself among them
            raise WorkerError(
                f"Cannot reach or start Ray with address={address!r}: {error}. Give the address "
                "that `ray start` printed, or None."
            ) from error
    elif address not in (None, "auto", ray.get_runtime_context().gcs_address):
        raise ConfigurationError(
            f"This process is connected to Ray at {ray.get_runtime_context().gcs_address} already, "
            f"got address={address!r}. Leave `address` out, or call ray.shutdown() first."
        )
    return ray


def _shares(workers: int, most: int) -> list[int]:
    """Numbers of at most `most` that add up to `workers`."""
    return [min(most, workers - first) for first in range(0, workers, most)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
