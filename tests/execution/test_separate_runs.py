"""Several inputs of one program: each is run as if it were the only one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import pytest

from codegym.execution import (
    Call,
    ExecutionLimits,
    ExitReason,
    LocalExecutor,
    Observation,
    Request,
    Stdin,
    TestCode,
)

LIMITS = ExecutionLimits(cpu_seconds=0.5, wall_seconds=3600.0, memory_bytes=128 * 2**20)
ENDS = """
import os, sys, builtins, random
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
PLAIN_ENDS = """
seen = []
def f(x, before=[]):
    global late
    seen.append(x)
    before.append(x)
    if x == 1: return x // 0
    if x == 2: raise StopIteration
    if x == 3:
        while True: pass
    if x == 4: return [0] * 10**9
    if x == 5: return f(5)
    if x == 7: return "x" * 10**7
    if x == 8: late = x
    if x == 9: return -x
    if x == 10: return late
    return [len(seen), len(before), x]
"""
COUNTERS = {
    "an attribute of a module": "import sys\nsys.n = getattr(sys, 'n', -1) + 1\n"
    "def f(x): return sys.n",
    "in each call": "import sys\nsys.__dict__.setdefault('n', -1)\n"
    "def f(x):\n    sys.n += 1\n    return sys.n",
    "a builtin": "import builtins\nbuiltins.n = getattr(builtins, 'n', -1) + 1\n"
    "def f(x): return builtins.n",
    "a class of the library": "from collections import Counter\n"
    "Counter.n = getattr(Counter, 'n', -1) + 1\ndef f(x): return Counter.n",
    "a frame below": "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
    "        for name in ('number', 'index', 'left'):\n"
    "            if name in frame.f_locals: return frame.f_locals[name]\n"
    "        turns = getattr(frame.f_locals.get('task'), 'turns', None)\n"
    "        if turns and (turns.left or turns.given): return repr((turns.left, turns.given))\n"
    "        frame = frame.f_back\n    return -1",
    "a file": "import os\ndef f(x):\n    with open('seen', 'a') as file: file.write('x')\n"
    "    return os.path.getsize('seen')",
    "shared memory": "import mmap\npage = mmap.mmap(-1, 4096)\n"
    "def f(x):\n    page[0] += 1\n    return page[0]",
    "a pipe": "import os\nr, w = os.pipe()\nos.set_blocking(r, False)\n"
    "def f(x):\n    os.write(w, b'x')\n    return len(os.read(r, 100))",
    "a hook on fork": "import os, sys\nsys.n = 0\n"
    "def count(): sys.n += 1\nos.register_at_fork(before=count, after_in_child=count)\n"
    "def f(x): return sys.n",
    "an audit hook": "import sys\nsys.n = 0\n"
    "def count(event, _):\n    if event == 'os.fork': sys.n += 1\n"
    "sys.addaudithook(count)\ndef f(x): return sys.n",
    "another fork": "import os\nn = 0\ndef fork():\n    global n\n    n += 1\n    return 0\n"
    "os.fork = fork\ndef f(x): return n",
    "decimal's context": "import decimal\ndef f(x):\n    decimal.getcontext().prec += 1\n"
    "    return decimal.getcontext().prec",
    "the mask of signals": "import signal\ndef f(x):\n"
    "    return len(signal.pthread_sigmask(signal.SIG_BLOCK, [x + 1]))",
    "flags of its output": "import os\ndef f(x):\n    was = os.get_blocking(1)\n"
    "    os.set_blocking(1, False)\n    return was",
    "flags and the place of its input": "import fcntl, os\ndef f(x):\n"
    "    was = fcntl.fcntl(0, fcntl.F_GETFL), os.lseek(0, 0, os.SEEK_CUR), os.read(0, 9)\n"
    "    fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK)\n    os.lseek(0, x, os.SEEK_SET)\n"
    "    return repr(was)",
    "the working directory": "import os\ndef f(x):\n    os.mkdir('a')\n    os.chdir('a')\n"
    "    return os.getcwd().count('/a')",
    "its session": "import os\n"
    "def f(x): return [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()]",
    "a default": "def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)",
    "a cache": "from functools import cache\nseen = []\n@cache\ndef g(x):\n    seen.append(x)\n"
    "def f(x):\n    g(0)\n    g(x)\n    return len(seen)",
}


@pytest.fixture(scope="module")
def runner() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=1) as executor:
        yield executor


def told(seen: Observation) -> Observation:
    """What must be the same whenever it is run."""
    return dataclasses.replace(
        seen, cpu_seconds=0.0, wall_seconds=0.0, peak_memory_bytes=0, stderr=""
    )


def both_ways(
    runner: LocalExecutor, request: Request
) -> tuple[Sequence[Observation], Sequence[Observation]]:
    """One request for all inputs, and one for each."""
    together = runner.run(request).observations
    alone = [
        runner.run(dataclasses.replace(request, inputs=(one,))).observations[0]
        for one in request.inputs
    ]
    return list(map(told, together)), list(map(told, alone))


@pytest.mark.parametrize(
    "order",
    [range(12), [0, 0, 0, 0, 0, 1, 1, 1], [3, 0, 2, 0], [9, 5, 10, 0], [11, 11, 4, 11]],
    ids=str,
)
@pytest.mark.parametrize("program", [ENDS, PLAIN_ENDS], ids=["any", "plain"])
@pytest.mark.parametrize("coverage", [False, True])
def test_whatever_came_before(
    runner: LocalExecutor, program: str, order: Sequence[int], coverage: bool
) -> None:
    calls = tuple(Call((x,)) for x in order)
    request = Request(program, calls, entry_point="f", limits=LIMITS, coverage=coverage)
    together, alone = both_ways(runner, request)
    assert together == alone


@pytest.mark.parametrize("name", COUNTERS)
def test_nothing_is_carried_over(runner: LocalExecutor, name: str) -> None:
    request = Request(COUNTERS[name], tuple(Call((x,)) for x in (1, 2, 3, 4)), entry_point="f")
    together, alone = both_ways(runner, request)
    assert together == alone
    assert all(one.reason is ExitReason.FINISHED for one in alone)
    if name != "the mask of signals":
        assert len({str(one.value) for one in alone}) == 1


def test_the_room_for_recursion_is_the_same_in_each_call(runner: LocalExecutor) -> None:
    """A list as an answer is encoded with more of it than a program has."""
    program = "def f(x):\n    def g(k): return [0] if k == 0 else g(k - 1)\n    return g(x)\n"
    for depths in ((5, 2500), (2500, 5)):
        request = Request(program, tuple(Call((depth,)) for depth in depths), entry_point="f")
        seen = {
            d: one.error_type
            for d, one in zip(depths, runner.run(request).observations, strict=True)
        }
        assert seen == {5: None, 2500: "RecursionError"}


def test_scripts_have_their_own_input_and_output(runner: LocalExecutor) -> None:
    program = "import os, sys\nprint(input(), os.get_blocking(1))\nos.set_blocking(1, False)\n"
    request = Request(program, tuple(Stdin(f"{x}\nrest") for x in range(4)))
    together, alone = both_ways(runner, request)
    assert together == alone
    assert [one.stdout for one in alone] == [f"{x} True\n" for x in range(4)]


@pytest.mark.parametrize("first", ["", "import os\n"], ids=["plain", "any"])
def test_kinds_in_turn(runner: LocalExecutor, first: str) -> None:
    """Test code between calls ends a chain and begins another."""
    check = TestCode("assert f(1) == 2", "f")
    inputs = (Call((1,)), Call((2,)), check, Call((3,)), Stdin(""))
    request = Request(f"{first}def f(x=7):\n    return x + 1\n", inputs, entry_point="f")
    together, alone = both_ways(runner, request)
    assert together == alone
    assert [one.value if one.returned else None for one in alone] == [2, 3, None, 4, None]


def test_what_an_expression_of_the_test_leaves_behind_is_not_carried_over(
    runner: LocalExecutor,
) -> None:
    seen = "__import__('sys').__dict__.setdefault('seen', [])"
    call = Call(expression=f"[{seen}.append(candidate(1)), len({seen})]")
    request = Request("def f(x): return x\n", (call,) * 3, entry_point="f")
    assert [one.value for one in runner.run(request).observations] == [[None, 1]] * 3


def test_the_prelude_runs_once_and_is_the_same_for_all(runner: LocalExecutor) -> None:
    program = (
        "import os\ndef f(x):\n    seen.append(x)\n    return [len(seen), made != os.getpid()]\n"
    )
    prelude = "import os\nseen = []\nmade = os.getpid()\n"
    request = Request(program, (Call((1,)),) * 3, entry_point="f", prelude=prelude)
    values = [one.value for one in runner.run(request).observations]
    assert values == [[1, False], [1, True], [1, True]]


def test_plain_programs_share_a_process_and_others_do_not(runner: LocalExecutor) -> None:
    """By the time that it takes: the sum of what a process used is told once for each input."""
    calls = tuple(Call((x,)) for x in range(4))
    other = "import os\ndef f(x): return os.getpid()\n"
    seen = runner.run(Request(other, calls, entry_point="f")).observations
    assert len({one.value for one in seen}) == 4
    plain = "def f(x): return x\n"
    seen = runner.run(Request(plain, calls, entry_point="f")).observations
    assert len({one.peak_memory_bytes for one in seen}) == 1


@pytest.mark.parametrize("stop", [False, True])
def test_more_inputs_than_one_process_takes(runner: LocalExecutor, stop: bool) -> None:
    program = "def f(x):\n    return 1 // (x - 150)\n"
    calls = tuple(Call((x,)) for x in range(200))
    request = Request(program, calls, entry_point="f", stop_on_error=stop)
    seen = runner.run(request).observations
    assert len(seen) == (151 if stop else 200)
    assert seen[150].error_type == "ZeroDivisionError"
    assert sum(one.returned for one in seen) == (150 if stop else 199)


def test_a_program_has_no_descriptor_of_ours(runner: LocalExecutor) -> None:
    program = (
        "import os\n"
        "def found():\n"
        "    n = []\n"
        "    for d in range(3, 1024):\n"
        "        try: os.fstat(d)\n"
        "        except OSError: continue\n"
        "        n.append(d)\n"
        "    return n\n"
        "if __name__ == '__main__': print(found())\n"
        "def f(x): return found()\n"
    )
    calls = Request(program, (Call((1,)),) * 3, entry_point="f")
    assert [one.value for one in runner.run(calls).observations] == [[], [], []]
    scripts = Request(program, (Stdin(""),) * 3)
    assert [one.stdout for one in runner.run(scripts).observations] == ["[]\n"] * 3
