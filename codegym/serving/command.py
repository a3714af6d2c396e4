"""The command `codegym serve`: a server on a socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

from codegym.errors import ConfigurationError
from codegym.execution.executor import Executor
from codegym.execution.local import IsolationMode, LocalExecutor
from codegym.serving.app import make_app
from codegym.serving.limits import ServiceLimits
from codegym.serving.service import Service

__all__ = ["ServedExecutor", "Server", "open_server", "serve"]

_BACKLOG = 2048
_CONNECTIONS = 800  # many processes may open no more than 1,024 files
_IDLE_SECONDS = 75  # longer than clients keep a connection that they do not use
_MIB = 2**20
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int | None = None,
    packages: tuple[str, ...] = (),
    python: str | None = None,
    isolation: IsolationMode = "auto",
    queue: int = 256,
    body_mb: int = 64,
    queue_seconds: float = 60.0,
    run_seconds: float = 600.0,
    memory_mb: int = 4096,
    stop_seconds: float = 30.0,
) -> None:
    """Runs and grades programs for others, over HTTP, until it is told to stop.

    `/run_code` speaks as SandboxFusion does, `/grade` takes a problem and a program, `/execute` is
    for `codegym.Grader(executor="http://...")`, and `/health` says how it is.

    Args:
        host: Address to listen on. There is no authentication: on any other than a loopback
            address, whoever reaches it can have programs run in the sandbox.
        port: Port to listen on; 0: one that is free. It is printed.
        workers: Programs that run at a time; None: one for each CPU.
        packages: What programs may import besides the standard library, such as numpy.
        python: Path of the interpreter that programs run on; None: this one.
        isolation: What must be enforced: "strict" refuses to start where something is missing.
        queue: Requests that may wait while others run; more are refused with 503.
        body_mb: Size of one request in MiB; a larger one is refused with 413.
        queue_seconds: Time in which a program must begin; else it is refused with 504.
        run_seconds: Time that a request may ask for each input.
        memory_mb: Memory in MiB that a request may ask for.
        stop_seconds: When it is told to stop (SIGTERM, Ctrl-C): how long what runs may go on.

    Raises:
        ConfigurationError: If an argument has no meaning, the address cannot be listened on, or
            starlette or uvicorn is not installed.
        IsolationError: If `isolation="strict"` and this machine cannot enforce everything.
    """
    limits = ServiceLimits(
        queue=queue,
        body_bytes=_mebibytes("body_mb", body_mb),
        queue_seconds=queue_seconds,
        run_seconds=run_seconds,
        memory_bytes=_mebibytes("memory_mb", memory_mb),
    )
    with (
        LocalExecutor(
            workers=workers, python=python, isolation=isolation, packages=packages
        ) as executor,
        open_server(
            executor, host=host, port=port, limits=limits, stop_seconds=stop_seconds
        ) as server,
    ):
        if not _is_loopback(server.host):
            print(
                f"codegym serve: {server.host} is no loopback address, and there is no "
                "authentication: whoever reaches it can have programs run in the sandbox.",
                file=sys.stderr,
            )
        print(f"codegym serve: {server.url}, {executor.workers} workers", flush=True)
        server.run()


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A server that listens already.

    Attributes:
        host: Its address.
        port: Its port.
        run: Serves until it is told to stop, and returns when all is answered. In the main thread
            SIGTERM and SIGINT tell it to.
        stop: Tells it to, from any thread.
    """

    host: str
    port: int
    run: Callable[[], None]
    stop: Callable[[], None]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class ServedExecutor(Executor, Protocol):
    """An executor that says how many programs it runs at a time."""

    @property
    def workers(self) -> int:
        """Number of programs at most."""
        ...


@contextlib.contextmanager
def open_server(
    executor: ServedExecutor,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: ServiceLimits | None = None,
    stop_seconds: float = 30.0,
) -> Iterator[Server]:
    """A server for an executor, which stays its owner's.

    Args:
        executor: Runs the programs.
        host: Address to listen on.
        port: Port to listen on; 0: one that is free.
        limits: How much it takes on.
        stop_seconds: How long what runs may go on once it is to stop.

    Raises:
        ConfigurationError: If the address cannot be listened on, or starlette or uvicorn is not
            installed.
    """
    service = Service(executor, workers=executor.workers, limits=limits)
    try:
        app = make_app(service)
        uvicorn = _import_uvicorn()
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_IDLE_SECONDS,
            # Those that are refused, or ask for nothing, take some memory and a descriptor each.
            limit_concurrency=max(_CONNECTIONS, 2 * service.admission.requests),
            timeout_graceful_shutdown=stop_seconds,
        )

        class Stoppable(uvicorn.Server):  # type: ignore[misc, name-defined]
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                service.stop()
                await super().shutdown(sockets)

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                # uvicorn's raises them again when all is answered, and workers would be left.
                with _handled_by(self.handle_exit):
                    yield

        server = Stoppable(config)
        with _listen(host, port) as listening:
            name = listening.getsockname()

            def run() -> None:
                with asyncio.Runner() as runner:
                    runner.run(server.serve(sockets=[listening]))

            def stop() -> None:
                server.should_exit = True

            yield Server(name[0], name[1], run, stop)
    finally:
        service.close()


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Has a handler called at SIGTERM and SIGINT, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _STOPPING}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)


def _listen(host: str, port: int) -> socket.socket:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 1 << 16:
        raise ConfigurationError(f"port must be an int from 0 to 65535, got {port!r:.40}.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on port {port} of {host!r}: {error}. Give another `port` (0: one that "
            "is free), or end what listens there."
        ) from error


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _mebibytes(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be a positive int, got {value!r:.40}.")
    return value * _MIB


def _import_uvicorn() -> Any:
    try:
        import uvicorn
    except ImportError as error:
        raise ConfigurationError(
            "codegym.serving needs the packages starlette and uvicorn: pip install -e '.[serve]' "
            "(in codegym's checkout)"
        ) from error
    return uvicorn
