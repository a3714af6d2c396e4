"""The command `codegym serve`: a server on a socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import math
import re
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

from codegym.errors import ConfigurationError
from codegym.execution.executor import Executor
from codegym.execution.limits import ExecutionLimits
from codegym.execution.local import IsolationMode, LocalExecutor
from codegym.serving.app import make_app
from codegym.serving.connections import make_protocol
from codegym.serving.limits import ServiceLimits
from codegym.serving.service import Service

__all__ = ["ServedExecutor", "Server", "open_server", "serve"]

_BACKLOG = 128  # as many are let in at once, before any of them can be closed again
_CONNECTIONS = 800
_OTHER_FILES = 256  # of the executor and the interpreter, generously
_LOCAL = ("localhost", "127.0.0.1", "::1")
_MIB = 2**20
_NAME = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+")
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    allow_host: tuple[str, ...] = (),
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
        allow_host: Names, such as that of this machine, by which it may be asked besides localhost
            and its address. On a loopback address it refuses others, and on any other address it
            does if names are given.
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
    _check_room_for_defaults(limits)
    with LocalExecutor(
        workers=workers, python=python, isolation=isolation, packages=packages
    ) as executor:
        _check_packages(executor, packages)
        with open_server(
            executor,
            host=host,
            port=port,
            allow_hosts=allow_host,
            limits=limits,
            stop_seconds=stop_seconds,
        ) as server:
            if not _is_loopback(server.host):
                print(
                    f"codegym serve: {server.host} is no loopback address, and there is no "
                    "authentication: whoever reaches it can have programs run in the sandbox.",
                    file=sys.stderr,
                )
            may_import = f"; programs may import {', '.join(packages)}" if packages else ""
            print(
                f"codegym serve: {server.url}, {executor.workers} workers{may_import}", flush=True
            )
            server.run()


def _check_room_for_defaults(limits: ServiceLimits) -> None:
    """Refuses limits under which a request that asks for nothing special is refused.

    Raises:
        ConfigurationError: If they are so.
    """
    usual = ExecutionLimits()
    needed = max(usual.cpu_seconds, usual.wall_seconds)
    if limits.run_seconds < needed:
        raise ConfigurationError(
            f"run_seconds must be {needed:g} or more, which a request asks for if it says "
            f"nothing, got {limits.run_seconds:g}."
        )
    if limits.memory_bytes < usual.memory_bytes:
        raise ConfigurationError(
            f"memory_mb must be {usual.memory_bytes // _MIB} or more, which a request asks for if "
            f"it says nothing, got {limits.memory_bytes // _MIB}."
        )


def _check_packages(executor: LocalExecutor, packages: tuple[str, ...]) -> None:
    """Refuses to serve without a package: programs that import it would fail, and be to blame.

    Raises:
        ConfigurationError: If one is not there.
    """
    missing = [name for name in packages if name not in executor.packages]
    if missing:
        raise ConfigurationError(
            f"The interpreter that programs run on has no package {', '.join(missing)}: install "
            "it there, or leave it out of `packages`."
        )


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
    allow_hosts: tuple[str, ...] = (),
    limits: ServiceLimits | None = None,
    stop_seconds: float = 30.0,
) -> Iterator[Server]:
    """A server for an executor, which stays its owner's.

    Args:
        executor: Runs the programs.
        host: Address to listen on.
        port: Port to listen on; 0: one that is free.
        allow_hosts: Names by which it may be asked besides `host`, localhost and its address. On
            a loopback address it refuses others, and on any other address it does if names are
            given.
        limits: How much it takes on.
        stop_seconds: How long what runs may go on once it is to stop.

    Raises:
        ConfigurationError: If the address cannot be listened on, or starlette or uvicorn is not
            installed.
    """
    service = Service(executor, workers=executor.workers, limits=limits)
    try:
        with _listen(host, port) as listening:
            address, bound, *_ = listening.getsockname()
            app = make_app(service, hosts=_hosts(host, address, allow_hosts))
            server = _make_server(app, service, stop_seconds)

            def run() -> None:
                with asyncio.Runner() as runner:
                    runner.run(server.serve(sockets=[listening]))

            def stop() -> None:
                server.should_exit = True

            yield Server(address, bound, run, stop)
    finally:
        service.close()


def _make_server(app: Any, service: Service, stop_seconds: float) -> Any:
    """Uvicorn's server, which takes on no more than it can do."""
    uvicorn = _import_uvicorn()
    # Those that are refused, or ask for nothing, take some memory and a descriptor each.
    connections = max(_CONNECTIONS, 2 * service.admission.requests)
    files = _may_open(2 * connections + _OTHER_FILES)
    connections = min(connections, max(1, (files - _OTHER_FILES) // 2))
    idle_seconds = service.limits.idle_seconds
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=make_protocol(connections - 1, idle_seconds),
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=math.ceil(idle_seconds),
        limit_concurrency=connections,
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

    return Stoppable(config)


def _may_open(files: int) -> int:
    """How many of so many files this process may have open, once it has asked for them.

    Many processes may open 1,024 until they ask: programs that use `select` can take no more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= files:
        return files
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def _hosts(host: str, address: str, allowed: tuple[str, ...]) -> tuple[str, ...] | None:
    """By which names and addresses a server may be asked; None: any."""
    for name in allowed:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"allow_host must be names without a port, such as 'gpu1', got {name!r:.80}."
            )
    if not allowed and not _is_loopback(address):
        return None
    return tuple(dict.fromkeys(name.lower() for name in (*_LOCAL, host, address, *allowed)))


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
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except socket.gaierror as error:
        raise ConfigurationError(
            f"There is no address {host!r} to listen on: {error}. Give another `host`, such as "
            "127.0.0.1, or 0.0.0.0 for all addresses of this machine."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on port {port} of {host!r}: {error}. Give another `port` (0: one that "
            "is free), or end what listens there."
        ) from error

    # Connections inherit it. asyncio would set it, but not for a socket made without a protocol's
    # number; an answer's body then waits 40 ms for its head to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


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
