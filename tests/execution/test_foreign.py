"""Test code works with objects of the program's own classes, as far as the problem has them."""

from __future__ import annotations

import pytest

from codegym.errors import ExecutionError
from codegym.execution import ExitReason, Observation, TestCode
from codegym.problems import Problem
from codegym.problems.problem import CodeTest
from codegym.problems.reading.classes import with_classes

from .conftest import Run

STACK = """
import dataclasses
class Base:
    def name(self): return type(self).__name__
class Stack(Base):
    LIMIT = 3
    @classmethod
    def of(cls, *items): return cls(items)
    @staticmethod
    def kind(): return "lifo"
    def __init__(self, items=()):
        self.items = list(items)
        self._top = 0
    def push(self, item):
        if len(self.items) == self.LIMIT: raise OverflowError("full")
        self.items.append(item)
        return self
    def pop(self): return self.items.pop()
    @property
    def top(self): return self.items[-1]
    @top.setter
    def top(self, value):
        if value is None: raise ValueError("no value")
        self.items[-1] = value
    def apply(self, function): return [function(item) for item in self.items]
    def pair(self): return Pair(self, 1)
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __getitem__(self, index): return self.items[index]
    def __setitem__(self, index, value): self.items[index] = value
    def __contains__(self, item): return item in self.items
    def __add__(self, other): return Stack([*self.items, *other.items])
    def __eq__(self, other): return self.items == other.items
    def __lt__(self, other): return len(self) < len(other)
    def __bool__(self): return bool(self.items)
    def __call__(self, factor): return [factor * item for item in self.items]
    def __str__(self): return f"Stack{self.items}"
    def __enter__(self): return self
    def __exit__(self, *_): self.items.clear()
@dataclasses.dataclass(frozen=True)
class Pair:
    stack: Stack
    number: int = 0
    def swapped(self): return (self.number, self.stack)
class Countdown:
    def __init__(self, start): self.left = start
    def __iter__(self): return self
    def __next__(self):
        if self.left == 0: raise StopIteration
        self.left -= 1
        return self.left + 1
    def remaining(self): return self.left
def make(start): return Countdown(start)
"""
PASSES = {
    "methods": "s = Stack()\ns.push(1).push([2])\nassert s.pop() == [2] and s.pop() == 1",
    "inherited methods": "assert Stack().name() == 'Stack'",
    "data": "s = Stack([1])\nassert s.items == [1]\ns.push(2)\nassert s.items == [1, 2]",
    "data that the test changes": "s = Stack()\ns.items.append(4)\nassert s.pop() == 4",
    "an object is itself": "s = Stack()\nassert s.push(1) is s and isinstance(s, Stack)",
    "attributes of the class": "assert Stack.LIMIT == 3 and Stack().LIMIT == 3",
    "methods of the class": "assert Stack.of(1, 2).items == [1, 2] and Stack.kind() == 'lifo'",
    "properties": "s = Stack([1])\nassert s.top == 1\ns.top = 5\nassert s.items == [5]",
    "an attribute of the test's": "s = Stack([1])\ns.mark = 1\ns.push(2)\nassert s.mark == 1",
    "setters": "s = Stack([1])\ntry: s.top = None\nexcept ValueError: pass\nelse: assert 0",
    "functions of the test": "assert Stack([1, 2]).apply(lambda x: -x) == [-1, -2]",
    "special methods": (
        "s = Stack([1, 2])\nassert len(s) == 2 and list(s) == [1, 2] and s[1] == 2 and 1 in s\n"
        "s[0] = 7\nassert s.items == [7, 2] and str(s) == 'Stack[7, 2]' and s(2) == [14, 4]\n"
        "assert s(factor=1) == [7, 2]\n"
        "assert not Stack() and bool(s) and 9 not in s and sorted([s, Stack()])[1] is s"
    ),
    "operators": "assert (Stack([1]) + Stack([2])).items == [1, 2]\nassert Stack() < Stack([1])",
    "comparison of two objects": "assert Stack([1]) == Stack([1]) and Stack([1]) != Stack([2])",
    "objects in containers": "s = Stack([2])\nd = {s: [s]}\nassert d[s][0] is s and s[0] == 2",
    "a context": "s = Stack([1])\nwith s as inner: assert inner is s\nassert s.items == []",
    "exceptions": (
        "s = Stack([1, 2, 3])\ntry: s.push(4)\nexcept OverflowError as e: assert str(e) == 'full'\n"
        "else: assert 0"
    ),
    "objects of other classes": (
        "p = Stack([1]).pair()\nassert p.number == 1 and p.stack.pop() == 1\n"
        "assert p.swapped() == (1, p.stack) and p == p.stack.pair()"
    ),
    "frozen objects": (
        "from dataclasses import FrozenInstanceError\np = Stack().pair()\n"
        "try: p.number = 2\nexcept FrozenInstanceError: assert p.number == 1\nelse: assert 0"
    ),
    "unittest": (
        "import unittest\nclass TestStack(unittest.TestCase):\n"
        "    def setUp(self): self.s = Stack()\n"
        "    def test_pop(self): self.assertEqual(self.s.push(3).pop(), 3)\n"
        "    def test_empty(self):\n        with self.assertRaises(IndexError): self.s.pop()\n"
    ),
}


def told(program: str, entry_point: str, source: str) -> TestCode:
    """The test code, with the classes of a reference solution."""
    test = CodeTest(source, entry_point)
    problem = Problem("p", "d", program, (test,), entry_point=entry_point)
    (test,) = (t for t in with_classes(problem).tests if isinstance(t, CodeTest))
    return TestCode(test.source, test.name, classes=test.classes)


def play(run: Run, source: str, program: str = STACK, entry_point: str = "Stack") -> Observation:
    test = told(STACK, entry_point, source)
    return run(program, test, entry_point=entry_point)


@pytest.mark.parametrize("name", PASSES)
def test_objects_can_be_worked_with(name: str, run: Run) -> None:
    seen = play(run, PASSES[name])
    assert seen.reason is ExitReason.FINISHED, (seen.error_type, seen.error_message)
    wrong = "class Stack:\n    def __init__(self, *_): pass\n    def __bool__(self): return False"
    assert play(run, PASSES[name], wrong).reason in (ExitReason.TEST_FAILED, ExitReason.EXCEPTION)


def test_an_iterator_that_a_function_makes_has_its_methods(run: Run) -> None:
    code = "c = make(3)\nassert next(c) == 3 and c.remaining() == 2 and list(c) == [2, 1]"
    seen = play(run, code, entry_point="make")
    assert seen.reason is ExitReason.FINISHED, seen.error_message


def test_a_class_below_a_builtin_one(run: Run) -> None:
    program = "class Stack(list):\n    def push(self, x): self.append(x)\n    top = lambda s: s[-1]"
    code = (
        "s = Stack()\ns.push(1)\nassert isinstance(s, list) and len(s) == 1 and s.pop() == 1\n"
        "assert isinstance(s, Stack) and s == [] and sorted(Stack([3, 1])) == [1, 3]\n"
        "try:\n    {s}\nexcept TypeError:\n    pass\nelse:\n    assert False, 'a list in a set'"
    )
    seen = run(
        program,
        told("class Stack:\n    def push(self, x): pass", "Stack", code),
        entry_point="Stack",
    )
    assert seen.reason is ExitReason.FINISHED, seen.error_message


LIES = "    def __getattr__(self, name): return lambda *_: True\n" + "".join(
    f"    def __{name}__(self, *_): return True\n"
    for name in ("eq", "ne", "lt", "le", "gt", "ge", "contains", "bool", "call", "req")
)


@pytest.mark.parametrize(
    "code",
    [
        "assert Stack().pop() == 3",
        "assert 3 == Stack().pop()",
        "assert Stack().top == [1]",
        "assert Stack().items == [1] or Stack().items > 3",
        "assert Stack().pop().startswith('a')",
        "assert Stack().pop().isdigit()",
        "assert len(Stack([1])) == 3",
        "assert Stack().kind() == 'lifo'",
        "assert isinstance(Stack().pop(), str)",
        "assert Stack().pop() in [2, 3]",
        "assert str(Stack().pop()) == '3'",
    ],
)
@pytest.mark.parametrize(
    "program",
    [
        f"class Stack:\n    def __init__(self, *_): pass\n{LIES}",
        f"class Other:\n    pass\n{LIES}class Stack:\n"
        "    def __init__(self, *_): self.items = Other()\n"
        "    def __len__(self): return 1\n    def __getattr__(self, name): return Other\n"
        "    def __getitem__(self, i): return Other()\n    def kind(self): return Other()\n",
    ],
)
def test_no_object_can_say_yes_to_what_is_expected(program: str, code: str, run: Run) -> None:
    seen = play(run, code, program)
    assert seen.reason in (ExitReason.TEST_FAILED, ExitReason.EXCEPTION)


def test_a_problem_without_the_class_gives_data_only(run: Run) -> None:
    program = "class Box:\n    x = 0\n    def get(self): return 1\ndef f():\n    b = Box()\n"
    program += "    b.x = 1\n    return b"
    assert run(program, TestCode("assert f().x == 1", "f")).reason is ExitReason.FINISHED
    assert run(program, TestCode("assert f().get() == 1", "f")).reason is ExitReason.TEST_FAILED


def test_a_copy_is_the_tests_fault(run: Run) -> None:
    with pytest.raises(ExecutionError, match="copy"):
        play(run, "import copy\ncopy.copy(Stack()).push(1)")


ASKS_BACK = """
import json, socket
link = socket.socket(fileno=3)
def send(message):
    data = json.dumps(message).encode()
    link.sendall(len(data).to_bytes(4, "little") + data)
def receive(): return json.loads(link.recv(int.from_bytes(link.recv(4), "little")))
send({"m": ["ready"], "x": [], "d": [], "v": []})
asked = receive()
send({"m": MESSAGE, "x": [], "d": [], "v": ["__globals__"]})
print(receive())
"""


@pytest.mark.parametrize("message", ['["get", 2, []]', '["get", 0, []]'])
def test_a_program_cannot_ask_for_what_the_test_has(message: str, run: Run) -> None:
    program = ASKS_BACK.replace("MESSAGE", message)
    code = "def secret(): return 'expected'\nStack(secret, [secret])"
    seen = play(run, code, program)
    assert seen.reason is not ExitReason.FINISHED
    assert seen.stdout == ""


def test_a_program_cannot_swallow_the_failure_of_an_assert(run: Run) -> None:
    program = (
        "class F:\n    def __enter__(self): return 4\n    def __exit__(self, *_): return True\n"
    )
    code = "with F() as value:\n    assert value == {}"
    for expected, reason in ((4, ExitReason.FINISHED), (5, ExitReason.TEST_FAILED)):
        test = TestCode(code.format(expected), "F", classes=(("F", ("__enter__", "__exit__")),))
        assert run(program, test, entry_point="F").reason is reason


@pytest.mark.parametrize(
    ("program", "code", "names"),
    [
        # `all` would take the end of its iterator for the end of what is to be checked.
        (
            "class S:\n    @property\n    def ok(self): raise StopIteration",
            "assert all(map(lambda s: s.ok, [S(), S()]))",
            ("ok",),
        ),
        (
            "class S:\n    def __len__(self): raise StopIteration",
            "assert all(map(lambda s: len(s) == 3, [S(), S()]))",
            ("__len__",),
        ),
        # What a script leaves with is asked whether it is true.
        (
            "class S:\n    def __bool__(self): return False",
            "import sys\nsys.exit(S())",
            ("__bool__",),
        ),
        (
            "class S:\n    def __bool__(self): raise ValueError\n"
            "    def go(self): raise SystemExit(self)",
            "S().go()",
            ("__bool__", "go"),
        ),
    ],
)
def test_the_special_methods_of_a_program_end_no_test(
    program: str, code: str, names: tuple[str, ...], run: Run
) -> None:
    seen = run(program, TestCode(code, "S", classes=(("S", names),)), entry_point="S")
    assert seen.reason in (ExitReason.TEST_FAILED, ExitReason.EXCEPTION)
