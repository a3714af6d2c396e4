"""What is observed of honest programs: streams, calls, exits, exceptions, values, limits."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from codegym.errors import ConfigurationError, ExecutionError
from codegym.execution import (
    Call,
    ExecutionLimits,
    ExitReason,
    Iterated,
    LocalExecutor,
    Opaque,
    Request,
    Stdin,
)
from codegym.problems.problem import BinaryTree, LinkedList

from .conftest import LIMITS, Run


def test_exit_codes_and_messages_are_seen(run: Run) -> None:
    assert run("exit(3)").exit_code == 3
    seen = run("import sys\nsys.exit('gone')")
    assert (seen.exit_code, seen.stderr) == (1, "gone\n")


def test_script_is_main_and_a_called_module_is_not(run: Run) -> None:
    guard = "def f(): return __name__\nif __name__ == '__main__':\n    print('main')\n"
    assert run(guard).stdout == "main\n"
    called = run(guard, Call())
    assert (called.stdout, called.value) == ("", "program")
    assert run("import sys\nx = 1\nprint(sys.modules['__main__'].x)").stdout == "1\n"


@pytest.mark.parametrize(
    "program",
    [
        "def main(): print(int(input()) * 2)\nglobals()['main']()",
        "def run(g):\n    g()\n    return g\n@run\ndef main(): print(int(input()) * 2)",
        "def run(g):\n    g()\n    return g\ndef main(): print(int(input()) * 2)\nmain = run(main)",
        "import functools\ndef main(): print(int(input()) * 2)\nmain = functools.cache(main)",
        "import functools\ndef main(): print(int(input()) * 2)\n"
        "main = functools.lru_cache(None)(main)\nif __name__ == '__main__': main()",
        # Its name alone is no call.
        "__all__ = ['main']\ndef main(): print(int(input()) * 2)",
        # A wrapper calls it later: somebody else has to call that.
        "def wrap(g):\n    def inner(): g()\n    return inner\n"
        "@wrap\ndef main(): print(int(input()) * 2)",
    ],
)
def test_an_entry_point_is_called_once_in_whatever_way(program: str, run: Run) -> None:
    seen = run(program, "4", entry_point="main")
    assert (seen.reason, seen.stdout) == (ExitReason.FINISHED, "8\n")


def test_stdin_with_entry_point_calls_it_once(run: Run) -> None:
    program = "def solve():\n    print(int(input()) * 2)\nif __name__ == '__main__':\n    solve()\n"
    assert run(program, "4", entry_point="solve").stdout == "8\n"


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -7,
        10**5000,
        -(2**63),
        1.5,
        math.inf,
        1 + 2j,
        "text",
        "\ud800 lone \x00",
        b"\x00\xff",
        [1, [2, (3, None)]],
        (),
        {1, "a", (2, 3)},
        frozenset({4}),
        {"k": [1.5], 2: None, (1, 2): "t"},
        Decimal("0.1"),
        Fraction(1, 3),
        LinkedList((1, 2, 3)),
        BinaryTree((1, None, 2, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_go_in_and_come_back_unchanged(run: Run, value: Any) -> None:
    seen = run("def f(x):\n    return x\n", Call((value,)))
    assert type(seen.value) is type(value)
    assert seen.value == value
    assert seen.returned


@pytest.mark.parametrize(
    ("expression", "name", "items"),
    [
        ("map(str, range(3))", "map", ("0", "1", "2")),
        ("(i for i in range(3))", "generator", (0, 1, 2)),
        ("iter([[1], 2])", "list_iterator", ([1], 2)),
        ("itertools.accumulate([1, 2])", "accumulate", (1, 3)),
        ("{1: 2}.keys()", "dict_keys", (1,)),
        ("{1: [2]}.items()", "dict_items", ((1, [2]),)),
        ("OrderedDict(a=1).values()", "odict_values", (1,)),
        ("array.array('i', [1, 2])", "array", (1, 2)),
        ("reversed([1, 2])", "list_reverseiterator", (2, 1)),
    ],
)
def test_iterables_say_what_they_are(
    run: Run, expression: str, name: str, items: tuple[Any, ...]
) -> None:
    imports = "import array, itertools\nfrom collections import *\n"
    seen = run(f"{imports}def f(): return {expression}", Call()).value
    assert isinstance(seen, Iterated)
    assert (seen.type_name, seen.items) == (name, items)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("range(2, 10**30, 3)", range(2, 10**30, 3)),
        ("deque([1, (2,)])", deque([1, (2,)])),
        ("UserList([1])", [1]),
        ("UserDict(a=1)", {"a": 1}),
        ("ChainMap({1: 2}, {1: 3, 2: 4})", {1: 2, 2: 4}),
        ("types.MappingProxyType({1: 2})", {1: 2}),
        ("memoryview(b'ab')", b"ab"),
    ],
)
def test_other_containers_keep_their_kind(run: Run, expression: str, value: Any) -> None:
    imports = "import types\nfrom collections import *\n"
    seen = run(f"{imports}def f(): return {expression}", Call()).value
    assert type(seen) is type(value)
    assert seen == value


def test_nan_and_subclasses_become_plain_data(run: Run) -> None:
    assert math.isnan(run("def f(): return float('nan')", Call()).value)
    assert run("from collections import *\ndef f(): return Counter('aab')", Call()).value == {
        "a": 2,
        "b": 1,
    }
    named = "from collections import namedtuple\ndef f(): return namedtuple('P', 'x')(1)"
    assert run(named, Call()).value == (1,)
    assert type(run("import enum\ndef f(): return enum.IntEnum('E', 'a').a", Call()).value) is int
    opaque = run("class Thing: pass\ndef f(): return [Thing()]", Call()).value[0]
    assert isinstance(opaque, Opaque)
    assert opaque.type_name == "Thing"
    assert opaque != opaque


def test_empty_nodes_are_none_and_own_node_classes_are_used(run: Run) -> None:
    own = "class ListNode:\n    own = 1\n    def __init__(self, v): self.val, self.next = v, None\n"
    assert run(own + "def f(x): return x.own", Call((LinkedList((1,)),))).value == 1
    assert run("def f(x): return x", Call((LinkedList(()),))).value is None
    assert run(
        "def f(x: ListNode): return x.next", Call((LinkedList((1, 2)),))
    ).value == LinkedList((2,))


@pytest.mark.parametrize(
    "program",
    [
        "def f(x): return x",
        "class Solution:\n    def f(self, x): return x",
    ],
)
def test_entry_point_may_be_a_method_of_solution(run: Run, program: str) -> None:
    assert run(program, Call((5,))).value == 5


def test_calls_with_keywords_expressions_and_prelude(run: Run) -> None:
    assert run("def f(a, b=0): return a - b", Call((5,), (("b", 2),))).value == 3
    assert run("def f(a): return a + 1", Call(expression="[candidate(1), f(2)]")).value == [2, 3]
    seen = run("def f(a):\n    return sqrt(a)", Call((4,)), prelude="from math import *\n" * 9)
    assert (seen.value, seen.executed_lines) == (2.0, frozenset({1, 2}))
    method = run("class A:\n    def g(self): return 9", Call(), entry_point="A().g")
    assert method.value == 9


def test_an_exception_tells_type_message_and_line(run: Run) -> None:
    seen = run("def f(x):\n    return 1 // x\n\nprint('a')\nf(0)\n")
    assert seen.reason is ExitReason.EXCEPTION
    assert (seen.error_type, seen.error_line) == ("ZeroDivisionError", 2)
    assert "division" in (seen.error_message or "")
    assert seen.stdout == "a\n"
    assert 'File "program.py", line 2, in f' in seen.stderr


def test_a_missing_entry_point_is_an_exception_of_the_program(run: Run) -> None:
    seen = run("x = 1", Call())
    assert (seen.reason, seen.error_type) == (ExitReason.EXCEPTION, "NameError")
    assert run("exit()", Call()).error_type == "SystemExit"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("x = (1,\n", "SyntaxError"),
        ("if 1:\nx", "IndentationError"),
        ("if 1:\n        x=1\n\ty=2", "TabError"),
        ("return 1", "SyntaxError"),
        ("x = '\0'", None),
        ("x = '\ud800'", "UnicodeEncodeError"),
        ("(" * 10_000, "SyntaxError"),
        ("x = " + "-" * 200_000 + "1", None),
        ("x = " + "9" * 5000, "SyntaxError"),
    ],
    ids=["open", "indent", "tabs", "return", "nul", "surrogate", "deep", "unary", "digits"],
)
def test_what_is_no_program_is_a_compile_error(run: Run, program: str, error: str | None) -> None:
    seen = run(program)
    assert seen.reason is ExitReason.COMPILE_ERROR
    assert seen.error_type == error or error is None
    assert not seen.executed_lines


def test_each_test_has_a_process_of_its_own(executor: LocalExecutor) -> None:
    program = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)\n"
    request = Request(program, tuple(Call((i,)) for i in range(5)), entry_point="f")
    assert [o.value for o in executor.run(request).observations] == [1] * 5


def test_runs_are_reproducible(executor: LocalExecutor) -> None:
    program = "import random\nprint(random.random(), list({'a', 'b', 'c', 'd'}))"
    with LocalExecutor(workers=1) as other:
        outputs = {
            pool.run(Request(program, (Stdin(""),))).observations[0].stdout
            for pool in (executor, other, executor)
        }
    assert len(outputs) == 1


def test_limits_end_a_run_with_their_own_reason(run: Run) -> None:
    brief = dataclasses.replace(LIMITS, cpu_seconds=0.3)
    spin = run(
        "print(1, flush=True)\nwhile True:\n    try:\n        while True: pass\n"
        "    except BaseException: pass",
        limits=brief,
    )
    assert spin.reason is ExitReason.CPU_LIMIT
    assert (spin.stdout, spin.executed_lines) == ("1\n", frozenset({1, 2, 3, 4}))
    small = dataclasses.replace(LIMITS, memory_bytes=64 * 2**20)
    assert run("x = [0] * 10**8", limits=small).reason is ExitReason.MEMORY_LIMIT
    assert run("while 1: print('x' * 1000)").reason is ExitReason.OUTPUT_LIMIT
    assert run("def f(): return [0] * 10**7", Call()).reason is ExitReason.OUTPUT_LIMIT
    for sleeps in ("import time\ntime.sleep(9999)", "import threading\nthreading.Event().wait()"):
        waiting = run(sleeps, limits=ExecutionLimits(cpu_seconds=0.3, wall_seconds=0.6))
        assert waiting.reason is ExitReason.WALL_LIMIT


def test_death_without_a_report_is_seen(run: Run) -> None:
    seen = run("import os\nos.abort()")
    assert seen.reason is ExitReason.KILLED
    assert "signal 6" in (seen.error_message or "")
    assert run("def f():\n    import os\n    os._exit(0)", Call()).reason is ExitReason.KILLED


def test_recursion_without_end_is_an_exception(run: Run) -> None:
    seen = run("def g(): return g()\ng()")
    assert (seen.reason, seen.error_type) == (ExitReason.EXCEPTION, "RecursionError")


DEPTH = """
import functools, sys
sys.setrecursionlimit(10**6)
def fits(depth):
    f = functools.cache(lambda n: 0 if n == 0 else f(n - 1) + 1)
    try:
        return f(depth) == depth
    except RecursionError:
        return False
low, high = 0, 10000
while low < high:
    middle = (low + high + 1) // 2
    low, high = (middle, high) if fits(middle) else (low, middle - 1)
print(low)
"""


def test_recursion_through_c_is_as_deep_as_in_a_plain_interpreter(run: Run) -> None:
    """CPython 3.12 and 3.13 bound it, and no program can move that bound; 3.11 does not."""
    plain = subprocess.run([sys.executable, "-c", DEPTH], capture_output=True, check=True)
    assert int(run(DEPTH).stdout) == pytest.approx(int(plain.stdout), abs=8)  # frames of ours


def test_a_broken_prelude_is_no_fault_of_the_program(run: Run) -> None:
    for prelude in ("import surely_not_installed", "x = ("):
        with pytest.raises(ExecutionError, match="prelude"):
            run("def f(): return 1", Call(), prelude=prelude)


@pytest.mark.parametrize(
    "request_",
    [
        lambda: Request(b"print(1)", (Stdin(""),)),  # type: ignore[arg-type]
        lambda: Request("print(1)", ()),
        lambda: Request("x=1", (Call(),)),
        lambda: Request("x=1", (Call((object(),)),), entry_point="x"),
    ],
    ids=["bytes", "no inputs", "no entry point", "object"],
)
def test_requests_without_meaning_are_refused(executor: LocalExecutor, request_: Any) -> None:
    with pytest.raises(ConfigurationError):
        executor.submit(request_())
