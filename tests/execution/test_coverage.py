"""Executed lines are exact, on every interpreter, also when the program was killed."""

from __future__ import annotations

import dataclasses

import pytest

from codegym.execution import Call, ExitReason, Stdin, TestCode
from codegym.execution.sandbox import outcome, supervise
from codegym.execution.sandbox.child import tracing

from .conftest import LIMITS, Run

PROGRAM = '''\
"""Docstring."""
import math  # 2

# comment


def classify(n):
    if n < 0:
        return "negative"
    elif n == 0:
        return "zero"
    for i in range(n):
        if i > 5:
            break
    else:
        return "small"
    return "large"


class Unused:
    value = 1

    def method(self):
        return self.value


def entry(n):
    text = classify(
        n
    )
    return text
'''
TOP = {1, 2, 7, 20, 21, 23, 27}


def test_lines_of_a_call(run_on: Run) -> None:
    seen = run_on(PROGRAM, Call((3,)), entry_point="entry")
    assert seen.value == "small"
    assert seen.executed_lines - {30} == TOP | {8, 10, 12, 13, 16} | {28, 29, 31}
    negative = run_on(PROGRAM, Call((-1,)), entry_point="entry")
    assert negative.executed_lines - {30} == TOP | {8, 9} | {28, 29, 31}


def test_lines_after_the_exception_are_not_executed(run_on: Run) -> None:
    seen = run_on("x = 1\ny = x / 0\nz = 2\n")
    assert seen.executed_lines == {1, 2}


def test_lines_survive_a_kill(run_on: Run) -> None:
    limits = dataclasses.replace(LIMITS, cpu_seconds=0.3)
    seen = run_on("x = 0\nwhile True:\n    x += 1\nprint(x)\n", limits=limits)
    assert seen.reason is ExitReason.CPU_LIMIT
    assert seen.executed_lines == {1, 2, 3}
    gone = run_on("import os\nx = 1\nos._exit(1)\ny = 2\n")
    assert gone.executed_lines == {1, 2, 3}


def test_lines_of_threads_generators_comprehensions_lambdas(run_on: Run) -> None:
    program = """\
import threading
def work():
    seen.append(1)
def numbers():
    yield 1
    yield 2
    yield 3
seen = []
thread = threading.Thread(target=work)
thread.start()
thread.join()
double = lambda x: (
    x * 2)
first = next(numbers())
unused = lambda: (
    seen)
print([x
       for x in seen])
"""
    lines = run_on(program).executed_lines
    assert {3, 5, 12, 14, 15, 17} <= lines
    assert not {6, 7, 13, 16} & lines


def test_lines_of_other_files_do_not_count(run_on: Run) -> None:
    seen = run_on("import textwrap\nprint(textwrap.fill('a b'))\nexec('x = 1\\n' * 50)\n")
    assert seen.executed_lines == {1, 2, 3}


def test_lines_of_prelude_and_test_code_do_not_count(run_on: Run) -> None:
    test = TestCode("\n" * 50 + "assert f(1) == 1\n", "f")
    seen = run_on("def f(x):\n    return x\n", test, prelude="a = 1\nb = 2\nc = 3\n")
    assert seen.executed_lines == {1, 2}


def test_no_lines_without_coverage(run_on: Run) -> None:
    assert run_on("print(1)", Stdin(""), coverage=False).executed_lines == frozenset()


def test_first_line_only_if_it_is_code(run_on: Run) -> None:
    assert run_on("# comment\n\nx = 1\n").executed_lines == {3}


def test_observing_never_fails_a_program(run_on: Run) -> None:
    # As deep as the interpreter allows: one frame more of ours would be too many.
    program = """\
import sys
def depth(n): return n if n == 0 else 1 + depth(n - 1)
def room():
    frame, used = sys._getframe(), 0
    while frame: frame, used = frame.f_back, used + 1
    return sys.getrecursionlimit() - used - 1
print(depth(room()) > 900)
"""
    assert run_on(program).stdout == "True\n"


def test_time_that_observing_takes_is_not_the_programs(run_on: Run) -> None:
    # A program that never ends while it is observed: a probe is an iterator among its constants.
    slow = """\
def f():
    probes = [c for c in f.__code__.co_consts if type(c).__name__ == "tuple_iterator"]
    while probes:
        pass
    return 7
"""
    seen = run_on(slow, Call(), limits=LIMITS)
    assert (seen.reason, seen.value) == (ExitReason.FINISHED, 7)
    assert {1, 2, 3} <= seen.executed_lines


@pytest.mark.parametrize(
    ("end", "cpu_seconds", "again"),
    [
        (ExitReason.WALL_LIMIT, 0.01, False),
        (ExitReason.WALL_LIMIT, 1.0, True),
        (ExitReason.CPU_LIMIT, 1.0, True),
        (ExitReason.FINISHED, 1.0, False),
    ],
)
def test_a_program_that_only_waits_runs_once(
    end: ExitReason, cpu_seconds: float, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "TAKES_TIME", True)
    run = supervise.Run(supervise.Output(0), supervise.Output(0), end=end, cpu_seconds=cpu_seconds)
    assert outcome.failed_by_tracing(outcome.Seen(run, "call"), {"wall_seconds": 3.0}) is again
