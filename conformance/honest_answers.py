"""Right answers: returned values of every kind, printed numbers, tests that are code."""

from __future__ import annotations

import dataclasses
from typing import Any

from codegym.grading import Verdict
from codegym.problems import CallTest, CodeTest, StdinTest
from codegym.problems.problem import UnitTest

from .case import DOUBLE_CALLS, DOUBLE_CODE, Case

_ACCEPTED = (Verdict.ACCEPTED,)

DOUBLES = {
    "function": "def f(x): return 2 * x",
    "lambda": "f = lambda x: 2 * x",
    "class Solution": "class Solution:\n    def f(self, x): return 2 * x",
    "class Solution, static": "class Solution:\n    @staticmethod\n    def f(x): return 2 * x",
    "class Solution, helper method": "class Solution:\n    def g(self, x): return x\n"
    "    def f(self, x): return self.g(x) + self.g(x)",
    "class Solution, state": "class Solution:\n    def __init__(self): self.k = 2\n"
    "    def f(self, x): return self.k * x",
    "type hints": "from typing import *\ndef f(x: Optional[int]) -> List[int]: return 2 * x",
    "prints as well": "def f(x):\n    print('debug', x)\n    return 2 * x",
    "prints when loaded": "print('hello')\ndef f(x): return 2 * x",
    "decorator": "import functools\n@functools.lru_cache(None)\ndef f(x): return 2 * x",
    "callable object": "class F:\n    def __call__(self, x): return 2 * x\nf = F()",
    "partial": "import functools, operator\nf = functools.partial(operator.mul, 2)",
    "global counter": "calls = 0\ndef f(x):\n    global calls\n    calls += 1\n    return 2 * x",
    "mutable default": "def f(x, seen={}):\n    seen[x] = 2 * x\n    return seen[x]",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**6)\n"
    "def g(n): return 0 if n == 0 else 1 + g(n - 1)\ndef f(x): return 2 * x + g(9000) - 9000",
    "__main__ guard": "def f(x): return 2 * x\nif __name__ == '__main__':\n    print(f(1))",
    "own tests at the end": "def f(x): return 2 * x\nassert f(2) == 4",
    "thread": "import threading\ndef f(x):\n    out = []\n"
    "    t = threading.Thread(target=lambda: out.append(2 * x))\n    t.start()\n    t.join()\n"
    "    return out[0]",
    "from __future__": "from __future__ import annotations\ndef f(x: int) -> int: return 2 * x",
    "caught exceptions": "def f(x):\n    try: return x.missing\n"
    "    except AttributeError: return 2 * x",
    "subclass of int": "class N(int): pass\ndef f(x): return N(2 * x)",
    "bool for int arithmetic": "def f(x): return x + x * True",
}
VALUES: dict[str, tuple[str, Any, Any]] = {
    # name: (program, argument, expected)
    "tuple for list": ("def f(x): return tuple(x)", [1, 2], [1, 2]),
    "tuples inside a list": ("def f(x): return [(a, b) for a, b in x]", [[1, 2]], [[1, 2]]),
    "list": ("def f(x): return sorted(x)", [3, 1, 2], [1, 2, 3]),
    "empty list": ("def f(x): return [y for y in x if y > 9]", [1], []),
    "None": ("def f(x): return None", 1, None),
    "True": ("def f(x): return x > 0", 1, True),
    "string": ("def f(x): return x[::-1]", "ab'c\"\n", "\n\"c'ba"),
    "empty string": ("def f(x): return x[:0]", "a", ""),
    "unicode": ("def f(x): return x + '漢'", "é", "é漢"),
    "dict": ("def f(x): return {k: len(k) for k in x}", ["a", "bc"], {"bc": 2, "a": 1}),
    "nested": ("def f(x): return [x, {'a': [x]}]", [1, None], [[1, None], {"a": [[1, None]]}]),
    "large int": ("def f(x): return 2 ** x", 200, 2**200),
    "float, rounding": ("def f(x): return x + 0.2", 0.1, 0.3),
    "floats, rounding": (
        "def f(x): return [y / 3 for y in x]",
        [1.0, 2.0],
        [0.333333333, 0.666666667],
    ),
    "negative zero": ("def f(x): return -0.0", 1, 0.0),
    "sorts its argument": ("def f(x):\n    x.sort()\n    return x", [2, 1], [1, 2]),
    "Counter for dict": (
        "from collections import *\ndef f(x): return Counter(x)",
        "aab",
        {"a": 2, "b": 1},
    ),
    "defaultdict for dict": (
        "from collections import *\n"
        "def f(x):\n    d = defaultdict(int)\n    d[x] += 1\n    return d",
        "k",
        {"k": 1},
    ),
}
LENIENT = {"tuple for list", "tuples inside a list", "float, rounding", "floats, rounding"}
PRINTED = {
    # name: (printed, expected)
    "float, rounding": ("0.30000000000000004", "0.3"),
    "float, more digits": ("2.50", "2.5"),
    "floats in a line": ("1 0.33333333333 x", "1 0.3333333333 x"),
    "scientific": ("1e-03", "0.001"),
    "spaces at line ends": ("a b \nc ", "a b\nc"),
    "blank lines at the end": ("a\n\n\n", "a"),
    "expected ends without newline": ("a\n", "a"),
    "expected ends with spaces": ("a", "a  \n\n"),
    "nothing": ("", ""),
}
CODES = {
    "asserts": ("def f(x): return 2 * x", DOUBLE_CODE[0]),
    "exceptions expected": (
        "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x",
        CodeTest(
            "assert f(1) == 1\ntry: f(-1)\nexcept ValueError as e: assert str(e) == 'negative'\n"
            "else: assert False\n",
            "f",
        ),
    ),
    "changes its argument": (
        "def f(a):\n    a.append(1)",
        CodeTest("x = []\nassert f(x) is None\nassert x == [1]\n", "f"),
    ),
    "loop of tests": (
        "def f(x): return x * x",
        CodeTest("def check(c):\n    for i in range(50): assert c(i) == i ** 2\ncheck(f)\n", "f"),
    ),
}


def _accept(name: str, program: str, tests: tuple[UnitTest, ...]) -> Case:
    kind = name.partition(": ")[2]
    case = Case(
        name,
        "accept",
        "answers",
        kind,
        program + "\n",
        tests,
        _ACCEPTED,
        lenient=kind in LENIENT,
    )
    if isinstance(tests[0], StdinTest):
        return case
    return dataclasses.replace(case, entry_point="f")


CASES = (
    *(_accept(f"call: {name}", program, DOUBLE_CALLS) for name, program in DOUBLES.items()),
    *(
        _accept(f"value: {name}", program, (CallTest((argument,), expected),))
        for name, (program, argument, expected) in VALUES.items()
    ),
    *(
        _accept(
            f"printed: {name}",
            f"print({printed!r}, end='')",
            (StdinTest("", expected), StdinTest("x\n", expected)),
        )
        for name, (printed, expected) in PRINTED.items()
    ),
    *(_accept(f"test code: {name}", program, (test,)) for name, (program, test) in CODES.items()),
    _accept("call: two arguments", "def f(a, b): return a - b", (CallTest((5, 2), 3),)),
    _accept("call: no argument", "def f(): return 5", (CallTest((), 5),)),
    dataclasses.replace(
        _accept(
            "call: entry point is a method",
            "class Solution:\n    def f(self, x): return 2 * x",
            DOUBLE_CALLS,
        ),
        entry_point="Solution().f",
    ),
)
