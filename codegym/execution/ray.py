"""Runs programs on a Ray cluster: actors that each hold a local executor.

Programs are sandboxed on the node where they run, exactly as :mod:`codegym.execution.local` does
it; what a node cannot enforce is not enforced there. Ray places the actors, carries requests and
results, restarts an actor that died and repeats its request once. Ray is imported when an executor
is made, not before.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import math
import os
import threading
import warnings
import weakref
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from types import ModuleType
from typing import Any, Self, get_args

from codegym.errors import (
    ClosedError,
    CodegymError,
    ConfigurationError,
    ExecutionError,
    IsolationWarning,
    UnknownNameError,
    WorkerError,
)
from codegym.execution.isolation import describe_isolation
from codegym.execution.local import IsolationMode, LocalExecutor
from codegym.execution.packages import checked_names
from codegym.execution.result import Request, Result
from codegym.execution.wire import Message

__all__ = ["RayExecutor"]

_NAMESPACE = "codegym-executors"
_PAUSE_SECONDS = 1.0
_CLOSE_SECONDS = 10.0
_executors: collections.Counter[str] = collections.Counter()
"""How many there are, by the connection to Ray that they use."""


class RayExecutor:
    """Runs programs on the CPUs of a Ray cluster.

    Uses the Ray that this process is connected to. Where there is none it calls `ray.init`, which
    joins the cluster at `address` or `$RAY_ADDRESS`, or one that runs on this machine, or starts
    one here; the last executor to be closed then ends it. To choose its resources, or to use Ray
    for more than this, call `ray.init` first: what you started is never shut down.

    A request goes to whichever actor is free next, so a slow program holds up no other. If the
    actor dies, Ray restarts it and repeats the request once. May be used from several threads, but
    not in a fork of the process that made it.

    The nodes need this version of codegym, and their own Landlock and seccomp. Requests hold the
    tests' inputs: use Ray's token authentication on networks that others share.

    Args:
        workers: Number of actors, each of which runs one program at a time and takes about 100 MB;
            default: one for each free CPU.
        cpus_per_worker: What Ray sets aside for each. 0 takes nothing from other users of Ray.
        python: As for :class:`~codegym.execution.local.LocalExecutor`, a path on the nodes.
        isolation: As for :class:`~codegym.execution.local.LocalExecutor`, on each node.
        packages: As for :class:`~codegym.execution.local.LocalExecutor`, those of each node.
        address: The cluster, as `ray.init` understands it; Ray Client's `ray://` is untested.
        start_seconds: How long Ray may take to start the actors.

    Raises:
        ConfigurationError: If Ray is not installed, if an argument has no meaning, or if this
            process is connected to another cluster than `address`.
        IsolationError: If `isolation="strict"` and a node cannot enforce everything.
        WorkerError: If the cluster cannot be reached or does not start the actors.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        cpus_per_worker: float = 1.0,
        python: str | None = None,
        isolation: IsolationMode = "auto",
        packages: Iterable[str] = (),
        address: str | None = None,
        start_seconds: float = 60.0,
    ) -> None:
        if workers is not None and (type(workers) is not int or workers < 1):
            raise ConfigurationError(f"workers must be a positive int, got {workers!r}.")
        _require_number("cpus_per_worker", cpus_per_worker)
        _require_number("start_seconds", start_seconds)
        if isolation not in get_args(IsolationMode):
            raise UnknownNameError("isolation", isolation, get_args(IsolationMode))
        names = checked_names(packages)
        self._ray = ray = _connect(address)
        if workers is None:
            workers = max(1, int(ray.available_resources().get("CPU", 0) / (cpus_per_worker or 1)))
        self._workers = workers
        self._pid = os.getpid()
        self._connection = ray.get_runtime_context().get_worker_id()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._waiting: collections.deque[tuple[Request, Future[Result]]] = collections.deque()
        self._running: set[Future[Result]] = set()
        remote = ray.remote(max_restarts=-1, max_task_retries=1)(_Actor)
        options = remote.options(
            num_cpus=cpus_per_worker,
            max_concurrency=2,  # one to close it while a program runs
            scheduling_strategy="SPREAD",
        )
        self._actors = [options.remote(python, isolation, names) for _ in range(workers)]
        self._free = collections.deque(self._actors)
        _executors[self._connection] += 1
        ours = (ray, self._pid, self._connection, self._actors)
        self._finalizer = weakref.finalize(self, _end, *ours)
        try:
            self._await_start(start_seconds)
        except BaseException:
            self._finalizer()
            raise
        threading.Thread(target=_watch, args=(weakref.ref(self), self._closed), daemon=True).start()

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
        Message(request)  # the actor encodes it again; here it tells what is wrong with it
        if os.getpid() != self._pid:
            raise ExecutionError(
                f"This RayExecutor was made in process {self._pid} and Ray does not survive a "
                f"fork. Make one in process {os.getpid()}, before it needs it."
            )
        future: Future[Result] = Future()
        with self._lock:
            if self._closed.is_set():
                raise ClosedError("This executor was closed. Make a new RayExecutor.")
            self._waiting.append((request, future))
        self._dispatch()
        return future

    def run(self, request: Request) -> Result:
        """Runs a request and waits for it."""
        return self.submit(request).result()

    def close(self) -> None:
        """Ends all actors. Pending futures raise :class:`~codegym.errors.ClosedError`."""
        if os.getpid() == self._pid:
            self._closed.set()
            self._fail_all(ClosedError("The executor was closed."))
            self._finalizer()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        # Gymnasium copies the spec that holds an environment's arguments; a pool is shared.
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _await_start(self, seconds: float) -> None:
        pending = [actor.missing.remote() for actor in self._actors]
        started, late = self._ray.wait(pending, num_returns=len(pending), timeout=seconds)
        try:
            missing = sorted(set().union(*self._ray.get(started)))
        except self._ray.exceptions.RayError as error:
            raise _ours(error) from error
        if late:
            total = self._ray.cluster_resources().get("CPU", 0)
            free = self._ray.available_resources().get("CPU", 0)
            raise WorkerError(
                f"Ray started {len(started)} of {len(pending)} actors in {seconds:g} s. The "
                f"cluster has {total:g} CPUs, {free:g} of them free. Use fewer workers, a smaller "
                "cpus_per_worker, or a larger start_seconds if nodes are still to come."
            )
        if missing:
            warnings.warn(
                f"Nodes of this Ray cluster cannot enforce isolation of {' and '.join(missing)} "
                "(see `python -m codegym.execution` there). Programs are run all the same; "
                'isolation="strict" refuses instead.',
                IsolationWarning,
                stacklevel=3,
            )

    def _dispatch(self) -> None:
        """Sends what waits to the actors that are free."""
        with self._lock:
            while self._waiting and self._free:
                request, future = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                self._running.add(future)
                if not _is_connected(self._ray, self._connection):
                    self._fail_all(WorkerError("Ray was shut down."))
                    return
                actor = self._free.popleft()
                answer = actor.run.remote(request).future()
                answer.add_done_callback(functools.partial(self._finish, actor, future))

    def _finish(self, actor: Any, future: Future[Result], answer: Future[Result]) -> None:
        """Passes on an answer, and the next request to the actor that gave it."""
        with self._lock:
            self._running.discard(future)
            self._free.append(actor)
        with contextlib.suppress(InvalidStateError):  # failed meanwhile
            error = answer.exception()
            if error is None:
                future.set_result(answer.result())
            else:
                future.set_exception(_ours(error))
        if not self._closed.is_set():
            self._dispatch()

    def _fail_all(self, error: CodegymError) -> None:
        with self._lock:
            futures = [*self._running, *(future for _, future in self._waiting)]
            self._running.clear()
            self._waiting.clear()
        for future in futures:
            if future.running() or future.set_running_or_notify_cancel():
                with contextlib.suppress(InvalidStateError):  # answered meanwhile
                    future.set_exception(error)


class _Actor:
    """What Ray runs on a node: one local executor."""

    def __init__(
        self, python: str | None, isolation: IsolationMode, packages: tuple[str, ...]
    ) -> None:
        self._python, self._isolation, self._packages = python, isolation, packages

    # Not in __init__: there, Ray would turn an exception into a text.
    @functools.cached_property
    def _executor(self) -> LocalExecutor:
        settings: dict[str, Any] = {"isolation": self._isolation, "packages": self._packages}
        return LocalExecutor(workers=1, python=self._python, **settings)

    def missing(self) -> tuple[str, ...]:
        """Starts up; names what this node does not isolate although it was asked to."""
        assert self._executor
        return () if self._isolation == "none" else describe_isolation(self._python).missing

    def run(self, request: Request) -> Result:
        """Runs a request."""
        return self._executor.run(request)

    def close(self) -> None:
        """Ends the worker and takes its folder away, which Ray, that kills it, does not."""
        self._executor.close()


def _connect(address: str | None) -> ModuleType:
    """Imports Ray, and sees to it that this process is connected to a cluster."""
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            "RayExecutor needs the package ray: pip install -e '.[ray]' (in codegym's checkout)"
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(
                address=address, namespace=_NAMESPACE, include_dashboard=False, log_to_driver=False
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


def _is_connected(ray: ModuleType, connection: str) -> bool:
    # Most calls of Ray would start a new cluster where the user has ended the old one.
    if not ray.is_initialized():
        return False
    return bool(ray.get_runtime_context().get_worker_id() == connection)


def _end(ray: ModuleType, pid: int, connection: str, actors: list[Any]) -> None:
    """Ends the actors, and Ray if an executor started it and this is the last one."""
    if os.getpid() != pid:
        return  # a fork: they are its parent's
    _executors[connection] -= 1
    if not _is_connected(ray, connection):
        return
    with contextlib.suppress(Exception):  # those that are dead already are as they should be
        calls = [actor.close.remote() for actor in actors]
        ray.wait(calls, num_returns=len(calls), timeout=_CLOSE_SECONDS)
        for actor in actors:
            ray.kill(actor)
    if not _executors[connection] and ray.get_runtime_context().namespace == _NAMESPACE:
        ray.shutdown()  # an executor had started it


def _watch(executor: weakref.ref[RayExecutor], closed: threading.Event) -> None:
    """Fails what is pending once Ray was shut down: with some versions, such calls never return."""
    while not closed.wait(_PAUSE_SECONDS):
        alive = executor()
        if alive is None:
            return
        if not _is_connected(alive._ray, alive._connection):
            alive._fail_all(WorkerError("Ray was shut down."))
        del alive


def _ours(error: BaseException) -> BaseException:
    """The exception that an actor raised if it is one of ours, else a WorkerError."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, CodegymError):
        return cause
    return WorkerError(
        "A Ray actor was lost, with the request that it ran, and again when Ray repeated it. Check "
        f"the nodes' memory and that nothing kills processes there. Ray says: {error}"
    )


def _require_number(name: str, value: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"{name} must be a number of at least 0, got {value!r}.")
