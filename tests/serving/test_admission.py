"""What cannot be done is refused, what was begun is finished, and nothing is lost in silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import httpx2
import pytest

from codegym.errors import ConfigurationError
from codegym.execution import ExitReason, Observation, Result
from codegym.serving import Service, ServiceLimits, command
from codegym.serving.command import open_server
from tests.serving.asking import HeldExecutor, ask, client_of, in_thread, serving, until
from tests.waiting import wait_until

CODE = {"language": "python", "code": "print(1)"}
RESULT = Result((Observation(ExitReason.FINISHED, stdout="1\n"),))


def test_a_full_server_refuses_and_is_free_again_afterwards() -> None:
    async def play() -> None:
        executor = HeldExecutor()
        service = Service(executor, workers=1, limits=ServiceLimits(queue=1))
        async with client_of(service) as client:
            first = asyncio.ensure_future(client.post("/run_code", json=CODE))
            second = asyncio.ensure_future(client.post("/run_code", json=CODE))
            await until(lambda: len(executor.futures) == 2)
            refused = await client.post("/run_code", json=CODE)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert "full" in refused.json()["detail"]
            assert (await client.get("/health")).json()["waiting"] == 2
            for future in executor.futures:
                future.set_result(RESULT)
            assert (await first).json()["run_result"]["stdout"] == "1\n"
            assert (await second).status_code == 200
            third = asyncio.ensure_future(client.post("/run_code", json=CODE))
            await until(lambda: len(executor.futures) == 3)
            executor.futures[-1].set_result(RESULT)
            assert (await third).status_code == 200
            assert service.admission.admitted == service.admission.held_bytes == 0

    asyncio.run(play())


def test_a_body_that_is_too_large_is_refused() -> None:
    async def play() -> None:
        executor = HeldExecutor()
        service = Service(executor, workers=1, limits=ServiceLimits(body_bytes=1_000))
        async with client_of(service) as client:
            answer = await client.post("/run_code", content=b"x" * 1_001)
            assert answer.status_code == 413
            assert "at most 1000 bytes" in answer.json()["detail"]
        assert service.admission.admitted == service.admission.held_bytes == 0
        assert executor.requests == []

    asyncio.run(play())


def test_the_bytes_of_all_requests_are_bounded_together() -> None:
    async def play() -> None:
        executor = HeldExecutor()
        service = Service(executor, workers=1, limits=ServiceLimits(body_bytes=1_000, queue=100))
        async with client_of(service) as client:
            body = CODE | {"stdin": "x" * 900}
            asked = [asyncio.ensure_future(client.post("/run_code", json=body)) for _ in range(9)]
            await until(lambda: any(one.done() for one in asked))
            for number in range(8):
                while len(executor.futures) <= number:
                    await asyncio.sleep(0)
                executor.futures[number].set_result(RESULT)
            answers = [(await one).status_code for one in asked]
            assert sorted(answers) == [200] * 8 + [503]

    asyncio.run(play())


def test_a_program_that_does_not_begin_in_time_is_given_up() -> None:
    executor = HeldExecutor()
    status, answer = ask(executor, "/run_code", CODE, ServiceLimits(queue_seconds=0.01))
    assert status == 504
    assert "was not run" in answer["detail"]
    assert executor.futures[0].cancelled()


def test_a_program_that_has_begun_is_finished_however_long_it_takes() -> None:
    class Running(HeldExecutor):
        def submit(self, request: Any) -> Any:
            future = super().submit(request)
            future.set_running_or_notify_cancel()
            return future

    async def play() -> None:
        executor = Running()
        service = Service(executor, workers=1, limits=ServiceLimits(queue_seconds=0.001))
        async with client_of(service) as client:
            asked = asyncio.ensure_future(client.post("/run_code", json=CODE))
            await until(lambda: executor.futures)
            await asyncio.sleep(0.01)
            assert (await client.get("/health")).json()["running"] == 1
            executor.futures[0].set_result(RESULT)
            assert (await asked).status_code == 200

    asyncio.run(play())


def test_stopping_finishes_what_runs_and_refuses_the_rest() -> None:
    async def play() -> None:
        executor = HeldExecutor()
        service = Service(executor, workers=1)
        async with client_of(service) as client:
            asked = [asyncio.ensure_future(client.post("/run_code", json=CODE)) for _ in range(2)]
            await until(lambda: len(executor.futures) == 2)
            executor.futures[0].set_running_or_notify_cancel()
            service.stop()
            late = await client.post("/run_code", json=CODE)
            health = await client.get("/health")
            assert (late.status_code, health.status_code) == (503, 503)
            assert health.json()["status"] == "stopping"
            await until(lambda: any(one.done() for one in asked))
            executor.futures[0].set_result(RESULT)
            answers = [await one for one in asked]
            assert sorted(one.status_code for one in answers) == [200, 503]
            (refused,) = (one for one in answers if one.status_code == 503)
            assert "being stopped" in refused.json()["detail"]

    asyncio.run(play())


def test_nobody_works_for_a_client_that_hung_up() -> None:
    executor = HeldExecutor()
    with open_server(executor) as server, in_thread(server.run):
        with socket.create_connection((server.host, server.port)) as connection:
            body = b'{"language": "python", "code": ""}'
            head = (
                f"POST /run_code HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            wait_until(lambda: executor.futures)
            assert not executor.futures[0].done()
        wait_until(executor.futures[0].cancelled)
        server.stop()


def test_a_stopped_server_answers_what_runs_and_listens_no_more() -> None:
    executor = HeldExecutor()
    answers = []
    with open_server(executor) as server, in_thread(server.run):

        def ask_it() -> None:
            url = f"{server.url}/run_code"
            answers.append(httpx2.post(url, json=CODE, timeout=None).status_code)

        def refuses() -> bool:
            try:
                socket.create_connection((server.host, server.port)).close()
            except ConnectionRefusedError:
                return True
            return False

        with in_thread(ask_it):
            wait_until(lambda: executor.futures)
            executor.futures[0].set_running_or_notify_cancel()
            server.stop()
            wait_until(refuses)
            assert answers == []
            executor.futures[0].set_result(RESULT)
    assert answers == [200]


def test_the_number_of_connections_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_CONNECTIONS", 1)
    limits = ServiceLimits(queue=1)
    with serving(HeldExecutor(), limits) as url, contextlib.ExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")
        head = b"POST /run_code HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        for _ in range(4):  # each has a request that is not idle
            one = stack.enter_context(socket.create_connection((host, int(port))))
            one.sendall(head + b"Expect: 100-continue\r\n\r\n")
            assert one.recv(99).startswith(b"HTTP/1.1 ")
        assert httpx2.get(f"{url}/health", timeout=None).status_code == 503


def test_what_runs_for_longer_than_a_stopping_server_waits_is_given_up() -> None:
    executor = HeldExecutor()
    answers: list[httpx2.Response | httpx2.HTTPError] = []
    with open_server(executor, stop_seconds=0.01) as server, in_thread(server.run):

        def ask_it() -> None:
            try:
                answers.append(httpx2.post(f"{server.url}/run_code", json=CODE, timeout=None))
            except httpx2.HTTPError as error:
                answers.append(error)

        with in_thread(ask_it):
            wait_until(lambda: executor.futures)
            executor.futures[0].set_running_or_notify_cancel()
            server.stop()
    (answer,) = answers  # lost, and not without an error
    assert isinstance(answer, httpx2.HTTPError) or answer.status_code >= 500


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": 0},
        {"queue": 1.5},
        {"body_values": 0},
        {"body_bytes": True},
        {"run_seconds": float("nan")},
    ],
)
def test_limits_without_meaning(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        ServiceLimits(**wrong)
