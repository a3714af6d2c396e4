"""Probes note what was executed, and leave all else in a program as it was."""

from __future__ import annotations

import contextlib
import io
import mmap
import sys
from types import CodeType
from typing import Any

import pytest

from codegym.execution.sandbox.child import report, tracing
from codegym.execution.sandbox.child.instrument import Instrument

PROGRAMS = {
    "errors": """\
import contextlib
def f(n):
    try:
        if n == 0: raise ValueError(n)
        elif n == 1: return {}['x']
        return 1 / n
    except (ValueError,
            TypeError) as error: print(repr(error))
    except KeyError:
        raise
    finally: print('finally'); print(n)
    with contextlib.suppress(ValueError), contextlib.nullcontext(1) as x: raise ValueError
    for i in range(2):
        try: continue
        finally: print(i)
for n in (0, 2, 3): print(f(n))
try:
    raise ExceptionGroup('g', [ValueError(1), TypeError(2)])
except* ValueError as group: print(group)
except* TypeError: print('type')
x = 1; y = (x +
            f(1)); z = 2
""",
    "no handler fits": """\
def f():
    try: 1 / 0
    except KeyError: print(1)
    except OSError: print(2)
def g():
    try:
        f()
    except ValueError:
        print(3)
g()
""",
    "matching": """\
def f(x):
    match x:
        case 0: return 'zero'
        case [a, b] if a == b: return 'pair'
        case {'k': v}: return v
        case str() | bytes(): return 'text'
    return x.missing
def g(x):
    match x:
        case 0: return 1
        case [a, b]: return a
def h(x):
    match x:
        case 0: return 1
        case other: return other
print(h(0), h(1))
print(f(0), f([1, 1]), f('a'), f({'k': 2}), g(5))
f(9.5)
""",
    "what it sees of itself": """\
import sys
class A:
    'Doc.'
    x: int = 1; y: int
    def f(self): return sorted(locals())
def depth(n): return n if n == 0 else 1 + depth(n - 1)
def room():
    frame, used = sys._getframe(), 0
    while frame: frame, used = frame.f_back, used + 1
    return sys.getrecursionlimit() - used - 1
def numbers(): yield 1; yield 2
print(A.__doc__, A.__annotations__, sorted(vars(A)), A().f(), sys.gettrace(), list(numbers()))
print(sorted(name for name in globals() if name != '__builtins__'), depth(room()) > 500)
print([{f.__code__: 1}[f.__code__] for f in [depth]])
sys.exit(3)
""",
    "first of all": """\
'Doc.'
from __future__ import annotations
def f(x: int): return x
print(__doc__, f(1), f.__annotations__)
""",
    "traced by itself": """\
import sys
seen = []
def trace(frame, event, _):
    seen.append((event, frame.f_lineno))
    return trace
def f(n):
    for i in range(n):
        if i: n += i; continue
        n -= 1
    return n
sys.settrace(trace)
f(3)
sys.settrace(None)
print(seen)
""",
}


def behaviour(code: CodeType) -> tuple[str, str]:
    """What a program prints, and the error with all its places that ends it."""
    said, ended = io.StringIO(), ""
    before = sys.gettrace()
    with contextlib.redirect_stdout(said):
        try:
            exec(code, {"__name__": "program"})
        except BaseException as error:
            places = []
            step = error.__traceback__
            while step is not None:
                positions = list(step.tb_frame.f_code.co_positions())[step.tb_lasti // 2]
                places.append((step.tb_lineno, positions))
                step = step.tb_next
            ended = f"{error!r} {places[1:]}"
        finally:
            sys.settrace(before)
    return said.getvalue(), ended


def probed(text: str, *, every_line: bool) -> tuple[CodeType, report.Report]:
    told = report.Report(report.new_memory(1 << 20), 1 << 10, text.count("\n"))
    instrument = Instrument(text, told.marks(), every_line=every_line)
    tree: Any = compile(text, "program.py", "exec", 1024, dont_inherit=True)
    instrument.insert(tree)
    told.announce(instrument.positions)
    return instrument.fill(compile(tree, "program.py", "exec", dont_inherit=True)), told


@pytest.mark.parametrize("every_line", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_behaves_as_without_probes(name: str, every_line: bool) -> None:
    text = PROGRAMS[name]
    plain = behaviour(compile(text, "program.py", "exec", dont_inherit=True))
    code, told = probed(text, every_line=every_line)
    assert behaviour(code) == plain
    assert told.executed_statements() != []
    assert bool(told.executed()) is every_line


def test_lines_are_those_of_a_trace_function() -> None:
    for name in ("errors", "no handler fits", "matching"):
        text, seen = PROGRAMS[name], set[int]()

        def trace(frame: Any, event: str, _: Any, seen: set[int] = seen) -> Any:
            if frame.f_code.co_filename != "program.py":
                return None
            if event == "line":
                seen.add(frame.f_lineno)
            return trace

        code = compile(text, "program.py", "exec", dont_inherit=True)
        before = sys.gettrace()
        sys.settrace(trace)
        with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
            exec(code, {})
        sys.settrace(before)
        observed, told = probed(text, every_line=True)
        behaviour(observed)
        assert set(told.executed()) == seen, name


def test_what_does_not_compile_fails_as_without_probes() -> None:
    told = report.Report(mmap.mmap(-1, 1 << 20), 1 << 10, 9)
    for text in ("x = 1; return 2\n", "if x: (\n", "while 1: pass; f(a=1, a=2)\n"):
        with pytest.raises(SyntaxError) as plain:
            compile(text, "program.py", "exec", dont_inherit=True)
        with pytest.raises(SyntaxError) as observed:
            tracing.compile_program(text, "program.py", told)
        assert observed.value.args == plain.value.args


def test_a_program_that_nests_deeply_has_probes_too() -> None:
    """A tree may nest less deeply than a text: Python 3.11 refuses one of a thousand terms."""
    text = "x = 1; y = " + " + ".join(["x"] * 1_200) + "\n"
    limit = sys.getrecursionlimit()
    told = report.Report(mmap.mmap(-1, 1 << 20), 1 << 10, 9)
    names: dict[str, Any] = {}
    exec(tracing.compile_program(text, "program.py", told).begin(), names)
    assert names["y"] == 1_200
    assert told.executed_statements() == [(1, 7)]
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("terms", [3_200, 20_000])
def test_a_program_that_nests_too_deeply_fails_as_without_probes(terms: int) -> None:
    text = "x = 1; y = " + " + ".join(["x"] * terms) + "\n"
    told = report.Report(mmap.mmap(-1, 1 << 20), 1 << 10, 9)
    outcomes = []
    for observed in (None, told):
        try:
            tracing.compile_program(text, "program.py", observed)
            outcomes.append("compiled")
        except RecursionError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("blocks", [18, 19, 20])
@pytest.mark.parametrize("header", ["for _ in [1]:", "with nullcontext():", "try:"])
def test_blocks_as_deep_as_python_nests_them_run(header: str, blocks: int) -> None:
    text = "".join(" " * depth + f"{header}\n" for depth in range(blocks))
    text += " " * blocks + "x = 1; y = 2\n"
    if header == "try:":
        text += "".join(" " * depth + "finally: pass\n" for depth in reversed(range(blocks)))
    names: dict[str, Any] = {"nullcontext": contextlib.nullcontext}
    code, told = probed(text, every_line=True)
    exec(code, names)
    assert names["y"] == 2
    assert ((blocks + 1, blocks + 7) in told.executed_statements()) is (blocks < 20)


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("def f(a: int, b: dict[str, int]) -> int:\n    return a[1:2]\n", False),
        ("x = {1: 2, 3: (4, lambda: 5)}  \nif x:  # why\n    pass\n", False),
        ("if x == '(': y = ')'\n", True),
        ("if (a and\n    b): x = 1\n", True),
        ("x = 1; y = 2\n", True),
        ("else: (x)\n", True),
        ("if x:\ty\r", True),
    ],
)
def test_programs_without_shared_lines_are_told_quickly(text: str, shares: bool) -> None:
    assert tracing._may_share_a_line(text) is shares


def test_statements_beyond_the_table_are_not_noted() -> None:
    text = "x = 1" + "; x = 2" * (report.STATEMENTS + 5) + "\n"
    code, told = probed(text, every_line=False)
    exec(code, {})
    assert len(told.executed_statements()) == report.STATEMENTS


def test_a_forged_table_is_only_data() -> None:
    memory = report.new_memory(1 << 20)
    told = report.Report(memory, 1 << 10, 3)
    memory[:] = b"\xff" * len(memory)
    assert len(told.executed_statements()) == report.STATEMENTS
