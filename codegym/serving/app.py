"""The service as an ASGI application.

A body is read as long as there is room for it. Whoever hangs up is not worked for: what has not
begun for them is not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
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


def make_app(service: Service) -> Starlette:
    """The application; what lasts as long as it does is closed when it is shut down.

    Args:
        service: Does the work.

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
                _refuse_browsers(request)
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

    async def health(_: Request) -> Response:
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
    with service.admission.enter(_announced(request)) as place:
        try:
            async with asyncio.timeout(service.limits.body_seconds):
                body = await _read(request, place)
        except TimeoutError:
            raise RefusedError(
                408,
                f"The request did not arrive within {service.limits.body_seconds:g} s.",
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


def _refuse_browsers(request: Request) -> None:
    """Raises a RefusedError if a page in somebody's browser asks: loopback is no fence for those.

    A browser names the page in ``Origin`` whenever it posts; clients of this interface do not.
    """
    origin = request.headers.get("origin")
    if origin is not None:
        raise RefusedError(
            403,
            f"The request comes from a page in a browser ({origin!r:.80}). Programs are run for "
            "clients that send no Origin only.",
        )


def _announced(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


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
