"""Wrong programs that do not cheat: a grader that accepts one compares badly or not at all."""

from __future__ import annotations

from typing import Any

from codegym.grading import Verdict
from codegym.problems import CallTest, CodeTest, StdinTest

from .case import DOUBLE_CALLS, DOUBLE_CODE, DOUBLE_LINES, Case, Ending

_WRONG = Verdict.WRONG_ANSWER
_CRASH = Verdict.RUNTIME_ERROR

PRINTED: dict[str, tuple[str, str]] = {
    # name: (printed, expected)
    "nothing at all": ("", "1\n"),
    "only the first line": ("1\n", "1\n2\n3\n"),
    "only the last line": ("3\n", "1\n2\n3\n"),
    "all but the last line": ("1\n2\n", "1\n2\n3\n"),
    "a line too many": ("1\n2\n", "1\n"),
    "lines in another order": ("2\n1\n", "1\n2\n"),
    "words in another order": ("2 1\n", "1 2\n"),
    "a word twice": ("1 1 2\n", "1 2\n"),
    "a word missing": ("1 2\n", "1 2 2\n"),
    "one line for two": ("1 2\n", "1\n2\n"),
    "two lines for one": ("1\n2\n", "1 2\n"),
    "spaces left out": ("12\n", "1 2\n"),
    "another case": ("yes\n", "YES\n"),
    "a prefix": ("12\n", "123\n"),
    "the answer among others": ("1 2 3 4\n", "3\n"),
    "the answer and a remark": ("The answer is 3\n", "3\n"),
    "quoted": ("'abc'\n", "abc\n"),
    "as a list": ("['1', '2']\n", "1\n2\n"),
    "a float off by 1 %": ("1.01\n", "1.0\n"),
    "a large integer off by one": ("10000000000000001\n", "10000000000000000\n"),
    "not a number": ("nan\n", "1.0\n"),
    "infinity": ("inf\n", "1.0\n"),
}
RETURNED: dict[str, tuple[str, Any, Any]] = {
    # name: (program, argument, expected)
    "string for int": ("def f(x): return str(2 * x)", 3, 6),
    "int for string": ("def f(x): return 6", 3, "6"),
    "in a list": ("def f(x): return [2 * x]", 3, 6),
    "first item only": ("def f(x): return x[:1]", [1, 2], [1] * 0 + [1, 2]),
    "first item for the list": ("def f(x): return x[0]", [[1], [2]], [[1], [2]]),
    "one item too many": ("def f(x): return x + [0]", [1], [1]),
    "another order": ("def f(x): return x[::-1]", [1, 2], [1, 2]),
    "set for list": ("def f(x): return set(x)", [1, 2], [1, 2]),
    "keys for dict": ("def f(x): return list(x)", {"a": 1}, {"a": 1}),
    "other values": ("def f(x): return dict.fromkeys(x, 0)", {"a": 1}, {"a": 1}),
    "None": ("def f(x): pass", 3, 6),
    "None for empty": ("def f(x): pass", [1], []),
    "None for zero": ("def f(x): pass", 3, 0),
    "printed, not returned": ("def f(x): print(2 * x)", 3, 6),
    "the function itself": ("def f(x): return f", 3, 6),
    "float off by 1 %": ("def f(x): return 1.01", 3, 1.0),
    "nan": ("def f(x): return float('nan')", 3, 1.0),
    "infinity": ("def f(x): return float('inf')", 3, 1.0),
    "large int off by one": ("def f(x): return 10**16 + 1", 3, 10**16),
    "NotImplemented": ("def f(x): return NotImplemented", 3, 6),
    "Ellipsis": ("def f(x): return ...", 3, 6),
}
DOUBLES_LINES: dict[str, tuple[str, Ending]] = {
    "echo": ("print(input())", _WRONG),
    "right on the first test": ("print(6)", _WRONG),
    "both answers": ("print(6)\nprint(10)", _WRONG),
    "on stderr": ("import sys\nprint(int(input()) * 2, file=sys.stderr)", _WRONG),
    "asks aloud": ("print(2 * int(input('n? ')))", _WRONG),
    "never flushed": (
        "import sys, os\nsys.stdout.write(str(2 * int(input())))\nsys.stdout.buffer.raw.close()",
        _WRONG,
    ),
    "no program": ("The answer is 6.", Verdict.COMPILE_ERROR),
    "empty program": ("", _WRONG),
    "only a comment": ("# 6", _WRONG),
    "function that nobody calls": ("def main():\n    print(2 * int(input()))", _WRONG),
    "exception": ("print(2 * int(input()) // 0)", _CRASH),
    "exception after the answer": ("print(2 * int(input()))\n1 / 0", _CRASH),
    "exit code 1 after the answer": ("print(2 * int(input()))\nexit(1)", _CRASH),
    "exit message after the answer": ("print(2 * int(input()))\nexit('done')", _CRASH),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", _CRASH),
    "reads beyond the end": ("input()\ninput()\nprint(6)", _CRASH),
    "syntax error": ("print(2 * int(input())", Verdict.COMPILE_ERROR),
    "syntax error after the answer": ("print(2 * int(input()))\nx = = 1", Verdict.COMPILE_ERROR),
    "indentation": ("if 1:\nprint(2 * int(input()))", Verdict.COMPILE_ERROR),
    "mixed tabs": (
        "if 1:\n        x = 1\n\tprint(2 * int(input()))",
        Verdict.COMPILE_ERROR,
    ),
    "NUL byte": ("print(2 * int(input()))\0", Verdict.COMPILE_ERROR),
    "return outside a function": ("print(2 * int(input()))\nreturn", Verdict.COMPILE_ERROR),
    "Python 2": ("print 2 * int(raw_input())", Verdict.COMPILE_ERROR),
    "unknown module": ("import surely_not_there\nprint(2 * int(input()))", _CRASH),
}
DOUBLES_CALLS: dict[str, tuple[str, Ending]] = {
    "constant": ("def f(x): return 6", _WRONG),
    "first test only": ("def f(x): return 6 if x == 3 else 0", _WRONG),
    "all but the last test": ("def f(x): return 2 * abs(x)", _WRONG),
    "right at the first call": (
        "called = []\ndef f(x):\n    called.append(x)\n    return 2 * x if x == 3 else None",
        _WRONG,
    ),
    "no such function": ("def g(x): return 2 * x", _CRASH),
    "not a function": ("f = 6", _CRASH),
    "wrong number of arguments": ("def f(): return 6", _CRASH),
    "infinite recursion": ("def f(x): return f(x)", _CRASH),
    "syntax error": ("def f(x) return 2 * x", Verdict.COMPILE_ERROR),
    "asserts about itself": ("def f(x): return 2 * x\nassert f(1) == 3", _CRASH),
}


def _reject(name: str, tries: str, program: str, tests: Any, *verdicts: Ending) -> Case:
    lines = tests and isinstance(tests[0], StdinTest)
    return Case(
        f"wrong: {name}",
        "reject",
        "wrong answers",
        tries,
        program,
        tests,
        verdicts,
        entry_point=None if lines or not tests else "f",
    )


_FORTY = tuple(
    StdinTest(f"{'9' * 5 if i < 39 else '1'}{i:02}\n", "even\n" if i % 2 == 0 else "odd\n")
    for i in range(40)
)

CASES = (
    *(
        _reject(
            f"prints {name}",
            f"prints {name}",
            f"print({got!r}, end='')",
            (StdinTest("", want),) * 2,
            _WRONG,
        )
        for name, (got, want) in PRINTED.items()
    ),
    *(
        _reject(f"returns {name}", f"returns {name}", program, (CallTest((given,), want),), _WRONG)
        for name, (program, given, want) in RETURNED.items()
    ),
    *(
        _reject(f"script: {name}", name, program, DOUBLE_LINES, verdict)
        for name, (program, verdict) in DOUBLES_LINES.items()
    ),
    *(
        _reject(f"function: {name}", name, program, DOUBLE_CALLS, verdict)
        for name, (program, verdict) in DOUBLES_CALLS.items()
    ),
    _reject(
        "the last of 40 tests, the shortest",
        "right on 39 of 40 tests",
        "n = input()\nprint('odd' if int(n) % 2 and len(n) > 3 else 'even')",
        _FORTY,
        _WRONG,
    ),
    _reject("no tests", "anything passes no test", "print(1)", (), "refused"),
    _reject(
        "test code: the last assertion",
        "right on all assertions but one",
        "def f(x): return 6",
        DOUBLE_CODE,
        _WRONG,
    ),
    _reject(
        "test code: raises AssertionError itself",
        "an exception of the program's own",
        "def f(x): assert False",
        DOUBLE_CODE,
        _CRASH,
    ),
    _reject(
        "test code: an exception that is not raised",
        "returns where an exception is expected",
        "def f(x): return x",
        (CodeTest("try: f(-1)\nexcept ValueError: pass\nelse: assert False, 'no error'\n", "f"),),
        _WRONG,
    ),
)
