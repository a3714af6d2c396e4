"""Runs programs on a server, `codegym serve`, so that the machine that trains needs no sandbox.

A request goes over HTTP as :mod:`codegym.execution.serialization` writes it, and what was seen
comes back. A server that has no room says so, and is asked again after the time that it names. A
connection that is lost costs one repetition, as a lost worker does elsewhere: a program leaves
nothing behind, so it may be run twice. Whatever else goes wrong on the way is a
:class:`~codegym.errors.ServerError`, never an observation. httpx2 is imported when an executor is
made, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import random
import socket
import threading
import urllib.parse
import weakref
from concurrent.futures import Future
from types import ModuleType
from typing import Any, Self

from codegym.errors import (
    ClosedError,
    ConfigurationError,
    ExecutionError,
    IsolationError,
    RequestTooLargeError,
    ServerError,
    WorkerError,
)
from codegym.execution.result import Request, Result
from codegym.execution.serialization import WIRE_VERSION, pack_request, unpack_result
from codegym.execution.wire import Message

__all__ = ["HTTPExecutor"]

_FULL, _NOT_BEGUN = 503, 504
_FAULTS = {one.__name__: one for one in (ExecutionError, IsolationError, WorkerError)}
_HANDSHAKE_SECONDS, _CONNECT_SECONDS = 60.0, 10.0
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_LOSSES = 2
_UNDER_WAY = 2  # for each worker of the server: one that runs, and one that is there when it ends
# A server whose machine is gone says nothing: the kernel asks after it, and gives it up.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


class HTTPExecutor:
    """Runs programs on a server that `codegym serve` started.

    The server's sandbox is what counts: its interpreter, its packages, its isolation. It has two
    requests of this executor for each of its workers at a time; the others wait here, and can be
    cancelled. May be used from several threads; a fork of the process gets connections of its own.
    Proxies that the environment names are not used.

    Args:
        url: Where the server is, such as `"http://127.0.0.1:8080"`.
        patience: Seconds for which a server that has no room, or cannot be reached any more, is
            asked again before the future raises.

    Raises:
        ConfigurationError: If httpx2 is not installed, if an argument has no meaning, or if the
            server's messages are of another version.
        ServerError: If there is no such server.

    Example:
        >>> HTTPExecutor("localhost:8080")
        Traceback (most recent call last):
        codegym.errors.ConfigurationError: The address of a server is a URL such as \
'http://127.0.0.1:8080', got 'localhost:8080'.
    """

    def __init__(self, url: str, *, patience: float = 120.0) -> None:
        self.url = _checked_url(url)
        number = isinstance(patience, int | float) and not isinstance(patience, bool)
        if not number or not math.isfinite(patience) or patience < 0:
            raise ConfigurationError(
                f"patience must be a number of seconds, at least 0, got {patience!r:.80}."
            )
        self._patience = patience
        self._httpx = _import_httpx()
        self._workers, self._most_bytes = _shake_hands(self._httpx, self.url)
        self._lines: dict[int, _Line] = {}
        self._closed = False
        self._finalizer = weakref.finalize(self, _close_all, self._lines)

    @property
    def workers(self) -> int:
        """Number of programs that the server runs at a time, for all who ask it."""
        return self._workers

    def submit(self, request: Request) -> Future[Result]:
        """Starts a request; returns at once. The future can be cancelled until it is done.

        Raises:
            ClosedError: After :meth:`close`.
            ConfigurationError: If the request holds anything but text and plain data. The future
                raises one if the server refuses it: a package that it lacks, limits beyond its own,
                more bytes than it takes (a ``RequestTooLargeError``).
        """
        Message(request)  # the server encodes it again; here it tells what is wrong with it
        message = pack_request(request)
        if self._closed:
            raise ClosedError("This executor was closed. Make a new HTTPExecutor.")
        if len(message) > self._most_bytes:
            # Not sent: a server that refuses what is under way may be heard as one that hung up.
            refused: Future[Result] = Future()
            refused.set_exception(
                RequestTooLargeError(
                    f"The server {self.url} takes requests of at most {self._most_bytes:.0f} "
                    f"bytes, and this one has {len(message)}. Send fewer or smaller tests and "
                    "files, or start the server with a larger `--body-mb`.",
                    self._most_bytes,
                )
            )
            return refused
        # Keyed by process: a fork inherits no thread, and must not share its parent's connections.
        line = self._lines.get(os.getpid())
        if line is None:
            line = _Line(self._httpx, self.url, self._patience, _UNDER_WAY * self._workers)
            line = self._lines.setdefault(os.getpid(), line)
            if not self._finalizer.alive:  # closed meanwhile, perhaps without seeing this line
                line.close()
        return line.put(message)

    def run(self, request: Request) -> Result:
        """Runs a request and waits for it."""
        return self.submit(request).result()

    def close(self) -> None:
        """Hangs up. Pending futures raise :class:`~codegym.errors.ClosedError`."""
        self._closed = True
        self._finalizer()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        # Gymnasium copies the spec that holds an environment's arguments; connections are shared.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process: the same server, connections of its own.
        return functools.partial(type(self), patience=self._patience), (self.url,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close_all(lines: dict[int, _Line]) -> None:
    line = lines.get(os.getpid())
    if line is not None:
        line.close()


class _Line:
    """The connections of one process, on a thread that sends and waits."""

    def __init__(self, httpx: ModuleType, url: str, patience: float, under_way: int) -> None:
        self._httpx = httpx
        self._url = url
        self._patience = patience
        self._under_way = under_way
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="codegym-http", daemon=True)

    def put(self, message: bytes) -> Future[Result]:
        """Sends a request when it is its turn."""
        with self._lock:
            if self._closed:
                raise ClosedError("This executor was closed. Make a new HTTPExecutor.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(self._answer(message), self._loop)

    def close(self) -> None:
        """Fails what is pending, and ends the thread."""
        with self._lock:
            if self._closed or self._loop is None:
                self._closed = True
                return
            self._closed = True
            # Twice, so that each task whose request was put before has begun, and can be told.
            self._loop.call_soon_threadsafe(self._loop.call_soon, self._hang_up)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _serve(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        limits = self._httpx.Limits(
            max_connections=self._under_way,
            max_keepalive_connections=self._under_way,
            keepalive_expiry=30.0,
        )
        transport = self._httpx.AsyncHTTPTransport(
            limits=limits, socket_options=_KEEP_ALIVE, trust_env=False
        )
        # What takes long is the program, whose limits the server keeps.
        timeout = self._httpx.Timeout(None, connect=_CONNECT_SECONDS)
        self._client = self._httpx.AsyncClient(
            transport=transport, timeout=timeout, trust_env=False
        )
        self._turn = asyncio.Semaphore(self._under_way)
        try:
            loop.run_forever()
            while self._tasks:
                loop.run_until_complete(asyncio.wait(self._tasks))
            loop.run_until_complete(self._client.aclose())
        finally:
            loop.close()

    def _hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        asyncio.get_running_loop().stop()

    async def _answer(self, message: bytes) -> Result:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._closed:
                raise ClosedError("The executor was closed.")
            async with self._turn:
                return await self._ask(message)
        except asyncio.CancelledError:
            if self._closed:
                raise ClosedError("The executor was closed.") from None
            raise
        finally:
            self._tasks.discard(task)

    async def _ask(self, message: bytes) -> Result:
        """Asks until there is an answer, or no hope of one."""
        losses, waited = 0, 0.0
        while True:
            pause = _PAUSE_SECONDS
            try:
                response = await self._client.post(
                    f"{self._url}/execute",
                    content=message,
                    headers={"Content-Type": "application/json"},
                )
            except (self._httpx.ConnectError, self._httpx.ConnectTimeout) as error:
                why = f"cannot be reached: {error}"
            except self._httpx.HTTPError as error:
                why = f"hung up in the middle of a request: {error!r}"
                losses += 1
            else:
                if response.status_code not in (_FULL, _NOT_BEGUN):
                    return self._read(response)
                why = f"has no room: {_detail_of(response)}"
                with contextlib.suppress(ValueError):
                    pause = float(response.headers.get("Retry-After", pause))
            if waited >= self._patience or losses >= _LOSSES:
                raise ServerError(
                    f"The server {self._url} {why} (asked for {waited:.0f} s). Check that it runs "
                    "and is not asked for more than it can do; `patience=` says for how long it "
                    "is asked again."
                )
            # Not all at the same moment, and not for longer than makes sense.
            pause = min(max(pause, 0.0), _LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.5)
            waited += max(pause, 0.01)
            await asyncio.sleep(pause)

    def _read(self, response: Any) -> Result:
        """What an answer says.

        Raises:
            ConfigurationError: If the server refused the request.
            ExecutionError: If it failed.
        """
        detail = _detail_of(response)
        if response.status_code in (413, 422):
            refused = RequestTooLargeError if response.status_code == 413 else ConfigurationError
            raise refused(f"The server {self._url} refused a request: {detail}")
        if response.status_code != 200:
            kind = _FAULTS.get(response.headers.get("Codegym-Error", ""), ServerError)
            said = f"The server {self._url} failed ({response.status_code}): {detail}"
            raise kind(said if kind is ServerError else detail)
        try:
            return unpack_result(response.content)
        except ValueError as error:
            raise ServerError(
                f"The server {self._url} answered with what is no result: {error}"
            ) from error


def _detail_of(response: Any) -> str:
    """What a server says is wrong."""
    with contextlib.suppress(ValueError, TypeError, LookupError):
        return str(response.json()["detail"])
    return f"{response.text[:200]!r}"


def _import_httpx() -> ModuleType:
    try:
        import httpx2
    except ImportError as error:
        raise ConfigurationError(
            "HTTPExecutor needs the package httpx2: pip install -e '.[serve]' (in codegym's "
            "checkout)"
        ) from error
    return httpx2


def _checked_url(url: object) -> str:
    if isinstance(url, str):
        with contextlib.suppress(ValueError):
            parts = urllib.parse.urlsplit(url)
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            if whole and not parts.query and not parts.fragment:
                return url.rstrip("/")
    raise ConfigurationError(
        f"The address of a server is a URL such as 'http://127.0.0.1:8080', got {url!r:.100}."
    )


def _shake_hands(httpx: ModuleType, url: str) -> tuple[int, float]:
    """How many workers a server has, and how many bytes it takes in a request.

    Raises:
        ConfigurationError: If it is of another version.
        ServerError: If there is none.
    """
    try:
        with httpx.Client(trust_env=False, timeout=_HANDSHAKE_SECONDS) as client:
            response = client.get(f"{url}/health")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(
            f"There is no server at {url}: {error}. Start one with `codegym serve`, and give the "
            "address that it prints."
        ) from error
    try:
        said = response.json()
        version, workers = int(said["wire"]), int(said["workers"])
        most_bytes = float(said.get("body_bytes", math.inf))
    except (ValueError, TypeError, LookupError) as error:
        raise ServerError(
            f"What answers at {url} is no `codegym serve` ({response.status_code}, "
            f"{response.text[:300]!r}). Give the address without a path, as it prints it."
        ) from error
    if version != WIRE_VERSION:
        raise ConfigurationError(
            f"The server at {url} has wire version {version}, and this codegym {WIRE_VERSION}. "
            "Install the same codegym on both sides."
        )
    return max(1, workers), most_bytes
