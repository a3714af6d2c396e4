"""A prompt tells what will be called, and says nothing twice."""

from __future__ import annotations

import pytest

import codegym
from codegym.envs import AutoFormat, CompletionFormat, InstructionFormat
from codegym.problems import CallTest, Problem, StdinTest


def problem(
    description: str, entry_point: str | None = "double", starter_code: str = "", solution: str = ""
) -> Problem:
    tests = (StdinTest("1", "2"),) if entry_point is None else (CallTest((1,), 2),)
    return Problem("1", description, solution, tests, starter_code, entry_point)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (problem("Return 2 * x."), "Write a function `double`."),
        (problem("You double x."), "Write a function `double`."),  # a verb names no function
        (problem("x", "double_it", "def double(x):\n"), "Write a function `double_it`."),
        (problem("x", "A().run"), "Write a class `A` with a method `run`."),
        (problem("x", "A().run", "class A:\n"), "Write a class `A` with a method `run`."),
        (problem("x", "Stack", solution="class Stack:\n    pass\n"), "Write a class `Stack`."),
    ],
)
def test_the_entry_point_is_named_where_the_problem_does_not(asked: Problem, sentence: str) -> None:
    instruction = InstructionFormat().render(asked)
    question = f"\nQUESTION:\n{asked.description}\n"
    assert instruction.text.startswith(question)
    assert instruction.text.endswith(f"\n{sentence}\n\nUse Call-Based format\n\nANSWER:\n")
    assert AutoFormat().render(asked) == instruction
    completion = CompletionFormat().render(asked)
    assert completion.text.endswith(f"# {sentence}\n")
    assert completion.text.startswith(f"# {asked.description}\n")
    assert completion.header == ""


@pytest.mark.parametrize(
    "asked",
    [
        problem("x", starter_code="def double(x):\n"),
        problem(
            "x", starter_code="def double(x):\n", solution="def double(x):\n    return 2 * x\n"
        ),
        problem("x", "A().run", "class A:\n    def run(self):\n"),
        problem("Write double(x)."),
        problem("Write `double`, which takes x."),
        problem("Write 'double(x)'."),
        problem("Write a function double that takes x."),
        problem("Write double_it.", "double_it"),
        problem("Write Solution, with twoSum in it.", "Solution().twoSum", "class Solution:\n"),
        problem("Read x.", None),
    ],
)
def test_a_name_that_is_told_is_not_told_again(asked: Problem) -> None:
    for form in (InstructionFormat(), CompletionFormat()):
        assert "Write a function `" not in form.render(asked).text
        assert "Write a class `" not in form.render(asked).text
    way = "Standard Input" if asked.entry_point is None else "Call-Based"
    starter = f"\n{asked.starter_code.strip()}\n" if asked.starter_code else ""
    assert InstructionFormat().render(asked).text == (
        f"\nQUESTION:\n{asked.description}\n{starter}\nUse {way} format\n\nANSWER:\n"
    )


def test_the_problems_that_ship_name_what_is_called() -> None:
    mini, sample = (
        codegym.load_problems("mini", size=50),
        codegym.load_problems("apps_plus", data="sample"),
    )
    for each in (*mini, *sample):
        text = InstructionFormat().render(each).text + CompletionFormat().render(each).text
        assert "Write a function `" not in text
