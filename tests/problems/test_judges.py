"""Which answers are equal is for a data set's own judge to say: its rules, one by one.

The table of these rules and of what is not imitated is in docs/execution.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from codegym.errors import ProblemError
from codegym.grading import Grader
from codegym.problems import Problem, rows
from codegym.problems.source import Row

from .test_judged import SOURCES, apps, leetcode, livecodebench, plus


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


def problem_of(source: str, row: dict[str, Any]) -> Problem:
    return SOURCES[source].parse(Row(0, row))


METHOD = "class Solution:\n    def {}(self, a: List[int]) -> int:\n        "
BODY = "return sum(a) + 1"


def method_rows(name: str) -> dict[str, dict[str, Any]]:
    starter = METHOD.format(name)
    functional = {
        **livecodebench("functional", "[1, 2]", "4", starter),
        "metadata": json.dumps({"func_name": name}),
    }
    listed = {"inputs": [[[1, 2]]], "outputs": [4]}
    return {
        "livecodebench": functional,
        "apps": {**apps(starter + BODY, fn_name=name, **listed), "starter_code": starter},
        "apps_plus": plus(starter, starter + BODY, fn_name=name, **listed),
    }


PROGRAMS = {
    "method": METHOD + BODY,
    "function": "def {}(a):\n    " + BODY,
    "assigned": "{} = lambda a: sum(a) + 1",
    "class and helpers": "def help(a):\n    " + BODY + "\n" + METHOD + "return help(a)",
}


@pytest.mark.parametrize("source", ["livecodebench", "apps", "apps_plus"])
@pytest.mark.parametrize("program", PROGRAMS)
# Names that the judges' own imports have as well: the program's method comes first.
@pytest.mark.parametrize("name", ["total", "merge", "product"])
def test_a_function_is_as_good_as_a_method(
    source: str, program: str, name: str, grader: Grader
) -> None:
    problem = problem_of(source, method_rows(name)[source])
    grade = grader.grade(problem, PROGRAMS[program].format(name))
    assert grade.verdict == "accepted", grade.error_message
    wrong = PROGRAMS[program].format(name).replace("+ 1", "+ 2")
    assert grader.grade(problem, wrong).verdict == "wrong_answer"


def test_leetcodes_own_tests_name_the_class(grader: Grader) -> None:
    problem = problem_of("leetcode", leetcode("assert candidate(3) == 3"))
    assert grader.grade(problem, "def f(x):\n    return x\n").verdict == "runtime_error"


@pytest.mark.parametrize(
    ("annotation", "given", "arrives"),
    [
        ("Dict[str, int]", {"1": 2}, {"1": 2}),
        ("Optional[dict[str, int]]", {"1": 2}, {"1": 2}),
        ("'Mapping[str, List[int]]'", {"1": [2]}, {"1": [2]}),
        ("DefaultDict[str, int]", {"1": 2}, {"1": 2}),
        ("Counter[str]", {"1": 2}, {"1": 2}),
        ("Dict[int, int]", {"1": 2}, {1: 2}),
        ("Mapping[int, int]", {"1": 2}, {1: 2}),
        ("dict", {"1": 2}, {1: 2}),
        ("Dict", {"1": 2}, {1: 2}),
        ("", {"1": 2}, {1: 2}),
        ("", {"1": 2, "a": 3}, {"1": 2, "a": 3}),
        ("List[Dict[str, int]]", [{"1": 2}], [{"1": 2}]),
        ("List[Dict[int, int]]", [{"1": 2}], [{1: 2}]),
    ],
)
def test_keys_are_what_the_signature_says(
    annotation: str, given: Any, arrives: Any, grader: Grader
) -> None:
    starter = f"def f(d{': ' + annotation if annotation else ''}):\n"
    row = {**apps(starter + "    return 0", fn_name="f", inputs=[[given]], outputs=[0])}
    assert problem_of("apps", {**row, "starter_code": starter}).tests[0].args == (arrives,)  # type: ignore[union-attr]
    returns = f" -> {annotation}" if annotation else ""
    starter = f"def f(x){returns}:\n"
    row = apps(starter + f"    return {arrives!r}", fn_name="f", inputs=[[0]], outputs=[given])
    problem = problem_of("apps", {**row, "starter_code": starter})
    assert grader.grade(problem, problem.canonical_solution).solved


DEFINES = "def solve():\n    print(2 * int(input()))\n"
CALLS = {
    "only defines": "",
    "calls": "solve()\n",
    "calls when run": "if __name__ == '__main__':\n    solve()\n",
    "calls through another": "def main():\n    solve()\nmain()\n",
    "calls in a thread": "import threading\nt = threading.Thread(target=solve)\nt.start()\n",
    "mentions it elsewhere": "def other():\n    solve()\n",
    "has a class that could": "class A:\n    solve = None\n",
}


@pytest.mark.parametrize("reference", ["only defines", "calls", "calls when run"])
@pytest.mark.parametrize("program", CALLS)
def test_a_script_calls_its_function_or_leaves_it_to_us(
    program: str, reference: str, grader: Grader
) -> None:
    row = plus("def solve():\n", DEFINES + CALLS[reference], ["3\n", "4\n"], ["6\n", "8\n"])
    problem = problem_of("apps_plus", row)
    grade = grader.grade(problem, DEFINES + CALLS[program])
    assert grade.verdict == "accepted", grade.error_message
    assert grader.grade(problem, DEFINES.replace("2", "3") + CALLS[program]).verdict == (
        "wrong_answer"
    )
    assert grader.grade(problem, "print(2 * int(input()))").solved, "a script without a function"


PRINTED = [
    # judge, expected, printed, equal
    *((judge, "3\n", "\n \n3\n\n", True) for judge in ("apps", "livecodebench")),
    *((judge, "a b\nc\n", "  a b  \n c", True) for judge in ("apps", "livecodebench")),
    *((judge, "3", "3.0", True) for judge in ("apps", "livecodebench")),
    *((judge, "3.0", "3", True) for judge in ("apps", "livecodebench")),
    *((judge, "1 2\n", "1.0 2.00", True) for judge in ("apps", "livecodebench")),
    *((judge, "3", "3.0000001", False) for judge in ("apps", "livecodebench")),
    *((judge, f"{10**17 + 1}", f"{10**17}", False) for judge in ("apps", "livecodebench")),
    *((judge, "1 2", "2 1", False) for judge in ("apps", "livecodebench")),
    *((judge, "Yes", "YES", False) for judge in ("apps", "livecodebench")),
    *((judge, "nan", "NaN", False) for judge in ("apps", "livecodebench")),
    ("apps", "2.5", "2.5000001", True),
    ("apps", "2.5", "2.51", False),
    ("apps", "2.5", "2.50001", False),
    ("apps", "0.0", "0.0000001", True),
    ("apps", "1000000.5", "1000000.9", True),
    ("apps", "a b", "a", False),
    ("apps", "a 1.0", "a x", False),
    ("livecodebench", "2.5", "2.5000001", False),
    ("livecodebench", "0.1", "1e-1", True),
    ("apps", "a 1.0", "a 1", True),
    ("livecodebench", "a 1.0", "a 1", False),  # a line of numbers, or text
    ("apps", "a\n\nb", "a\nb", True),
    ("livecodebench", "a\n\nb", "a\nb", False),
    ("livecodebench", "sNaN", "1", False),
    ("apps", "1", "1e999999999", False),
    *((judge, "1.0", f"1e{10**30}", False) for judge in ("apps", "livecodebench")),
    *((judge, "a\nb", "a", False) for judge in ("apps", "livecodebench")),
]  # fmt: skip


@pytest.mark.parametrize(("judge", "expected", "printed", "equal"), PRINTED)
def test_printed_answers(
    judge: str, expected: str, printed: str, equal: bool, grader: Grader
) -> None:
    program = f"print({printed!r}, end='')"
    if judge == "apps":
        row = apps(f"print({expected!r})", inputs=[""], outputs=[expected])
    else:
        row = livecodebench("stdin", "", expected)
    problem = problem_of(judge, row)
    assert grader.grade(problem, program).solved == equal


RETURNED = [
    # judge, expected, returned, equal
    ("livecodebench", [1, 2], "(1, 2)", True),
    ("livecodebench", [[1], [2]], "[(1,), (2,)]", False),
    ("livecodebench", 0.5, "0.5000000001", False),
    ("livecodebench", 2, "2.0", True),
    ("livecodebench", "a", "['a']", False),
    ("apps", [[1, 2]], "[1, 2]", True),  # wrapped in a list
    ("apps", [[1, 2]], "(1, 2)", True),
    ("apps", [[[1], [2]]], "[(1,), (2,)]", True),
    ("apps", [5], "5", True),
    ("apps", [5], "[5]", True),
    ("apps", [5], "6", False),
    ("apps", [1, 2, 3], "1", False),  # the judge takes the first item for the answer; we do not
]


@pytest.mark.parametrize(("judge", "expected", "returned", "equal"), RETURNED)
def test_returned_answers(
    judge: str, expected: Any, returned: str, equal: bool, grader: Grader
) -> None:
    program = f"def f(a):\n    return {returned}\n"
    if judge == "apps":
        row = apps(program, fn_name="f", inputs=[[0]], outputs=[expected])
    else:
        row = livecodebench("functional", "0", json.dumps(expected), "def f(a):\n")
    assert grader.grade(problem_of(judge, row), program).solved == equal


def test_output_that_nobody_should_print_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row(0, apps("print('a' * 11)", inputs=["", ""], outputs=["a", "a" * 11]))
    assert rows.problem_of(SOURCES["apps"], row)
    monkeypatch.setattr(rows, "LONGEST_ANSWER", 10)
    with pytest.raises(ProblemError, match="test 2 expects 11 bytes"):
        rows.problem_of(SOURCES["apps"], row)
