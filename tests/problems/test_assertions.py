from __future__ import annotations

import math
import subprocess
import sys

import pytest

from codegym.errors import ProblemError
from codegym.problems.assertions import read_asserts, read_check
from codegym.problems.problem import BinaryTree, CallTest, CodeTest, LinkedList


def one(assertion: str, entry_point: str = "f", **kwargs: str) -> CallTest | CodeTest:
    (test,) = read_asserts([f"assert {assertion}"], entry_point=entry_point, **kwargs)
    assert isinstance(test, CallTest | CodeTest)
    return test


@pytest.mark.parametrize(
    ("assertion", "expected"),
    [
        ("f(1, [2]) == 3", CallTest((1, [2]), 3)),
        ("3 == f(1, [2])", CallTest((1, [2]), 3)),
        ("f(x=1, y='a') == (1, 2)", CallTest((), (1, 2), (("x", 1), ("y", "a")))),
        ("f(-1, +2.5, 1e3, 2j) == {1: {2}}", CallTest((-1, 2.5, 1e3, 2j), {1: {2}})),
        ("f() == [] , 'a message'", CallTest((), [])),
        ("f('a' * 3, [0] * 2) == 2 ** 10 - 1", CallTest(("aaa", [0, 0]), 1023)),
        ("f(list(range(3))) == sum([1, 2])", CallTest(([0, 1, 2],), 3)),
        ("f(float('inf')) == 1 / 2", CallTest((math.inf,), 0.5)),
        ("f(set([1, 2])) == sorted((2, 1))", CallTest(({1, 2},), [1, 2])),
        ("f(1) in (2, 3)", CallTest((1,), 2, alternatives=(3,))),
    ],
)
def test_pairs(assertion, expected):
    assert one(assertion) == expected


def test_several_claims_of_one_assert():
    tests = read_asserts(["assert f(1) == 2 and f(2) == 3"], entry_point="f")
    assert tests == (CallTest((1,), 2), CallTest((2,), 3))


@pytest.mark.parametrize(
    ("assertion", "expression", "expected"),
    [
        ("f(1)", "bool(f(1))", True),
        ("not f(1)", "bool(f(1))", False),
        ("f(1) is True", "repr(f(1))", "True"),
        ("f(1) is None", "repr(f(1))", "None"),
        ("set(f(1)) == set([2])", "set(f(1))", {2}),
        ("len(f(1)) == 4", "len(f(1))", 4),
        ("f(1)[-1] == 4", "f(1)[-1]", 4),
        ("round(f(1), 2) == 0.33", "round(f(1), 2)", 0.33),
        ("f('%d' % 3) == 5", "f('%d' % 3)", 5),
        ("f([i for i in range(3)]) == 5", "f([i for i in range(3)])", 5),
        ("f(f(1)) == 1", "f(f(1))", 1),
    ],
)
def test_expressions(assertion, expression, expected):
    test = one(assertion)
    assert isinstance(test, CallTest)
    assert (test.expression, test.expected) == (expression, expected)


def test_an_expression_calls_the_entry_point_and_may_use_the_prelude():
    code = "def check(candidate):\n    assert set(candidate(math.floor(2.5))) == {2}\n"
    (test,) = read_check(code, entry_point="Solution().g", prelude="import math")
    assert isinstance(test, CallTest)
    assert test.expression == "set(Solution().g(math.floor(2.5)))"


@pytest.mark.parametrize(
    "assertion",
    [
        "f(1) == f(2)",
        "f(1) - 7 == 0",
        "max(f(1), 7) == 7",
        "f(1) != 3",
        "f(1) < 3",
        "f(secret) == 3",
        "math.floor(f(1)) == 3",
        "isinstance(f(1), list)",
        "f(*[1, 2]) == 3",
        "f(1) == expected()",
        "f(1) == 2 or f(1) == 3",
        "all((f(i) == i for i in range(3)))",
    ],
)
def test_what_no_pair_can_say_stays_code(assertion):
    test = one(assertion)
    assert isinstance(test, CodeTest)
    assert test.name == "f"
    assert f"assert {assertion}" in test.source


def test_an_expression_never_holds_what_is_expected():
    for assertion in ("abs(f(1) - 123456) < 1", "f(1) - 123456 == 0", "f(1) in [123456]"):
        test = one(assertion)
        assert isinstance(test, CodeTest) or "123456" not in (test.expression or "")


@pytest.mark.parametrize(
    ("assertion", "expected", "tolerance"),
    [
        ("abs(f(1) - 0.5) <= 1e-3", 0.5, 1e-3),
        ("abs(0.5 - f(1)) < 1e-3", 0.5, math.nextafter(1e-3, 0)),
        ("math.fabs(f(1) - 1/2) <= 0.1", 0.5, 0.1),
        ("math.isclose(f(1), 3.0, abs_tol=0.25)", 3.0, 0.25),
    ],
)
def test_tolerances(assertion, expected, tolerance):
    test = one(assertion)
    assert isinstance(test, CallTest)
    assert (test.args, test.expected, test.tolerance) == ((1,), expected, pytest.approx(tolerance))


@pytest.mark.parametrize("value", [4188.79, -2.5, 0.0])
@pytest.mark.parametrize(
    "options", ["rel_tol=0.001", "rel_tol=0.5", "rel_tol=0.1, abs_tol=1.0", ""]
)
def test_isclose_accepts_exactly_what_math_isclose_does(value, options):
    test = one(f"math.isclose(f(1), {value}, {options})")
    assert isinstance(test, CallTest)
    assert test.tolerance is not None
    given = eval(f"dict({options})")
    edges = [value + s * r for s in (-1, 1) for r in (0.0, 0.05, 0.3, 0.9, 1.01, 2.0, 4.0, 5.0)]
    edges += [
        value * (1 + s * r) for s in (-1, 1) for r in (0.000999, 0.00100050, 0.001002, 0.1001)
    ]
    edges += [value * r for r in (0.4999, 0.5001, 0.9001, 1.999, 2.001, 1.1110, 1.1112, -1.0)]
    for answer in edges:
        accepted = abs(answer - test.expected) <= test.tolerance
        assert accepted == math.isclose(answer, value, **given), (answer, test)


def test_nodes():
    code = """
def check(candidate):
    assert is_same_list(candidate(a=list_node([1, 2])), list_node([2, 1]))
    assert is_same_tree(candidate(tree_node([1, None, 2, None, None])), tree_node([]))
"""
    first, second = read_check(code, entry_point="Solution().g")
    assert first == CallTest((), LinkedList((2, 1)), (("a", LinkedList((1, 2))),))
    assert second == CallTest((BinaryTree((1, None, 2)),), BinaryTree(()))


def test_a_loop_and_its_setup_stay_code_while_the_rest_becomes_pairs():
    code = """
import random
METADATA = {}

def check(candidate):
    assert candidate(1) == 2
    rng = random.Random(0)
    for _ in range(3):
        assert candidate(rng.random()) == helper(1)
    assert True
"""
    pair, rest = read_check(code, entry_point="g", support="def helper(x): return x")
    assert pair == CallTest((1,), 2)
    assert isinstance(rest, CodeTest)
    assert rest.name == "candidate"
    assert "candidate(1) == 2" not in rest.source
    program = f"def candidate(x): return 1\n{rest.source}"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert subprocess.run(
        [sys.executable, "-c", program.replace("return 1", "return 2", 1)],
        stderr=subprocess.DEVNULL,
    ).returncode


def test_test_code_may_call_the_entry_point_by_its_own_name():
    code = "def check(candidate):\n    assert candidate([1]) == sorted(g([1]))\n"
    (test,) = read_check(code, entry_point="g")
    assert isinstance(test, CodeTest)
    subprocess.run([sys.executable, "-c", f"def candidate(x): return x\n{test.source}"], check=True)


def test_names_that_the_test_code_binds_are_not_taken_for_builtins():
    code = "def check(candidate):\n    len = 3\n    assert candidate(len) == 2\n"
    (test,) = read_check(code, entry_point="g")
    assert isinstance(test, CodeTest)


@pytest.mark.parametrize(
    "assertion", ["f('a' * 10**9) == 1", "f(10 ** 10**7) == 1", "f(list(range(10**9))) == 1"]
)
def test_no_bomb_is_unfolded(assertion):
    test = one(assertion)
    assert isinstance(test, CodeTest) or test.expression is not None


@pytest.mark.parametrize(
    "code",
    [
        "def check(candidate:",
        "x = 1",
        "def check(candidate):\n    assert True\n",
        "def check(): pass",
    ],
)
def test_code_that_tests_nothing_is_an_error(code):
    with pytest.raises(ProblemError):
        read_check(code, entry_point="f")
