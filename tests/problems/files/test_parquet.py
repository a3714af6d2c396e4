"""Parquet files: a row group at a time, damaged ones, and no package that reads them."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import DataError, DataFormatError, ProblemError
from codegym.problems import load_problems
from codegym.problems.files import parquet
from codegym.problems.files.data_file import open_data_file
from codegym.problems.files.parquet import require_parquet
from tests.problems.sources.made_rows import READING

needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None,
    reason="pyarrow is not installed: pip install -e '.[parquet]'",
)
ROWS: list[dict[str, Any]] = [
    {"n": n, "text": f"ä{n}", "pairs": [{"input": "1", "output": None}], "of": {"x": [n]}}
    for n in range(7)
]


def write(path: Path, rows: list[dict[str, Any]], group: int = 3) -> Path:
    arrow = require_parquet(path)
    arrow.parquet.write_table(arrow.Table.from_pylist(rows), path, row_group_size=group)
    return path


@needs_pyarrow
def test_rows_are_plain_values_in_any_order(tmp_path: Path) -> None:
    file = open_data_file(write(tmp_path / "any.name", ROWS), expected="rows")
    assert [file.row(n) for n in (6, 0, 5, 2, 3, 1, 4)] == [ROWS[n] for n in (6, 0, 5, 2, 3, 1, 4)]
    assert (len(file), file.place(3)) == (7, "row 4")
    assert pickle.loads(pickle.dumps(file)).row(4) == ROWS[4]


@needs_pyarrow
def test_one_row_group_is_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "rows.parquet", ROWS)
    file = open_data_file(path, expected="rows")
    arrow, read = require_parquet(path), list[int]()
    whole = arrow.parquet.ParquetFile.read_row_group

    def noted(self: Any, number: int, **arguments: Any) -> Any:
        read.append(number)
        return whole(self, number, **arguments)

    monkeypatch.setattr(arrow.parquet.ParquetFile, "read_row_group", noted)
    for index in range(7):
        file.row(index)
    assert read == [0, 1, 2]
    assert parquet._row_group.cache_info().currsize == 1


@needs_pyarrow
def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert open_data_file(write(path, ROWS[:1]), expected="rows").row(0) == ROWS[0]
    other = [{"quite": "another"}]
    assert open_data_file(write(path, other), expected="rows").row(0) == other[0]


@needs_pyarrow
@pytest.mark.parametrize("kept", [6, 100, -1])
def test_a_truncated_file_is_an_error(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "rows.parquet", ROWS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataFormatError, match=r"damaged parquet file.*Expected rows of a test"):
        open_data_file(path, expected="rows of a test")


@needs_pyarrow
def test_a_file_without_rows_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    arrow = require_parquet(path)
    arrow.parquet.write_table(arrow.table({"a": arrow.array([], arrow.string())}), path)
    with pytest.raises(DataFormatError, match="without rows"):
        open_data_file(path, expected="rows")


@needs_pyarrow
def test_the_rows_of_a_damaged_row_group_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    rows = [{**READING["deepcoder"], "problem": f"Add {n} numbers." * 200} for n in range(6)]
    write(path, rows)
    arrow = require_parquet(path)
    with arrow.parquet.ParquetFile(path) as file:
        column = file.metadata.row_group(1).column(0)
        start, length = column.dictionary_page_offset, column.total_compressed_size
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\xff" * length
    path.write_bytes(content)
    problems = load_problems("deepcoder", data=path)
    assert len(problems) == 3
    assert [row.place for row in problems.report.skipped] == ["row 4", "row 5", "row 6"]
    assert "row group 1 of the parquet file is damaged" in problems.report.skipped[0].reason


@needs_pyarrow
@pytest.mark.parametrize("source", READING)
def test_sources_read_the_same_of_parquet_as_of_json(source: str, tmp_path: Path) -> None:
    row = READING[source]
    (tmp_path / "train.jsonl").write_text(json.dumps(row))
    write(tmp_path / "train.parquet", [row])
    of_json = load_problems(source, data=tmp_path / "train.jsonl")
    of_parquet = load_problems(source, data=tmp_path / "train.parquet")
    assert of_parquet.ids == of_json.ids
    assert list(of_parquet) == list(of_json)


@needs_pyarrow
def test_a_fault_of_the_machine_is_no_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "rows.parquet", ROWS)
    file = open_data_file(path, expected="rows")
    arrow = require_parquet(path)

    def broken(self: Any, number: int, **_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(arrow.parquet.ParquetFile, "read_row_group", broken)
    with pytest.raises(OSError, match="Input/output error") as caught:
        file.row(0)
    assert not isinstance(caught.value, ProblemError)


def test_without_the_package_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1....PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"optional package: pip install -e '\.\[parquet\]'"):
        open_data_file(path, expected="rows")


def test_without_the_package_nothing_is_downloaded_that_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CODEGYM_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setattr("codegym.problems.files.locate.download", pytest.fail)
    with pytest.raises(DataError, match=r"eurus2/train.parquet.*optional package"):
        load_problems("eurus2", split="train")


@needs_pyarrow
def test_a_row_that_is_no_plain_values_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    arrow = require_parquet(path)
    texts = arrow.array([b"good", b"\xff"], arrow.binary()).cast(arrow.string(), safe=False)
    twice = arrow.StructArray.from_arrays([arrow.array([1, 2]), arrow.array([3, 4])], ["a", "a"])
    for column, reason in ((texts, "codec can't decode"), (twice, "duplicate field names")):
        arrow.parquet.write_table(arrow.Table.from_arrays([column], ["x"]), path)
        with pytest.raises(ProblemError, match=reason):
            open_data_file(path, expected="rows").row(1)
    assert open_data_file(path, expected="rows").place(1) == "row 2"


@needs_pyarrow
def test_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    arrow = require_parquet(path)
    column = arrow.array([1, 2])
    table = arrow.Table.from_arrays([column, column, column], ["a", "b", "a"])
    arrow.parquet.write_table(table, path)
    with pytest.raises(DataFormatError, match="several columns named 'a'"):
        open_data_file(path, expected="rows")
