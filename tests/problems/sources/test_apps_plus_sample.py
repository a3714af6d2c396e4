"""The sample in APPS+'s format: what it holds, that it is right, and that its tests are sharp."""

from __future__ import annotations

import ast
import collections
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import codegym
from codegym import ExecutionLimits, Grader, LocalExecutor
from codegym.errors import UnknownNameError
from codegym.problems import CallTest, Problem, StdinTest, load_problems, validate
from codegym.programs.syntax import conditional_starts

from .sample_second_opinions import SECOND_OPINIONS
from .sample_wrong_programs import WRONG, wrong_programs

FILE = Path(codegym.__file__).parent / "problems" / "sources" / "apps_plus_sample.json"
PROBLEMS = {p.id.removeprefix("sample/"): p for p in load_problems("apps_plus", data="sample")}
CONDITIONALS = {"introductory": (1, 3), "interview": (3, 6), "competition": (4, 8)}
EQUIVALENT = {
    # No test can tell them apart: the other way costs the same.
    "fewest_coins": ["count <= fewest[total]"],
    "cheapest_way": ["cost <= costs[end]"],
}
FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    # Some wrong programs never end.
    limits = ExecutionLimits(cpu_seconds=0.5, wall_seconds=60.0)
    with (
        LocalExecutor() as executor,
        Grader(executor, limits, cache_size=0, stop_at_first_failure=True) as grader,
    ):
        yield grader


def reads(problem: Problem) -> bool:
    return isinstance(problem.tests[0], StdinTest)


def comparison_mutants(source: str) -> Iterator[str]:
    """The program with one comparison flipped at its boundary, for each comparison."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for k, op in enumerate(node.ops):
                node.ops[k] = FLIPPED[type(op)]()
                yield ast.unparse(tree)
                node.ops[k] = op


def test_each_level_has_both_styles_in_each_split() -> None:
    counts = collections.Counter(
        (p.difficulty, p.metadata["split"], reads(p)) for p in PROBLEMS.values()
    )
    assert counts == {
        ("introductory", "train", False): 7, ("introductory", "train", True): 5,
        ("introductory", "validation", False): 4, ("introductory", "validation", True): 2,
        ("introductory", "test", False): 3, ("introductory", "test", True): 3,
        ("interview", "train", False): 7, ("interview", "train", True): 5,
        ("interview", "validation", False): 4, ("interview", "validation", True): 2,
        ("interview", "test", False): 3, ("interview", "test", True): 3,
        ("competition", "train", False): 4, ("competition", "train", True): 2,
        ("competition", "validation", False): 2, ("competition", "validation", True): 1,
        ("competition", "test", False): 1, ("competition", "test", True): 2,
    }  # fmt: skip


def test_the_splits_are_the_fixed_ones_of_the_rows() -> None:
    rows = json.loads(FILE.read_text())
    for split in ("train", "validation", "test"):
        problems = load_problems("apps_plus", data="sample", split=split)
        assert list(problems.ids) == [row["id"] for row in rows if row["split"] == split]
        assert problems.report.other_split == len(rows) - len(problems)
        assert len(problems.filter(difficulty="competition")) == (6 if split == "train" else 3)
    with pytest.raises(UnknownNameError, match="'validation'"):
        load_problems("apps_plus", data="sample", split="valid")


def test_the_problems_and_the_report_say_that_they_are_not_apps_plus() -> None:
    problems = load_problems("apps_plus", data="sample")
    assert {p.source for p in problems} == {"apps_plus_sample"}
    report = problems.report
    assert str(report) == "apps_plus_sample: 60 rows read, 60 usable, 0 skipped"
    assert report.stands_in_for is None


def test_a_split_field_does_not_change_how_real_rows_are_split(tmp_path: Path) -> None:
    rows = json.loads(FILE.read_text())
    (tmp_path / "with.json").write_text(json.dumps(rows))
    without = [{k: v for k, v in row.items() if k != "split"} for row in rows]
    (tmp_path / "without.json").write_text(json.dumps(without))
    for split in ("train", "validation", "test"):
        loaded = [
            load_problems("apps_plus", data=tmp_path / name, split=split)
            for name in ("with.json", "without.json")
        ]
        assert loaded[0].ids == loaded[1].ids
        assert {p.source for p in loaded[0]} <= {"apps_plus"}
    assert load_problems("apps_plus", data=tmp_path / "with.json", split="train").ids != (
        load_problems("apps_plus", data="sample", split="train").ids
    )


@pytest.mark.parametrize("name", PROBLEMS)
def test_form_of_a_problem(name: str) -> None:
    problem = PROBLEMS[name]
    low, high = CONDITIONALS[problem.difficulty]
    assert low <= len(conditional_starts(problem.canonical_solution)) <= high
    assert len(problem.tests) >= 8
    assert len({repr(test) for test in problem.tests}) == len(problem.tests)
    assert problem.canonical_solution.startswith(problem.starter_code)
    assert problem.entry_point == ("main" if reads(problem) else name)
    assert ("Write the function main()." in problem.description) == reads(problem)
    assert max(map(len, problem.canonical_solution.splitlines())) <= 100


@pytest.mark.parametrize("name", PROBLEMS)
def test_expected_outputs_are_those_of_a_second_program(name: str) -> None:
    second = SECOND_OPINIONS[name]
    for test in PROBLEMS[name].tests:
        if isinstance(test, StdinTest):
            assert second(test.stdin) == test.stdout.rstrip("\n"), test
        else:
            assert isinstance(test, CallTest)
            result = second(*json.loads(json.dumps(test.args)))
            assert (result, type(result)) == (test.expected, type(test.expected)), test
            assert not test.alternatives


@pytest.mark.parametrize("name", PROBLEMS)
def test_examples_in_the_question_are_tests(name: str) -> None:
    problem = PROBLEMS[name]
    if reads(problem):
        ((given, expected),) = re.findall(
            r"\n\nExample input:\n(.*)Example output:\n(.*)\Z", problem.description, re.DOTALL
        )
        assert StdinTest(given, expected + "\n") in problem.tests
        return
    found = re.findall(r"^Example: \w+\((.*)\) returns (.*)\.$", problem.description, re.MULTILINE)
    assert len(found) == 2
    for arguments, expected in found:
        args = ast.literal_eval(f"({arguments},)")
        assert CallTest(args, ast.literal_eval(expected)) in problem.tests


def test_solutions_are_accepted_each_time_and_stubs_are_not() -> None:
    with Grader(cache_size=0) as grader:
        report = validate(list(PROBLEMS.values()), grader, check_stub=True)
    assert (report.accepted, report.findings) == (60, ())


def test_wrong_programs_are_rejected(grader: Grader) -> None:
    assert set(WRONG) == set(PROBLEMS)
    wrong = [
        (problem, program)
        for name, problem in PROBLEMS.items()
        for program in wrong_programs(name, problem.canonical_solution)
    ]
    assert min(collections.Counter(problem.id for problem, _ in wrong).values()) >= 3
    for (problem, program), grade in zip(wrong, grader.grade_many(wrong), strict=True):
        assert grade.verdict != "accepted", f"{problem.id}\n{program}"
        assert grade.verdict != "compile_error", f"{problem.id}\n{program}"


def test_no_flipped_comparison_is_accepted_but_the_equivalent_ones(grader: Grader) -> None:
    mutants = [
        (problem, program)
        for problem in PROBLEMS.values()
        for program in comparison_mutants(problem.canonical_solution)
    ]
    assert len(mutants) > 140
    survivors = [
        (problem.id.removeprefix("sample/"), program)
        for (problem, program), grade in zip(mutants, grader.grade_many(mutants), strict=True)
        if grade.verdict == "accepted"
    ]
    for name, program in survivors:
        assert any(same in program for same in EQUIVALENT.get(name, ())), f"{name}\n{program}"
    assert len(survivors) == 2
