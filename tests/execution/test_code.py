"""Test code in a process of its own, and values that come back from one."""

from __future__ import annotations

from typing import Any

import pytest

from codegym.execution import (
    Call,
    ExitReason,
    Opaque,
    TestCode,
    decode_value,
)

from .conftest import LIMITS, Run


def test_code(run: Run) -> None:
    program = """
def f(x):
    if x == 0: raise ValueError('zero')
    if x == 1: import os; os._exit(0)
    if x == 2: exit()
    if x == 3: return [x, (1, 2), {3}]
    if x == 4: x.y
    while x == 5: pass
    return x
"""

    def test(source: str) -> Any:
        return run(program, TestCode(source, "f"), limits=LIMITS)

    assert test("assert f(3) == [3, (1, 2), {3}]").reason is ExitReason.FINISHED
    assert test("assert candidate(3) != [3, [1, 2], {3}]").returned
    assert test("def check(c):\n    assert c(7) == 7\ncheck(f)").returned
    failed = test("assert f(7) == 8, 'not eight'")
    assert (failed.reason, failed.error_type, failed.error_message) == (
        ExitReason.TEST_FAILED,
        "AssertionError",
        "not eight",
    )
    assert test("try: f(0)\nexcept ValueError as e: assert str(e) == 'zero'").returned
    raised = test("f(0)")
    assert (raised.reason, raised.error_type, raised.error_line) == (
        ExitReason.EXCEPTION,
        "ValueError",
        3,
    )
    assert raised.executed_lines == {2, 3}
    assert test("f(2)").error_type == "SystemExit"
    assert test("try: f(1)\nexcept: pass").reason is ExitReason.KILLED
    assert test("f(5)").reason in (ExitReason.CPU_LIMIT, ExitReason.WALL_LIMIT)


def test_code_sees_what_a_call_did_to_its_lists(run: Run) -> None:
    test = TestCode(
        "a, b = [2, 1], {1: 2}\nassert f(a, b) is None\nassert (a, b) == ([1, 2], {})", "f"
    )
    assert run("def f(a, b):\n    a.sort(); b.clear()", test).returned


def test_code_of_a_program_that_does_not_load(run: Run) -> None:
    seen = run("x = 1\n1 / 0", TestCode("pass", "f"))
    assert (seen.reason, seen.error_type, seen.error_line) == (
        ExitReason.EXCEPTION,
        "ZeroDivisionError",
        2,
    )


def test_code_with_nodes_and_prelude(run: Run) -> None:
    prelude = """
class ListNode:
    def __init__(self, val=0, next=None): self.val, self.next = val, next
def chain(*values):
    head = None
    for value in reversed(values): head = ListNode(value, head)
    return head
"""
    test = TestCode("assert f(chain(1, 2)).next.val == 1\nassert f(None) is None", "f")
    program = """
def f(head):
    last = None
    while head:
        head.next, last, head = last, head, head.next
    return last
"""
    assert run(program, test, prelude=prelude).returned


@pytest.mark.parametrize(
    "body",
    [
        "x = []; x.append(x); return x",
        "x = {}; x['x'] = x; return x",
        "x = []\n    for _ in range(10**5): x = [x]\n    return x",
        "head = ListNode(1); head.next = head; return head",
        "root = TreeNode(1); root.left = root; return root",
        "x = lambda: 1; x.val = 1; x.next = x; return x",
    ],
)
def test_values_without_end_come_back_as_opaque(run: Run, body: str) -> None:
    seen = run(f"def f():\n    {body}\n", Call())
    assert seen.returned
    value = seen.value
    while not isinstance(value, Opaque):
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]


def test_iterators_without_end_are_too_large(run: Run) -> None:
    seen = run("import itertools\ndef f(): return (1 for _ in itertools.count())", Call())
    assert seen.reason in (ExitReason.OUTPUT_LIMIT, ExitReason.MEMORY_LIMIT)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"a": 1}',
        b'{"t": 1}',
        b'{"t": {"t": []}}',
        b'{"d": [[1]]}',
        b'{"d": [[[1], 2]]}',
        b'{"i": 5}',
        b'{"i": "zz"}',
        b'{"c": ["a", "b"]}',
        b'{"F": [1, 0]}',
        b'{"D": "x"}',
        b'{"b": "0"}',
        b'{"t": [], "s": []}',
        b'{"c": [1]}',
        b'{"c": [1, true]}',
        b'{"F": ["1e1000000000", 1]}',
        b'{"F": [1]}',
        b'{"r": [1, 2, 0]}',
        b'{"r": [1, 2, 3, 4]}',
        b'{"r": ["a", 2, 3]}',
        b'{"I": [1, []]}',
        b'{"I": ["map", 1]}',
        b'{"o": 1}',
        b'{"D": "' + b"1" * 5_000 + b'"}',
        b"1" * 5_000,
        b'{"i": "0x1", "i": null}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=range(29),
)
def test_forged_values_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="no encoded value"):
        decode_value(text)


def test_the_candidate_shares_no_memory_with_the_verdict(run: Run) -> None:
    program = """
import gc, sys
gc.unfreeze()
reports, frame = [], sys._getframe()
while frame:
    reports += frame.f_locals.values()
    frame = frame.f_back
reports = {id(o) for o in [*reports, *gc.get_objects()] if type(o).__name__ == "Report"}
def f(): return len(reports)
"""
    # One: the candidate's own report, in which it can only accuse itself.
    seen = run(program, TestCode("assert f() == 1", "f"), entry_point="f")
    assert seen.reason is ExitReason.FINISHED, seen
