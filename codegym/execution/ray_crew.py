"""The actors of a :class:`~codegym.execution.ray.RayExecutor`, and who waits for them.

Ray places the actors, carries requests and results, notices death and restarts. Here is only what
Ray leaves to its user: which free actor gets the next request, and what a lost one means. Ray's
own retries would wait for the dead actor while others are free, so they are off.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import uuid
import warnings
from concurrent.futures import Future
from types import ModuleType
from typing import Any

from codegym.errors import ClosedError, CodegymError, IsolationWarning, WorkerError
from codegym.execution.isolation import describe_isolation
from codegym.execution.local import IsolationMode, LocalExecutor
from codegym.execution.result import Request, Result

__all__ = ["NAMESPACE", "Crew"]

NAMESPACE = "codegym-executors"
"""Of the actors, and of a Ray that was started for them."""
_ATTEMPTS = 2
_PAUSE_SECONDS = 1.0
_TIDY_SECONDS = 3.0
_CLOSE_SECONDS = 10.0


class _Actor:
    """What Ray runs on a node."""

    def __init__(
        self, workers: int, python: str | None, isolation: IsolationMode, packages: tuple[str, ...]
    ) -> None:
        self._settings = (workers, python, isolation, packages)
        self._lock = threading.Lock()
        self._executor: LocalExecutor | None = None

    def ready(self) -> tuple[str, ...]:
        """Starts up; names what this node does not isolate though it was asked to."""
        _, python, isolation, _ = self._settings
        self._ensure_executor()
        return () if isolation == "none" else describe_isolation(python).missing

    def run(self, request: Request) -> Result:
        """Runs a request."""
        return self._ensure_executor().run(request)

    def close(self) -> None:
        """Ends the workers and takes their folders away, which Ray, that kills them, does not."""
        with self._lock:
            if self._executor is not None:
                self._executor.close()

    def _ensure_executor(self) -> LocalExecutor:
        # Not in __init__: there, Ray would turn the exception into a text.
        workers, python, isolation, packages = self._settings
        with self._lock:
            if self._executor is None:
                self._executor = LocalExecutor(
                    workers=workers, python=python, isolation=isolation, packages=packages
                )
            return self._executor


class _Job:
    """One request on its way."""

    def __init__(self, request: Request, patience: float) -> None:
        self.request = request
        self.patience = patience
        self.future: Future[Result] = Future()
        self.attempts = 0

    def begin(self) -> bool:
        """Whether it is still wanted."""
        return self.attempts > 0 or self.future.set_running_or_notify_cancel()

    def fail(self, error: Exception) -> None:
        if self.begin():
            self.future.set_exception(error)


class Crew:
    """Threads of this process; each serves one place at an actor, and all share one queue.

    Args:
        ray: The package, connected to a cluster.
        start_seconds: How long Ray may take to start, or to restart, an actor.
    """

    def __init__(self, ray: ModuleType, start_seconds: float) -> None:
        self._ray = ray
        self._start_seconds = start_seconds
        self._pid = os.getpid()
        self._connection = ray.get_runtime_context().get_worker_id()
        self._name = f"codegym-{uuid.uuid4().hex}"
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._actors: list[Any] = []
        self._threads: list[threading.Thread] = []
        self._waiting = 0

    def start(
        self,
        sizes: list[int],
        cpus_per_worker: float,
        settings: tuple[str | None, IsolationMode, tuple[str, ...]],
    ) -> None:
        """Starts one actor for each size, and a thread for each of its places.

        Raises:
            CodegymError: What an actor raised.
            WorkerError: If not all were started in time.
        """
        # Retries are not Ray's: it would wait for the dead actor while others are free.
        remote = self._ray.remote(max_restarts=-1, max_task_retries=0)(_Actor)
        for number, size in enumerate(sizes):
            options = remote.options(
                name=f"{self._name}-{number}",
                namespace=NAMESPACE,
                num_cpus=size * cpus_per_worker,
                max_concurrency=size + 1,  # one to close it while programs run
                scheduling_strategy="SPREAD",
            )
            self._actors.append(options.remote(size, *settings))
        missing = self._await_start()
        if missing:
            warnings.warn(
                f"Nodes of this Ray cluster can not enforce isolation of {' and '.join(missing)} "
                "(see `python -m codegym.execution` there). Programs are run all the same; "
                'isolation="strict" refuses instead.',
                IsolationWarning,
                stacklevel=3,
            )
        for actor, size in zip(self._actors, sizes, strict=True):
            for _ in range(size):
                name = f"codegym-ray-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, args=(actor,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def submit(self, request: Request, patience: float) -> Future[Result]:
        """Queues a request.

        Args:
            request: What to run.
            patience: Seconds in which a healthy local worker answers it.

        Raises:
            ClosedError: After :meth:`close`.
        """
        job = _Job(request, patience)
        with self._lock:
            if self._closed.is_set():
                raise ClosedError("This executor was closed. Make a new RayExecutor.")
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Fails what is pending, ends the actors and threads. Does nothing in a fork."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed.set()
            pending = self._drain()
        for job in pending:
            job.fail(ClosedError("The executor was closed."))
        self._end_actors()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._end_ray()

    def _await_start(self) -> list[str]:
        """Waits for all actors; what their nodes do not isolate."""
        pending = [actor.ready.remote() for actor in self._actors]
        started, late = self._ray.wait(
            pending, num_returns=len(pending), timeout=self._start_seconds
        )
        try:
            answers = self._ray.get(started)
        except self._ray.exceptions.RayError as error:
            raise self._translate(error) from error
        if late:
            total = self._ray.cluster_resources().get("CPU", 0)
            free = self._ray.available_resources().get("CPU", 0)
            raise WorkerError(
                f"Ray started {len(started)} of {len(pending)} actors in "
                f"{self._start_seconds:g} s. The cluster has {total:g} CPUs, {free:g} of "
                "them free. Use fewer workers, a smaller cpus_per_worker, or a larger "
                "start_seconds if nodes are still to come."
            )
        return sorted(set().union(*answers))

    def _end_actors(self) -> None:
        if not self._connected():
            return
        with contextlib.suppress(Exception):  # those that are dead already are as they should be
            calls = [actor.close.remote() for actor in self._actors]
            self._ray.wait(calls, num_returns=len(calls), timeout=_TIDY_SECONDS)
            for actor in self._actors:
                self._ray.kill(actor)
            # The calls fail as soon as Ray has struck the actors off its list.
            calls = [actor.ready.remote() for actor in self._actors]
            self._ray.wait(calls, num_returns=len(calls), timeout=_CLOSE_SECONDS)

    def _end_ray(self) -> None:
        """Shuts Ray down if an executor started it and none is left that uses it."""
        if not self._connected():
            return
        ours = self._ray.get_runtime_context().namespace == NAMESPACE
        if ours and not self._ray.util.list_named_actors():
            self._ray.shutdown()

    def _drain(self) -> list[_Job]:
        jobs = []
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.append(self._jobs.get_nowait())
        return [job for job in jobs if job is not None]

    def _translate(self, error: Exception) -> Exception:
        cause = getattr(error, "cause", None)
        if isinstance(cause, CodegymError):
            return cause
        return WorkerError(f"A Ray actor failed: {error}")

    def _connected(self) -> bool:
        # Most calls of Ray would start a new cluster where the user has ended the old one.
        if not self._ray.is_initialized():
            return False
        return bool(self._ray.get_runtime_context().get_worker_id() == self._connection)

    def _alive(self, actor: Any) -> bool:
        if not self._connected():
            return False
        try:
            self._ray.get(actor.ready.remote(), timeout=self._start_seconds)
        except BaseException:  # SystemExit too: so ends a call when Ray is shut down meanwhile
            return False
        return True

    def _serve(self, actor: Any) -> None:
        """One thread: takes jobs until the crew is closed."""
        while (job := self._jobs.get()) is not None:
            if not job.begin():
                continue
            # The second attempt is not spent on an actor whose death nobody has noticed yet.
            if job.attempts and not self._alive(actor):
                self._put_back(job, "none is left")
                self._await_restart(actor)
                continue
            job.attempts += 1
            try:
                result = self._ask(actor, job)
            except self._ray.exceptions.RayTaskError as error:
                job.future.set_exception(self._translate(error))
            except BaseException as error:
                self._put_back(job, error)
                self._await_restart(actor)
            else:
                job.future.set_result(result)

    def _ask(self, actor: Any, job: _Job) -> Result:
        if not self._connected():
            raise WorkerError("Ray was shut down.")
        call = actor.run.remote(job.request)
        # A local executor tries twice as well, and may have to start a worker.
        patient_until = time.monotonic() + _ATTEMPTS * (job.patience + self._start_seconds)
        while True:
            try:
                answer: Result = self._ray.get(call, timeout=_PAUSE_SECONDS)
                return answer
            except self._ray.exceptions.GetTimeoutError:
                if not self._connected():  # such a call never returns with some versions of Ray
                    raise WorkerError("Ray was shut down.") from None
                if time.monotonic() > patient_until:
                    self._ray.kill(actor, no_restart=False)
                    raise

    def _put_back(self, job: _Job, reason: object) -> None:
        """Leaves a lost job to whoever is free next, unless it has had its attempts."""
        with self._lock:
            closed = self._closed.is_set()
            if not closed and job.attempts < _ATTEMPTS:
                self._jobs.put(job)
                return
        job.fail(
            ClosedError("The executor was closed while a program ran.")
            if closed
            else WorkerError(
                f"{_ATTEMPTS} Ray actors were lost while they ran the same request. Check the "
                f"nodes' memory and that nothing kills processes there. The last one: {reason}"
            )
        )

    def _await_restart(self, actor: Any) -> None:
        """Returns when the actor lives again, or the crew is closed."""
        patient_until = time.monotonic() + self._start_seconds
        with self._lock:
            self._waiting += 1
        while not self._closed.is_set() and not self._alive(actor):
            if not self._connected() or time.monotonic() > patient_until:
                self._give_up()
            self._closed.wait(_PAUSE_SECONDS)
        with self._lock:
            self._waiting -= 1

    def _give_up(self) -> None:
        """Fails what is queued if no actor is left to take it."""
        with self._lock:
            if self._closed.is_set() or self._waiting < len(self._threads):
                return
            jobs = self._drain()
        for job in jobs:
            job.fail(
                WorkerError(
                    f"None of the {len(self._actors)} Ray actors is alive, and Ray restarted none "
                    f"in {self._start_seconds:g} s. Was Ray shut down, or did its nodes go? Make "
                    "a new RayExecutor."
                )
            )
