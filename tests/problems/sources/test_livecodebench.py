"""Rows made in LiveCodeBench's format, packed tests included, and packed attacks."""

from __future__ import annotations

import base64
import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import ProblemError
from codegym.problems.problem import CallTest, Problem, StdinTest
from codegym.problems.source import Row
from codegym.problems.sources.livecodebench import LIVECODEBENCH, decode_private_tests

STARTER = "class Solution:\n    def f(self, a: List[int], k: int) -> int:\n        "


def cases(*pairs: tuple[str, str], kind: str = "stdin") -> str:
    return json.dumps([{"input": i, "output": o, "testtype": kind} for i, o in pairs])


def pack(value: object, protocol: int | None = None) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


def pack_raw(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


def parse(**changes: Any) -> Problem:
    row = {
        "question_title": "Sum",
        "question_content": "Print the sum.",
        "platform": "atcoder",
        "question_id": "abc301_a",
        "contest_id": "abc301",
        "contest_date": "2023-05-13T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": cases(("1 2", "3")),
        "private_test_cases": pack(cases(("4 5", "9"))),
        "metadata": "{}",
    }
    return LIVECODEBENCH.parse(Row(0, {**row, **changes}))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_packed_private_tests(protocol: int) -> None:
    problem = parse(private_test_cases=pack(cases(("ä", "\U0001f600")), protocol))
    assert problem.tests == (StdinTest("1 2", "3"), StdinTest("ä", "\U0001f600"))
    assert problem.entry_point is None
    assert problem.canonical_solution == ""
    assert (problem.id, problem.difficulty) == ("abc301_a", "easy")
    assert problem.metadata["platform"] == "atcoder"
    assert problem.metadata["public_tests"] == 1


def test_plain_and_missing_private_tests() -> None:
    assert len(parse(private_test_cases=cases(("4 5", "9"))).tests) == 2
    assert len(parse(private_test_cases="").tests) == 1
    assert len(parse(private_test_cases=None).tests) == 1


def test_functional_tests() -> None:
    problem = parse(
        starter_code=STARTER,
        metadata='{"func_name": "f"}',
        public_test_cases=cases(("[1, 2]\n3", "6"), kind="functional"),
        private_test_cases=pack(cases(("[1, -2]\n0\n", "-1"), kind="functional")),
    )
    assert problem.tests == (CallTest(([1, 2], 3), 6), CallTest(([1, -2], 0), -1))
    assert problem.entry_point == "f"
    assert problem.starter_code == STARTER


def test_functional_text_and_lists() -> None:
    problem = parse(
        starter_code="class Solution:\n    def f(self, s: str) -> List[str]:\n",
        metadata={"func_name": "f"},
        public_test_cases=cases(('"12"', '["1", "2"]'), kind="functional"),
        private_test_cases="[]",
    )
    assert problem.tests == (CallTest(("12",), ["1", "2"], alternatives=(("1", "2"),)),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"public_test_cases": "[]", "private_test_cases": ""}, "no tests"),
        ({"public_test_cases": cases(("1", "2"), kind="functional")}, "testtype"),
        ({"public_test_cases": '[{"input": "1"}]'}, "'input' and 'output'"),
        ({"private_test_cases": "not packed"}, "not base64 of zlib"),
        ({"private_test_cases": base64.b64encode(b"plain").decode()}, "not base64 of zlib"),
        ({"private_test_cases": pack("no json")}, "neither JSON nor packed JSON"),
        ({"private_test_cases": pack_raw(b"no pickle")}, "pickle"),
        ({"private_test_cases": pack_raw(b"")}, "pickle"),
        ({"question_content": ""}, "question_content"),
    ],
)
def test_rows_that_can_not_be_used(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProblemError, match=reason):
        parse(**changes)


def test_functional_tests_that_are_no_json_or_fit_no_signature() -> None:
    for text in ("1 2", "1\n2\n3"):
        with pytest.raises(ProblemError):
            parse(
                starter_code=STARTER,
                metadata='{"func_name": "f"}',
                public_test_cases=cases((text, "6"), kind="functional"),
                private_test_cases="",
            )


class Attack:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_runs_nothing(tmp_path: Path, protocol: int) -> None:
    target = str(tmp_path / "made")
    for value in (Attack(target), [Attack(target)], {"a": Attack(target)}):
        with pytest.raises(ProblemError, match="refused"):
            decode_private_tests(pack(value, protocol))
    assert not os.path.exists(target)


@pytest.mark.parametrize("value", [None, 1, 1.5, b"bytes", ["[]"], ("[]",), {"a": "b"}, {1}, True])
def test_a_pickle_of_anything_but_text_is_refused(value: object) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(ProblemError, match="refused"):
            decode_private_tests(pack(value, protocol))


def test_handmade_pickles_are_refused() -> None:
    for raw in (b"cos\nsystem\n.", b"Pid\n.", b"\x80\x04\x8c\x02os\x8c\x06system\x93.", b"g0\n."):
        with pytest.raises(ProblemError):
            decode_private_tests(pack_raw(raw))


def test_text_that_unpacks_to_too_much_is_refused() -> None:
    bomb = pack("a" * 10_000_000)
    assert len(bomb) < 50_000
    assert len(decode_private_tests(bomb)) == 10_000_000
    with pytest.raises(ProblemError, match="more than 1000000 bytes"):
        decode_private_tests(bomb, most_bytes=1_000_000)


def test_packed_text_that_is_cut_off_is_refused() -> None:
    packed = zlib.compress(pickle.dumps("x" * 5000 + os.urandom(500).hex()))
    with pytest.raises(ProblemError, match="cut off"):
        decode_private_tests(base64.b64encode(packed[:-30]).decode())
