"""What two sets hold in common is found by content, and nothing else is taken for it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import gymnasium
import pytest

import codegym
from codegym.errors import ConfigurationError
from codegym.problems import (
    CallTest,
    CodeTest,
    LinkedList,
    Problem,
    ProblemSet,
    StdinTest,
    UnitTest,
    load_problems,
)

LONG = (
    "You are given two integers on one line, with a space between them. Print their sum, and "
    "nothing else, on a line of its own."
)
OTHER = (StdinTest("7", "8"),)


def of(description: str, *tests: UnitTest, name: str = "p") -> ProblemSet:
    entry = None if all(isinstance(t, StdinTest) for t in tests) else "f"
    return ProblemSet.of([Problem(name, description, "", tests or OTHER, entry_point=entry)])


def same(one: ProblemSet, other: ProblemSet) -> bool:
    assert len(one.without(other)) == len(other.without(one))
    return len(one.without(other)) == 0


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("Add two numbers.", "add  TWO\nnumbers", True),
        ("Add two numbers.", "Add two numbers: 3.", False),
        ("Print x\u00b2 of \uff11.", "Print x2 of 1", True),
        ("Écris la somme", "E\u0301cris la somme", True),
        (LONG, f"Solve this in Python.\n\n{LONG}\n\nAnswer in a fence.", True),
        (LONG, f"{LONG} Example: 1 2 gives 3.", True),
        (LONG, LONG.replace("sum", "product"), False),
        (LONG, f"Solve this. {LONG.replace('own', 'kind')} Answer.", False),
        (LONG, " ".join(["Solve this in Python."] * 30) + LONG, False),
        (
            "Add two.",
            "Solve: add two. Answer in a fence, in Python, as one program, please.",
            False,
        ),
        ("?", "!", False),
    ],
)
def test_descriptions(one: str, other: str, are_same: bool) -> None:
    holds_far_behind = other.startswith("Solve this in Python. Solve")
    if holds_far_behind:  # found from the side of the longer one only
        assert len(of(other).without(of(one))) == 0
        assert len(of(one).without(of(other))) == 1
    else:
        assert same(of(one), of(other)) == are_same


def test_tests_in_another_order() -> None:
    printed = [StdinTest("1 2\n", "3\n"), StdinTest("4 5", "9"), StdinTest("0 0", "0")]
    spaced = [StdinTest(f" {test.stdin} ", test.stdout) for test in reversed(printed)]
    assert same(of("Sum.", *printed), of("Add.", *spaced))
    assert not same(of("Sum.", *printed), of("Add.", *printed[:2]))
    assert not same(of("Sum.", *printed[:2]), of("Add.", *printed[:2])), "two tell little"
    called = [CallTest((n, LinkedList((n,))), n) for n in range(3)]
    assert same(of("Sum.", *called), of("Add.", *called))
    assert not same(of("Sum.", *called), of("Add.", *called[:2], CallTest((2,), 2)))
    code = CodeTest("assert f(1) == 2", "f")
    assert same(of("Sum.", code), of("Add.", CodeTest("assert  f(1)\n== 2\n", "f")))
    huge = [CallTest((n,), 10**5000) for n in range(3)]
    assert not same(of("Sum.", *huge), of("Add.", *huge))


def test_the_rest_stays_in_order_with_its_report() -> None:
    problems = load_problems("mini", size=20)
    rest = problems.without(problems[5:15])
    assert rest.ids == (*problems.ids[:5], *problems.ids[15:])
    assert rest.report == problems.report
    assert len(problems.without(problems[:0])) == 20
    with pytest.raises(ConfigurationError, match=r"without\(\) takes a ProblemSet"):
        problems.without(["mini/0"])  # type: ignore[arg-type]


def test_the_environment_leaves_them_out() -> None:
    held = load_problems("mini", size=20)[3:]
    env = gymnasium.make("CodeGen-Mini-v0", size=20, without=held)
    assert len(env.get_wrapper_attr("problems")) == 3
    env.close()
    with pytest.raises(ConfigurationError, match="no problem to draw"):
        gymnasium.make("CodeGen-Mini-v0", size=5, without=load_problems("mini", size=5))
    with pytest.raises(ConfigurationError, match="takes a ProblemSet"):
        gymnasium.make("CodeGen-Mini-v0", size=5, without=["mini"])


def test_a_source_may_be_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEGYM_DATA", str(data_dir))
    with pytest.raises(ConfigurationError, match="no problem to draw"):
        gymnasium.make("CodeGen-HumanEval-v0", without="humaneval")


def test_leetcode_in_two_forms(data_dir: Path) -> None:
    """The same problems, of which one file leaves out examples and constraints."""
    with gzip.open(data_dir / "leetcode_as_appsplus.json.gz", "rt") as file:
        rows = [row for row in json.load(file)[:150] if len(row["question"].split()) > 12]
    asked = {row["question"].casefold() for row in rows}
    problems = codegym.load_problems("leetcode", data=data_dir, limit=300)
    shorter = ProblemSet.of(
        Problem(f"r{n}", row["question"], "", OTHER) for n, row in enumerate(rows)
    )
    rest = problems.without(shorter)
    left = set(rest.ids)
    for problem in problems:
        begins = any(problem.description.casefold().startswith(text) for text in asked)
        assert (problem.id in left) == (not begins), problem.id
    assert 0 < len(rest) < len(problems)


def test_humaneval_mbpp_and_leetcode_have_no_problem_in_common(data_dir: Path) -> None:
    humaneval = load_problems("humaneval", data=data_dir / "HumanEval.jsonl.gz")
    mbpp = load_problems("mbpp", data=data_dir / "sanitized-mbpp.json")
    leetcode = load_problems("leetcode", data=data_dir, split="test")
    assert len(humaneval.without(mbpp)) == len(humaneval)
    assert len(mbpp.without(leetcode)) == len(mbpp)
    assert len(mbpp.without(mbpp)) == 0
