"""Programs whose answers are chosen to raise in, stall or starve the process that grades them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from codegym.execution import ExecutionLimits, ExitReason, LocalExecutor
from codegym.execution.sandbox.protocol import code_of
from codegym.grading import Grader, Verdict
from codegym.problems import CallTest, Problem, StdinTest
from tests.execution.process_tree import children_of

LIMITS = ExecutionLimits(
    cpu_seconds=20.0, wall_seconds=3600.0, memory_bytes=512 * 2**20, output_bytes=16 * 2**20
)


@pytest.fixture(name="grader", scope="module")
def fixture_grader() -> Iterator[Grader]:
    with LocalExecutor(workers=1) as executor, Grader(executor, LIMITS, cache_size=0) as grader:
        yield grader


WRONG, RAISED, COMPILE = Verdict.WRONG_ANSWER, Verdict.RUNTIME_ERROR, Verdict.COMPILE_ERROR
FORGES = """
import os, sys
def f(x):
    frame = sys._getframe()
    while "task" not in frame.f_locals:
        frame = frame.f_back
    memory, start = frame.f_locals["task"].report._memory, frame.f_locals["task"].report._body
    memory[start : start + len({report!r})] = {report!r}
    memory[8:9] = {code!r}
    memory[:8] = (len({report!r}) + 1).to_bytes(8, "little")
    os._exit(0)
"""
RETURNED: dict[str, tuple[Any, str]] = {
    "a number that == refuses": (1, "__import__('decimal').Decimal('sNaN')"),
    "such a number deep inside": ([{"a": 1}], "[{'a': __import__('decimal').Decimal('sNaN')}]"),
    "an int beyond floats for a float": (0.5, "10 ** 400"),
    "an int beyond floats for a complex": (1j, "-10 ** 400"),
    "a fraction beyond floats": (0.5, "__import__('fractions').Fraction(10 ** 400, 3)"),
    "a decimal beyond all": (0.5, "__import__('decimal').Decimal('1e999999999999999999')"),
    "an int of a million digits": (1, "1 << 3_200_000"),
    "ints that collide": (1, "{k * ((1 << 61) - 1) for k in range(1, 3000)}"),
    "keys that collide": ({}, "{(k * ((1 << 61) - 1),): 0 for k in range(1, 3000)}"),
    "a text of 4 MiB": ("y", "'x' * (4 * 2 ** 20 - 10)"),
    "many lists": ([[]], "[[] for _ in range(10 ** 5)]"),
    "a range without end": ([0], "range(10 ** 30)"),
    "lone surrogates": ("x", "'\\ud800' * 10"),
}


@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
@pytest.mark.parametrize(("expected", "answer"), RETURNED.values(), ids=RETURNED)
def test_values(grader: Grader, expected: Any, answer: str, comparison: Any) -> None:
    problem = Problem(
        "p", "", "", (CallTest((0,), expected),), entry_point="f", comparison=comparison
    )
    grade = grader.grade(problem, f"def f(x):\n    return {answer}\n")
    assert grade.verdict is WRONG
    assert len(grade.error_message or "") < 1_000


REPORTS: dict[str, tuple[bytes, bytes, Verdict]] = {
    "a complex of one part": (code_of(ExitReason.FINISHED), b'{"c":[1]}', WRONG),
    "no value": (code_of(ExitReason.FINISHED), b"\xff", WRONG),
    "deep": (code_of(ExitReason.FINISHED), b"[" * 10**5, WRONG),
    "digits": (code_of(ExitReason.FINISHED), b"1" * 10**6, WRONG),
    "a tester's word": (
        code_of(ExitReason.TEST_FAILED),
        b'{"type":"x","message":"","line":1}',
        RAISED,
    ),
    "no ending": (b"?", b"", RAISED),
    "an error that is none": (code_of(ExitReason.EXCEPTION), b"[]", RAISED),
    "an error without end": (
        code_of(ExitReason.EXCEPTION),
        b'{"type":"' + b"x" * 10**6 + b'"}',
        RAISED,
    ),
    "an error of other types": (
        code_of(ExitReason.EXCEPTION),
        b'{"type":[],"message":{},"line":"x"}',
        RAISED,
    ),
}


@pytest.mark.parametrize(("code", "report", "verdict"), REPORTS.values(), ids=REPORTS)
def test_reports(grader: Grader, code: bytes, report: bytes, verdict: Verdict) -> None:
    problem = Problem("p", "", "", (CallTest((0,), 1),), entry_point="f")
    grade = grader.grade(problem, FORGES.format(code=code, report=report))
    assert grade.verdict is verdict


PROGRAMS: dict[str, tuple[str, Verdict]] = {
    "digits stuck to a letter": ("print('1' * 10**6 + 'x')", WRONG),
    "digits and points": ("print(('1' * 1000 + '.') * 1000)", WRONG),
    "more digits": ("print('1' * 5 * 10**6)", WRONG),
    "an exponent without end": ("print('1e' + '9' * 10**6)", WRONG),
    "spaces": ("print(' ' * 10**6 + 'x')", WRONG),
    "empty lines": ("print('\\n' * 10**6 + 'x')", WRONG),
    "no text": ("import sys; sys.stdout.buffer.write(b'\\xff' * 10**6)", WRONG),
    "a message of 20 MB": ("raise ValueError('x' * 20_000_000)", RAISED),
    "a message of surrogates": ("raise ValueError('\\ud800' * 1000)", RAISED),
    "a class with a name of 20 MB": ("raise type('x' * 20_000_000, (KeyError,), {})", RAISED),
    "a syntax error of 5 MB": (f"def f({'x' * 10**6}, {'x' * 10**6}): pass", COMPILE),
}


@pytest.mark.parametrize(("program", "verdict"), PROGRAMS.values(), ids=PROGRAMS)
def test_output_and_messages(grader: Grader, program: str, verdict: Verdict) -> None:
    grade = grader.grade(Problem("p", "", "", (StdinTest("", "2.5\n"),)), program)
    assert grade.verdict is verdict
    assert len(grade.error_message or "") < 1_000
    assert (grade.error_message or "").encode("utf-8") is not None


def test_long_answers_that_are_right_are_accepted(grader: Grader) -> None:
    printed = "".join(f"{n}\n" for n in range(10**9, 10**9 + 100_000))
    loud = Problem("p", "", "", (StdinTest("", printed.replace("\n", " \n")),))
    assert grader.grade(loud, "for n in range(10**9, 10**9 + 100_000): print(n)").solved
    tests = (CallTest((200_000,), list(range(200_000))), CallTest((3,), [0, 1, 2]))
    problem = Problem("p", "", "", tests, entry_point="f", comparison="exact")
    grade = grader.grade(problem, "def f(n):\n    return list(range(n))\n")
    assert grade.solved, grade.error_message


def test_the_helpers_end_with_their_grader() -> None:
    problem = Problem("p", "", "", (CallTest((), 0.5),), entry_point="f")
    program = "from fractions import Fraction\ndef f():\n    return Fraction(1, 2)\n"
    before = children_of(os.getpid())
    with LocalExecutor(workers=1) as executor:
        with Grader(executor, LIMITS, cache_size=0) as grader:
            assert grader.grade(problem, program).solved
            assert len(children_of(os.getpid()) - before) == 2  # the worker and the helper
        assert len(children_of(os.getpid()) - before) == 1
