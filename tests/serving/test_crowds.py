"""What many, slow or odd clients do keeps no other from being answered, and fills no memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.protocols.http.h11_impl import H11Protocol

from codegym.errors import ConfigurationError
from codegym.execution import Call, ExitReason, Observation, Request, Result, Stdin, TestCode
from codegym.execution.serialization import pack_request, unpack_request
from codegym.execution.wire import Message
from codegym.serving import Service, ServiceLimits, command, connections
from codegym.serving.admission import Admission, RefusedError
from codegym.serving.command import open_server
from codegym.serving.grade import read_grade
from codegym.serving.limits import count_values
from codegym.serving.run_code import read_object
from tests.serving.asking import HeldExecutor, ask, client_of, in_thread, serving, until
from tests.waiting import wait_until

CODE = {"language": "python", "code": "print(1)"}
RESULT = Result((Observation(ExitReason.FINISHED, stdout="1\n"),))
HALF = b"POST /run_code HTTP/1.1\r\nHost: localhost\r\nX-Long: "


@contextlib.contextmanager
def connected(url: str, *, said: bytes = b"") -> Iterator[socket.socket]:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(said)
        yield connection


def is_closed(connection: socket.socket) -> bool:
    """Waits for the end of a connection."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


def heard(ask_it: Callable[[], httpx2.Response], arrived: Callable[[], object]) -> int:
    """The status of an answer; asks again as long as the server has not heard the question.

    On a busy machine a client may be silent between its connection and its first word for longer
    than a server with little patience waits.
    """
    while True:
        try:
            return ask_it().status_code
        except httpx2.TransportError:
            if arrived():
                raise


@pytest.mark.parametrize(
    "said", [b"", HALF, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + HALF]
)
def test_a_connection_that_asks_for_nothing_is_closed(said: bytes) -> None:
    limits = ServiceLimits(idle_seconds=0.05)
    with serving(HeldExecutor(), limits) as url, connected(url, said=said) as silent:
        assert is_closed(silent)
        assert heard(lambda: httpx2.get(f"{url}/health", timeout=None), lambda: False) == 200


def test_an_answer_that_nobody_reads_is_not_kept_for_ever() -> None:
    class Loud(HeldExecutor):
        def submit(self, request: Request) -> Any:
            future = super().submit(request)
            future.set_result(Result((Observation(ExitReason.FINISHED, stdout="x" * 2**25),)))
            return future

    body = json.dumps(CODE).encode()
    head = b"POST /run_code HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        serving(Loud(), ServiceLimits(idle_seconds=0.05)) as url,
        connected(url, said=2 * (head + body)) as deaf,
    ):
        wait_until(lambda: lost(deaf))


def lost(connection: socket.socket) -> bool:
    """Whether the other side gave a connection up. Nothing is read from it."""
    try:
        connection.send(b"x")
    except OSError:
        return True
    return False


def test_whoever_waits_for_a_program_is_not_idle() -> None:
    executor = HeldExecutor()
    with serving(executor, ServiceLimits(idle_seconds=0.01)) as url:
        answers = []

        def post() -> httpx2.Response:
            return httpx2.post(f"{url}/run_code", json=CODE, timeout=None)

        with in_thread(lambda: answers.append(heard(post, lambda: executor.futures))):
            wait_until(lambda: executor.futures)
            with connected(url) as silent:
                assert is_closed(silent)  # so the other has waited for longer than that
            executor.futures[0].set_result(RESULT)
        assert answers == [200]


def test_a_silent_crowd_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_CONNECTIONS", 1)
    monkeypatch.setattr(connections, "_PATIENCE", 0.0)
    executor = HeldExecutor()
    with (
        serving(executor, ServiceLimits(queue=1)) as url,
        contextlib.ExitStack() as stack,
    ):
        crowd = [stack.enter_context(connected(url)) for _ in range(12)]
        for _ in range(3):
            assert httpx2.get(f"{url}/health", timeout=None).status_code == 200
        assert all(map(is_closed, crowd[:6]))


def test_one_that_has_only_just_come_is_told_that_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "_CONNECTIONS", 6)
    monkeypatch.setattr(connections, "_PATIENCE", 600.0)
    arrived, made = [], H11Protocol.connection_made

    def counted(self: Any, transport: Any) -> None:
        made(self, transport)
        arrived.append(self)

    monkeypatch.setattr(H11Protocol, "connection_made", counted)
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with (
        serving(HeldExecutor(), ServiceLimits(queue=1)) as url,
        contextlib.ExitStack() as stack,
    ):
        crowd = [stack.enter_context(connected(url)) for _ in range(10)]
        wait_until(lambda: len(arrived) >= 10)  # a client is connected before the server knows
        said = []
        for one in crowd:
            one.sendall(head)
            said.append(one.recv(1 << 12).split()[1])
            assert is_closed(one)
        assert said == 5 * [b"503"] + 5 * [b"200"]
        # What is twice as many as may be is no longer waited for.
        crowd = [stack.enter_context(connected(url)) for _ in range(12)]
        assert is_closed(crowd[0])


def test_the_limit_of_files_makes_room_for_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert command._may_open(200) == 200
    assert command._may_open(900) == 900
    assert command._may_open(9000) == 1000
    assert asked == [(900, 1000), (1000, 1000)]


def test_a_slow_body_takes_nobodys_place() -> None:
    executor = HeldExecutor()
    head = b"POST /run_code HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx"
    with (
        serving(executor, ServiceLimits(queue=1)) as url,
        connected(url, said=head),
        connected(url, said=head),
        connected(url, said=head),
    ):
        assert httpx2.get(f"{url}/health", timeout=None).json()["waiting"] == 0
        broken = httpx2.post(f"{url}/run_code", content=b"{", timeout=None)
        assert broken.status_code == 422


def test_a_body_that_stands_still_leaves_its_room_to_others() -> None:
    now, gone = [0.0], []
    admission = Admission(9, 100, clock=lambda: now[0])
    with contextlib.ExitStack() as stack:

        def enter(name: str) -> Any:
            return stack.enter_context(admission.enter(0, lambda: gone.append(name)))

        whole = enter("whole")
        whole.hold(100)
        whole.arrive()
        still, going = enter("still"), enter("going")
        still.hold(100)
        going.hold(100)
        others = [enter(str(n)) for n in range(6)]
        for other in others[:5]:
            other.hold(100)
        with pytest.raises(RefusedError, match="as many bytes as it can"):
            others[5].hold(1)  # all of them were heard of just now
        now[0] += 9.0
        going.hold(0)
        others[5].hold(1)
        assert gone == ["still"]
        assert admission.held_bytes == 701
    assert admission.held_bytes == admission.admitted == 0


def test_a_body_in_chunks_is_not_taken_apart() -> None:
    head = b"POST /run_code HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(HeldExecutor()) as url, connected(url, said=head + b"1\r\nx\r\n") as connection:
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
        assert answer.startswith(b"HTTP/1.1 411 ")
        assert b"Content-Length" in answer


def test_a_request_that_waits_is_not_decoded() -> None:
    async def play() -> None:
        executor = HeldExecutor()
        service = Service(executor, workers=1)
        async with client_of(service) as client:
            asked = [
                asyncio.ensure_future(client.post("/run_code", content=body))
                for body in [json.dumps(CODE)] * 2 + ["no JSON"] * 3
            ]
            await until(lambda: len(executor.futures) == 2)
            await until(lambda: service.admission.admitted == 5)
            assert not any(one.done() for one in asked)
            executor.futures[0].set_result(RESULT)
            answers = [asked[0], *asked[2:]]
            assert [(await one).status_code for one in answers] == [200, 422, 422, 422]
            service.stop()
            assert (await asked[1]).status_code == 503

    asyncio.run(play())


def test_stopping_refuses_what_waits_for_its_turn() -> None:
    async def play() -> None:
        executor = HeldExecutor()
        service = Service(executor, workers=1)
        async with client_of(service) as client:
            asked = [asyncio.ensure_future(client.post("/run_code", json=CODE)) for _ in range(5)]
            await until(lambda: len(executor.futures) == 2 and service.admission.admitted == 5)
            for future in executor.futures:
                future.set_running_or_notify_cancel()
            service.stop()
            refused = [await one for one in asked[2:]]
            assert [one.status_code for one in refused] == [503] * 3
            for future in executor.futures:
                future.set_result(RESULT)
            assert [(await one).status_code for one in asked[:2]] == [200] * 2

    asyncio.run(play())


def test_whoever_waits_for_a_turn_too_long_is_told_so() -> None:
    async def play() -> None:
        executor = HeldExecutor()
        service = Service(executor, workers=1, limits=ServiceLimits(queue_seconds=0.01))
        service._turns = asyncio.Semaphore(0)
        async with client_of(service) as client:
            answer = await client.post("/run_code", json=CODE)
            assert answer.status_code == 504
            assert "was not run" in answer.json()["detail"]

    asyncio.run(play())


MANY = {
    "empty lists": b"[%s]" % b",".join([b"[]"] * 20_000),
    "nested lists": b"[%s]" % b",".join([b"[[[]]]"] * 9_000),
    "short texts": b"[%s]" % b",".join(b'"%x"' % n for n in range(20_000)),
    "objects": b"[%s]" % b",".join(b'{"%x":0}' % n for n in range(9_000)),
    "one long text": b'"%s"' % (b"x" * 100_000),
    "one wide text": b'"%s\xf0\x9f\x98\x80"' % (b"x" * 100_000),
}


@pytest.mark.parametrize("value", MANY.values(), ids=MANY)
def test_what_decoding_takes_is_bounded_by_bytes_and_values(value: bytes) -> None:
    body = b'{"a":%s}' % value
    values = sum(map(body.count, (b"[", b"{", b",", b":"))) + 1
    tracemalloc.start()
    try:
        ServiceLimits().check_values(body)
        read_object(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(body) + 512 * values


@pytest.mark.parametrize(
    "given", [Stdin(""), Call(), Call((1,), (("a", 1),)), TestCode("", "f")], ids=repr
)
def test_what_a_request_takes_is_bounded_by_bytes_and_values(given: Any) -> None:
    body = pack_request(Request("", (given,) * 5_000, entry_point="f"))
    values = sum(map(body.count, (b"[", b"{", b",", b":"))) + 1
    tracemalloc.start()
    try:
        message = Message(unpack_request(body))
        message.part(range(message.inputs))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(body) + 512 * values


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b'{"a":[1,2]}', True),
        (b'{"a":[1,2,3]}', False),
        (b'{"a":"[[[,,,,{{{::::"}', True),
        (b'{"a":"\\"[[[,,,,{{{::::"}', True),
        (b'{"a":"\\\\",[[[[[]]]]]}', False),
        (b'"[[[[[[[[[[', True),
        (b'"[[[[[[[[[[\\', True),
    ],
)
def test_values_are_counted_before_they_are_made(body: bytes, fits: bool) -> None:
    limits = ServiceLimits(body_values=5)
    with contextlib.nullcontext() if fits else pytest.raises(ConfigurationError, match="at most 5"):
        limits.check_values(body)


def values_one_by_one(body: bytes) -> int:
    values, in_string, escaped = 1, False, False
    for byte in body.decode("latin-1"):
        if byte == '"' and not escaped:
            in_string = not in_string
        elif byte in "[{,:" and not in_string:
            values += 1
        escaped = byte == "\\" and not escaped
    return values


@given(st.text('"\\[{,:n').map(str.encode), st.integers(1, 9))
@example(rb'"\\\",\\",[', 2)
def test_values_are_counted_across_pieces(body: bytes, piece_bytes: int) -> None:
    most = len(body) + 1
    assert count_values(body, most=most, piece_bytes=piece_bytes) == values_one_by_one(body)


JSON = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('"\\[{,:∀')),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
)


def values_in(value: Any) -> int:
    match value:
        case list():
            return 1 + sum(map(values_in, value))
        case dict():
            return 1 + sum(1 + values_in(inner) for inner in value.values())
    return 1


@given(JSON, st.booleans(), st.integers(1, 9))
def test_no_value_is_missed(value: Any, ascii_only: bool, piece_bytes: int) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    counted = count_values(body, most=len(body), piece_bytes=piece_bytes)
    assert values_in(value) <= counted <= 2 * values_in(value)


def test_counting_ends_at_the_limit() -> None:
    assert 6 <= count_values(b"[" * 1_000, most=5, piece_bytes=4) <= 5 + 4


class Watched(bytes):
    """Notes how much of it is looked at by one call of C code."""

    taken: list[int]

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        self.taken.append(len(part))
        return part


def test_no_call_holds_up_other_threads_for_a_whole_body() -> None:
    body = Watched(b"[" + b'"",' * 2**19 + b"0]")
    body.taken = []
    ServiceLimits().check_values(body)
    assert sum(body.taken) == len(body)
    assert max(body.taken) <= 2**16


@pytest.mark.parametrize("path", ["/run_code", "/execute", "/grade"])
def test_too_many_values_are_refused(path: str) -> None:
    limits = ServiceLimits(body_values=10)
    status, answer = ask(HeldExecutor(), path, b"[%s]" % b",".join([b"1"] * 10), limits)
    assert status == 422
    assert "at most 10 JSON values" in answer["detail"]


def test_more_output_than_any_test_asks_for_is_refused() -> None:
    limits = {"output_bytes": 2**40}
    row = {"id": "x", "description": "y", "tests": [{"stdin": "", "stdout": ""}]}
    status, answer = ask(
        HeldExecutor(), "/grade", {"problem": row, "program": "", "limits": limits}
    )
    assert status == 422
    assert "for output_bytes" in answer["detail"]


@pytest.mark.parametrize(
    ("host", "names", "asked", "status"),
    [
        ("127.0.0.1", (), "localhost", 200),
        ("127.0.0.1", (), "LOCALHOST.:99", 200),
        ("127.0.0.1", (), "127.0.0.1:8080", 200),
        ("127.0.0.1", (), "[::1]:8080", 200),
        ("127.0.0.1", (), "evil.example", 403),
        ("127.0.0.1", (), "localhost.evil.example:8080", 403),
        ("127.0.0.1", (), "[", 403),
        ("127.0.0.1", ("gpu1",), "gpu1:8080", 200),
        ("127.0.0.1", ("gpu1",), "gpu2", 403),
        ("0.0.0.0", (), "anything.example", 200),
        ("0.0.0.0", ("gpu1",), "anything.example", 403),
        ("0.0.0.0", ("gpu1",), "GPU1", 200),
    ],
)
def test_a_server_answers_to_its_own_names(
    host: str, names: tuple[str, ...], asked: str, status: int
) -> None:
    with open_server(HeldExecutor(), host=host, allow_hosts=names) as server, in_thread(server.run):
        url = f"http://127.0.0.1:{server.port}"
        try:
            for method, path in (("GET", "/health"), ("POST", "/run_code")):
                answer = httpx2.request(
                    method, f"{url}{path}", headers={"Host": asked}, content=b"{", timeout=None
                )
                fine = 422 if path == "/run_code" else 200
                assert answer.status_code == (fine if status == 200 else status)
                assert status == 200 or "--allow-host" in answer.json()["detail"]
        finally:
            server.stop()


def test_a_name_that_is_none() -> None:
    with (
        pytest.raises(ConfigurationError, match="names without a port"),
        open_server(HeldExecutor(), allow_hosts=("gpu1/x",)),
    ):
        pass


@pytest.mark.parametrize(
    "fields", [{"x" * 300_000: 1}, {"problem": {"x" * 300_000: 1}, "program": ""}]
)
def test_a_long_name_of_a_field_takes_memory_of_its_own_size(fields: dict[str, Any]) -> None:
    body = json.dumps(fields).encode()
    tracemalloc.start()
    try:
        with pytest.raises(ConfigurationError, match=r"(?i)unknown field 'xxx") as caught:
            read_grade(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(body)
    assert len(str(caught.value)) < 1_000
