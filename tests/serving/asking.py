"""Servers to ask, and short ways to ask them: over loopback, or without any socket."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import httpx2

from codegym.execution import Request, Result
from codegym.serving import Service, ServiceLimits, make_app
from codegym.serving.command import ServedExecutor, open_server

Answer = tuple[int, Any]
ROW = {
    "id": "double",
    "description": "Double x.",
    "entry_point": "f",
    "tests": [{"args": [3], "expected": 6}, {"args": [-1], "expected": -2}],
}


class HeldExecutor:
    """Runs nothing: a test says when a program begins, and what comes of it."""

    workers = 1

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.futures: list[Future[Result]] = []

    def submit(self, request: Request) -> Future[Result]:
        self.requests.append(request)
        self.futures.append(Future())
        return self.futures[-1]

    def close(self) -> None: ...


@contextlib.contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[None]:
    """Works beside the context, which ends when the work is done."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextlib.contextmanager
def serving(executor: ServedExecutor, limits: ServiceLimits | None = None) -> Iterator[str]:
    """The URL of a server on loopback, which answers as long as the context lasts."""
    with open_server(executor, limits=limits) as server, in_thread(server.run):
        try:
            yield server.url
        finally:
            server.stop()


def post(url: str, path: str, **fields: Any) -> Answer:
    """Status and JSON of an answer."""
    response = httpx2.post(f"{url}{path}", json=fields, timeout=None)
    return response.status_code, response.json()


@contextlib.asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service, in this loop and without a socket."""
    transport = httpx2.ASGITransport(make_app(service))
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://service", timeout=None
    ) as client:
        try:
            yield client
        finally:
            service.close()


def ask(executor: Any, path: str, body: Any, limits: ServiceLimits | None = None) -> Answer:
    """Status and JSON of what a service of one worker answers."""

    async def asked() -> Answer:
        async with client_of(Service(executor, workers=1, limits=limits)) as client:
            content = {"content": body} if isinstance(body, bytes) else {"json": body}
            response = await client.post(path, **content)
            return response.status_code, response.json()

    return asyncio.run(asked())


async def until(condition: Callable[[], Any]) -> None:
    """Returns when a condition has come true, however long that takes."""
    while not condition():
        await asyncio.sleep(0)
