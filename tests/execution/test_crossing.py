"""What a tester and the program that it calls hand each other means the same on both sides."""

from __future__ import annotations

import pytest

from codegym.errors import ExecutionError
from codegym.execution import ExitReason, TestCode

from .conftest import Run

YES = (
    "class R: pass\ndef f():\n    r = R()\n    r.startswith = r.equals = lambda *a: True\n"
    "    return r"
)
PASSES = {
    "work on a positional argument": (
        "def f(a): a.append(1)",
        "a = []\nf(a)\nassert a == [1]",
    ),
    "work on a keyword argument": (
        "def f(key, self): key.append(self)",
        "a = []\nf(self=1, key=a)\nassert a == [1]",
    ),
    "work on a list in a tuple in a dict": (
        "def f(d): d['k'][0].append(1)",
        "a = []\nf({'k': (a,)})\nassert a == [1]",
    ),
    "work on an alias": (
        "def f(rows): rows[0].append(1)",
        "row = []\nrows = [row] * 2\nf(rows)\nassert row == [1] and rows[1] is row",
    ),
    "work on every kind of container": (
        "def f(l, d, s, b, q):\n    l[:] = d.values(); d.clear(); s.add(1); b[0] = 65; q.pop()",
        "from collections import deque\n"
        "l, d, s, b, q = [], {1: 2}, set(), bytearray(b'b'), deque([1])\nf(l, d, s, b, q)\n"
        "assert (l, d, s, b, q) == ([2], {}, {1}, b'A', deque())",
    ),
    "work on nodes": (
        "def f(h):\n    h.val = 5\n    h.next.next = h\n",
        "h = ListNode(1, ListNode(2))\nf(h)\nassert h.val == 5 and h.next.next is h",
    ),
    "new structure of old parts": (
        "def f(d): d['z'] = d['k']",
        "d = {'k': []}\nf(d)\nassert d['z'] is d['k']",
    ),
    "an argument that comes back": (
        "def f(a):\n    a.sort()\n    return a",
        "a = [2, 1]\nassert f(a) is a and a == [1, 2]\nt = (1, 2)\nassert f.__name__ == 'f'",
    ),
    "two arguments that are one": (
        "def f(a, b): return a is b",
        "a = []\nassert f(a, a) is True and f(a, []) is False",
    ),
    "an argument that the program keeps": (
        "kept = []\ndef f(a):\n    kept.append(a)\n    for one in kept: one.append(0)",
        "a, b = [], []\nf(a)\nf(b)\nassert a == [0, 0] and b == [0]",
    ),
    "what the test changes between calls": (
        "kept = []\ndef f(a):\n    kept.append(a)\n    return sum(kept[0])",
        "a = [1]\nassert f(a) == 1\na.append(2)\nassert f([]) == 3",
    ),
    "an answer that changes later": (
        "def f(x, seen=[]):\n    seen.append(x)\n    return seen",
        "a = f(1)\nb = f(2)\nassert a is b and a == [1, 2]",
    ),
    "cycles": (
        "def f(x):\n    x.append(x)\n    return {'x': x}",
        "x = []\ny = f(x)\nassert y['x'] is x and x[0] is x",
    ),
    "depth": (
        "def f(n):\n    x = []\n    for _ in range(n): x = [x]\n    return x",
        "x, n = f(5_000), 0\nwhile x: x, n = x[0], n + 1\nassert n == 5_000",
    ),
    "a long chain of nodes": (
        "def f(n):\n    h = None\n    for i in range(n): h = ListNode(i, h)\n    return h",
        "h, n = f(5_000), 0\nwhile h: h, n = h.next, n + 1\nassert n == 5_000",
    ),
    "generators stay lazy": (
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "import types\ng = f()\nassert isinstance(g, types.GeneratorType)\n"
        "assert [next(g), next(g)] == [0, 1]",
    ),
    "iterators end": (
        "def f(x): return iter(x)",
        "i = f([1])\nassert iter(i) is i and next(i) == 1\ntry: next(i)\n"
        "except StopIteration: pass\nelse: assert False",
    ),
    "iterators of the test": (
        "def f(x): return [2 * i for i in x]",
        "assert f(i for i in (1, 2)) == [2, 4] and f(range(2)) == [0, 2]",
    ),
    "functions of the test": (
        "def f(g, x): return [g(i) for i in x]",
        "n = 1\nassert f(lambda i: i + n, [1, 2]) == [2, 3] and f(len, ['a']) == [1]",
    ),
    "functions of the test that call the program": (
        "def f(x, g=None): return x if g is None else g(x)",
        "assert f(3, lambda x: f(x) + 1) == 4",
    ),
    "functions of the program": ("def f(a): return lambda b: a + b", "assert f(1)(2) == 3"),
    "an exception of the test's through the program": (
        "def f(g): g()",
        "class Own(Exception): pass\nown = Own()\ndef g(): raise own\n"
        "try: f(g)\nexcept Own as error: assert error is own\nelse: assert False",
    ),
    "values of the standard library": (
        "from collections import *\nfrom datetime import *\nfrom decimal import Decimal\n"
        "from fractions import Fraction\nPoint = namedtuple('Point', 'x y')\n"
        "def f(): return [Counter('aab'), defaultdict(list), date(2020, 1, 2), Decimal('1.50'),\n"
        "    Fraction(1, 3), Point(1, 2), range(3), 2**100, 1j, b'x', ..., int, -0.0]",
        "from datetime import date\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
        "v = f()\nassert v[0].most_common(1) == [('a', 2)]\nassert v[1]['new'] == []\n"
        "assert v[2:5] == [date(2020, 1, 2), Decimal('1.5'), Fraction(1, 3)]\n"
        "assert v[5].y == 2 and v[5] == (1, 2)\nassert v[6:9] == [range(3), 2**100, 1j]\n"
        "assert v[9:12] == [b'x', ..., int] and str(v[12]) == '-0.0'",
    ),
    "views are views": (
        "def f(): return {1: 2}.keys(), {1: 2}.items(), {1: 2}.values()",
        "k, i, v = f()\nassert k == {1} and k != [1] and i == {(1, 2)} and list(v) == [2]",
    ),
    "nested tuples, frozensets and keys": (
        "def f(): return {(1, (2, frozenset({3}))): frozenset({(4,)})}",
        "assert f() == {(1, (2, frozenset({3}))): frozenset({(4,)})}",
    ),
    "the data of the program's own objects": (
        "class Box:\n    def __init__(self): self.items = [1]\ndef f(): return Box()",
        "box = f()\nassert box.items == [1] and type(box).__name__ == 'Box'",
    ),
    "data classes of the test": (
        "def f(p): p.x += 1",
        "class Point:\n    def __init__(self, x): self.x = x\np = Point(1)\nf(p)\nassert p.x == 2",
    ),
    "a generator that is sent a value": (
        "def f():\n    got = yield 1\n    got = yield got + 1\n    return got",
        "g = f()\nassert next(g) == 1 and g.send(5) == 6\n"
        "try: g.send([7])\nexcept StopIteration as end: assert end.value == [7]\n"
        "else: assert False",
    ),
    "a generator into which an exception is thrown": (
        "def f():\n    try: yield 1\n    except KeyError as error: yield error.args[0]",
        "g = f()\nnext(g)\nassert g.throw(KeyError('a')) == 'a'",
    ),
    "an exception that a generator does not catch": (
        "def f():\n    yield 1",
        "g, error = f(), KeyError('a')\nnext(g)\n"
        "try: g.throw(error)\nexcept KeyError as caught: assert caught is error\n"
        "else: assert False",
    ),
    "a context manager of contextlib": (
        "import contextlib\n@contextlib.contextmanager\ndef f(): yield 3",
        "with f() as value: assert value == 3",
    ),
    "functions in a dict, a list and a closure": (
        "def f():\n    return {'add': lambda x: x + 1, 'all': [lambda: 5]}",
        "d = f()\nassert d['add'](1) == 2 and d['all'][0]() == 5",
    ),
    "functions that go back as what they are": (
        "class Box: pass\n"
        "def f(box=None):\n    if box is None:\n        box = Box()\n        box.get = lambda: 3\n"
        "        return box\n    return box.get()",
        "box = f()\nassert f(box) == 3",
    ),
    "text that is no Unicode": (
        "def f(): return [chr(0xd83d) + chr(0xde00), '\\U0001f600']",
        "assert f() == [chr(0xd83d) + chr(0xde00), '\\U0001f600'] and len(f()[0]) == 2",
    ),
    "identity of what is one in Python": (
        "def f(x): return x",
        "assert f(True) is True and f(None) is None and f(False) is False",
    ),
}


@pytest.mark.parametrize("name", PASSES)
def test_a_right_program_passes(name: str, run: Run) -> None:
    program, code = PASSES[name]
    seen = run(program, TestCode(code, "f"))
    assert seen.reason is ExitReason.FINISHED, seen.error_message
    assert run("def f(*_, **__): return []", TestCode(code, "f")).reason in (
        ExitReason.TEST_FAILED,
        ExitReason.EXCEPTION,
    )


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("def f(): return 1", "assert f() is True"),
        ("def f(a): return sorted(a)", "a = [1]\nassert f(a) is a"),
        (
            "def f(x, seen=[]):\n    seen.append(x)\n    return seen",
            "a = f(1)\nf(2)\nassert a == [1]",
        ),
        ("def f(): return iter([1])", "assert f() == [1]"),
        ("def f(): return (1, 2)", "assert f() == [1, 2]"),
        ("def f(): return 3.0000001", "assert f() == 3"),
        (
            "class Liar:\n    def __eq__(self, other): return True\n    __lt__ = __eq__\n"
            "    def __bool__(self): return False\ndef f(): return Liar()",
            "assert f() == 3",
        ),
        (
            "class Liar(int):\n    def __eq__(self, other): return True\n    __hash__ = None\n"
            "def f(): return Liar(4)",
            "assert f() == 3",
        ),
        (
            "class Liar:\n    def __getattr__(self, name): return lambda *_: True\n"
            "def f(): return Liar()",
            "assert f().startswith('a')",
        ),
        # Functions that a program hangs on what it returns or raises, under whatever name.
        (YES, "assert f().startswith('a')"),
        (YES, "assert f().equals([1])"),
        (
            YES,
            "import unittest\nclass T(unittest.TestCase):\n"
            "    def test(self): self.assertTrue(f().equals(1))",
        ),
        (
            "from collections import namedtuple\n"
            "def f(): return namedtuple('R', 'startswith')(lambda *a: True)",
            "assert f().startswith('a')",
        ),
        (
            "class Bad(ValueError): pass\ndef f():\n    error = Bad()\n"
            "    error.has = lambda *a: True\n    raise error",
            "try: f()\nexcept ValueError as error: assert error.has('a')",
        ),
        # Types can be called as well, and so can objects of a class that has `__call__`.
        (YES.replace("lambda *a: True", "bool"), "assert f().equals([1])"),
        (YES.replace("lambda *a: True", "ValueError"), "assert f().equals([1])"),
        (
            "from collections import namedtuple\ndef f(): return namedtuple('R', 'index')(int)",
            "assert f().index(3) == 3",
        ),
        (
            "class Bad(ValueError): pass\ndef f():\n    error = Bad()\n    error.has = bool\n"
            "    raise error",
            "try: f()\nexcept ValueError as error: assert error.has('a')",
        ),
        # A class of the test's own that equals everything.
        (
            "class Any: pass\ndef f(): return Any()",
            "class Any:\n    def __eq__(self, other): return True\n"
            "assert f() == {'id': Any(), 'n': 5}",
        ),
        ("def f(): return chr(0xd83d) + chr(0xde00)", "assert f() == '\U0001f600'"),
    ],
)
def test_a_wrong_program_fails(program: str, code: str, run: Run) -> None:
    assert run(program, TestCode(code, "f")).reason is ExitReason.TEST_FAILED


def test_a_function_does_not_take_the_place_of_a_method_of_the_problem(run: Run) -> None:
    prelude = "class Node:\n    def same(self, other): return self.x == other\n"
    code = TestCode("assert f().same(3)", "f")
    right = "def f():\n    n = Node()\n    n.x = 3\n    return n"
    assert run(right, code, prelude=prelude).reason is ExitReason.FINISHED
    wrong = f"{right}\n".replace("n.x = 3", "n.same = lambda other: True")
    assert run(wrong, code, prelude=prelude).reason is ExitReason.TEST_FAILED


CAUGHT = {
    "its own class below a builtin one": (
        "class Bad(KeyError):\n    def __init__(self, a, b):\n        super().__init__(a)\n"
        "        self.b = b\n    def __str__(self): return f'{self.args[0]}!{self.b}'\n"
        "def f(): raise Bad(1, 2)",
        "LookupError",
        "type(e).__name__ == 'Bad' and str(e) == '1!2' and e.args == (1,) and e.b == 2",
    ),
    "two bases": (
        "class Bad(ValueError, KeyError): pass\ndef f(): raise Bad('x')",
        "(TypeError, KeyError)",
        "isinstance(e, ValueError) and e.args == ('x',)",
    ),
    "the standard library's": (
        "import json\ndef f(): json.loads('{')",
        "json.JSONDecodeError",
        "isinstance(e, ValueError) and e.pos == 1",
    ),
    "the prelude's": ("def f(): raise Promised(1)", "Promised", "type(e) is Promised"),
    "with the names of files": (
        "def f(): open('/nowhere/x')",
        "FileNotFoundError",
        "e.errno == 2 and e.filename == '/nowhere/x' and type(e) is FileNotFoundError",
    ),
    "with five arguments": (
        "def f(): b'\\xff'.decode()",
        "UnicodeDecodeError",
        "e.start == 0 and e.object == b'\\xff'",
    ),
    "StopIteration": ("def f(): raise StopIteration(5)", "StopIteration", "e.value == 5"),
    "SystemExit": ("def f(): raise SystemExit(2)", "SystemExit", "e.code == 2"),
    "KeyboardInterrupt": ("def f(): raise KeyboardInterrupt", "KeyboardInterrupt", "True"),
    "a group": (
        "def f(): raise ExceptionGroup('x', [ValueError(1)])",
        "Exception",
        "type(e).__name__ == 'ExceptionGroup'",
    ),
}


@pytest.mark.parametrize("name", CAUGHT)
def test_an_exception_is_caught_by_its_classes(name: str, run: Run) -> None:
    program, classes, holds = CAUGHT[name]
    code = (
        f"import json\ntry: f()\nexcept {classes} as e:\n    assert {holds}, (e, e.args)\n"
        "else: assert False"
    )
    seen = run(program, TestCode(code, "f"), prelude="class Promised(Exception): pass")
    assert seen.reason is ExitReason.FINISHED, seen.error_message


def test_an_exception_is_not_caught_by_other_classes(run: Run) -> None:
    program = "class Bad(ValueError): pass\ndef f(): raise Bad('x')"
    seen = run(program, TestCode("try: f()\nexcept (KeyError, OSError): pass", "f"))
    assert (seen.reason, seen.error_type, seen.error_message, seen.error_line) == (
        ExitReason.EXCEPTION,
        "Bad",
        "x",
        2,
    )


@pytest.mark.parametrize("base", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_except_exception_does_not_catch_what_it_does_not_in_python(base: str, run: Run) -> None:
    program = f"class Way({base}): pass\ndef f(): raise Way(0)"
    seen = run(program, TestCode("try: f()\nexcept Exception: pass", "f"))
    assert (seen.reason, seen.error_type) == (ExitReason.EXCEPTION, "Way")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("pass", "never called"),
        ("x = 1 / 0\nf(1)", "ZeroDivisionError"),
        ("import not_there\nf(1)", "ModuleNotFoundError"),
        ("f(1)\nundefined", "NameError"),
        ("f(1)\nimport not_there", "ModuleNotFoundError"),
        ("f(", "SyntaxError"),
        ("class Own:\n    def method(self): pass\nf(Own())", "Own cannot leave"),
        (
            "class Own:\n    def method(self): pass\ntry: f([Own()])\nexcept: pass",
            "Own cannot leave",
        ),
        ("import sys\nf(1)\nf(sys)", "module cannot leave"),
    ],
)
def test_what_is_the_tests_fault_is_no_verdict(code: str, reason: str, run: Run) -> None:
    with pytest.raises(ExecutionError, match=reason):
        run("def f(x): return x", TestCode(code, "f"))


@pytest.mark.parametrize(
    "code",
    [
        "f(1)[0]",
        "f(1).x",
        "len(f(1))",
        "open(str(f(1)))",
        "eval(f('no'))",
        "eval(f(')'))",
        "exec(f('import nothing'))",
        "__import__(f('nothing'))",
        "for each in f([]): last = each\nassert last == 3",
        "def check(got):\n    for each in got: last = each\n    assert last == 3\ncheck(f([]))",
    ],
)
def test_what_a_wrong_answer_brings_about_is_not_the_tests_fault(code: str, run: Run) -> None:
    assert run("def f(x): return x", TestCode(code, "f")).reason is ExitReason.TEST_FAILED


@pytest.mark.parametrize(
    "code",
    [
        "for got, want in zip(map(f, [1, 2]), [2, 4]): assert got == want",
        "assert all(map(lambda case: f(case[0]) == case[1], [(1, 2), (2, 4)]))",
        "assert not [x for x in filter(f, [1, 2])]",
        "for got in iter(f, None): assert got == 2",
    ],
)
def test_stop_iteration_ends_no_loop_of_the_test(code: str, run: Run) -> None:
    seen = run("def f(*_): raise StopIteration", TestCode(code, "f"))
    assert (seen.reason, seen.error_type) == (ExitReason.EXCEPTION, "StopIteration")
