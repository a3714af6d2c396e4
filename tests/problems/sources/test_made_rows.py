"""Each data set's format, by rows made in it: what is read of them, and what is judged by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import DataFormatError, ProblemError
from codegym.grading import Grader, Verdict
from codegym.problems import SOURCES, CallTest, CodeTest, Problem, Source, StdinTest, load_problems
from codegym.problems.rows import problem_of
from codegym.problems.source import Row

from .made_rows import (
    CALL,
    CALLED,
    CALLING,
    LISTED,
    PYTEST,
    READ,
    READING,
    STARTER,
    TASK,
    codeforces,
    contest,
    deepcoder,
    gym,
    intellect,
    kodcode,
    message,
    pairs,
    synthetic,
    taco,
    verl,
)

SUMS = tuple(StdinTest(i, o) for i, o in zip(LISTED["inputs"], LISTED["outputs"], strict=True))


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(cache_size=0) as grader:
        yield grader


def parse(source: str, row: dict[str, Any]) -> Problem:
    spec = SOURCES[source]
    assert isinstance(spec, Source)
    return problem_of(spec, Row(0, row))


@pytest.mark.parametrize("source", READING)
def test_rows_that_read_and_print(source: str, grader: Grader) -> None:
    problem = parse(source, READING[source])
    assert problem.tests == SUMS
    assert problem.entry_point is None
    assert problem.source == source
    assert TASK in problem.description
    right, wrong = grader.grade(problem, READ), grader.grade(problem, READ.replace("+", "-"))
    assert right.verdict is Verdict.ACCEPTED
    assert wrong.verdict is Verdict.WRONG_ANSWER


@pytest.mark.parametrize("name", CALLING)
def test_rows_of_other_kinds(name: str, grader: Grader) -> None:
    source, row, program = CALLING[name]
    problem = parse(source, row)
    assert (problem.entry_point == "add") == (program != READ)
    right, wrong = grader.grade(problem, program), grader.grade(problem, program.replace("+", "-"))
    assert right.verdict is Verdict.ACCEPTED
    assert not wrong.solved


@pytest.mark.parametrize("source", [*READING, "kodcode"])
def test_a_file_of_rows_is_read_whatever_else_is_in_it(source: str, tmp_path: Path) -> None:
    row = READING.get(source) or kodcode()
    other = json.dumps({**row, "unknown": [1]}).replace(TASK, "Sum up.")
    for key in ("problem_id", "name", "id", "hash_id", "question_id"):
        if key in row:
            other = other.replace(row[key], "another")
    path = tmp_path / "train.jsonl"
    lines = [json.dumps(row), other, '{"a": 1}', json.dumps(row)[:-5]]
    path.write_text("\n".join(lines))
    problems = load_problems(source, data=path)
    assert len(set(problems.ids)) == 2
    assert [row.place for row in problems.report.skipped] == ["line 3", "line 4"]
    assert "the last line, the file may be cut off" in problems.report.skipped[1].reason
    assert [problem.content_hash for problem in problems] == [
        problem.content_hash for problem in load_problems(source, data=path)
    ]


@pytest.mark.parametrize(
    ("source", "row", "reason"),
    [
        ("deepcoder", deepcoder([]), "no tests"),
        ("deepcoder", deepcoder("nothing"), "'tests' is text but no JSON"),
        ("deepcoder", deepcoder(3), "must be an object with 'inputs' and 'outputs' or a list"),
        ("deepcoder", deepcoder({"inputs": ["1"]}), "must have 'inputs' and 'outputs'"),
        ("deepcoder", deepcoder({"inputs": ["1"], "outputs": []}), "1 inputs but 0 outputs"),
        ("deepcoder", deepcoder(pairs("functional")), "nothing names it"),
        ("deepcoder", deepcoder(pairs("interactive")), "the 'testtype' 'interactive'"),
        ("deepcoder", deepcoder(pairs("stdin") + pairs("functional")), "all have the same"),
        ("deepcoder", deepcoder([{"input": "1"}]), r"'tests'\[0\] must be an object"),
        (
            "deepcoder",
            deepcoder([*pairs("functional", fn_name="f"), *pairs("functional", fn_name="g")]),
            r"several functions: \['f', 'g'\]",
        ),
        (
            "deepcoder",
            deepcoder({"inputs": ["1 2"], "outputs": ["3"], "fn_name": "add"}),
            "not a JSON value a line",
        ),
        (
            "deepcoder",
            deepcoder({"inputs": ["1\n2", [1, 2]], "outputs": ["3", 3], "fn_name": "add"}),
            "some inputs and outputs are texts",
        ),
        (
            "deepcoder",
            deepcoder(
                {"inputs": ["1\n2\n3"], "outputs": ["3"], "fn_name": "add"}, starter_code=STARTER
            ),
            "add takes 2",
        ),
        ("intellect3", {"question": TASK, "info": "[]"}, "'info' must be an object"),
        ("intellect3", {"question": TASK}, "'info' must be an object"),
        ("synthetic", synthetic(pairs("stdin"), "javascript"), "programs in 'javascript'"),
        (
            "synthetic",
            synthetic([{"input": "1", "output": "1", "fn_name": "f"}]),
            "to be a list of arguments",
        ),
        ("verl", verl(LISTED, ability="math"), "'ability' is 'math'"),
        ("verl", verl(LISTED, reward_model={"style": "rule"}), "'ground_truth'"),
        ("verl", verl(LISTED, prompt=message(" ")), "no message of the user"),
        ("eurus2", verl("42"), "must be an object with 'inputs'"),
        ("taco", taco(LISTED, input_output=None), "'input_output' must be an object"),
        ("codecontests", contest(input_file="in.txt"), "the file 'in.txt'"),
        ("codecontests", contest(public_tests=None, generated_tests=None), "no tests"),
        ("codeforces", codeforces(generated_checker="print(1"), "not Python"),
        ("codeforces", codeforces(interaction_format="Ask."), "interactive"),
        ("codeforces", codeforces(input_mode="file"), "'input_mode' is 'file'"),
        ("codeforces", codeforces(executable=False), "cannot be executed"),
        ("codeforces", codeforces(official_tests_complete=False), "not complete"),
        ("codeforces", codeforces(examples=[{"input": "1"}]), "an example must have"),
        ("nemotron", gym({}), "must have 'inputs' and 'outputs'"),
        ("nemotron", {"verifier_metadata": {"unit_tests": LISTED}}, "'responses_create_params'"),
        (
            "kodcode",
            kodcode(test=PYTEST.replace("import add", "import add, sub")),
            r"several functions of the program: \['add', 'sub'\]",
        ),
        ("kodcode", kodcode(test="assert 1 + 1 == 2", test_info=[]), "nothing tells which"),
        ("kodcode", kodcode(test_info={"a": 1}), "'test_info' must be a list"),
    ],
)
def test_rows_that_cannot_be_used(source: str, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProblemError, match=reason):
        parse(source, row)


def test_lists_are_arguments_and_texts_are_a_json_value_a_line() -> None:
    listed = parse("deepcoder", deepcoder(CALLED))
    assert listed.tests == (CallTest((1, 2), 3), CallTest((4, 5), 9))
    lines = {"inputs": ['"a"\n[1, 2]'], "outputs": ["[1]"], "fn_name": "f"}
    (test,) = parse("deepcoder", deepcoder(lines)).tests
    assert test == CallTest(("a", [1, 2]), [1], alternatives=((1,),))
    assert (listed.comparison, parse("deepcoder", deepcoder(lines)).comparison) == ("apps", "exact")


def test_ids_are_the_same_wherever_a_row_stands(tmp_path: Path) -> None:
    rows = [deepcoder(LISTED), {**deepcoder(LISTED), "problem": "Sum."}]
    for name, some in (("train-0.jsonl", rows), ("train-1.jsonl", rows[::-1])):
        (tmp_path / name).write_text("\n".join(map(json.dumps, some)))
    one, other = (load_problems("deepcoder", data=tmp_path / f"train-{n}.jsonl") for n in (0, 1))
    assert one.ids == other.ids[::-1]
    both = load_problems("deepcoder", data=tmp_path)
    assert both.ids == one.ids
    assert "the id was seen before, in line 2 of train-0.jsonl" in str(both.report)


def test_what_is_kept_of_contests_and_kodcode() -> None:
    problem = parse("codecontests", contest())
    assert (problem.canonical_solution, problem.difficulty) == (READ, "a")
    assert problem.metadata["solutions"] == (READ,)
    assert problem.metadata["public_tests"] == 1
    assert problem.metadata["time_limit"] == {"seconds": 2, "nanos": 0}
    assert [
        parse("codecontests", contest(difficulty=n)).difficulty for n in (0, 3, 28, 29, None)
    ] == ["unknown", "hard", "v", "unknown", "unknown"]
    task = parse("codeforces", codeforces()).description
    assert task == (
        "Sum\n\nAdd two numbers.\n\nInput\nTwo numbers.\n\nOutput\nTheir sum.\n\n"
        "Example input\n1 2\n\nExample output\n3"
    )
    coded = parse("kodcode", kodcode())
    assert isinstance(coded.tests[0], CodeTest)
    assert len(coded.tests[0].checks) == 2
    assert coded.description.endswith("Its declaration:\ndef add(a, b):")
    assert (coded.canonical_solution, coded.difficulty) == (CALL, "easy")
    assert parse("synthetic", CALLING["synthetic, a list"][1]).canonical_solution == CALL


def test_the_wrong_source_is_told_which_one_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(READING["nemotron"]))
    with pytest.raises(DataFormatError, match="Its rows can be read as source 'nemotron'"):
        load_problems("deepcoder", data=path)


def test_splits_by_content_are_disjoint(tmp_path: Path) -> None:
    rows = [{**intellect(LISTED), "question": f"Add {n} numbers."} for n in range(60)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    parts = [
        set(load_problems("intellect3", data=path, split=split).ids)
        for split in ("train", "validation", "test")
    ]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(rows)
