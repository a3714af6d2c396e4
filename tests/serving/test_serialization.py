"""Requests and results arrive as they were sent, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegym.errors import ConfigurationError
from codegym.execution import (
    Call,
    ExecutionLimits,
    ExitReason,
    Observation,
    Request,
    Result,
    Stdin,
    TestCode,
    values,
)
from codegym.execution.sandbox import codec
from codegym.execution.serialization import (
    pack_request,
    pack_result,
    unpack_request,
    unpack_result,
)
from codegym.execution.values import EncodedValue, encode_value
from codegym.execution.wire import Message
from codegym.problems import BinaryTree, LinkedList
from codegym.programs import ExecutedLines

ODD = ["", "é\0\r\n", "\ud83d\ude00", "😀", "\udc80", '"\\u0041"', "\u2028"]
"""Among them a pair of surrogates and the character that it would make."""
TEXTS = st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=())))
FILES = st.lists(st.tuples(TEXTS, st.binary())).map(tuple)
LINES = st.frozensets(st.integers(1, 99))
OBSERVATIONS = st.builds(
    Observation,
    reason=st.sampled_from(ExitReason),
    answer=st.none() | st.binary(),
    stdout=TEXTS,
    stderr=TEXTS,
    exit_code=st.integers(-64, 255),
    error_type=st.none() | TEXTS,
    error_message=st.none() | TEXTS,
    error_line=st.none() | st.integers(1),
    checks_passed=st.integers(0, 9),
    executed_lines=LINES
    | st.builds(ExecutedLines, LINES, st.frozensets(st.tuples(st.integers(1), st.integers(0)))),
    cpu_seconds=st.floats(0, allow_infinity=False),
    wall_seconds=st.floats(0, allow_infinity=False),
    peak_memory_bytes=st.integers(0),
    files=FILES,
)
LIMITS = ExecutionLimits(cpu_seconds=0.1, wall_seconds=1 / 3, memory_bytes=2**40, threads=1)


@given(st.lists(OBSERVATIONS).map(tuple))
def test_a_result_arrives_as_it_was_sent(observations: tuple[Observation, ...]) -> None:
    received = unpack_result(pack_result(Result(observations))).observations
    assert received == observations
    for one, other in zip(received, observations, strict=True):
        assert type(one.executed_lines) is type(other.executed_lines)
        assert getattr(one.executed_lines, "statements", None) == getattr(
            other.executed_lines, "statements", None
        )


@given(TEXTS, TEXTS, FILES, st.lists(TEXTS).map(tuple), st.booleans())
def test_a_request_arrives_as_it_was_sent(
    program: str, text: str, files: Any, fetch: Any, flag: bool
) -> None:
    given = EncodedValue(encode_value(text))
    request = Request(
        program,
        (Stdin(text), Call((given,), (("a", given),), text), TestCode(text, "f", text)),
        entry_point="f",
        prelude=text,
        limits=LIMITS,
        coverage=flag,
        stop_on_error=not flag,
        packages=("numpy",),
        files=files,
        fetch=fetch,
    )
    assert unpack_request(pack_request(request)) == request


@pytest.mark.parametrize(
    "value",
    [
        *ODD,
        2**5000,
        -(2**61),
        0.1,
        -0.0,
        float("inf"),
        1j,
        b"\xff\0",
        True,
        None,
        [1, (2, [3])],
        {1: {"1": {2, 3}}, (): frozenset({4})},
        LinkedList((1, 2)),
        BinaryTree((1, None, 2)),
        range(3),
    ],
    ids=repr,
)
def test_an_argument_arrives_as_it_was_sent(value: Any) -> None:
    request = Request("", (Call((value, [value]), (("x", value),)),), entry_point="f")
    received = unpack_request(pack_request(request))
    encoded = [EncodedValue(encode_value(one)) for one in (value, [value])]
    assert received.inputs == (Call(tuple(encoded), (("x", encoded[0]),)),)
    assert pack_request(received) == pack_request(request)


@pytest.mark.parametrize(
    "argument",
    [
        b'{"s":[%s]}' % b",".join(b"%d" % (n * (2**61 - 1)) for n in range(9)),
        b'{"F":[{"i":"0x%s"},{"i":"0x%s"}]}' % (b"f" * 99, b"e" * 99),
        b'{"d":[]}',
        b"no value at all",
        b"1" * 10_000,
        b"[" * 10_000,
    ],
)
def test_no_argument_is_decoded_on_the_way(
    argument: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("an argument was decoded")

    request = Request("", (Call((EncodedValue(argument),)),), entry_point="f")
    message = pack_request(request)
    for module in (codec, values):
        monkeypatch.setattr(module, "decode", refuse)
    received = unpack_request(message)
    assert received == request
    body, _ = Message(received).part(range(1))  # what a worker is sent
    assert argument in body


def test_test_code_arrives_as_it_was_sent() -> None:
    code = TestCode("a\nb", "f", "import c", (1, 2), (("C", ("m", "n")), ("D", ())))
    request = Request("", (code,), entry_point="f")
    assert unpack_request(pack_request(request)) == request


@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m[:-1],
        lambda _: b"",
        lambda _: b"[1]",
        lambda _: b"[" * 100_000,
        lambda m: m.replace(b'"wire":2', b'"wire":1'),
        lambda m: m.replace(b'"stdin"', b'"socket"'),
        lambda m: m.replace(b'"program"', b'"programme"'),
        lambda m: m.replace(b'"cpu_seconds"', b'"cpu"'),
        lambda m: m.replace(b'"fetch":[]', b'"fetch":5'),
        lambda m: m.replace(b'"files":[]', b'"files":[["a","\xc3\xa9"]]'),
        lambda _: b"1" * 10_000,
    ],
)
def test_a_damaged_request_is_refused(damage: Any) -> None:
    message = pack_request(Request("", (Stdin(""),)))
    damaged = damage(message)
    assert damaged != message
    with pytest.raises(ConfigurationError, match=r"no request as|wire version 1"):
        unpack_request(damaged)


@pytest.mark.parametrize(
    "message", [b"", b"{}x", b"5", b"[5]", b"[[]]", b'[["finished"]]', b"[" * 100_000]
)
def test_a_damaged_result_is_none(message: bytes) -> None:
    with pytest.raises(ValueError, match="no result"):
        unpack_result(message)
