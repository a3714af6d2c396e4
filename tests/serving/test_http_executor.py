"""Programs on a server: seen as at home, and every failure of the way is an error of ours."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import http.server
import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from fractions import Fraction
from typing import Any

import gymnasium
import pytest

import codegym
from codegym.errors import (
    ClosedError,
    ConfigurationError,
    ExecutionError,
    RequestTooLargeError,
    ServerError,
    WorkerError,
)
from codegym.execution import (
    Call,
    EncodedAnswer,
    ExitReason,
    FakeExecutor,
    HTTPExecutor,
    Iterated,
    LocalExecutor,
    Observation,
    Request,
    Result,
    Stdin,
    TestCode,
    encode_value,
)
from codegym.execution.serialization import pack_result
from codegym.execution.values import EncodedValue
from codegym.grading import Grader, Verdict
from codegym.problems import BinaryTree, CallTest, Checker, LinkedList, Problem, StdinTest
from codegym.programs import ExecutedLines
from codegym.serving import ServiceLimits
from tests.serving.asking import HeldExecutor, serving
from tests.waiting import wait_until

REQUEST = Request("print(1)", (Stdin(""),))
SEEN = Observation(ExitReason.FINISHED, stdout="1\n")
DOUBLE = Problem("double", "", "", (CallTest((3,), 6), CallTest((4,), 8)), entry_point="f")
HEALTH = b'{"wire": 2, "workers": 1}'

Script = Callable[[http.server.BaseHTTPRequestHandler, int], None]


@pytest.fixture(scope="module")
def executor(url: str) -> Iterator[HTTPExecutor]:
    with HTTPExecutor(url) as executor:
        yield executor


class Fake(FakeExecutor):
    workers = 1


@contextlib.contextmanager
def scripted(script: Script, health: bytes = HEALTH) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers as a test says, and the bodies that it was sent."""
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            say(self, 200, health)

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            script(self, len(bodies))

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()


def say(
    handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes, **headers: str
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(
    "request_",
    [
        Request("print(input(), end='')", (Stdin("é\r\n"), Stdin("\ud800"), Stdin(""))),
        Request("def f(x):\n    if x: return {x: (1, 2.5)}\n", (Call((3,)), Call((0,))), "f"),
        Request("def f(): return '\\ud83d\\ude00', b'\\xff', 10**400", (Call(),), "f"),
        Request(
            "def f(*args, x):\n    return args, x, [type(one).__name__ for one in args]\n",
            (
                Call(
                    ({3, (1, 2)}, frozenset({4}), Fraction(1, 3), 10**400, b"\xff", "\ud800é"),
                    (("x", {1: [True, None, 1j]}),),
                ),
                Call((range(3), LinkedList((1, 2)), BinaryTree((1, None, 2))), (("x", -0.0),)),
                Call((Iterated("map", (1, 2)), EncodedAnswer(b'{"I":["map",[1]]}')), (("x", 0),)),
            ),
            "f",
        ),
        Request("def f(x):\n    return x\n", (TestCode("assert f(1) == 2", "f", "", (1,)),), "f"),
        Request("def f(x): return 1 / x", (Call((1,)), Call((0,))), "f", stop_on_error=True),
        Request("import sys; sys.exit(7)", (Stdin(""),), coverage=False),
        Request("def", (Stdin(""),)),
        Request(
            "open('o', 'w').write(open('i').read())",
            (Stdin(""),),
            files=(("i", b"x"),),
            fetch=("o",),
        ),
    ],
)
def test_what_is_seen_is_what_is_seen_at_home(
    executor: HTTPExecutor, local: LocalExecutor, request_: Request
) -> None:
    def plain(result: Result) -> list[Any]:
        """Without what no two runs have in common."""
        used: dict[str, Any] = dict.fromkeys(("cpu_seconds", "wall_seconds"), 0.0)
        used["peak_memory_bytes"] = 0
        return [
            (dataclasses.replace(one, **used), getattr(one.executed_lines, "statements", None))
            for one in result.observations
        ]

    assert plain(executor.run(request_)) == plain(local.run(request_))


@pytest.mark.parametrize("argument", [b"no value", b'{"V":"1"}', b"[" * 3_000, b'{"i":3}'])
def test_an_argument_that_is_none_ends_the_call(executor: HTTPExecutor, argument: bytes) -> None:
    calls = Call((EncodedValue(argument),)), Call((1,))
    forged, fine = executor.run(Request("def f(x): return x", calls, "f")).observations
    assert (forged.reason, forged.answer) == (ExitReason.EXCEPTION, None)
    assert fine.value == 1


def test_lines_come_with_their_columns(executor: HTTPExecutor) -> None:
    request = Request("def f(x):\n    if x: return 1\n    return 2\n", (Call((1,)),), "f")
    lines = executor.run(request).observations[0].executed_lines
    assert isinstance(lines, ExecutedLines)
    assert lines.statements == {(2, 10)}


def test_a_grader_takes_the_url(url: str) -> None:
    with Grader(url) as grader:
        assert grader.grade(DOUBLE, "def f(x): return x + x").verdict is Verdict.ACCEPTED
        assert grader.grade(DOUBLE, "def f(x): return x + 3").verdict is Verdict.WRONG_ANSWER
        again = pickle.loads(pickle.dumps(grader))
        with again:
            assert again.grade(DOUBLE, "def f(x): return 2 * x").solved
    with pytest.raises(ClosedError):
        grader.grade(DOUBLE, "")


def test_a_checker_is_asked_over_there_as_well(url: str) -> None:
    larger = dataclasses.replace(
        DOUBLE, checker=Checker("def check(input, output, expected): return output > expected[0]")
    )
    larger = dataclasses.replace(larger, tests=(CallTest(([1, 2],), [5]),))
    with Grader(url) as grader:
        assert grader.grade(larger, "def f(x): return sum(x) + 3").solved
        assert grader.grade(larger, "def f(x): return 5").verdict is Verdict.WRONG_ANSWER
        assert not grader.grade(larger, "def f(x): return 'a'").judged


@pytest.mark.parametrize("form", ["function", "script"])
def test_no_output_makes_a_server_refuse_the_checker(form: str) -> None:
    """As many answers as fit are asked about at a time; one that does not fit has no verdict."""
    sources = {
        "function": "def check(input, output, expected): return len(output) > 1",
        "script": "import sys\nprint(int(len(open(sys.argv[3]).read()) > 1))",
    }
    checker = Checker(sources[form], "script" if form == "script" else "function")
    tests = tuple(StdinTest(str(n), "") for n in range(9))
    problem = Problem("p", "", "", tests, checker=checker)
    limits = ServiceLimits(body_bytes=20_000)
    with (
        LocalExecutor(workers=1) as local,
        serving(local, limits) as small,
        Grader(small) as grader,
    ):
        assert grader.grade(problem, "print('\\0' * 1_000)").solved
        grade = grader.grade(problem, "print('\\0' * 10_000 if input() == '4' else 'ab')")
        assert grade.verdict is Verdict.JUDGE_ERROR
        assert grade.tests_passed == 8


def test_a_refusal_under_way_is_one_of_size(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server does not tell beforehand what it takes."""
    limits = ServiceLimits(body_bytes=500)
    with serving(Fake(lambda _: [SEEN]), limits) as small, HTTPExecutor(small) as other:
        monkeypatch.setattr(other, "_most_bytes", float("inf"))
        with pytest.raises(RequestTooLargeError, match="at most 500 bytes"):
            other.run(dataclasses.replace(REQUEST, program="#" * 600))


def test_an_environment_takes_the_url(url: str) -> None:
    env = gymnasium.make("CodeGen-Mini-v0", executor=url, size=3)
    _, info = env.reset(seed=0)
    task = env.unwrapped
    assert isinstance(task, codegym.CodeEnv)
    problem = task.problems.by_id(info["problem_id"])
    tokens = task.tokenizer.encode(task.task.reference(problem).rest)
    for token in [*tokens, task.tokenizer.end_id]:
        _, _, _, _, info = env.step(token)
    env.close()
    assert info["verdict"] == "accepted"


def test_many_at_a_time_each_with_its_own_answer(executor: HTTPExecutor) -> None:
    futures = [executor.submit(Request(f"print({n})", (Stdin(""),))) for n in range(40)]
    seen = [future.result().observations[0].stdout for future in futures]
    assert seen == [f"{n}\n" for n in range(40)]


def test_what_is_no_request_is_refused_at_once(executor: HTTPExecutor) -> None:
    with pytest.raises(ConfigurationError, match="An executor runs a Request"):
        executor.submit("print(1)")  # type: ignore[arg-type]


def test_what_the_server_refuses_is_the_callers_fault(url: str, executor: HTTPExecutor) -> None:
    lacking = dataclasses.replace(REQUEST, packages=("no_such_package",))
    with pytest.raises(ConfigurationError, match="no package 'no_such_package'"):
        executor.run(lacking)
    limits = ServiceLimits(body_bytes=500)
    large = dataclasses.replace(REQUEST, program="#" * 600)
    with (
        serving(Fake(lambda _: [SEEN]), limits) as small,
        HTTPExecutor(small) as other,
        pytest.raises(ConfigurationError, match="at most 500 bytes"),
    ):
        other.run(large)


@pytest.mark.parametrize("kind", [ExecutionError, WorkerError])
def test_a_failure_of_the_servers_sandbox_is_the_same_failure_here(
    kind: type[ExecutionError],
) -> None:
    def fail(_: Request) -> list[Observation]:
        raise kind("It broke.")

    with (
        serving(Fake(fail)) as url,
        HTTPExecutor(url) as executor,
        pytest.raises(ExecutionError, match="It broke") as caught,
    ):
        executor.run(REQUEST)
    assert type(caught.value) is kind


def test_a_fault_in_the_servers_code_is_a_server_error(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Request) -> list[Observation]:
        raise AssertionError("a bug")

    with (
        serving(Fake(fail)) as url,
        HTTPExecutor(url) as executor,
        pytest.raises(ServerError, match="a bug"),
    ):
        executor.run(REQUEST)


def test_a_server_without_room_is_asked_again() -> None:
    def script(handler: http.server.BaseHTTPRequestHandler, count: int) -> None:
        if count < 3:
            say(handler, 502 + count, b'{"detail": "full"}', Retry_After="0")
        else:
            say(handler, 200, pack_result(Result((SEEN,))))

    with scripted(script) as (url, bodies), HTTPExecutor(url) as executor:
        assert executor.run(REQUEST) == Result((SEEN,))
    assert len(bodies) == 3
    assert len(set(bodies)) == 1


def test_a_server_that_never_has_room_is_given_up() -> None:
    def script(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
        say(handler, 503, b'{"detail": "The server is full."}', Retry_After="0")

    with (
        scripted(script) as (url, bodies),
        HTTPExecutor(url, patience=0.05) as executor,
        pytest.raises(ServerError, match="has no room: The server is full"),
    ):
        executor.run(REQUEST)
    assert len(bodies) > 1


def hang_up(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_a_lost_connection_costs_one_repetition() -> None:
    def script(handler: http.server.BaseHTTPRequestHandler, count: int) -> None:
        if count == 1:
            hang_up(handler, count)
        else:
            say(handler, 200, pack_result(Result((SEEN,))))

    with scripted(script) as (url, bodies), HTTPExecutor(url) as executor:
        assert executor.run(REQUEST) == Result((SEEN,))
    assert len(bodies) == 2


def test_a_connection_that_is_lost_twice_is_an_error_and_no_verdict() -> None:
    with (
        scripted(hang_up) as (url, bodies),
        Grader(url) as grader,
        pytest.raises(ServerError, match="hung up in the middle"),
    ):
        grader.grade(DOUBLE, "def f(x): return x")
    assert len(bodies) == 2


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[[1]]", b"[]x"])
def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    with (
        scripted(lambda handler, _: say(handler, 200, body)) as (url, _),
        HTTPExecutor(url) as executor,
        pytest.raises(ServerError, match="is no result"),
    ):
        executor.run(REQUEST)


def test_too_few_observations_are_no_verdict() -> None:
    with (
        scripted(lambda handler, _: say(handler, 200, b"[]")) as (url, _),
        Grader(url) as grader,
        pytest.raises(ExecutionError, match="reported on 0 of 2 tests"),
    ):
        grader.grade(DOUBLE, "def f(x): return x")


def test_an_address_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for make in (HTTPExecutor, Grader):
        with pytest.raises(ServerError, match="There is no server at"):
            make(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("health", [b"pong", b"[]", b'{"wire": 2}', b'{"wire": "x", "workers": 1}'])
def test_something_else_that_answers_there(health: bytes) -> None:
    with (
        scripted(lambda *_: None, health) as (url, _),
        pytest.raises(ServerError, match="is no `codegym serve`"),
    ):
        HTTPExecutor(url)


def test_a_server_of_another_version() -> None:
    with (
        scripted(lambda *_: None, b'{"wire": 1, "workers": 1}') as (url, _),
        pytest.raises(ConfigurationError, match="wire version 1"),
    ):
        HTTPExecutor(url)


@pytest.mark.parametrize(
    "address", ["", "localhost:8080", "ftp://x", "http://", "http://x:0", "http://x/?a", 5, b"http"]
)
def test_what_is_no_address(address: Any) -> None:
    with pytest.raises(ConfigurationError, match="is a URL such as"):
        HTTPExecutor(address)


@pytest.mark.parametrize("patience", [-1, float("inf"), "long", True])
def test_patience_without_meaning(url: str, patience: Any) -> None:
    with pytest.raises(ConfigurationError, match="patience"):
        HTTPExecutor(url, patience=patience)


def test_a_cancelled_request_is_not_run() -> None:
    held = HeldExecutor()
    with serving(held) as url, HTTPExecutor(url) as executor:
        future = executor.submit(REQUEST)
        wait_until(lambda: held.futures)
        assert future.cancel()
        with pytest.raises(CancelledError):
            future.result()
        wait_until(held.futures[0].cancelled)


def test_closing_fails_what_is_pending_and_refuses_the_rest() -> None:
    held = HeldExecutor()
    with serving(held) as url:
        executor = HTTPExecutor(url)
        futures = [executor.submit(REQUEST) for _ in range(5)]
        wait_until(lambda: len(held.futures) == 2)  # the others wait at home
        executor.close()
        for future in futures:
            with pytest.raises(ClosedError):
                future.result()
        with pytest.raises(ClosedError):
            executor.submit(REQUEST)
        executor.close()
        wait_until(lambda: all(future.cancelled() for future in held.futures))


def test_copies(url: str, executor: HTTPExecutor) -> None:
    assert copy.deepcopy(executor) is executor
    with pickle.loads(pickle.dumps(executor)) as other:
        assert (other.url, other.workers) == (executor.url, executor.workers)
        assert other.run(REQUEST).observations[0].stdout == "1\n"


def test_a_fork_has_connections_of_its_own(executor: HTTPExecutor) -> None:
    assert executor.run(REQUEST).observations[0].stdout == "1\n"
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, executor.run(REQUEST).observations[0].stdout.encode())
        finally:
            os._exit(0)
    os.close(write)
    said = os.read(read, 100)
    os.close(read)
    os.waitpid(child, 0)
    assert said == b"1\n"
    assert executor.run(REQUEST).observations[0].stdout == "1\n"


def test_answers_are_bytes_that_nobody_looked_into() -> None:
    forged = b"\xff\x00 no value " + encode_value(1)
    seen = Observation(ExitReason.FINISHED, answer=forged)
    with serving(Fake(lambda _: [seen])) as url, HTTPExecutor(url) as executor:
        assert executor.run(REQUEST).observations[0].answer == forged


def test_without_httpx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "httpx2", None)
    with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[serve\]'"):
        HTTPExecutor("http://127.0.0.1:1")
