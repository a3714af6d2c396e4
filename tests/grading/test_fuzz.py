"""Whatever bytes a program leaves, they end in a verdict; whatever it returns, `==` decides.

A thousand examples and more, the same ones each time; `make fuzz` tries a hundred times as many.
"""

from __future__ import annotations

import collections
import enum
import io
import json
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegym.errors import ConfigurationError, ExecutionError
from codegym.execution import FakeExecutor, decode_value, encode_value, wire
from codegym.execution.sandbox import outcome
from codegym.execution.sandbox.child.answers import AnswerEncoder, encode_answer
from codegym.execution.sandbox.protocol import (
    LAST_FRAME,
    LIMITS,
    ErrorReport,
    ExitReason,
    Frame,
    Stage,
    code_of,
    read_frame,
    reason_of,
)
from codegym.execution.sandbox.supervise import Output, Run
from codegym.execution.values import Iterated, NotPlainError, Opaque, decode_plain
from codegym.grading import Grader, Verdict, same_value
from codegym.grading.check import check_value
from codegym.problems import BinaryTree, CallTest, CodeTest, LinkedList, Problem, StdinTest

EXAMPLES = int(os.environ.get("CODEGYM_FUZZ_EXAMPLES", "1000"))
fuzz = settings(max_examples=EXAMPLES // 4, derandomize=True, database=None)

Level = enum.IntEnum("Level", [("LOW", 1)])
Pair = collections.namedtuple("Pair", "x y")


class Name(str):
    """A subclass whose own `==` is never asked."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = str.__hash__


NUMBERS: list[Any] = [0, 1, -1, 2, True, False, 0.0, -0.0, 1.0, 0.5, 1j, -1 + 0j, 1 + 0j, 10**20]
NUMBERS += [1e20, float("inf"), Decimal("0.5"), Decimal(1), Decimal("Infinity"), Fraction(1, 2)]
NUMBERS += [Fraction(1), 10**400, Level.LOW]
# Few values, so that two are often equal. No nan: whether one is another is a matter of identity.
HASHABLE: list[Any] = [None, "", "a", "1", b"", b"a", *NUMBERS]
ODD: list[Any] = [
    float("nan"),
    Decimal("nan"),
    Decimal("sNaN"),
    "\ud800",
    "\0\U0001f600",
    Opaque("x"),
    1e-320,
]
ODD += [LinkedList(()), LinkedList((1, None)), BinaryTree((1, None, 2)), Iterated("map", (1,))]


class Builder:
    """Values that are spelled by bytes: each chooses a kind, or how many items there are.

    A strategy of Hypothesis's own for nested values takes a hundred times as long.

    Args:
        script: What to build.
        kinds: Makes containers of a list of items and a list of pairs.
        scalars: What is no container.
    """

    def __init__(self, script: bytes, kinds: dict[str, Any], scalars: list[Any]) -> None:
        self._script = iter(script)
        self._kinds = list(kinds.values())
        self._scalars = scalars

    def value(self, depth: int = 3) -> Any:
        chosen = next(self._script, 0)
        if depth == 0 or chosen < 100:
            return self._scalars[chosen % len(self._scalars)]
        make = self._kinds[chosen % len(self._kinds)]
        count = next(self._script, 0) % 4
        items = [self.value(depth - 1) for _ in range(count)]
        hashed = [self._hashable() for _ in range(count)]
        return make(items, hashed)

    def _hashable(self) -> Any:
        chosen = next(self._script, 0)
        one = HASHABLE[chosen % len(HASHABLE)]
        return one if chosen < 200 else (one,) if chosen % 2 else frozenset({one})


def _mapping(items: list[Any], hashed: list[Any]) -> dict[Any, Any]:
    return dict(zip(hashed, items, strict=True))


PLAIN: dict[str, Callable[[list[Any], list[Any]], Any]] = {
    "list": lambda items, _: items,
    "tuple": lambda items, _: tuple(items),
    "set": lambda _, hashed: set(hashed),
    "frozenset": lambda _, hashed: frozenset(hashed),
    "dict": _mapping,
}
RETURNED: dict[str, Callable[[list[Any], list[Any]], Any]] = {
    **PLAIN,
    "deque": lambda items, _: collections.deque(items),
    "UserList": lambda items, _: collections.UserList(items),
    "iterator": lambda items, _: iter(items),
    "map": lambda _, hashed: map(str, hashed),
    "generator": lambda items, _: (item for item in items),
    "range": lambda items, _: range(len(items)),
    "namedtuple": lambda items, _: Pair(items, 1),
    "OrderedDict": lambda *both: collections.OrderedDict(_mapping(*both)),
    "UserDict": lambda *both: collections.UserDict(_mapping(*both)),
    "keys": lambda *both: _mapping(*both).keys(),
    "values": lambda *both: _mapping(*both).values(),
    "items": lambda *both: _mapping(*both).items(),
}
scripts = st.binary(max_size=24)
expected_values = scripts.map(lambda script: Builder(script, PLAIN, HASHABLE).value())
returned_values = scripts.map(lambda script: Builder(script, RETURNED, HASHABLE).value())
everything = scripts.map(lambda script: Builder(script, RETURNED, HASHABLE + ODD).value())


def crossed(value: Any) -> bytes:
    """What the program's process makes of a value."""
    return AnswerEncoder(1 << 20).data(value)


def equal(actual: Any, expected: Any) -> bool:
    """Python's `==`, as an assert asks for it: what raises is no success."""
    try:
        return bool(actual == expected)
    except (ArithmeticError, TypeError):
        return False


@fuzz
@given(returned_values, expected_values)
def test_exact_is_what_python_says(returned: Any, expected: Any) -> None:
    answer = crossed(returned)
    assert same_value(decode_value(answer), expected, comparison="exact") is equal(
        returned, expected
    )


@fuzz
@given(expected_values)
def test_what_is_returned_unchanged_is_right(value: Any) -> None:
    for comparison in ("exact", "tolerant"):
        seen = decode_value(crossed(value))
        assert same_value(seen, value, comparison=comparison) is equal(value, value)


@fuzz
@given(returned_values, expected_values)
def test_tolerant_accepts_all_that_exact_does(returned: Any, expected: Any) -> None:
    value = decode_value(crossed(returned))
    if same_value(value, expected, comparison="exact"):
        assert same_value(value, expected, comparison="tolerant")
        assert same_value(value, expected, comparison="exact", tolerance=0.5)


FRAGMENTS = [b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"0", b"-", b"e999", b"NaN"]
FRAGMENTS += [b"Infinity", b"null", b"true", b"\\ud800", b"\xff", b"\0", b"1" * 5_000, b"0x"]
FRAGMENTS += [b'{"%c":[1,[2]]}' % tag for tag in b"icbtsfdDFLTrqIox"]


def mutated(value: Any, damage: bytes) -> bytes:
    """A report of a value, damaged where four bytes each say: from, length, and what instead."""
    report = crossed(value)
    for first, second, length, new in zip(*[iter(damage)] * 4, strict=False):
        start = (256 * first + second) % (len(report) + 1)
        report = report[:start] + FRAGMENTS[new % len(FRAGMENTS)] + report[start + length % 8 :]
    return report


def twisted(value: Any, script: bytes) -> bytes:
    """A report of a value that is JSON still, but says something else in a few places."""
    choices = iter(script)

    def twist(node: Any) -> Any:
        chosen = next(choices, 255)
        if chosen < 128:
            return PIECES[chosen % len(PIECES)]
        if isinstance(node, list):
            return [twist(item) for item in node]
        if isinstance(node, dict):
            return {TAGS[chosen % 32] if chosen < 192 else tag: twist(node[tag]) for tag in node}
        return node

    return json.dumps(twist(json.loads(crossed(value)))).encode("ascii")


TAGS = "icbtsfdDFLTrqIox" * 2
PIECES: list[Any] = [None, True, 0, -1, 0.5, float("nan"), 10**30, "", "x", "0x1f", [], {}]
PIECES += [[1], [1, 2], [[1], [2]], ["map", [1]], {"i": "1"}, {"D": "1"}, {"z": 1}, {"t": 1}]
PIECES += [{"c": [1]}, {"t": [], "s": []}, {"F": [1, 0]}, {"r": [1, 2, 0]}]
damage = st.binary(min_size=4, max_size=16)
reports = (
    st.binary(max_size=64)
    | st.builds(mutated, everything, damage)
    | st.builds(twisted, everything, damage)
)


@fuzz
@given(reports, expected_values, st.sampled_from(["exact", "tolerant"]), st.sampled_from([None, 1]))
def test_every_report_is_right_or_wrong(
    report: bytes, expected: Any, comparison: Any, tolerance: Any
) -> None:
    complaint = check_value(decode_value, report, [expected], comparison, tolerance)
    assert complaint is None or complaint.startswith("Expected ")
    try:
        here = check_value(decode_plain, report, [expected], comparison, tolerance)
    except NotPlainError:
        return  # it goes to a helper
    assert here == complaint


@fuzz
@given(everything)
def test_what_can_be_decoded_can_be_encoded(value: Any) -> None:
    seen = decode_value(crossed(value))
    again = decode_value(encode_value(seen))
    assert sorted(repr(again)) == sorted(repr(seen))  # the order of a set may change


def over_the_wire(frame: Frame) -> Frame:
    """What the parent reads of what a worker sends; the message ends where the frame does."""
    message = io.BytesIO(frame.pack() + LAST_FRAME)
    read = read_frame(message.read)
    assert read is not None
    assert read_frame(message.read) is None
    return read


def seen_by_a_worker(
    kind: str,
    reason: ExitReason,
    body: bytes,
    end: ExitReason = ExitReason.FINISHED,
    told: Stage | ExitReason = Stage.STARTED,
    stdout: bytes = b"",
    tester: bool = False,
) -> outcome.Seen:
    """A run of a program that said this of itself, or of which its tester did."""
    run = Run(Output(0), Output(0), end=end, told=told)
    run.stdout.data += stdout
    said = (reason, body) if tester else outcome.own_word(kind, reason, body)
    return outcome.Seen(run, kind, *said)


ASKED: dict[str, CallTest | StdinTest | CodeTest] = {
    "call": CallTest((), 1),
    "stdin": StdinTest("", "1"),
    "code": CodeTest("assert f() == 1", "f"),
}
errors = st.dictionaries(
    st.sampled_from(["type", "message", "line", "x"]), st.integers() | st.text() | st.none()
).map(lambda said: repr(said).replace("'", '"').replace("None", "null").encode("utf-8", "replace"))
ENDS = (ExitReason.FINISHED, ExitReason.KILLED, *sorted(LIMITS))


@fuzz
@given(
    kind=st.sampled_from(sorted(ASKED)),
    code=st.binary(min_size=1, max_size=1) | st.sampled_from(list(map(code_of, ExitReason))),
    end=st.sampled_from(ENDS),
    told=st.sampled_from([Stage.STARTED, ExitReason.COMPILE_ERROR]),
    report=reports | errors | st.integers().map(lambda number: b"%d" % number),
    stdout=st.sampled_from([b"1\n", b"\xff"]),
    tester=st.booleans(),
)
def test_every_report_ends_in_a_verdict(
    kind: str,
    code: bytes,
    end: ExitReason,
    told: Stage | ExitReason,
    report: bytes,
    stdout: bytes,
    tester: bool,
) -> None:
    reason = reason_of(code)
    tester = tester and kind == "code"
    if tester and reason in (ExitReason.TEST_BROKEN, ExitReason.PRELUDE_FAILED):
        return  # a fault of the problem's, and never the program's word
    seen = seen_by_a_worker(kind, reason, report, end, told, stdout, tester)
    problem = Problem("p", "", "", (ASKED[kind],), entry_point="f")
    executor = FakeExecutor(lambda _: [wire.observe(over_the_wire(outcome.frame_of(seen)))])
    with Grader(executor, cache_size=0) as grader:
        grade = grader.grade(problem, "")
    assert grade.verdict in set(Verdict)
    for said in (grade.error_message, grade.error_type):
        assert said is None or len(said.encode("utf-8")) < 4_000
    if grade.solved:
        assert (end, told) == (ExitReason.FINISHED, Stage.STARTED)
        assert kind == "stdin" or reason is ExitReason.FINISHED
        assert kind != "code" or tester


def test_a_report_of_an_error_is_short_or_none() -> None:
    long = json.dumps({"type": "x" * 10**5, "message": "x" * 10**5, "line": 1}).encode()
    odd = json.dumps({"type": "\ud800", "message": "\ud800", "line": 2**80}).encode()
    seen = wire.observe(outcome.frame_of(seen_by_a_worker("call", ExitReason.EXCEPTION, long)))
    assert (seen.reason, seen.error_type) == (ExitReason.KILLED, None)
    seen = wire.observe(outcome.frame_of(seen_by_a_worker("call", ExitReason.EXCEPTION, odd)))
    assert (seen.error_type, seen.error_message, seen.error_line) == (r"\ud800", r"\ud800", None)
    for report in (long, b"", b"[" * 10**6, b"1"):
        told = ExitReason.COMPILE_ERROR
        seen = wire.observe(outcome.frame_of(seen_by_a_worker("call", told, report, told=told)))
        assert seen.reason is ExitReason.COMPILE_ERROR


OWN_WORDS = {
    "stdin": {"finished", "exception", "memory_limit"},
    "call": {"finished", "exception", "memory_limit", "output_limit"},
    "code": {"exception", "memory_limit", "output_limit"},  # the rest is for its tester to say
}


@pytest.mark.parametrize("kind", OWN_WORDS)
@pytest.mark.parametrize("reason", ExitReason)
def test_a_program_says_no_more_than_its_kind_of_input_allows(
    kind: str, reason: ExitReason
) -> None:
    error = b'{"type": "KeyError", "message": "k", "line": 1}'
    body = b"0" if reason is ExitReason.FINISHED else error
    run = seen_by_a_worker(kind, reason, body, end=ExitReason.FINISHED)
    run.run.exit_code = 3  # in the kernel's word, which counts where a script says nothing itself
    seen = wire.observe(outcome.frame_of(run))
    if reason.value in OWN_WORDS[kind]:
        assert seen.reason is reason
    elif kind == "stdin":
        assert (seen.reason, seen.exit_code) == (ExitReason.FINISHED, 3)
    else:
        assert seen.reason is ExitReason.KILLED


@pytest.mark.parametrize("reason", [ExitReason.PRELUDE_FAILED, ExitReason.TEST_BROKEN])
def test_a_fault_of_the_problem_is_an_error(reason: ExitReason) -> None:
    error = ErrorReport("ImportError", "No module named 'x'")
    with pytest.raises(ExecutionError, match="No module named 'x'"):
        wire.observe(over_the_wire(Frame(reason, error=error)))


LONG_DECIMAL = b'{"D":"' + b"1" * 5000 + b'"}'
FORGED = [b'{"t":"ab"}', b'{"F":[1,"2"]}', b'{"c":["1",2]}', b'{"i":7}', LONG_DECIMAL]


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_value_is_none(forged: bytes) -> None:
    with pytest.raises(ValueError, match="no encoded value"):
        decode_value(forged)


def test_a_value_that_holds_itself_or_lies_too_deep_is_told_by_its_type() -> None:
    itself: list[Any] = [1]
    itself.append(itself)
    deep: Any = ()
    for _ in range(300):
        deep = (deep,)
    limit = sys.getrecursionlimit()
    for value, kind in ((itself, "list"), (deep, "tuple")):
        text = encode_answer(value, 1 << 20).decode()
        assert sys.getrecursionlimit() == limit
        assert f'"{kind} (cyclic or nested too deeply)"' in text
        with pytest.raises(ConfigurationError, match="200 levels"):
            encode_value(value)
