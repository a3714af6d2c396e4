"""Folders of files, of sources that know no file names; and files of the wrong kind."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codegym.errors import ConfigurationError, DataFormatError, DataNotFoundError
from codegym.problems import load_problems
from codegym.problems.files.data_file import open_data_file
from tests.problems.sources.made_rows import LISTED, deepcoder, intellect


def rows(*tasks: str) -> str:
    return "\n".join(json.dumps({**deepcoder(LISTED), "problem": task}) for task in tasks)


def tasks(**arguments: Any) -> list[str]:
    return [problem.description for problem in load_problems("deepcoder", **arguments)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "taco/train-00001-of-00002.jsonl": rows("c", "d"),
        "taco/train-00000-of-00002.jsonl": rows("b"),
        "lcbv5/test-00000-of-00001.jsonl": rows("a"),
        "lcbv5/.cache/train-0.jsonl": "downloads",
        "README.md": "about",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "taco" / "train-00002.json.gz").write_bytes(gzip.compress(rows("e").encode()))
    return tmp_path


def test_all_files_in_order_and_of_a_split_by_their_names(folder: Path) -> None:
    assert tasks(data=folder) == ["a", "b", "c", "d", "e"]
    assert tasks(data=folder, split="train") == ["b", "c", "d", "e"]
    assert tasks(data=folder, split="test") == ["a"]
    problem = load_problems("deepcoder", data=folder, split="test")[0]
    assert problem.metadata["split"] == "test"


def test_one_file_stands_for_the_split_that_its_name_begins_with(folder: Path) -> None:
    file = folder / "taco" / "train-00000-of-00002.jsonl"
    assert tasks(data=file) == tasks(data=file, split="train") == ["b"]
    with pytest.raises(ConfigurationError, match="is the split 'train' of 'deepcoder'"):
        load_problems("deepcoder", data=file, split="test")
    other = file.rename(folder / "mine.jsonl")
    assert tasks(data=other, split="test") == ["b"]


def test_a_split_that_no_file_of_the_folder_holds(folder: Path) -> None:
    (folder / "lcbv5" / "test-00000-of-00001.jsonl").unlink()
    with pytest.raises(DataNotFoundError, match=r"no file of the split 'test'.*train-00000"):
        load_problems("deepcoder", data=folder, split="test")


def test_a_folder_without_data_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataNotFoundError, match=r"holds no .parquet.*it holds notes.txt"):
        load_problems("deepcoder", data=tmp_path)


def test_rows_that_tell_their_split_are_not_split_by_names(tmp_path: Path) -> None:
    for number in range(20):
        row = {**intellect(LISTED), "question": f"Add {number} numbers."}
        (tmp_path / f"train-{number}.jsonl").write_text(json.dumps(row))
    sizes = [len(load_problems("intellect3", data=tmp_path, split=s)) for s in ("train", "test")]
    assert all(sizes)
    assert sum(sizes) < 20


def test_parquet_files_are_not_mixed_with_what_describes_them(tmp_path: Path) -> None:
    (tmp_path / "dataset_infos.json").write_text('{"default": {}}')
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(Exception, match=r"train.parquet is a (damaged )?parquet file"):
        load_problems("deepcoder", data=tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"ARROW1\x00\x00", r"an Arrow file.*to_parquet"),
        (b"\xff\xff\xff\xff\x10\x00", r"an Arrow stream.*to_parquet"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"Git LFS.*git lfs pull"),
        (b"<!DOCTYPE html>\n<html>", "a page in HTML"),
        (b"PK\x03\x04...", "a zip archive: unpack it"),
        (b"\x28\xb5\x2f\xfd...", "compressed by Zstandard"),
        (b"BZh91", "compressed by bzip2"),
        (b"\xfd7zXZ\x00", "compressed by xz"),
        (b"\x80\x04\x95", "a pickle, which could run code"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"id,task\n1,add\n", r"of an unknown kind and starts with b'id,task'"),
    ],
)
def test_a_file_of_another_kind_is_told_by_what_it_is(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=kind) as caught:
        open_data_file(path, expected="rows of a test")
    assert "a JSON list or JSON lines (either plain or gzipped) or a parquet file" in str(
        caught.value
    )
    assert "rows of a test" in str(caught.value)
