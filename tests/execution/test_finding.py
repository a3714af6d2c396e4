"""Tests that test code only defines are found and run, as pytest and unittest would."""

from __future__ import annotations

import math
from typing import Any

import pytest

from codegym.errors import ExecutionError
from codegym.execution import ExitReason, TestCode
from codegym.execution.sandbox.tester import pytest_part

from .conftest import Run

ADD = "def f(a, b): return a + b"
WRONG = "def f(a, b): return a - b"
RAISES = "def f(a, b): return a // (b - b)"
CASE = """
import unittest
class Adds(unittest.TestCase):
    def setUp(self): self.one = 1
    def test_it(self): self.assertEqual(f(self.one, 2), 3)
    def test_more(self):
        for i in (3, 4):
            with self.subTest(i=i): self.assertEqual(f(self.one, i), 1 + i)
"""
FORMS = {
    "a function": "def test_it():\n    assert f(1, 2) == 3",
    "a class": "class TestIt:\n    def test_it(self):\n        assert f(1, 2) == 3",
    "a guard": "def run():\n    assert f(1, 2) == 3\nif __name__ == '__main__':\n    run()",
    "pytest.main": "import pytest, sys\ndef test_it():\n    assert f(1, 2) == 3\n"
    "if __name__ == '__main__':\n    sys.exit(pytest.main([__file__]))",
    "parameters": "import pytest\n@pytest.mark.parametrize('a', [1, 0])\n"
    "@pytest.mark.parametrize('b, c', [(2, 3), pytest.param(1, 2, id='x')])\n"
    "def test_it(a, b, c):\n    assert f(a, b) == c + a - 1",
    "fixtures": "import pytest\n@pytest.fixture\ndef two(one):\n    yield one + 1\n"
    "@pytest.fixture(scope='module')\ndef one():\n    return 1\n"
    "def test_it(one, two):\n    assert f(one, two) == 3",
    "setups": "def setup_module():\n    global one\n    one = 1\nclass TestIt:\n"
    "    def setup_method(self, method): self.two = 2\n"
    "    def test_it(self):\n        assert f(one, self.two) == 3",
    "the end of a fixture": "import pytest\n@pytest.fixture\ndef two():\n    yield 2\n"
    "    assert f(1, 2) == 3\ndef test_it(two): pass",
    "the end of a lasting fixture": "import pytest\n@pytest.fixture(scope='module')\n"
    "def two():\n    yield 2\n    assert f(1, 2) == 3\ndef test_it(two): pass",
    "teardown_module": "def teardown_module():\n    assert f(1, 2) == 3\ndef test_it(): pass",
    "teardown_function": "def teardown_function(function):\n    assert f(1, 2) == 3\n"
    "def test_it(): pass",
    "teardown_class": "class TestIt:\n    @classmethod\n    def teardown_class(cls):\n"
    "        assert f(1, 2) == 3\n    def test_it(self): pass",
    "teardown_method": "class TestIt:\n    def teardown_method(self):\n"
    "        assert f(1, 2) == 3\n    def test_it(self): pass",
    "approx": "import pytest\ndef test_it():\n    assert f(0.1, 0.2) == pytest.approx(0.3)",
    "unittest, only defined": CASE,
    "unittest.main": f"{CASE}\nunittest.main()",
    "unittest.main in a guard": f"{CASE}\nif __name__ == '__main__':\n    unittest.main()",
    "unittest.main that returns": f"{CASE}\nunittest.main(exit=False)",
    "a runner of its own": f"{CASE}\nsuite = unittest.TestLoader().loadTestsFromTestCase(Adds)\n"
    "unittest.TextTestRunner().run(suite)",
}


@pytest.mark.parametrize("form", FORMS)
def test_defined_tests_are_run(form: str, run: Run) -> None:
    test = TestCode(FORMS[form], "f")
    right = run(ADD, test)
    assert right.reason is ExitReason.FINISHED, right.error_message
    assert run(WRONG, test).reason is ExitReason.TEST_FAILED
    raised = run(RAISES, test)
    assert (raised.reason, raised.error_type) == (ExitReason.EXCEPTION, "ZeroDivisionError")


@pytest.mark.parametrize("form", ["unittest.main", "unittest, only defined", "a function"])
def test_a_program_cannot_skip_its_tests(form: str, run: Run) -> None:
    for how in ("raise unittest.SkipTest('x')", "raise SystemExit(0)", "raise KeyboardInterrupt"):
        program = f"import unittest\ndef f(a, b): {how}"
        assert run(program, TestCode(FORMS[form], "f")).reason is ExitReason.EXCEPTION


@pytest.mark.parametrize(
    ("how", "reason"),
    [("return a + b", ExitReason.TEST_FAILED), ("raise SystemExit", ExitReason.EXCEPTION)],
)
def test_every_test_is_run_although_one_fails(how: str, reason: ExitReason, run: Run) -> None:
    code = "def test_a():\n    assert f(1, 2) == 4\ndef test_b():\n    assert f(2, 2) == 5"
    program = f"def f(a, b):\n    if a == 2:\n        return 0\n    {how}"
    seen = run(program, TestCode(code, "f"))
    assert seen.reason is reason
    assert 3 in seen.executed_lines


def test_what_the_code_calls_itself_is_not_run_again(run: Run) -> None:
    program = "calls = 0\ndef f():\n    global calls\n    calls += 1\n    return calls"
    code = "def test_it():\n    assert f() == 1\ntest_it()"
    assert run(program, TestCode(code, "f")).reason is ExitReason.FINISHED
    once = "import unittest\nclass T(unittest.TestCase):\n"
    once += "    def test_it(self): self.assertEqual(f(), 1)\nunittest.main()"
    assert run(program, TestCode(once, "f")).reason is ExitReason.FINISHED
    assert run(program, TestCode(f"{CASE.replace('f(self.one, 2), 3', 'f(), 1')}", "f")).reason in (
        ExitReason.TEST_FAILED,
        ExitReason.EXCEPTION,
    )


def test_state_that_one_test_leaves_is_seen_by_the_next(run: Run) -> None:
    program = "seen = []\ndef f(a, b):\n    seen.append(a)\n    return len(seen)"
    code = "def test_a():\n    assert f(1, 1) == 1\ndef test_b():\n    assert f(1, 1) == 1"
    assert run(program, TestCode(code, "f")).reason is ExitReason.TEST_FAILED


RAISING = """
import pytest
assert f(1, 1) == 2
with pytest.raises(ValueError, match="neg") as caught:
    f(-1, 1)
assert caught.type.__name__ == "Bad"
assert pytest.raises(ValueError, f, -1, 1).value.args == ("negative",)
"""


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("Bad('negative')", ExitReason.FINISHED),
        ("Bad('other')", ExitReason.TEST_FAILED),
        ("KeyError('negative')", ExitReason.EXCEPTION),
        (None, ExitReason.TEST_FAILED),
    ],
)
def test_raises(raised: str | None, reason: ExitReason, run: Run) -> None:
    check = f"    if a < 0: raise {raised}\n" if raised else ""
    program = f"class Bad(ValueError): pass\ndef f(a, b):\n{check}    return a + b"
    assert run(program, TestCode(RAISING, "f")).reason is reason


@pytest.mark.parametrize(
    "code",
    [
        "import pytest\n@pytest.mark.skip\ndef test_it(): f(1, 2)",
        "import pytest\nf(1, 2)\npytest.warns(UserWarning)",
        "def test_it(capsys): assert f(1, 2) == 3",
        "import pytest\ndef test_it(): pytest.skip('all of it')",
        f"{CASE.replace('class', '@unittest.skip(0)' + chr(10) + 'class')}",
    ],
)
def test_what_is_not_understood_or_not_run_is_the_tests_fault(code: str, run: Run) -> None:
    with pytest.raises(ExecutionError, match="test code of the problem"):
        run(ADD, TestCode(code, "f"))


@pytest.mark.parametrize("expected", [0.3, 1e10, -2.0, 0.0, math.inf, True, [0.1, 2], {"a": 0.5}])
@pytest.mark.parametrize("options", [{}, {"rel": 0.1}, {"abs": 0.25}, {"rel": 0.1, "abs": 0.25}])
def test_approx_is_pytests(expected: object, options: dict[str, Any]) -> None:
    ours, theirs = pytest_part.approx(expected, **options), pytest.approx(expected, **options)
    numbers = [
        0.3,
        0.3000001,
        0.300002,
        1e-10,
        0.33,
        0.5,
        1e10 + 1,
        9.5e9,
        -2.2,
        -2,
        0,
        1e-13,
        0.2,
        1,
        math.inf,
    ]
    answers = [*numbers, math.nan, True, "0.3", None, [0.1, 2.0000001], (0.1, 2), [0.1], {"a": 0.5}]
    answers += [{}, {"a": 0.5, "b": 1}]
    for answer in answers:
        assert (answer == ours) == (answer == theirs), answer
    assert pytest_part.approx(math.nan, nan_ok=True) == math.nan
    assert pytest_part.approx(math.nan) != math.nan


@pytest.mark.parametrize(
    ("code", "checks", "passed"),
    [
        ("assert f(1, 1) == 2\nassert f(1, 2) == 3\nassert f(0, 1) == 1", (1, 2, 3), 3),
        ("assert f(1, 1) == 2\nassert f(1, 2) == 4\nassert f(0, 1) == 1", (1, 2, 3), 1),
        ("assert f(1, 1) == 2\nassert f(1, 1) == 2\nassert f(\n    0, 1) == 2", (1, 2, 3), 2),
        ("assert f(1, 1) == 2\nassert f(1, None) == 2\nassert f(0, 1) == 1", (1, 2, 3), 1),
        ("def check(g):\n    assert g(1, 1) == 2\n    assert g(1, 1) == 3\ncheck(f)", (2, 3), 1),
        (
            "def check(g):\n    same(g, 2)\n    same(g, 3)\n"
            "def same(g, x): assert g(1, 1) == x\ncheck(f)",
            (2, 3),
            1,
        ),
        (
            "def test_a(): assert f(1, 1) == 3\ndef test_b(): assert f(1, 1) == 2\n"
            "def test_c(): assert f(1, 1) == 2",
            (1, 2, 3),
            2,
        ),
        (f"{CASE}\nunittest.main()", (5, 6), 2),
        (
            "import pytest\ndef test_a(): pytest.skip('x')\ndef test_b(): assert f(1, 1) == 2\n"
            "def test_c(): assert f(1, 1) == 3",
            (2, 3, 4),
            1,
        ),
        (
            "import unittest\nclass T(unittest.TestCase):\n    @unittest.skip('x')\n"
            "    def test_a(self): self.fail()\n    def test_b(self): self.assertEqual(f(1, 1), 2)"
            "\n    def test_c(self): self.assertEqual(f(1, 1), 3)",
            (4, 5, 6),
            1,
        ),
        ("assert f(1, 1) == 2", (), 1),
        ("assert f(1, 1) == 3", (), 0),
    ],
)
def test_passed_checks_are_counted(
    code: str, checks: tuple[int, ...], passed: int, run: Run
) -> None:
    assert run(ADD, TestCode(code, "f", checks=checks)).checks_passed == passed


def test_a_program_cannot_count_its_checks(run: Run) -> None:
    program = """
import gc
for one in gc.get_objects():
    if type(one).__name__ == "Report":
        one.write(b"E", b'{"type": "x", "message": "", "line": null, "checks": 9}')
def f(a, b): raise SystemExit
"""
    seen = run(program, TestCode("assert f(1, 1) == 2\n" * 3, "f", checks=(1, 2, 3)))
    assert seen.checks_passed == 0
