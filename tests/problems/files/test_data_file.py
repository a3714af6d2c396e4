from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from codegym.errors import DataFormatError, DataNotFoundError, ProblemError
from codegym.problems.files.data_file import open_data_file
from codegym.problems.reading.json_values import parse_json

ROWS = [{"a": 1}, {"a": "ä\n"}, {"a": [None]}]


def read(path: Path) -> list[object]:
    file = open_data_file(path, expected="rows")
    return [file.row(i) for i in range(len(file))]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n".join(map(json.dumps, ROWS)),
        "\n\n" + "\r\n".join(map(json.dumps, ROWS)) + "\n\n",
        "\ufeff" + "\n".join(map(json.dumps, ROWS)),
    ],
    ids=["list", "indented list", "lines", "blank lines", "byte order mark"],
)
def test_content_decides_not_the_name(
    tmp_path: Path, text: str, name: str, compressed: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if compressed else text.encode())
    assert read(path) == ROWS


def test_one_object_over_several_lines_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(ROWS[0], indent=2))
    assert read(path) == [ROWS[0]]


def test_a_bad_line_is_a_bad_row_not_a_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1\n{"a": 2}\n')
    file = open_data_file(path, expected="rows")
    with pytest.raises(ProblemError, match="not JSON"):
        file.row(0)
    assert file.row(1) == {"a": 2}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"  \n \n",
        b"[]",
        b'[{"a": 1}, {"a"',
        b"<!DOCTYPE html><html>404</html>",
        b'{"a": 1, \n"b',
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        b"\x00\x01\x02\xff\xfe",
        b'"text"',
        gzip.compress(b'{"a": 1}\n' * 100, mtime=0)[:-20],
        b"\x1f\x8bgarbage",
    ],
)
def test_no_data_set(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match="Expected the rows of a test"):
        open_data_file(path, expected="the rows of a test")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="nowhere"):
        open_data_file(tmp_path / "nowhere.json", expected="rows")


def test_integers_of_any_length() -> None:
    digits = "9" * 10_000
    value = parse_json(f"[-{digits}, 1, 2.5]")
    assert value == [-(10**10_000 - 1), 1, 2.5]
