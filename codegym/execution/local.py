"""A pool of local workers: programs run in sandboxed children of long-lived interpreters.

What is stopped, and what is not, is told in :mod:`codegym.execution.isolation`.
"""

from __future__ import annotations

import collections
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from typing import Literal, Self

from codegym.errors import (
    ClosedError,
    ConfigurationError,
    ExecutionError,
    UnknownNameError,
    WorkerError,
)
from codegym.execution.isolation import require_isolation, require_linux
from codegym.execution.job import Job
from codegym.execution.packages import checked_names, installed_packages
from codegym.execution.result import Request, Result
from codegym.execution.sandbox.protocol import Frame
from codegym.execution.wire import observe
from codegym.execution.worker_process import WorkerProcess

__all__ = ["IsolationMode", "LocalExecutor"]

IsolationMode = Literal["auto", "strict", "none"]
_ISOLATIONS = ("auto", "strict", "none")
_ATTEMPTS = 2


class LocalExecutor:
    """Runs programs on this machine, in N worker processes.

    A worker is a bare interpreter with the usual modules loaded. Each input of a request is run in
    a process of its own, in which nothing of the program ran before; where the kernel keeps
    programs from forking, the program is compiled once for all of them. Workers are started when
    they are first needed, are replaced when they die, and end with this process.

    May be used from several threads. A fork of the parent gets workers of its own.

    Args:
        workers: Number of worker processes; default: the CPUs that this process may use.
        python: Path of the interpreter that programs run on (3.11 or later); default: this one.
        isolation: `"auto"` enforces what the machine offers and warns where something is missing,
            `"strict"` refuses to start then, `"none"` sets resource limits only.
        packages: What any program may import besides the standard library and the packages of its
            request, as in `import NAME`; what these depend on comes with them. What is not
            installed for the interpreter cannot be imported. Default: none.

    Raises:
        ConfigurationError: If an argument has no meaning.
        IsolationError: If this is no Linux, or if `isolation="strict"` and this machine cannot
            enforce everything.
        WorkerError: If the interpreter cannot be started.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        python: str | None = None,
        isolation: IsolationMode = "auto",
        packages: Iterable[str] = (),
    ) -> None:
        require_linux()
        count = len(os.sched_getaffinity(0)) if workers is None else workers
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigurationError(f"workers must be a positive int, got {workers!r}.")
        if not isinstance(python, str | None):
            raise ConfigurationError(f"python must be the path of an interpreter, got {python!r}.")
        if isolation not in _ISOLATIONS:
            raise UnknownNameError("isolation", isolation, _ISOLATIONS)
        names = checked_names(packages)
        if isolation != "none":
            require_isolation(python, strict=isolation == "strict")
        self._settings = (count, python, isolation, names)
        self._pools: dict[int, _Pool] = {}
        self._closed = False
        self._finalizer = weakref.finalize(self, _close_all, self._pools)

    @property
    def workers(self) -> int:
        """Number of worker processes at most."""
        return self._settings[0]

    @property
    def packages(self) -> frozenset[str]:
        """What any program can import besides the standard library: allowed and installed."""
        _, python, _, names = self._settings
        return installed_packages(names, python)

    def _check_packages(self, request: Request) -> None:
        """Raises if this interpreter lacks what the program may import: no fault of the program."""
        _, python, _, names = self._settings
        wanted = checked_names(request.packages)
        missing = set(wanted) - installed_packages({*names, *wanted}, python)
        if missing:
            raise ConfigurationError(
                f"The interpreter {python or sys.executable!r} has no package "
                f"{' and no package '.join(map(repr, sorted(missing)))}, which the program may "
                "import. Install it there, or leave out the problems that need it."
            )

    def submit(self, request: Request) -> Future[Result]:
        """Starts a request; returns at once.

        Raises:
            ClosedError: After :meth:`close`.
            ConfigurationError: If the request holds anything but text and plain data, or names a
                package that the interpreter lacks.
        """
        job = Job(request, self._settings[-1])
        if request.packages:
            self._check_packages(request)
        if self._closed:
            raise ClosedError("This executor was closed. Make a new LocalExecutor.")
        # Keyed by process: a fork inherits neither threads nor workers of its parent.
        pool = self._pools.get(os.getpid())
        if pool is None:
            pool = self._pools.setdefault(os.getpid(), _Pool(*self._settings))
            if not self._finalizer.alive:  # closed meanwhile, perhaps without seeing this pool
                pool.close()
        pool.put(job)
        return job.future

    def run(self, request: Request) -> Result:
        """Runs a request and waits for it."""
        return self.submit(request).result()

    def close(self) -> None:
        """Ends all workers. Pending futures raise :class:`~codegym.errors.ClosedError`."""
        self._closed = True
        self._finalizer()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        # Gymnasium copies the spec that holds an environment's arguments; a pool is shared.
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close_all(pools: dict[int, _Pool]) -> None:
    for pid, pool in list(pools.items()):
        if pid == os.getpid():
            pool.close()


class _Pool:
    """Threads of one process, each with a worker of its own."""

    def __init__(
        self, size: int, python: str | None, isolation: str, packages: tuple[str, ...]
    ) -> None:
        self._size = size
        self._packages = frozenset(packages)
        self._python = python
        self._isolation = isolation
        # Entered by itself, not through the condition, whose `__enter__` is Python code: a
        # KeyboardInterrupt in there would leave it locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._jobs: collections.deque[Job] = collections.deque()
        self._threads: list[threading.Thread] = []
        self._workers: set[WorkerProcess] = set()
        self._idle = 0
        self._closed = False

    def put(self, job: Job) -> None:
        """Queues a job, and starts a thread if none is free and more may be had."""
        with self._lock:
            if self._closed:
                raise ClosedError("This executor was closed. Make a new LocalExecutor.")
            self._jobs.append(job)
            if self._idle < len(self._jobs) and len(self._threads) < self._size:
                name = f"codegym-worker-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    if not self._threads:
                        self._jobs.remove(job)
                        raise WorkerError(
                            f"Cannot start a thread for a worker: {error}. Check the limits of "
                            "this process (`ulimit -u`, `ulimit -v`)."
                        ) from error
                else:
                    self._threads.append(thread)
            self._changed.notify()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            pending, self._jobs = list(self._jobs), collections.deque()
            workers = list(self._workers)
            self._changed.notify_all()
        for worker in workers:
            worker.interrupt()
        for job in pending:
            if job.started or job.future.set_running_or_notify_cancel():
                self._fail(job, ClosedError("The executor was closed."))
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _serve(self) -> None:
        """One thread: takes shares of jobs until the pool is closed."""
        worker: WorkerProcess | None = None
        while (share := self._next()) is not None:
            job, inputs = share
            frames: list[Frame] = []
            failures: list[Exception] = []
            try:
                message, codes = job.message.part(inputs)
                while not frames:
                    if worker is not None and not job.packages <= worker.packages:
                        self._retire(worker)
                        worker = None
                    try:
                        worker = worker or self._start(job.packages)
                        frames = worker.exchange(message, codes, job.message.patience)
                        if not 0 < len(frames) <= len(inputs):
                            raise ValueError(f"{len(frames)} answers to {len(inputs)} inputs")
                    except (WorkerError, OSError, EOFError, ValueError) as error:
                        failures.append(error)
                        said = worker.last_words() if worker else ""
                        self._retire(worker)
                        worker, frames = None, []
                        self._check_attempts(failures, said)
                self._record(job, inputs, frames)
            except BaseException as error:
                self._fail(job, error)
                self._retire(worker)
                worker = None
            del share, job, frames  # an idle thread keeps nothing of what it did, or for whom
        self._retire(worker)

    def _next(self) -> tuple[Job, range] | None:
        with self._lock:
            self._idle += 1
            try:
                while not self._closed:
                    while self._jobs and not self._jobs[0].waits:
                        self._jobs.popleft()
                    if not self._jobs:
                        self._changed.wait()
                        continue
                    job = self._jobs[0]
                    if job.started or job.future.set_running_or_notify_cancel():
                        inputs = job.take(self._size)
                        if job.waits or len(self._jobs) > 1:
                            self._changed.notify()
                        return job, inputs
                    job.drop()
                    del job
            finally:
                self._idle -= 1
        return None

    def _record(self, job: Job, inputs: range, frames: list[Frame]) -> None:
        """Takes what a worker has seen; completes the job if that was all."""
        try:
            seen = [observe(frame) for frame in frames]
        except ExecutionError as error:  # a fault of the problem
            self._fail(job, error)
            return
        with self._lock:
            job.record(inputs, seen, hopeless=frames[-1].same_for_all)
            closed = self._closed and job.waits
            if job.waits and job not in self._jobs:
                self._jobs.appendleft(job)
                self._changed.notify()
            finished = job.finished and not job.future.done()
        if closed:
            self._fail(job, ClosedError("The executor was closed."))
        elif finished:
            job.future.set_result(job.result())

    def _check_attempts(self, failures: list[Exception], said: str) -> None:
        """Raises if a request is not to be tried again."""
        if self._closed:
            raise ClosedError("The executor was closed while a program ran.") from None
        if len(failures) < _ATTEMPTS:
            return
        raise WorkerError(
            f"A worker died or answered nonsense on {_ATTEMPTS} attempts at the same request "
            f"({failures[-1]!r}). Check the machine's memory and that nothing kills its processes. "
            f"It said: {said or 'nothing'}"
        ) from failures[-1]

    def _start(self, packages: frozenset[str]) -> WorkerProcess:
        with self._lock:
            self._packages |= packages  # once for all that come
        worker = WorkerProcess(self._python, self._isolation, self._packages)
        with self._lock:
            self._workers.add(worker)
            closed = self._closed
        if closed:
            self._retire(worker)
            raise ClosedError("The executor was closed.")
        return worker

    def _retire(self, worker: WorkerProcess | None) -> None:
        if worker is not None:
            with self._lock:
                self._workers.discard(worker)
            with contextlib.suppress(OSError):
                worker.kill()

    def _fail(self, job: Job, error: BaseException) -> None:
        with self._lock:
            job.drop()
        with contextlib.suppress(InvalidStateError):  # another share failed before
            job.future.set_exception(error)
