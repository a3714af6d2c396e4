"""The service as an ASGI application.

A body is read as long as there is room for it, and if its size was announced. Whoever hangs up is
not worked for: what has not begun for them is not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from codegym.errors import ConfigurationError
from codegym.serving.admission import Place, RefusedError
from codegym.serving.service import Reply, Service, reply_to

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["make_app"]

_LOG = logging.getLogger("codegym")


def make_app(service: Service, *, hosts: Collection[str] | None = None) -> Starlette:
    """The application; what lasts as long as it does is closed when it is shut down.

    Args:
        service: Does the work.
        hosts: Names and addresses by which it may be asked; None: any.

    Raises:
        ConfigurationError: If starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.requests import ClientDisconnect
        from starlette.responses import Response
        from starlette.routing import Route
    except ImportError as error:
        raise ConfigurationError(
            "codegym.serving needs the packages starlette and uvicorn: pip install -e '.[serve]' "
            "(in codegym's checkout)"
        ) from error

    def respond(reply: Reply) -> Response:
        headers = dict(reply.headers)
        return Response(reply.body, reply.status, headers, media_type="application/json")

    def route(path: str, work: Callable[[bytes], Awaitable[Reply]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                _refuse_browsers(request, hosts)
                return respond(await _answer(service, request, work))
            except ClientDisconnect:
                return Response(status_code=400)  # which nobody reads
            except Exception as error:
                try:
                    return respond(reply_to(error))
                except Exception:
                    _LOG.exception("A fault of codegym's own, at %s", path)
                    failed = RefusedError(500, f"The server failed: {error!r:.200}")
                    return respond(reply_to(failed))

        return Route(path, endpoint, methods=["POST"])

    async def health(request: Request) -> Response:
        try:
            _refuse_browsers(request, hosts)
        except RefusedError as error:
            return respond(reply_to(error))
        return respond(service.health())

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.stop()
            service.close()

    routes = [
        route("/run_code", service.run_code),
        route("/grade", service.grade),
        route("/execute", service.execute),
        Route("/health", health, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _answer(
    service: Service, request: Request, work: Callable[[bytes], Awaitable[Reply]]
) -> Reply:
    """The answer to a request, or what it raises; given up when the client hangs up.

    Raises:
        RefusedError: If there is no room.
        ClientDisconnect: If the client hung up.
    """
    seconds = service.limits.body_seconds
    deadline, wanted = asyncio.timeout(seconds), True

    def give_up() -> None:
        nonlocal wanted
        wanted = False
        if not deadline.expired():
            deadline.reschedule(0)

    with service.admission.enter(_announced(request), give_up) as place:
        try:
            async with deadline:
                body = await _read(request, place)
            if not wanted:
                raise TimeoutError
            place.arrive()
        except TimeoutError:
            if wanted:
                raise RefusedError(
                    408, f"The request did not arrive within {seconds:g} s."
                ) from None
            raise RefusedError(
                503,
                "The request stood still, and others needed its room. Ask again later.",
                retry=True,
            ) from None
        answer = asyncio.ensure_future(work(body))
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise RefusedError(499, "The client hung up.")
            return answer.result()
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.wait({answer, gone})
            if not answer.cancelled():
                answer.exception()  # what nobody waits for is no news


def _refuse_browsers(request: Request, hosts: Collection[str] | None) -> None:
    """Raises a RefusedError if a page in somebody's browser asks: loopback is no fence for those.

    A browser names the page in ``Origin`` whenever it posts; clients of this interface do not. A
    page whose own name suddenly leads here (DNS rebinding) names no other, but that name is then
    the ``Host``.
    """
    host = request.headers.get("host")
    if hosts is not None and host is not None and _name_in(host) not in hosts:
        raise RefusedError(
            403,
            f"The request is for the host {host!r:.80}, and this server is {', '.join(hosts)}. Ask "
            f"for one of these, or start it with --allow-host {_name_in(host) or 'NAME':.80}.",
        )
    origin = request.headers.get("origin")
    if origin is not None:
        raise RefusedError(
            403,
            f"The request comes from a page in a browser ({origin!r:.80}). Programs are run for "
            "clients that send no Origin only.",
        )


def _name_in(host: str) -> str:
    """The name or address in a ``Host``, without the port; empty if there is none."""
    try:
        return (urllib.parse.urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _announced(request: Request) -> int:
    """Size of the body of a request.

    Raises:
        RefusedError: If it is not said. A body in chunks may have them of one byte, and the event
            loop takes each apart by itself.
    """
    if "transfer-encoding" in request.headers:
        raise RefusedError(
            411,
            "The request has a body in chunks (Transfer-Encoding). Send one whose size is "
            "announced (Content-Length).",
            close=True,
        )
    return int(request.headers.get("content-length", 0))


async def _read(request: Request, place: Place) -> bytes:
    parts = []
    async for part in request.stream():
        place.hold(len(part))
        parts.append(part)
    return b"".join(parts)


async def _hung_up(request: Request) -> None:
    """Returns when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
