"""Probes note what `sys.settrace` sees, and leave all else in a program as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import json
import mmap
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from codegym.execution import Call, ExecutionLimits, ExitReason, LocalExecutor, Request
from codegym.problems import CallTest, load_problems

if sys.version_info >= (3, 12):
    pytest.skip(
        "probes are for CPython 3.11: later ones have sys.monitoring", allow_module_level=True
    )

from codegym.execution.sandbox import probes

START = 9
LINES = 10_000


def compiled(source: str) -> CodeType:
    return compile(source, "program.py", "exec", dont_inherit=True)


def probed(code: CodeType) -> tuple[CodeType, Callable[[], set[int]]]:
    memory = mmap.mmap(-1, START + LINES + 1)

    def marked() -> set[int]:
        assert not any(memory[: START + 1])
        return {line for line in range(LINES + 1) if memory[START + line]}

    return probes.insert(code, probes.Marks(memory, START, LINES)), marked


def behaviour(code: CodeType, trace: Any = None) -> tuple[str, str]:
    """What a program prints, and the error with all its lines that ends it."""
    said, ended = io.StringIO(), ""
    before = sys.gettrace()
    with contextlib.redirect_stdout(said):
        sys.settrace(trace)
        try:
            exec(code, {"__name__": "program"})
        except BaseException as error:
            lines = []
            step = error.__traceback__
            while step is not None:
                positions = list(step.tb_frame.f_code.co_positions())[step.tb_lasti // 2]
                lines.append((step.tb_lineno, positions))
                step = step.tb_next
            ended = f"{error!r} {lines[1:]}"
        finally:
            sys.settrace(before)
    return said.getvalue(), ended


def traced(code: CodeType) -> tuple[set[int], tuple[str, str]]:
    """Executed lines by a trace function, and the behaviour."""
    seen: set[int] = set()

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != "program.py":
            return None
        if event == "line":
            seen.add(frame.f_lineno)
        return trace

    return seen, behaviour(code, trace)


PROGRAMS = {
    "branches": '''\
"""Doc."""
def f(n):
    """Doc."""
    global seen
    if n < 0:
        seen = 1
    elif (n ==
          0):
        seen = 2
    elif n == 1: seen = 3
    else:
        seen = 4
    "constant"
    pass
    return (seen +
            n)
print(f(-1)); print(f(
    0))
if 0:
    never = 1
x = (1 if seen
     else 2)
assert x, (
    never)
''',
    "loops": """\
total = 0
for i in range(3):
    for j in range(
        i
    ):
        if j == 1:
            continue
        total += 1
    else:
        total += 2
else:
    total += 3
while total:
    total -= 1
    if total == 2:
        break
else:
    total = 100
while True:
    total += 1
    if total > 5: break
for k in []:
    total = 200
print(total, [a
              for a in range(3)
              if a], {a: b for a in 'x'
                      for b in
                      'y'}, sum(c
                                for c in range(2)))
""",
    "functions": """\
import functools
def wrap(
    f,
):
    @functools.wraps(f)
    def inner(*args):
        return f(*args)
    return inner
@wrap
@functools.lru_cache(
    maxsize=None)
def fib(n,
        one=1):
    return n if n < 2 else fib(n - 1) + fib(
        n - 2)
class A(
    object):
    '''Doc.'''
    x: int = 1
    y: int
    @property
    def p(self):
        return self.x
    def unused(self):
        return 1
    @wrap
    class B: z = [
        1]
print(fib(10), A().p, (lambda: (
    1))(), bool(lambda: (
    2)))
def cell(a):
    def inner():
        nonlocal a
        a += 1
        return a
    return inner
print(cell(1)())
def one(): return 1
print(one())
""",
    "errors": """\
import contextlib
def f(n):
    try:
        if n == 0:
            raise ValueError(
                n)
        elif n == 1:
            return {}['x']
        elif n == 2:
            return 1 / 0
    except (ValueError,
            TypeError) as error:
        print(repr(error))
    except KeyError:
        raise
    except ZeroDivisionError: print(0)
    except:
        never = 1
    else:
        print('else')
    finally:
        print('finally')
    for i in range(2):
        try:
            continue
        finally:
            print(i)
    with contextlib.suppress(ValueError), \\
         contextlib.nullcontext(1) as x:
        raise ValueError
    with contextlib.nullcontext():
        return 5
for n in (0, 2, 3):
    print(f(n))
try:
    raise ExceptionGroup('g', [ValueError(1), TypeError(2)])
except* ValueError as group:
    print(group)
except* TypeError:
    print('type')
f(
  1)
""",
    "matching": """\
def f(x):
    match x:
        case 0:
            return 'zero'
        case [a,
              b] if a == b:
            return 'pair'
        case {'k': v}:
            return v
        case str() | bytes():
            return 'text'
        case (1 |
              2):
            y = 1
        case _:
            y = 2
    match y:
        case 3:
            pass
    return y
print(f(0), f([1, 1]), f('a'), f(2))
print(f(9.5))
""",
    "generators": """\
import asyncio
def numbers():
    try:
        yield 1
        received = yield 2
        print(received)
        yield from sub(
            3)
    except KeyError:
        yield 'caught'
    finally:
        print('closed')
def sub(n):
    try:
        yield n
    except ValueError:
        yield -n
    return 7
g = numbers()
print(next(g), next(g), g.send('hi'), g.throw(ValueError()), g.throw(KeyError()))
g.close()
numbers().close()
class C:
    async def __aenter__(self):
        return self
    async def __aexit__(self, *_):
        await asyncio.sleep(0)
async def ticks():
    for i in range(2):
        await asyncio.sleep(0)
        yield i
async def main():
    async with C() as c:
        async for t in ticks():
            print(t)
        else:
            print('end')
    print([t async for t in ticks()])
    never = lambda: (
        1)
asyncio.run(main())
""",
    "wide": "x = 0\n" + "".join(f"x += {n} + 1000 * {n}\n" for n in range(400)) + "print(x)\n",
    "far": "for i in range(3):\n    if i == 1:\n"
    + "        print(1, 2, 3, i)\n" * 300
    + "    else:\n        i = 2\nprint(y)\n",
    "empty": "",
    "comment": "# nothing\n",
    "escapes": "import sys\ndef f():\n    sys.exit(3)\n    return 1\nf()\n",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_marks_are_those_of_a_trace_function(name: str) -> None:
    code = compiled(PROGRAMS[name])
    seen, expected = traced(code)
    program, marked = probed(code)
    assert behaviour(program)[0] == expected[0]
    assert marked() == seen - {0}  # which an empty module has
    # Not where in the source alone: the column of each step of the traceback as well.
    assert behaviour(probed(code)[0]) == behaviour(code)


def test_a_program_sees_no_more_than_before() -> None:
    program = """\
def f(a):
    b = 1
    for c in a:
        pass
    return sorted(locals()), f.__code__.co_varnames, f.__code__.co_stacksize > 0
print(f([1]), sorted(k for k in globals() if k != '__builtins__'))
print(hash(f.__code__) == hash(f.__code__), {f.__code__: 1}[f.__code__])
import sys
def depth(n):
    return sys._getframe(0).f_back is not None and (n == 0 or depth(n - 1))
print(depth(50), sys.gettrace())
"""
    code = compiled(program)
    assert behaviour(probed(code)[0]) == behaviour(code)


def probe_count(code: CodeType) -> int:
    return sum(type(const).__name__ == "tuple_iterator" for const in code.co_consts)


def test_lines_that_were_visited_on_every_way_get_no_probe() -> None:
    module, _ = probed(compiled("def f(x):\n    for a in x:\n        y = [b for b in a if b]\n"))
    function = next(const for const in module.co_consts if isinstance(const, CodeType))
    comprehension = next(const for const in function.co_consts if isinstance(const, CodeType))
    assert [probe_count(code) for code in (module, function, comprehension)] == [1, 2, 0]


def test_lines_beyond_the_table_get_no_probe() -> None:
    memory = mmap.mmap(-1, 100)
    code = probes.insert(compiled("a = 1\n\nb = 2\nc = 3\n"), probes.Marks(memory, START, 3))
    exec(code, {})
    assert memory[:] == bytes(START + 1) + bytes([1, 0, 1]) + bytes(100 - START - 4)


ORACLE = """
import os as _os, sys as _sys, threading as _threading
_seen = set()
def _trace(frame, event, argument):
    if frame.f_code.co_filename != "program.py":
        return None
    if event == "line" and frame.f_lineno not in _seen:
        _seen.add(frame.f_lineno)
        _os.write(2, b"\\nline %d\\n" % frame.f_lineno)
    return _trace
_threading.settrace(_trace)
_sys.settrace(_trace)
"""


def real_programs(data_dir: Path) -> Iterator[tuple[Any, str]]:
    found = load_problems("leetcode", data=data_dir / "LeetCodeDataset-v0.2.0-train.jsonl.gz")
    for problem in found.sample(20, seed=3):
        yield problem, problem.canonical_solution
    problems = {p.id: p for p in load_problems("humaneval", data=data_dir / "HumanEval.jsonl.gz")}
    with gzip.open(data_dir / "humaneval_codegen16b_samples.jsonl.gz", "rt") as file:
        for row in list(map(json.loads, file))[::8]:
            yield problems[row["task_id"]], row["programs"][0]


def test_real_programs_against_a_trace_function(data_dir: Path, executor: LocalExecutor) -> None:
    limits = ExecutionLimits(cpu_seconds=0.5, wall_seconds=3600.0)
    compared = partial = 0
    for problem, program in real_programs(data_dir):
        test = next((test for test in problem.tests if isinstance(test, CallTest)), None)
        if test is None:
            continue
        given = Call(test.args, test.kwargs, test.expression)
        request = Request(program, (given,), problem.entry_point, problem.prelude, limits)
        observed = executor.run(request).observations[0]
        other = dataclasses.replace(request, prelude=problem.prelude + ORACLE, coverage=False)
        oracle = executor.run(other).observations[0]
        if {observed.reason, oracle.reason} & {ExitReason.CPU_LIMIT, ExitReason.WALL_LIMIT}:
            continue
        seen = {int(n) for n in re.findall(r"(?m)^line (\d+)$", oracle.stderr)}
        assert observed.executed_lines == seen, program
        assert (observed.reason, observed.value) == (oracle.reason, oracle.value)
        assert observed.error_line == oracle.error_line
        compared += 1
        partial += observed.reason is ExitReason.EXCEPTION
    assert compared > 30
    assert partial > 0
