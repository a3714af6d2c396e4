"""What a server does with a request, whatever it came over.

A request that was let in stays bytes until it is its turn: as many are decoded at a time as there
are workers, and one more, so that what all of them need is bounded. It is decoded and compared on
threads, so that the event loop stays free to refuse others, and run by the executor. One that has
not begun in time is given up; one that has is always finished, and its own limits say when.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import platform
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

from codegym.errors import (
    ClosedError,
    ConfigurationError,
    ExecutionError,
    RequestTooLargeError,
)
from codegym.execution.executor import Executor
from codegym.execution.result import Request, Result
from codegym.execution.serialization import WIRE_VERSION, pack_result, unpack_request
from codegym.grading.comparer import Comparer
from codegym.grading.progress import Plan, Progress
from codegym.grading.verdict import Grade
from codegym.serving.admission import Admission, RefusedError
from codegym.serving.grade import GradeRequest, grade_answer, read_grade
from codegym.serving.limits import ServiceLimits
from codegym.serving.run_code import read_run_code, run_code_answer, sandbox_error

__all__ = ["Reply", "Service", "reply_to"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        body: JSON.
        status: The HTTP status.
        headers: Further headers.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Service:
    """Runs and grades programs for others. Belongs to one event loop.

    Args:
        executor: Runs the programs. It stays its owner's.
        workers: How many it runs at a time.
        limits: How much is taken on.

    Attributes:
        admission: Who is let in.
    """

    def __init__(
        self, executor: Executor, *, workers: int, limits: ServiceLimits | None = None
    ) -> None:
        self.limits = limits or ServiceLimits()
        self.admission = Admission(workers + self.limits.queue, self.limits.body_bytes)
        self._executor = executor
        self._workers = workers
        self._comparer = Comparer()
        self._threads = ThreadPoolExecutor(workers + 1, thread_name_prefix="codegym-serving")
        self._pending: set[Future[Result]] = set()
        self._turns = asyncio.Semaphore(workers + 1)

    async def run_code(self, body: bytes) -> Reply:
        """Answers SandboxFusion's request; a failure of the sandbox is a `SandboxError`."""
        async with self._turn():
            return await self._run_code(body)

    async def _run_code(self, body: bytes) -> Reply:
        asked = await self._decoded(read_run_code, body)
        try:
            result = await self._run(asked.request)
        except ExecutionError as error:
            return _as_json(sandbox_error(str(error)))
        return await self._off_the_loop(
            lambda: _as_json(run_code_answer(asked, result.observations[0]))
        )

    async def execute(self, body: bytes) -> Reply:
        """Runs the request of an :class:`~codegym.execution.HTTPExecutor`."""
        async with self._turn():
            request = await self._decoded(unpack_request, body)
            result = await self._run(request)
            return Reply(await self._off_the_loop(pack_result, result))

    async def grade(self, body: bytes) -> Reply:
        """Grades a program."""
        async with self._turn():
            asked = await self._decoded(read_grade, body)
            return _as_json(grade_answer(await self._grade(asked)))

    def health(self) -> Reply:
        """How it is, and what it can do; 503 once it stops."""
        running = sum(future.running() for future in self._pending)
        said = {
            "status": "stopping" if self.admission.stopping else "ok",
            "server": "codegym",
            "wire": WIRE_VERSION,
            "python": platform.python_version(),
            "workers": self._workers,
            "running": running,
            "waiting": self.admission.admitted - running,
            "capacity": self.admission.requests,
            "body_bytes": self.limits.body_bytes,
            "packages": sorted(getattr(self._executor, "packages", ())),
        }
        return _as_json(said, 503 if self.admission.stopping else 200)

    def stop(self) -> None:
        """Lets nobody in any more, and gives up what has not begun. What runs is finished."""
        self.admission.stopping = True
        for future in list(self._pending):
            future.cancel()
        for _ in range(self.admission.admitted):
            self._turns.release()  # to those that wait, who then see that it stops

    def close(self) -> None:
        """Ends its threads and helpers. May be called twice."""
        self._comparer.close()
        self._threads.shutdown(wait=True)

    async def _grade(self, asked: GradeRequest) -> Grade:
        def begin() -> Progress:
            plan = Plan(asked.problem, shortest_first=False)
            return Progress(
                plan,
                asked.program,
                asked.limits,
                self._comparer,
                coverage=asked.coverage,
                stop=asked.stop,
            )

        progress = await self._off_the_loop(begin)
        while not progress.finished:
            try:
                result = await self._run(progress.next_request())
            except RequestTooLargeError as error:
                await self._off_the_loop(progress.refuse, error)
            else:
                await self._off_the_loop(progress.record, result)
        return progress.grade()

    async def _run(self, request: Request) -> Result:
        """Runs a request; gives it up if whoever waits for it does.

        Raises:
            RefusedError: If it does not begin in time.
        """
        self.limits.check(request.limits)
        future = await self._off_the_loop(self._executor.submit, request)
        self._pending.add(future)
        try:
            if self.admission.stopping:
                future.cancel()
            done = _awaitable(future)
            await asyncio.wait({done}, timeout=self.limits.queue_seconds)
            if not future.done():
                future.cancel()  # which a program that runs does not hear
            await done
        finally:
            future.cancel()
            self._pending.discard(future)
        if future.cancelled():
            self._refuse()
        return future.result()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Waits until this request is among those that are worked on.

        Raises:
            RefusedError: If that takes too long.
        """
        try:
            async with asyncio.timeout(self.limits.queue_seconds):
                await self._turns.acquire()
        except TimeoutError:
            self._refuse()
        try:
            if self.admission.stopping:
                self._refuse()
            yield
        finally:
            self._turns.release()

    def _refuse(self) -> NoReturn:
        """Raises why a request was not run."""
        if self.admission.stopping:
            raise RefusedError(503, "The server is being stopped.", retry=True)
        raise RefusedError(
            504,
            f"The program could not begin within {self.limits.queue_seconds:g} s, and was not run. "
            "Ask again later, and send fewer at a time.",
            retry=True,
        )

    async def _decoded(self, decode: Callable[[bytes], T], body: bytes) -> T:
        def checked() -> T:
            self.limits.check_values(body)
            return decode(body)

        return await self._off_the_loop(checked)

    async def _off_the_loop(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)


def reply_to(error: Exception) -> Reply:
    """What to say when a request failed, other than by a program's doing.

    Raises:
        Exception: The error itself, if it is none that is expected.
    """
    match error:
        case RefusedError():
            return _as_json({"detail": error.detail}, error.status, error.headers)
        case ConfigurationError():
            return _as_json({"detail": str(error)}, 422)
        case ClosedError():
            refused = RefusedError(503, "The server is being stopped.", retry=True)
            return _as_json({"detail": refused.detail}, refused.status, refused.headers)
        case ExecutionError():
            kind = {"Codegym-Error": type(error).__name__}
            return _as_json({"detail": str(error)}, 500, kind)
    raise error


def _as_json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(json.dumps(data).encode("ascii"), status, headers or {})


def _awaitable(future: Future[Any]) -> asyncio.Future[None]:
    """A future of this loop that is done when `future` is. Cancelling it does not cancel that."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    def heard(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    future.add_done_callback(heard)
    return done
