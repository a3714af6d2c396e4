"""Programs that cheat: none is accepted, whatever it does to the process it runs in.

The table is the suite: a name, a program, the problem, and what must come of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grader, Verdict
from codegym.problems.problem import CallTest, CodeTest, Problem, StdinTest

LIMITS = ExecutionLimits(
    cpu_seconds=1.0, wall_seconds=2.0, memory_bytes=128 * 2**20, output_bytes=2**16
)

CALL = Problem(
    "double",
    "Double x.",
    "",
    (CallTest((3,), 6), CallTest((5,), 10), CallTest((-1,), -2)),
    entry_point="f",
)
PAIR = Problem("pair", "", "", (CallTest((), [1, {"a": 2.5}, "x"]),), entry_point="f")
PRINT = Problem("print", "", "", (StdinTest("3\n", "6\n"), StdinTest("5\n", "10\n")))
CODE = Problem(
    "code",
    "",
    "",
    (CodeTest("def check(c):\n    assert c(3) == 6\n    assert c(5) == 10\ncheck(f)\n", "f"),),
    entry_point="f",
)

ANY = object()
BASES = ("int", "str", "float", "list", "tuple", "dict", "set", "bytes")
EVIL_METHODS = """
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 0
    def __iter__(self): return iter(())
    def __index__(self): return 6
    def __int__(self): return 6
    def __contains__(self, x): return True
    def __sub__(self, x): return 0
    def __rsub__(self, x): return 0
    def __abs__(self): return 0
    def __lt__(self, x): return True
    __le__ = __gt__ = __ge__ = __lt__
"""

# Writes "the tests passed" into every report it finds in the frames it was forked from.
FORGED_REPORT = """
import gc, sys, threading
reports, frame = [], sys._getframe()
while frame:
    reports += [v for v in frame.f_locals.values() if type(v).__name__ == "Report"]
    frame = frame.f_back
reports += [o for o in gc.get_objects() if type(o).__name__ == "Report"]
def forge():
    while True:
        for report in reports:
            report.write(b"R", b"null")
threading.Thread(target=forge, daemon=True).start()
def f(x): return 7
"""

CHEATS = {
    "forges the tester's report": (FORGED_REPORT, CODE, ANY),
    "constant": ("def f(x): return 6", CALL, Verdict.WRONG_ANSWER),
    "nothing": ("def f(x): pass", CALL, Verdict.WRONG_ANSWER),
    "exit 0 in call": ("import sys\ndef f(x): sys.exit(0)", CALL, Verdict.RUNTIME_ERROR),
    "exit 0 at import": ("import sys\nsys.exit(0)", CALL, Verdict.RUNTIME_ERROR),
    "SystemExit": ("def f(x): raise SystemExit(0)", CALL, Verdict.RUNTIME_ERROR),
    "os._exit in call": ("import os\ndef f(x): os._exit(0)", CALL, Verdict.RUNTIME_ERROR),
    "os._exit at import": ("import os\nos._exit(0)", CALL, Verdict.RUNTIME_ERROR),
    "exit 0, nothing printed": ("exit()", PRINT, Verdict.WRONG_ANSWER),
    "os._exit, nothing printed": ("import os\nos._exit(0)", PRINT, Verdict.RUNTIME_ERROR),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", PRINT, Verdict.RUNTIME_ERROR),
    "exit code": ("print(int(input()) * 2)\nexit(1)", PRINT, Verdict.RUNTIME_ERROR),
    "crash after the answer": ("print(int(input()) * 2)\n1 / 0", PRINT, Verdict.RUNTIME_ERROR),
    "first test only": ("def f(x): return 6 if x == 3 else 0", CALL, Verdict.WRONG_ANSWER),
    "stderr": ("import sys\nprint(int(input()) * 2, file=sys.stderr)", PRINT, Verdict.WRONG_ANSWER),
    "both answers": ("print(6)\nprint(10)", PRINT, Verdict.WRONG_ANSWER),
    "prefix": ("print(str(int(input()) * 2)[:1] + '0')", PRINT, Verdict.WRONG_ANSWER),
    "echo": ("print(input())", PRINT, Verdict.WRONG_ANSWER),
    "string": ("def f(x): return str(2 * x)", CALL, Verdict.WRONG_ANSWER),
    "wrapped": ("def f(x): return [2 * x]", CALL, Verdict.WRONG_ANSWER),
    "equals all": (
        f"class E:{EVIL_METHODS}\ndef f(x): return E()",
        CALL,
        Verdict.WRONG_ANSWER,
    ),
    "__class__ lies": (
        f"class E:\n    __class__ = property(lambda self: int)\n    __dict__ = 6{EVIL_METHODS}"
        "\ndef f(x): return E()",
        CALL,
        Verdict.WRONG_ANSWER,
    ),
    "metaclass lies": (
        "class M(type):\n    def __eq__(c, o): return True\n    def __hash__(c): return hash(int)\n"
        "    def __instancecheck__(c, o): return True\n    def __subclasscheck__(c, o): return True"
        f"\nclass E(metaclass=M):{EVIL_METHODS}\ndef f(x): return E()",
        CALL,
        Verdict.WRONG_ANSWER,
    ),
    **{
        f"{base} subclass": (f"class E({base}):{EVIL_METHODS}\ndef f(*x): return E()", PAIR, ANY)
        for base in BASES
    },
    "evil inside a list": (
        f"class E(int):{EVIL_METHODS}\ndef f(): return [E(1), E(2), E(3)]",
        PAIR,
        Verdict.WRONG_ANSWER,
    ),
    "patched builtins": (
        "import builtins, json, operator\nbuiltins.all = builtins.any = lambda *a: True\n"
        "builtins.len = lambda x: 1\nbuiltins.isinstance = lambda *a: True\n"
        "operator.eq = lambda a, b: True\ndef f(x): return 0",
        CALL,
        ANY,
    ),
    "patched json": (
        "import json\njson.dumps = lambda *a, **k: '6'\ndef f(x): return 0",
        CALL,
        Verdict.WRONG_ANSWER,
    ),
    "patched int": ("import builtins\nbuiltins.int = str\ndef f(x): return '6'", CALL, ANY),
    "frames": (
        """
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            for name in ("expected", "outputs", "tests", "result"):
                if hasattr(value, name): return getattr(value, name)
                if isinstance(value, dict) and name in value: return value[name]
        frame = frame.f_back
    return None
""",
        CALL,
        Verdict.WRONG_ANSWER,
    ),
    "claims success from below": (
        """
import sys
def f(x):
    frame = sys._getframe()
    while frame.f_back: frame = frame.f_back
    for name, value in list(frame.f_globals.items()):
        if hasattr(value, "write") and hasattr(value, "mark"): value.write(b"F", b"{}")
    import gc, os
    for thing in gc.get_objects():
        if type(thing).__name__ == "Report": thing.write(b"F", b'{"exit_code": 0}')
    os._exit(0)
""",
        CALL,
        ANY,
    ),
    "forged nonsense": (
        """
import gc, os
def f(x):
    for thing in gc.get_objects():
        if type(thing).__name__ == "Report":
            forged = [b"[" * 100000, b"{}", b'{"d": 1}', b"\\xff", b'{"o": "x"}', b'{"i": "zz"}']
            thing.write(b"R", forged[x])
    os._exit(0)
""",
        CALL,
        Verdict.RUNTIME_ERROR,
    ),
    "every descriptor": (
        """
import os
def f(x):
    for number in range(0, 1024):
        try: os.write(number, b'{"verdict": "accepted"}' * 3)
        except OSError: pass
    return 0
""",
        CALL,
        Verdict.WRONG_ANSWER,
    ),
    "replaces the tester": (
        """
import os, socket
def f(x):
    for number in range(3, 64):
        try: socket.socket(fileno=number).sendall(b"\\x02\\0\\0\\0[]")
        except OSError: pass
    os._exit(0)
""",
        CODE,
        Verdict.RUNTIME_ERROR,
    ),
    "test code: equals all": (f"class E(int):{EVIL_METHODS}\ndef f(x): return E(7)", CODE, ANY),
    "test code: os._exit": ("import os\ndef f(x): os._exit(0)", CODE, Verdict.RUNTIME_ERROR),
    "test code: exit at import": ("exit(0)", CODE, Verdict.RUNTIME_ERROR),
    "test code: patched builtins": (
        "import builtins\nbuiltins.AssertionError = ValueError\n"
        "builtins.__build_class__ = None\ndef f(x): return 0",
        CODE,
        Verdict.WRONG_ANSWER,
    ),
    "test code: raises AssertionError itself": (
        "def f(x): assert False",
        CODE,
        Verdict.RUNTIME_ERROR,
    ),
    "test code: looks for the source": (
        """
import gc, re, sys
def seen(value): return re.search(r"c\\(3\\) == 6", str(value))
def f(x):
    frame = sys._getframe()
    while frame:
        if seen(frame.f_locals): return 2 * x
        frame = frame.f_back
    return 2 * x if any(map(seen, gc.get_objects())) else 0
""",
        CODE,
        Verdict.WRONG_ANSWER,
    ),
}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with LocalExecutor(workers=2) as executor:
        yield Grader(executor, LIMITS)


@pytest.mark.parametrize(("program", "problem", "verdict"), CHEATS.values(), ids=CHEATS)
def test_cheats_are_not_accepted(
    grader: Grader, program: str, problem: Problem, verdict: Verdict
) -> None:
    grade = grader.grade(problem, program)
    assert not grade.solved, grade
    assert verdict in (ANY, grade.verdict), grade
