"""Rows of APPS+ and APPS in all the forms that were seen or must be feared."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from codegym.errors import ProblemError
from codegym.problems.problem import BinaryTree, CallTest, LinkedList, Problem, StdinTest
from codegym.problems.source import Row
from codegym.problems.sources.apps import APPS
from codegym.problems.sources.apps_plus import APPS_PLUS

CALL = {
    "id": 7,
    "question": "Add.",
    "fn_name": "add",
    "difficulty": "Interview",
    "starter_code": "def add(a, b):\n",
    "canonical_solution": "def add(a, b):\n    return a + b\n",
    "inputs": [[1, 2], [3, 4]],
    "outputs": [3, 7],
}
STDIN = {
    "id": 8,
    "question": "Echo.",
    "fn_name": "main_8",
    "starter_code": "def main_8():\n",
    "canonical_solution": "def main_8():\n    print(input())\n",
    "inputs": ["a\n", "b\n"],
    "outputs": ["a\n", "b\n"],
}


def plus(row: dict[str, Any], **changes: Any) -> Problem:
    return APPS_PLUS.parse(Row(3, {**row, **changes}))


def one_argument(inputs: Any, outputs: Any, starter: str = "def f(x):\n") -> Problem:
    solution = starter + "    return x\n"
    return plus(
        CALL, fn_name="f", starter_code=starter, canonical_solution=solution, inputs=inputs,
        outputs=outputs,
    )  # fmt: skip


def test_call_style() -> None:
    problem = plus(CALL)
    assert problem.tests == (CallTest((1, 2), 3), CallTest((3, 4), 7))
    assert (problem.id, problem.entry_point, problem.difficulty) == ("7", "add", "interview")
    assert problem.starter_code == CALL["starter_code"]
    assert problem.canonical_solution == CALL["canonical_solution"]


def test_standard_input_style() -> None:
    problem = plus(STDIN)
    assert problem.tests == (StdinTest("a\n", "a\n"), StdinTest("b\n", "b\n"))
    assert problem.entry_point == "main_8"
    assert problem.difficulty == "unknown"


def test_standard_input_style_without_a_name() -> None:
    assert plus(STDIN, fn_name=None).entry_point == "main_8"


def test_whether_a_program_calls_its_function_is_seen_on_the_program() -> None:
    solution = "def main_8():\n    print(input())\n\nif __name__ == '__main__':\n    main_8()\n"
    assert plus(STDIN, canonical_solution=solution).entry_point == "main_8"


def test_a_script_without_functions() -> None:
    problem = plus(STDIN, fn_name=None, starter_code="", canonical_solution="print(input())")
    assert problem.entry_point is None
    assert problem.tests[0] == StdinTest("a\n", "a\n")


def test_a_script_that_starts_with_a_function_of_arguments() -> None:
    solution = "def gcd(a, b):\n    return gcd(b, a % b) if b else a\n"
    solution += "print(gcd(*map(int, input().split())))\n"
    problem = plus(
        STDIN, fn_name=None, starter_code="def gcd(a, b):\n", canonical_solution=solution,
        inputs=["4 6"], outputs=["2"],
    )  # fmt: skip
    assert problem.entry_point is None
    assert problem.tests == (StdinTest("4 6", "2"),)


@pytest.mark.parametrize("name", ["question", "problem", "description", "prompt"])
def test_names_of_the_question(name: str) -> None:
    row = {k: v for k, v in CALL.items() if k != "question"} | {name: "Add."}
    assert plus(row).description == "Add."


def test_other_names_and_missing_fields() -> None:
    row = {k: v for k, v in CALL.items() if k not in {"id", "fn_name", "difficulty"}}
    problem = plus(row, function_name="add", level="competition", problem_id="x/1")
    assert (problem.id, problem.entry_point, problem.difficulty) == ("x/1", "add", "competition")
    bare = plus(row)
    assert (bare.id, bare.entry_point, bare.difficulty) == ("row-3", "add", "unknown")


def test_json_inside_of_strings() -> None:
    problem = plus(CALL, inputs="[[1, 2]]", outputs="[3]")
    assert problem.tests == (CallTest((1, 2), 3),)
    nested = {k: v for k, v in CALL.items() if k not in {"inputs", "outputs", "fn_name"}}
    cases = {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}
    assert plus(nested, input_output=json.dumps(cases)).tests == (CallTest((1, 2), 3),)


def test_one_test_that_is_plain_text() -> None:
    assert plus(STDIN, inputs="3\n1 2\n", outputs="6\n").tests == (StdinTest("3\n1 2\n", "6\n"),)


def test_lists_of_lines_and_numbers() -> None:
    problem = plus(STDIN, inputs=[["3", "1 2 3"], "x"], outputs=[["6", ""], 7])
    assert problem.tests == (StdinTest("3\n1 2 3", "6\n"), StdinTest("x", "7"))


def test_numbers_on_standard_input() -> None:
    assert plus(STDIN, inputs=[5], outputs=[6]).tests == (StdinTest("5", "6"),)


def test_solution_class() -> None:
    starter = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        "
    assert plus(CALL, starter_code=starter).entry_point == "add"
    assert plus(CALL, starter_code=starter, fn_name=None).entry_point == "add"
    solution = starter + "return a + b"
    problem = plus(CALL, starter_code="", canonical_solution=solution)
    assert problem.entry_point == "add"


@pytest.mark.parametrize(
    "starter",
    [
        "# class ListNode:\n#     def __init__(self, x): pass\nclass Solution:\n"
        "    def f(self, x: Optional[ListNode]) -> Optional[ListNode]:\n",
        "class Solution:\n    def f(self, x: ListNode | None) -> 'ListNode':\n        ",
        "class Solution:\n\tdef f(self, x: 'Optional[ListNode]') -> Union[ListNode, None]:",
    ],
)
def test_linked_lists_by_annotation(starter: str) -> None:
    problem = one_argument([[[1, 2]], [[]], [None]], [[2, 1], [], []], starter)
    assert problem.tests == (
        CallTest((LinkedList((1, 2)),), LinkedList((2, 1))),
        CallTest((LinkedList(()),), LinkedList(())),
        CallTest((LinkedList(()),), LinkedList(())),
    )
    assert "class ListNode" in problem.prelude
    assert problem.entry_point == "f"


def test_lists_of_nodes_and_trees_by_annotation() -> None:
    starter = "class Solution:\n    def f(self, x: List[Optional[ListNode]]) -> TreeNode:\n"
    problem = one_argument([[[[1], [2, 3]]]], [[1, None, 2, None, None]], starter)
    assert problem.tests == (
        CallTest(([LinkedList((1,)), LinkedList((2, 3))],), BinaryTree((1, None, 2))),
    )


def test_a_node_that_is_no_list_is_refused() -> None:
    starter = "class Solution:\n    def f(self, x: TreeNode) -> int:\n"
    with pytest.raises(ProblemError, match="TreeNode"):
        one_argument([[5]], [1], starter)


def test_dictionaries_with_integer_keys() -> None:
    problem = one_argument([[{"1": 2, "-3": 4}]], [{"5": 6}])
    (test,) = problem.tests
    assert test == CallTest(({1: 2, -3: 4},), {5: 6}, alternatives=({"5": 6},))
    assert one_argument([[{"a": 1, "2": 3}]], [1]).tests[0] == CallTest(({"a": 1, "2": 3},), 1)


def test_dictionaries_of_arguments() -> None:
    problem = plus(CALL, inputs=[{"a": 1, "b": 2}], outputs=[3])
    assert problem.tests == (CallTest((), 3, (("a", 1), ("b", 2))),)
    assert one_argument([{"k": 1}], [1]).tests == (CallTest(({"k": 1},), 1),)


def test_answers_that_are_wrapped_in_a_list() -> None:
    assert one_argument([[1], [2]], [[True], [False]]).tests == (
        CallTest((1,), True, alternatives=([True],)),
        CallTest((2,), False, alternatives=([False],)),
    )
    # One answer that is no list of one item: then no answer is wrapped.
    assert one_argument([[1], [2]], [[1], [1, 2]]).tests[0] == CallTest((1,), [1])
    # The signature decides where it speaks.
    says_list = one_argument([[1]], [[1]], "def f(x) -> List[int]:\n")
    assert says_list.tests == (CallTest((1,), [1]),)
    says_int = one_argument([[1]], [[1]], "def f(x) -> int:\n")
    assert says_int.tests == (CallTest((1,), 1),)


def test_arguments_that_are_not_in_a_list() -> None:
    assert one_argument([1, "a"], [1, "a"]).tests[1] == CallTest(("a",), "a")
    # [1, 2] cannot be two arguments of f(x), so every input is the argument itself.
    assert one_argument([[1, 2], [3]], [3, 3]).tests == (
        CallTest(([1, 2],), 3),
        CallTest(([3],), 3),
    )
    with pytest.raises(ProblemError, match="takes 2"):
        plus(CALL, inputs=[[1, 2], [1, 2, 3]])


def test_arguments_as_text() -> None:
    two = plus(CALL, inputs=["1\n2", "[3]\n[4]"], outputs=[3, [3, 4]])
    assert two.tests == (CallTest((1, 2), 3), CallTest(([3], [4]), [3, 4]))
    assert plus(CALL, inputs=["[1, 2]", "[3, 4]"]).tests[0] == CallTest((1, 2), 3)
    says_text = one_argument(["12", "a"], [1, 2], "def f(x: str) -> int:\n")
    assert says_text.tests == (CallTest(("12",), 1), CallTest(("a",), 2))
    with pytest.raises(ProblemError, match="text or number"):
        one_argument(["12", "3"], [1, 2])


def test_integers_as_text_where_the_signature_says_integer() -> None:
    starter = "def f(x: int, y: List[int]) -> bool:\n"
    problem = plus(
        CALL, fn_name="f", starter_code=starter, inputs=[["5", "[1, 2]"]], outputs=["true"]
    )
    assert problem.tests == (CallTest((5, [1, 2]), True),)
    assert plus(CALL, inputs=[["5", "6"]], outputs=["11"]).tests == (CallTest(("5", "6"), "11"),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": []}, "0 inputs but 2 outputs"),
        ({"inputs": [], "outputs": []}, "no tests"),
        ({"inputs": None}, "'inputs' must be a list"),
        ({"inputs": [[1, 2]]}, "1 inputs but 2 outputs"),
        ({"outputs": {"a": 1}}, "'outputs' must be a list"),
        ({"question": ""}, "needs text in 'question'"),
        ({"question": 5}, "must be text"),
        ({"canonical_solution": None}, "needs a solution"),
        ({"starter_code": ["def"]}, "'starter_code' must be text"),
        ({"fn_name": "other", "inputs": ["a", "b"]}, "neither in the starter code"),
    ],
)
def test_rows_that_can_not_be_used(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProblemError, match=reason):
        plus(CALL, **changes)


def test_further_fields_and_solutions_are_kept() -> None:
    problem = plus(CALL, conditionals=[1], solutions=["x"])
    assert problem.metadata["conditionals"] == [1]
    row = {k: v for k, v in CALL.items() if k != "canonical_solution"}
    assert plus(row, solutions=json.dumps(["a = 1", "b"])).canonical_solution == "a = 1"


def test_a_starter_that_stops_anywhere() -> None:
    for starter in (
        "def add(a, b):",
        "def add(a,\n        b=1):\n    '''doc",
        "def add(a, b):\n\t",
    ):
        assert plus(CALL, starter_code=starter).entry_point == "add"


# ---- APPS


def apps(split: str | None = None, **changes: Any) -> Problem:
    row = {
        "problem_id": 4,
        "question": "Double.",
        "solutions": json.dumps(["print(int(input()) * 2)", "other"]),
        "input_output": json.dumps({"inputs": ["3\n"], "outputs": ["6\n"]}),
        "difficulty": "interview",
        "url": "https://example.org",
        "starter_code": "",
    }
    return APPS.parse(Row(0, {**row, **changes}, split))


def test_apps_script() -> None:
    problem = apps()
    assert problem.tests == (StdinTest("3\n", "6\n"),)
    assert problem.entry_point is None
    assert problem.canonical_solution == "print(int(input()) * 2)"
    assert problem.metadata["solutions"] == ("print(int(input()) * 2)", "other")
    assert (problem.id, apps("train").id) == ("4", "train/4")


def test_apps_lines_and_null_name() -> None:
    cases = {"inputs": [["3 3 10", "4", "", ""]], "outputs": [["1"]], "fn_name": None}
    assert apps(input_output=json.dumps(cases)).tests == (StdinTest("3 3 10\n4\n\n", "1"),)


def test_apps_call_of_a_method() -> None:
    cases = {"fn_name": "f", "inputs": [[[1, 2], 3]], "outputs": [12]}
    problem = apps(
        input_output=json.dumps(cases),
        starter_code="class Solution:\n    def f(self, a: List[int], k: int) -> int:\n        ",
    )
    assert problem.tests == (CallTest(([1, 2], 3), 12),)
    assert problem.entry_point == "f"
    assert "from typing import *" in problem.prelude


def test_apps_integers_longer_than_python_reads() -> None:
    digits = "7" * 9131
    cases = f'{{"fn_name": "f", "inputs": [[{digits}]], "outputs": [1]}}'
    problem = apps(input_output=cases, starter_code="def f(n):\n\t")
    (test,) = problem.tests
    assert isinstance(test, CallTest)
    assert test.args[0] % 10 == 7
    assert problem.content_hash


def test_apps_without_solutions_is_usable_without_tests_is_not() -> None:
    assert apps(solutions="").canonical_solution == ""
    for empty in ("", None, json.dumps({"inputs": [], "outputs": []})):
        with pytest.raises(ProblemError, match="no tests"):
            apps(input_output=empty)
    with pytest.raises(ProblemError, match="no JSON"):
        apps(input_output="{'inputs'")


def test_style_warnings_of_a_row_are_not_ours() -> None:
    solution = 'def add(a, b):\n    import re\n    re.match("\\d", "1")\n    return a + b\n'
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem = plus(CALL, starter_code="", canonical_solution=solution)
    assert problem.tests[0] == CallTest((1, 2), 3)
    assert problem.entry_point == "add"
