"""Which problem a sample is of: id, then prompt, then tests; what fits two fits none."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from codegym.commands.samples.matching import Match, Matcher, Unmatched
from codegym.commands.samples.programs import program_of
from codegym.commands.samples.sample import Form, Sample
from codegym.envs import CompletionFormat, InstructionFormat
from codegym.integrations.verl import rows
from codegym.problems import CallTest, Problem, ProblemSet, StdinTest, UnitTest


def problem(name: str, description: str, *tests: UnitTest, entry_point: str = "f") -> Problem:
    calls = any(isinstance(test, CallTest) for test in tests)
    return Problem(name, description, "", tests, entry_point=entry_point if calls else None)


SUM = problem("A/1", "Sum.", CallTest(([1, 2],), 3), CallTest(([],), 0))
COPY = problem("A/2", "Copy.", StdinTest("3\n1 2 3\n", "6\n"), StdinTest("ab\n", "ab\n"))
TWICE = problem("B/1", "Twice.", CallTest((1,), 2))
THRICE = problem("B-1", "Twice.", CallTest((1,), 2))
MATCHER = Matcher(ProblemSet.of([SUM, COPY, TWICE, THRICE]), "toys")


def match(**known: Any) -> Match | Unmatched:
    return MATCHER.match(Sample("line 1", "", Form.PROGRAM, **known))


def by(found: Match | Unmatched) -> tuple[str, str] | None:
    return (found.problem_id, found.by) if isinstance(found, Match) else None


def test_the_id_comes_first_then_the_prompt_then_the_tests() -> None:
    tests = {"inputs": ["3\n1 2 3\n", "ab"], "outputs": ["6", "ab"]}
    assert by(match(problem_id="A/1", prompt="Copy.", tests=tests)) == ("A/1", "id")
    assert by(match(problem_id="Z/9", prompt="Sum.", tests=tests)) == ("A/1", "prompt")
    assert by(match(problem_id="Z/9", prompt="Sum", tests=tests)) == ("A/2", "tests")


@pytest.mark.parametrize(("name", "found"), [("a/1", "A/1"), ("A_2", "A/2"), ("B/1", "B/1")])
def test_an_id_may_be_spelled_otherwise(name: str, found: str) -> None:
    assert by(match(problem_id=name)) == (found, "id")


def test_what_fits_two_problems_fits_none() -> None:
    assert by(match(problem_id="b_1")) is None
    assert by(match(prompt="Twice.")) is None
    assert by(match(tests={"inputs": [[1]], "outputs": [2]})) is None


@pytest.mark.parametrize(
    "prompt",
    [
        "Sum.",
        "  Sum.\n",
        "<|im_start|>system\nSum up.<|im_end|>\n<|im_start|>user\nSum.<|im_end|>\n"
        "<|im_start|>assistant\n",
        "system\nYou are.\nuser\nSum.\nassistant\n",
        "user\nCopy.\nassistant\nDone.\nuser\nSum.\nassistant\n",
        CompletionFormat().render(SUM).text,
        InstructionFormat().render(SUM).text,
    ],
)
def test_a_prompt_is_known_in_the_ways_it_is_shown(prompt: str) -> None:
    assert by(match(prompt=prompt)) == ("A/1", "prompt")


@pytest.mark.parametrize(
    "tests",
    [
        {"inputs": [[[1, 2]], [[]]], "outputs": [3, 0], "fn_name": "f"},
        {"inputs": ["[1, 2]", "[]"], "outputs": ["3", "0"], "fn_name": "f"},
        {"inputs": [[[1, 2]], [[]]], "outputs": [[3], [0]]},
        [{"input": "[1, 2]", "output": "3"}, {"input": "[]", "output": "0"}],
    ],
)
def test_tests_are_known_however_they_are_written(tests: Any) -> None:
    assert by(match(tests=tests)) == ("A/1", "tests")
    assert by(match(tests=json.dumps(tests))) == ("A/1", "tests")


@pytest.mark.parametrize(
    "tests",
    [
        {"inputs": [[[1, 2]], [[]]], "outputs": [3, 1]},
        {"inputs": [[[1, 2]]], "outputs": [3]},
        {"inputs": [], "outputs": []},
        {"inputs": [1], "outputs": [1, 2]},
        "assert f([1, 2]) == 3",
        "{",
        7,
    ],
)
def test_other_tests_match_nothing(tests: Any) -> None:
    assert by(match(tests=tests)) is None


def test_a_ground_truth_may_be_the_id() -> None:
    assert by(match(tests="A/2")) == ("A/2", "id")


def test_the_reason_says_what_was_tried() -> None:
    found = match(problem_id="A/11", prompt="?", tests=3)
    assert isinstance(found, Unmatched)
    assert "the id 'A/11' (the nearest is 'A/1') or this prompt or these tests" in found.reason


DEF = Problem(
    "p", "Add.", "", (CallTest((1, 2), 3),), starter_code="def f(a, b):\n", entry_point="f"
)
WHOLE = Problem(
    "q",
    "Add.",
    "",
    (CallTest((1, 2), 3),),
    starter_code='def f(a, b):\n    "A."\n',
    entry_point="f",
)


@pytest.mark.parametrize(
    ("asked", "text", "program"),
    [
        (DEF, "    return a + b\n", "def f(a, b):\n    return a + b\n"),
        (DEF, "import os\ndef f(a, b):\n    return 3\n", "import os\ndef f(a, b):\n    return 3\n"),
        (DEF, "    return g()\ndef fg(): pass\n", "def f(a, b):\n    return g()\ndef fg(): pass\n"),
        (WHOLE, "def f(a, b): return 3\n", 'def f(a, b):\n    "A."\ndef f(a, b): return 3\n'),
    ],
)
def test_a_completion_continues_the_starter_code(asked: Problem, text: str, program: str) -> None:
    assert program_of(Sample("line 1", text, Form.COMPLETION), asked) == program


LONG = problem(
    "C/1", "Return the sum of the squares of all numbers in a list.", CallTest(([1],), 1)
)
LONGER = problem(
    "C/2",
    "Return the sum of the squares of all numbers in a list. Leave out those below zero.",
    CallTest(([-1],), 0),
)
SHOWN = Matcher(ProblemSet.of([LONG, LONGER, SUM]), "toys")


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        (f"Solve this.\n\n{LONG.description}\n\nUse a code block.", "C/1"),
        (f"```\n{LONGER.description}\n```", "C/2"),
        (f"user\nYou are a coder. {LONGER.description}\nassistant\n", "C/2"),
        (f"system\n{LONG.description}\nuser\nNow: Sum them up, please.\nassistant\n", None),
        (f"{LONGER.description}\n{LONG.description.upper()}\nSum.", "C/2"),
        ("Sum. With an instruction; the description is too short to be found in it.", None),
    ],
)
def test_a_description_may_stand_in_a_longer_prompt(prompt: str, found: str | None) -> None:
    matched = by(SHOWN.match(Sample("line 1", "", Form.ANSWER, prompt=prompt)))
    assert matched == (None if found is None else (found, "prompt"))


def test_two_problems_in_one_prompt_are_none() -> None:
    other = problem("C/3", "Return the largest of all numbers in a list.", CallTest(([1],), 1))
    matcher = Matcher(ProblemSet.of([LONG, other]), "toys")
    prompt = f"Example: {LONG.description} Your turn: {other.description}"
    assert by(matcher.match(Sample("line 1", "", Form.ANSWER, prompt=prompt))) is None


def test_rows_that_codegym_wrote_for_verl_are_known() -> None:
    (row,) = rows([LONG])
    shown = f"system\nBe brief.\nuser\n{row['prompt'][0]['content']}\nassistant\n"
    logged = Sample("line 1", "", Form.ANSWER, prompt=shown, continues=True)
    assert by(SHOWN.match(logged)) == ("C/1", "prompt")
    gts = row["reward_model"]["ground_truth"]
    assert by(SHOWN.match(Sample("line 1", "", Form.ANSWER, prompt="?", tests=gts))) == (
        "C/1",
        "id",
    )


BEGUN = dataclasses.replace(WHOLE, canonical_solution='def f(a, b):\n    "A."\n    return a + b\n')
REST = "    return a + b\n"


@pytest.mark.parametrize(
    ("prompt", "answer", "program"),
    [
        ("Add.\n```python\ndef f(a, b):\n", f"{REST}```\nDone.", f"def f(a, b):\n{REST}"),
        ("user\nAdd.\n```\nx\nassistant\n", f"```python\n{REST}```", "return a + b\n"),
        ("user\nAdd.\nassistant\n<think>\n", "It is a + b.", None),
        ("user\nAdd.\nassistant\n", "It is a + b.", "It is a + b."),
        (BEGUN.starter_code, REST, f"{BEGUN.starter_code}{REST}"),
        (BEGUN.starter_code.rstrip(), f"\n{REST}", f"{BEGUN.starter_code}{REST}"),
        (f"# Add.\n{BEGUN.starter_code}", REST, f"{BEGUN.starter_code}{REST}"),
        (f"{BEGUN.starter_code}    return", " a + b\n", f"{BEGUN.starter_code}{REST}"),
        (BEGUN.starter_code, "```python\nx = 1\n```", "x = 1\n"),
        (f"{BEGUN.starter_code}\nComplete it.", "x = 1\n", "x = 1\n"),
    ],
)
def test_what_the_prompt_has_begun_belongs_to_the_program(
    prompt: str, answer: str, program: str | None
) -> None:
    sample = Sample("line 1", answer, Form.ANSWER, prompt=prompt, continues=True)
    assert program_of(sample, BEGUN) == program


def test_a_message_of_the_user_begins_no_answer() -> None:
    sample = Sample("line 1", "x = 1\n", Form.ANSWER, prompt="Add.\n```python\ny = 2\n")
    assert program_of(sample, BEGUN) == "x = 1\n"
