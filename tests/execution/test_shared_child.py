"""Calls that share a child: the same answers as alone, only faster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codegym.errors import ConfigurationError
from codegym.execution import (
    Call,
    ExecutionLimits,
    ExitReason,
    LocalExecutor,
    Observation,
    Request,
    Stdin,
)

LIMITS = ExecutionLimits(cpu_seconds=0.5, wall_seconds=3600.0, memory_bytes=128 * 2**20)
HOSTILE = """
import os, sys, time, builtins, random
seen = []
def f(x):
    seen.append(x)
    if x == 1: return x // 0
    if x == 2: os._exit(0)
    if x == 3:
        while True: pass
    if x == 4: return [0] * 10**9
    if x == 5: return f(5)
    if x == 6: sys.exit()
    if x == 7: return "x" * 10**7
    if x == 8: os.abort()
    if x == 9: sys.setrecursionlimit(60)
    if x == 10: return sum(map(len, [str(i) for i in range(100)]))
    if x == 11: return random.random()
    return [len(seen), x]
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=1, calls_per_child=4) as executor:
        yield executor


def comparable(seen: Observation) -> tuple[object, ...]:
    return seen.reason, seen.value, seen.returned, seen.error_type, seen.error_line


@pytest.mark.parametrize(
    "order",
    [range(12), [0, 0, 0, 0, 0, 1, 1, 1], [3, 0, 2, 0], [9, 5, 10, 0], [11, 11, 4, 11]],
    ids=str,
)
def test_the_same_answers_as_alone(
    executor: LocalExecutor, shared: LocalExecutor, order: list[int]
) -> None:
    request = Request(
        HOSTILE, tuple(Call((x,)) for x in order), entry_point="f", limits=LIMITS, coverage=False
    )
    alone, together = (e.run(request).observations for e in (executor, shared))
    assert list(map(comparable, together)) == list(map(comparable, alone))


def test_all_lines_of_the_calls_are_told(shared: LocalExecutor) -> None:
    program = "def f(x):\n    if x:\n        return 1\n    return 2\n"
    seen = shared.run(Request(program, (Call((0,)), Call((1,))), entry_point="f")).observations
    assert seen[0].executed_lines | seen[1].executed_lines == {1, 2, 3, 4}


def test_other_inputs_are_alone(shared: LocalExecutor) -> None:
    program = "import builtins\nbuiltins.n = getattr(builtins, 'n', 0) + 1\ndef f(): print(n)\n"
    seen = shared.run(Request(program, (Stdin(""),) * 3, entry_point="f")).observations
    assert [o.stdout for o in seen] == ["1\n"] * 3


def test_a_process_is_shared_only_when_asked_for(
    executor: LocalExecutor, shared: LocalExecutor
) -> None:
    request = Request("import os\ndef f(): return os.getpid()\n", (Call(),) * 4, entry_point="f")
    pids = [len({o.value for o in e.run(request).observations}) for e in (executor, shared)]
    assert pids == [4, 1]
    assert all(o.reason is ExitReason.FINISHED for o in shared.run(request).observations)
    with pytest.raises(ConfigurationError, match="calls_per_child"):
        LocalExecutor(calls_per_child=0)
