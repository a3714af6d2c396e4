from __future__ import annotations

import subprocess
import sys

import pytest

from codegym.errors import ProblemError
from codegym.execution.sandbox.tester import pytest_part
from codegym.problems.problem import CodeTest
from codegym.problems.reading import asserts
from codegym.problems.reading.asserts import read_asserts, read_check


def whole(code: str, entry_point: str = "f", **kwargs: str) -> CodeTest:
    (test,) = read_asserts([code], entry_point=entry_point, **kwargs)
    assert isinstance(test, CodeTest)
    return test


def runs(test: CodeTest, program: str) -> bool:
    """Whether the test passes in one plain interpreter with the program."""
    code = f"{program}\n{test.setup}\n{test.source}"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def test_asserts_stay_as_they_are_and_in_their_order() -> None:
    pieces = ["assert f(1) == [1]", "x = f(2)", "assert x == '''a\n  b'''"]
    (test,) = read_asserts(pieces, entry_point="f")
    assert test == CodeTest("\n".join(pieces) + "\n", "f", checks=(1, 3))


def test_a_check_is_called_with_the_entry_point() -> None:
    code = "def check(candidate):\n    assert candidate(1) == 2\n"
    (test,) = read_check(code, entry_point="g")
    assert isinstance(test, CodeTest)
    assert test.name == "g"
    assert runs(test, "def g(x): return 2")
    assert not runs(test, "def g(x): return 1")


def test_a_check_that_calls_itself_is_not_called_twice() -> None:
    code = "def check(candidate):\n    assert candidate(1) == 2\ncheck(g)\n"
    (test,) = read_check(code, entry_point="g")
    assert isinstance(test, CodeTest)
    assert test.source.count("check(g)") == 1


@pytest.mark.parametrize(
    ("code", "checks"),
    [
        ("assert f(1) == 2\nx = 3\nfor i in (1, 2):\n    assert f(i)\nassert f(x)", (1, 3, 5)),
        ("def test_a():\n    assert f(1)\n    assert f(2)\ndef test_b():\n    assert f(3)", (1, 4)),
        ("def test_a():\n    assert f(1)\ntest_a()\nassert f(2) == 1\nassert f(3)", (4, 5)),
        ("class TestA:\n    x = 1\n    def test_a(self):\n        assert f(1)", (3,)),
    ],
)
def test_asserts_and_test_functions_are_counted(code: str, checks: tuple[int, ...]) -> None:
    assert whole(code).checks == checks


def test_asserts_of_a_check_are_counted() -> None:
    code = "def check(g):\n    x = 1\n    assert g(x)\n    assert g(\n        2)\n    print(x)\n"
    (test,) = read_check(code, entry_point="f")
    assert isinstance(test, CodeTest)
    assert test.checks == (3, 4)


def test_a_method_is_called_as_candidate() -> None:
    code = "def check(candidate):\n    assert candidate(1) == 2\n"
    (test,) = read_check(code, entry_point="Solution().g")
    assert isinstance(test, CodeTest)
    assert (test.name, test.setup) == ("candidate", "")
    assert test.source.endswith("check(candidate)\n")


def test_only_an_import_of_the_program_is_replaced() -> None:
    test = whole("import math\nassert sqrt(4) == math.sqrt(4)", entry_point="sqrt")
    assert test.setup == ""


def test_support_runs_before_the_test_code() -> None:
    code = "def check(candidate):\n    assert candidate(1) == helper(1)\n"
    (test,) = read_check(code, entry_point="g", support="def helper(x): return x + 1")
    assert isinstance(test, CodeTest)
    assert runs(test, "def g(x): return 2")


@pytest.mark.parametrize(
    "line",
    ["from solution import f", "from my.solution import f as g", "import solution\nf = solution.f"],
)
def test_an_import_of_the_program_gets_the_entry_point(line: str) -> None:
    name = "g" if "as g" in line else "f"
    test = whole(f"{line}\nassert {name}(1) == 2")
    assert runs(test, "def f(x): return 2")
    assert not runs(test, "def f(x): return 1")


def test_the_stand_in_has_what_the_loader_lets_through() -> None:
    assert asserts.PYTEST == pytest_part.NAMES
    assert asserts._REFUSED_MARKS == pytest_part.REFUSED_MARKS


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import unittest.mock\nassert f(1) == 1", "patches its own process"),
        ("from unittest import mock\nassert f(1) == 1", "patches its own process"),
        ("from unittest.mock import patch\nassert f(1) == 1", "patches its own process"),
        ("import sys, io\nsys.stdout = io.StringIO()\nassert f(1) == 1", "sys.stdout"),
        ("import contextlib as c\nwith c.redirect_stdout(3):\n  f(1)\nassert f", "prints"),
        ("with open('x', 'w') as h:\n    pass\nassert f('x') == 1", "files"),
        ("import mock\nassert f(1) == 1", "patches its own process"),
        ("import sys\nsys.stdin = 3\nassert f(1) == 1", "sys.stdin"),
        ("import sys\nsys.stderr = 3\nassert f(1) == 1", "sys.stderr"),
        ("import contextlib as c\nwith c.redirect_stderr(3):\n  f(1)\nassert f", "prints"),
        ("from contextlib import redirect_stdout as q\nwith q(3):\n  f(1)\nassert f", "prints"),
        ("import tempfile\nassert f(tempfile.mktemp()) == 1", "writes files"),
        (
            "import unittest as u\nclass T(u.IsolatedAsyncioTestCase):\n"
            "    def test_a(self): assert f(1)",
            "asynchronous",
        ),
        ("import inspect\nassert inspect.getsource(f)", "looks into the program"),
        ("import asyncio\nassert asyncio.run(f(1)) == 1", "asynchronous"),
        ("async def test_a():\n    assert await f(1) == 1", "asynchronous"),
        ("import pytest\nwith pytest.warns(UserWarning):\n    f(1)\nassert f", "pytest.warns"),
        ("import pytest as p\nwith p.deprecated_call():\n    f(1)\nassert f", "deprecated_call"),
        ("from pytest import warns\nassert f(1) == 1", "pytest.warns"),
        ("import pytest\n@pytest.mark.xfail\ndef test_a():\n    assert f(1)", "mark.xfail"),
        ("def test_a(capsys):\n    assert f(1) == 1", "fixture 'capsys'"),
        ("class TestA:\n    def test_a(self, tmp_path):\n        assert f(1) == 1", "'tmp_path'"),
        ("from .program import f\nassert f(1) == 1", "package"),
        ("assert f(1) == g(1)", "uses g"),
        ("def test_a():\n    with raises(Own):\n        f(1)", "uses Own, raises"),
        ("def check(candidate:", "not Python"),
        ("x = 1", "asserts nothing"),
        ("f(1)", "asserts nothing"),
        ("assert True\nf(1)", "asserts nothing"),
        ("assert 1 == 1", "asserts nothing"),
        ("def run():\n    assert f(1) == 2", "asserts nothing .* in what is run"),
        ("class Checks:\n    def test_a(self):\n        assert f(1) == 2", "in what is run"),
        ("class TestA:\n    def a(self):\n        assert f(1) == 2", "in what is run"),
        ("return f(1) == 1", "asserts nothing"),
    ],
)
def test_what_cannot_be_judged_apart_is_refused_with_the_reason(code: str, reason: str) -> None:
    with pytest.raises(ProblemError, match=reason):
        whole(code)


@pytest.mark.parametrize(
    "code",
    [
        "import pytest\n@pytest.mark.parametrize('a,b', [(1, 2)])\ndef test(a, b): assert f(a)",
        "import pytest\n@pytest.fixture\ndef one(): return 1\ndef test(one): assert f(one) == 2",
        "def test_one(x): assert f(x) == 2\ntest_one(1)",
        "from random import *\nassert f(randint(1, 1)) == 2",
        "from unittest import *\nclass T(TestCase):\n    def test(self): self.assertEqual(f(1), 2)",
        "def verify(g):\n    if g(1) != 2: raise ValueError\nverify(f)",
        "import random\nfor _ in range(3):\n    assert f(random.random()) == 2",
        "one = 1\ndef run():\n    assert f(one) == 2\nif __name__ == '__main__':\n    run()",
        "assert f(1) == 2, 'message'",
        "if f(1) != 2:\n    raise ValueError",
        "{2: True}.__getitem__(f(1))",
        "import sys\nprint(1, file=sys.stdout)\nassert f(1) == 2",
        "import unittest\nclass T(unittest.TestCase):\n    def runTest(self): assert f(1)",
        "class Box:\n    size = 1\n    def area(self): return self.size\nassert f(Box.size) == 2",
        "try:\n    f(1)\nexcept ValueError as error:\n    assert str(error) == 'x'",
    ],
)
def test_what_can_be_judged_apart_is_not_refused(code: str) -> None:
    assert whole(code).source == code + "\n"


@pytest.mark.parametrize(
    "code",
    ["def check(candidate:", "x = 1", "def check(): pass", 2 * "def check(g):\n    assert g(1)\n"],
)
def test_code_without_a_check_is_an_error(code: str) -> None:
    with pytest.raises(ProblemError):
        read_check(code, entry_point="f")


def test_a_check_that_asserts_nothing_about_the_function_is_an_error() -> None:
    for body in ("assert True", "candidate(1)", "assert 1 == 1"):
        with pytest.raises(ProblemError, match="asserts nothing"):
            read_check(f"def check(candidate):\n    {body}\n", entry_point="f")
    for body in ("assert True", "candidate(1)"):
        with pytest.raises(ProblemError, match="asserts nothing"):
            read_check(f"def check(candidate):\n    {body}\ncheck(f)\n", entry_point="f")


def test_of_the_program_only_the_entry_point_can_be_imported() -> None:
    def setup(imported: str) -> str:
        code = f"from {imported}\n\ndef test_it():\n    assert f(1) == 2\n"
        (test,) = read_asserts([code], entry_point="f")
        assert isinstance(test, CodeTest)
        return test.setup

    assert "modules['solution']" in setup("solution import f")
    assert "modules['solution']" in setup("solution import *")
    assert setup("math import *") == ""
    with pytest.raises(ProblemError, match="imports g from solution"):
        setup("solution import f, g")
