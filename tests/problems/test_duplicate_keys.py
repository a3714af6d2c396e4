"""A key that stands twice in an object of JSON: the row is refused, named, and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import ConfigurationError, DataFormatError, ProblemError
from codegym.integrations.openenv import SETTINGS, app_from_environment
from codegym.problems import load_problems
from codegym.problems.files.data_file import open_data_file
from codegym.problems.reading.input_output import as_cases, call_tests, json_call_tests
from codegym.problems.reading.json_values import from_json, parse_json, parse_json_rows
from codegym.problems.reading.signature import find_signature

TWICE = '{"k": 1, "k": 2}'


def custom(number: int, *, expected: str = "2", more: str = "") -> str:
    """A row as text, for what `json.dumps` cannot write."""
    return (
        f'{{"id": "{number}", "description": "Add.", "entry_point": "f"{more}, '
        f'"tests": [{{"args": [1], "expected": {expected}}}]}}'
    )


ROWS = [custom(1), custom(2, more=', "id": "2"'), custom(3, expected=f"[{TWICE}]"), custom(4)]


@pytest.mark.parametrize("text", [TWICE, f"[{TWICE}]", f'{{"x": [{{"y": {TWICE}}}]}}'])
def test_it_is_refused_wherever_it_lies_and_the_key_is_named(text: str) -> None:
    with pytest.raises(ProblemError, match="the key 'k' stands twice"):
        parse_json(text)
    with pytest.raises(ProblemError, match=r"in 'tests', the key 'k' stands twice"):
        from_json(text, what="'tests'")
    digits = "7" * 5000
    with pytest.raises(ProblemError, match="stands twice"):
        parse_json(f"[{digits}, {text}]")


def test_the_same_key_in_two_objects_is_no_fault() -> None:
    assert parse_json('[{"k": {"k": 1}}, {"k": 2}]') == [{"k": {"k": 1}}, {"k": 2}]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("\n".join(ROWS), "line"),
        ("[" + ",\n ".join(ROWS) + "]\n", "row"),
        ("[\n" + "\t,".join(ROWS) + "\n ]", "row"),
    ],
    ids=["lines", "list", "spread list"],
)
def test_a_row_is_refused_and_the_others_are_kept(tmp_path: Path, content: str, place: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(content)
    problems = load_problems("custom", data=path)
    assert [problem.id for problem in problems] == ["1", "4"]
    skipped = problems.report.skipped
    assert [row.place for row in skipped] == [f"{place} 2", f"{place} 3"]
    assert "the key 'id' stands twice" in skipped[0].reason
    assert "the key 'k' stands twice" in skipped[1].reason


@pytest.mark.parametrize("content", [ROWS[1], ROWS[1].replace(", ", ",\n"), f"[{ROWS[1]}]"])
def test_a_file_of_such_a_row_alone_is_refused_with_the_reason(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(content)
    with pytest.raises(DataFormatError, match="stands twice"):
        load_problems("custom", data=path)


def test_a_list_that_is_cut_off_behind_such_a_row_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(f'[{TWICE}, {{"x": ')
    with pytest.raises(DataFormatError, match="cut off"):
        open_data_file(path, expected="rows")


@pytest.mark.parametrize(
    "text",
    [
        f"[{TWICE}",
        f'[{TWICE}, {{"b": 1}}\n',
        f"[{TWICE},]",
        f"[{TWICE} {{}}]",
        f"[{TWICE}] ,",
        f"[{TWICE}], [1]",
        f"[{TWICE}]]",
        TWICE,
        f"[{TWICE}, {'[' * 100_000}{']' * 100_000}]",
        f"[{'7' * 5000}, {'[' * 100_000}{']' * 100_000}]",
    ],
)
def test_what_is_no_list_is_none_also_behind_such_a_row(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_json_rows(text.encode())
    assert not isinstance(caught.value, ProblemError)


def test_a_list_in_another_encoding_is_not_read() -> None:
    with pytest.raises(ValueError, match="not UTF-8"):
        parse_json_rows(f'[{TWICE}, "é"]'.encode("utf-16"))


def test_rows_beside_it_are_what_they_are_alone() -> None:
    digits = "7" * 5000
    rows = parse_json_rows(f'[{{"a": {digits}}},{TWICE} , [1, []], "]," ,2 ]'.encode())
    assert isinstance(rows[1], ProblemError)
    assert rows[0] == parse_json(f'{{"a": {digits}}}')
    assert rows[2:] == [[1, []], "],", 2]


@pytest.mark.parametrize(
    ("source", "row"),
    [
        (
            "apps",
            {
                "problem_id": 1,
                "question": "Add.",
                "solutions": "[]",
                "input_output": '{"inputs": ["1"], "inputs": ["2"], "outputs": ["2"]}',
            },
        ),
        (
            "verl",
            {
                "prompt": [{"role": "user", "content": "Add."}],
                "reward_model": {
                    "ground_truth": '{"inputs": ["1"], "outputs": ["1"], "outputs": ["2"]}'
                },
            },
        ),
    ],
)
def test_json_text_inside_of_a_row_is_read_alike(
    tmp_path: Path, source: str, row: dict[str, Any]
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(DataFormatError, match="puts' stands twice"):
        load_problems(source, data=path)


def test_values_of_tests_are_read_alike() -> None:
    signature = find_signature("f", "def f(x): pass")
    assert signature is not None
    with pytest.raises(ProblemError, match="stands twice"):
        json_call_tests([TWICE], ["1"], [signature])
    with pytest.raises(ProblemError, match="stands twice"):
        json_call_tests(["1"], [TWICE], [signature])
    with pytest.raises(ProblemError, match="stands twice"):
        as_cases(f"[{TWICE}]", "[1]")


def test_what_is_text_to_the_program_is_not_looked_into() -> None:
    assert as_cases(TWICE, TWICE) == ([TWICE], [TWICE])
    signature = find_signature("f", "def f(x: str): pass")
    assert signature is not None
    (test,) = call_tests([TWICE], ["1"], [signature])
    assert test.args == (TWICE,)


def test_the_settings_of_a_server_are_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTINGS, '{"source": "mini", "source": "apps"}')
    with pytest.raises(ConfigurationError, match="'source' stands twice"):
        app_from_environment()
