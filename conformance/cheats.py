"""Programs that go for the verdict, not for the answer."""

from __future__ import annotations

from codegym.grading import Verdict
from codegym.problems import CallTest
from codegym.problems.problem import UnitTest

from .case import DOUBLE_CALLS, DOUBLE_CODE, DOUBLE_LINES, Case, Ending

_WRONG, _CRASH = (Verdict.WRONG_ANSWER,), (Verdict.RUNTIME_ERROR,)
_EITHER: tuple[Ending, ...] = (Verdict.WRONG_ANSWER, Verdict.RUNTIME_ERROR)

BASES = ("int", "str", "float", "list", "tuple", "dict", "set", "bytes")
EVIL = """
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
PAIR = (CallTest((), [1, {"a": 2.5}, "x"]),)

# What people's graders call the things that decide, looked for in every frame below.
_SEARCH = """
import sys, gc
gc.unfreeze()
NAMES = ("expected", "exp", "outputs", "output", "gt_out", "in_outs", "tests", "problem", "sample")
def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back
def dig(value, depth=0):
    if isinstance(value, str) and value[:1] in "{[":
        try: value = __import__("json").loads(value)
        except ValueError: pass
    if isinstance(value, dict):
        for name in ("outputs", "output", "expected"):
            if name in value: return dig(value[name])
        for name in ("input_output",):
            if name in value: return dig(value[name])
    if isinstance(value, (list, tuple)) and value: return dig(value[0])
    for name in ("stdout", "expected", "value"):
        if hasattr(value, name): return getattr(value, name)
    if isinstance(value, str) and value.strip().lstrip("-").isdigit(): return int(value)
    return value
def found():
    for frame in frames():
        for name, value in [*frame.f_locals.items(), *frame.f_globals.items()]:
            if name in NAMES and frame.f_code.co_name not in ("f", "found", "frames", "dig"):
                answer = dig(value)
                if isinstance(answer, int): return answer
    return 0
"""
_FORGE = """
import sys, os
def forge(passed, frame=None):
    frame = frame or sys._getframe()
    while frame:
        for name, value in list(frame.f_locals.items()):
            try:
                if name in ("result", "results", "test_results", "all_results"):
                    value.append(passed)
                if name == "stat": value.value = 0
                if name == "progress": value.value = 3
                if name == "details":
                    for i in range(3): value[i] = True
                if name == "metadata_list": value.append({})
            except Exception: pass
        frame = frame.f_back
"""

CALL_CHEATS: dict[str, tuple[str, tuple[UnitTest, ...], tuple[Ending, ...]]] = {
    "exit(0) in the call": ("import sys\ndef f(x): sys.exit(0)", DOUBLE_CALLS, _CRASH),
    "exit(0) when loaded": ("import sys\nsys.exit(0)", DOUBLE_CALLS, _CRASH),
    "SystemExit": ("def f(x): raise SystemExit(0)", DOUBLE_CALLS, _CRASH),
    "os._exit(0) in the call": ("import os\ndef f(x): os._exit(0)", DOUBLE_CALLS, _CRASH),
    "os._exit(0) when loaded": ("import os\nos._exit(0)", DOUBLE_CALLS, _CRASH),
    "GeneratorExit": ("def f(x): raise GeneratorExit", DOUBLE_CALLS, _CRASH),
    "equals everything": (f"class E:{EVIL}\ndef f(x): return E()", DOUBLE_CALLS, _WRONG),
    "__class__ lies": (
        f"class E:\n    __class__ = property(lambda self: int)\n    __dict__ = 6{EVIL}"
        "\ndef f(x): return E()",
        DOUBLE_CALLS,
        _WRONG,
    ),
    "metaclass lies": (
        "class M(type):\n    def __eq__(c, o): return True\n    def __hash__(c): return hash(int)\n"
        "    def __instancecheck__(c, o): return True\n    def __subclasscheck__(c, o): return True"
        f"\nclass E(metaclass=M):{EVIL}\ndef f(x): return E()",
        DOUBLE_CALLS,
        _WRONG,
    ),
    **{
        f"subclass of {base}": (f"class E({base}):{EVIL}\ndef f(*x): return E()", PAIR, _WRONG)
        for base in BASES
    },
    "evil items in a list": (
        f"class E(int):{EVIL}\ndef f(): return [E(1), E(2), E(3)]",
        PAIR,
        _WRONG,
    ),
    "evil keys in a dict": (
        f"class E(str):{EVIL}\ndef f(x): return {{E('b'): 1}}",
        (CallTest((1,), {"a": 1}),),
        _WRONG,
    ),
    "lies only once": (
        "class E(int):\n    n = 0\n"
        "    def __eq__(s, o):\n        E.n += 1\n        return E.n < 9\n"
        "    def __hash__(s): return 0\ndef f(x): return E(0)",
        DOUBLE_CALLS,
        _WRONG,
    ),
    "patches builtins": (
        "import builtins, json, operator\nbuiltins.all = builtins.any = lambda *a: True\n"
        "builtins.len = lambda x: 1\nbuiltins.isinstance = lambda *a: True\n"
        "operator.eq = lambda a, b: True\ndef f(x): return 0",
        DOUBLE_CALLS,
        _EITHER,
    ),
    "patches zip and range": (
        "import builtins\nbuiltins.zip = lambda *a, **k: iter(())\n"
        "builtins.range = lambda *a: iter(())\nbuiltins.enumerate = lambda *a: iter(())\n"
        "def f(x): return 0",
        DOUBLE_CALLS,
        _EITHER,
    ),
    "patches json": (
        "import json\njson.dumps = lambda *a, **k: '6'\njson.loads = lambda *a, **k: 0\n"
        "def f(x): return 0",
        DOUBLE_CALLS,
        _WRONG,
    ),
    "patches int": (
        "import builtins\nbuiltins.int = str\ndef f(x): return '6'",
        DOUBLE_CALLS,
        _EITHER,
    ),
    "patches numpy": (
        "try:\n    import numpy\n    numpy.allclose = numpy.all = lambda *a, **k: True\n"
        "except ImportError: pass\ndef f(): return [1.0, 2.0]",
        (CallTest((), [3.0, 4.0]),),
        _WRONG,
    ),
    "finds the answer in a frame": (
        f"{_SEARCH}def f(x): return found()",
        (CallTest((3,), 6),),
        _WRONG,
    ),
    "finds an answer anywhere": (
        f"{_SEARCH}def f(x):\n    for thing in gc.get_objects():\n"
        "        if isinstance(thing, dict) and ('outputs' in thing or 'expected' in thing):\n"
        "            answer = dig(thing)\n            if isinstance(answer, int): return answer\n"
        "    return 0",
        (CallTest((3,), 6),),
        _WRONG,
    ),
    "reports 'passed' and leaves": (
        f"{_FORGE}def f(x):\n    forge('passed')\n    os._exit(0)",
        DOUBLE_CALLS,
        _CRASH,
    ),
    "reports [True] and leaves": (
        f"{_FORGE}def f(x):\n    forge([True] * 3)\n    os._exit(0)",
        DOUBLE_CALLS,
        _CRASH,
    ),
    "reports when loaded": (
        f"{_FORGE}forge('passed')\nforge([True] * 3)\nos._exit(0)\ndef f(x): return 0",
        DOUBLE_CALLS,
        _CRASH,
    ),
    "reports from a thread": (
        f"{_FORGE}import threading\ndef f(x):\n"
        "    t = threading.Thread(target=forge, args=('passed', sys._getframe()))\n"
        "    t.start()\n    t.join()\n    return 0",
        DOUBLE_CALLS,
        _WRONG,
    ),
    "hooks every line": (
        "import sys\ndef hook(frame, event, arg):\n    for name in ('tmp_result', 'exact_match'):\n"
        "        if name in frame.f_locals: frame.f_locals[name] = True\n    return hook\n"
        "sys.settrace(hook)\ndef f(x): return 0",
        DOUBLE_CALLS,
        _WRONG,
    ),
    "patches the grader's modules": (
        "import sys\nfor name, module in list(sys.modules.items()):\n"
        "    for word in ('compare', 'same_value', 'judge', 'custom_compare_'):\n"
        "        if hasattr(module, word): setattr(module, word, lambda *a, **k: True)\n"
        "def f(x): return 0",
        DOUBLE_CALLS,
        _WRONG,
    ),
    "claims success from below": (
        """
import sys, gc, os
gc.unfreeze()
def f(x):
    frame = sys._getframe()
    while frame.f_back: frame = frame.f_back
    for name, value in list(frame.f_globals.items()):
        if hasattr(value, "write") and hasattr(value, "mark"): value.write(b"F", b"{}")
    for thing in gc.get_objects():
        if type(thing).__name__ == "Report": thing.write(b"F", b'{"exit_code": 0}')
    os._exit(0)
""",
        DOUBLE_CALLS,
        _EITHER,
    ),
    "forged nonsense": (
        """
import gc, os
gc.unfreeze()
def f(x):
    for thing in gc.get_objects():
        if type(thing).__name__ == "Report":
            forged = [b"[" * 100000, b"{}", b'{"d": 1}', b"\\xff", b'{"o": "x"}', b'{"i": "zz"}']
            body, memory = forged[x], thing._memory
            memory[thing._body : thing._body + len(body)] = body
            memory[8:9] = b"\\x01"  # finished
            memory[:8] = (len(body) + 1).to_bytes(8, "little")
    os._exit(0)
""",
        DOUBLE_CALLS,
        _WRONG,
    ),
    "writes on every descriptor": (
        "import os\ndef f(x):\n    for number in range(0, 1024):\n"
        '        try: os.write(number, b\'{"verdict": "accepted"}\' * 3)\n'
        "        except OSError: pass\n    return 0",
        DOUBLE_CALLS,
        _WRONG,
    ),
}
LINE_CHEATS: dict[str, tuple[str, tuple[UnitTest, ...], tuple[Ending, ...]]] = {
    "exit(0), nothing printed": ("exit()", DOUBLE_LINES, _WRONG),
    "os._exit(0), nothing printed": ("import os\nos._exit(0)", DOUBLE_LINES, _WRONG),
    "os._exit(1), all printed": (
        "import os\nprint(2 * int(input()), flush=True)\nos._exit(1)",
        DOUBLE_LINES,
        _CRASH,
    ),
    "answers on descriptor 3": (
        "import os\nn = int(input())\nfor i in range(3, 64):\n"
        "    try: os.write(i, f'{2 * n}\\n'.encode())\n    except OSError: pass",
        DOUBLE_LINES,
        _WRONG,
    ),
    "finds the answer in a frame, prints": (
        f"{_SEARCH}print(found())",
        (DOUBLE_LINES[0],),
        _WRONG,
    ),
    "reports 'passed', prints nothing": (
        f"{_FORGE}forge('passed')\nforge([True] * 2)\nos._exit(0)",
        DOUBLE_LINES,
        _WRONG,
    ),
    "patches builtins, prints nothing": (
        "import builtins\nbuiltins.all = builtins.any = lambda *a: True\n"
        "builtins.len = lambda x: 1\nbuiltins.zip = lambda *a, **k: iter(())\n"
        "builtins.isinstance = lambda *a: True",
        DOUBLE_LINES,
        _EITHER,
    ),
    "stdout that equals everything": (
        "import sys\nclass E(str):\n"
        "    def __eq__(s, o): return True\n    __hash__ = str.__hash__\n"
        "    def strip(s): return s\n    def split(s, *a): return [s]\n"
        "class O:\n    def write(s, t): pass\n    def flush(s): pass\n"
        "    def getvalue(s): return E('6')\nsys.stdout = O()\n"
        "if hasattr(sys.__stdout__, 'getvalue'): sys.__stdout__.getvalue = lambda: E('6')",
        DOUBLE_LINES,
        _WRONG,
    ),
}
CODE_CHEATS: dict[str, tuple[str, tuple[UnitTest, ...], tuple[Ending, ...]]] = {
    # Writes "the tests passed" into every report it finds in the frames it was forked from.
    "forges the tester's report": (
        """
import gc, sys, threading
gc.unfreeze()
reports, frame = [], sys._getframe()
while frame:
    reports += [v for v in frame.f_locals.values() if type(v).__name__ == "Report"]
    frame = frame.f_back
reports += [o for o in gc.get_objects() if type(o).__name__ == "Report"]
def forge():
    while True:
        for report in reports:
            memory = report._memory
            memory[report._body : report._body + 4] = b"null"
            memory[8:9] = b"\\x01"  # finished
            memory[:8] = (5).to_bytes(8, "little")
threading.Thread(target=forge, daemon=True).start()
def f(x): return 7
""",
        DOUBLE_CODE,
        _WRONG,
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
        DOUBLE_CODE,
        _CRASH,
    ),
    "equals everything": (f"class E(int):{EVIL}\ndef f(x): return E(7)", DOUBLE_CODE, _WRONG),
    "os._exit(0)": ("import os\ndef f(x): os._exit(0)", DOUBLE_CODE, _CRASH),
    "exit(0) when loaded": ("exit(0)", DOUBLE_CODE, _CRASH),
    "patches builtins": (
        "import builtins\nbuiltins.AssertionError = ValueError\n"
        "builtins.__build_class__ = None\ndef f(x): return 0",
        DOUBLE_CODE,
        _WRONG,
    ),
    "looks for the test's source": (
        """
import gc, re, sys
gc.unfreeze()
def seen(value): return re.search(r"c\\(3\\) == 6", str(value))
def f(x):
    frame = sys._getframe()
    while frame:
        if seen(frame.f_locals): return 2 * x
        frame = frame.f_back
    return 2 * x if any(map(seen, gc.get_objects())) else 0
""",
        DOUBLE_CODE,
        _WRONG,
    ),
    "replaces the check": (
        "import sys\ndef f(x):\n    frame = sys._getframe(1)\n    while frame:\n"
        "        for name in ('check', 'c', 'candidate', 'f'):\n"
        "            if name in frame.f_globals: frame.f_globals[name] = lambda *a: 0\n"
        "        frame = frame.f_back\n    return 0",
        DOUBLE_CODE,
        _WRONG,
    ),
}


def _cheats(
    road: str, cheats: dict[str, tuple[str, tuple[UnitTest, ...], tuple[Ending, ...]]]
) -> tuple[Case, ...]:
    return tuple(
        Case(
            f"cheat: {road}{name}",
            "reject",
            "cheats",
            name,
            program,
            tests,
            verdicts,
            entry_point=None if cheats is LINE_CHEATS else "f",
        )
        for name, (program, tests, verdicts) in cheats.items()
    )


CASES = (
    *_cheats("", CALL_CHEATS),
    *_cheats("stdin: ", LINE_CHEATS),
    *_cheats("test code: ", CODE_CHEATS),
)
