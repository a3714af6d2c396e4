from __future__ import annotations

import gzip
import hashlib
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

import codegym.problems.files.locate
from codegym.errors import (
    ConfigurationError,
    DataFormatError,
    DataNotFoundError,
    OfflineError,
    UnknownNameError,
)
from codegym.problems import SOURCES, CallTest, CodeTest, load_problems


def custom(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "description": f"Return {i}.",
            "entry_point": "f",
            "difficulty": "hard" if i % 2 else "easy",
            "tests": [{"args": [], "expected": i}],
            **changes,
        }
        for i in range(count)
    ]


def leetcode(slug: str) -> dict[str, Any]:
    return {
        "task_id": slug,
        "prompt": "from typing import *\n",
        "completion": "class Solution:\n    def f(self, x):\n        return x\n",
        "entry_point": "Solution().f",
        "test": "def check(candidate):\n    assert candidate(x = 1) == 1\n",
        "query": f"Return {slug}.",
        "meta": {"difficulty": "Easy", "lang_code": "class Solution:\n    def f(self, x):"},
    }


def write(path: Path, rows: list[Any], *, lines: bool = True) -> Path:
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No data anywhere, and a network that is down and counts who asks."""
    asked: list[str] = []

    def download(url: str, target: Path, check: object) -> Path:
        asked.append(url)
        raise ConnectionError("no network")

    monkeypatch.delenv("CODEGYM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(codegym.problems.files.locate, "download", download)
    return asked


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("lines", [False, True])
def test_data_takes_any_of_four_kinds_of_file(tmp_path: Path, name: str, lines: bool) -> None:
    problems = load_problems("custom", data=write(tmp_path / name, custom(3), lines=lines))
    assert problems.ids == ("0", "1", "2")
    assert problems[2].tests == (CallTest((), 2),)
    assert problems.by_id("1").difficulty == "hard"
    assert str(problems.report) == "custom: 3 rows read, 3 usable, 0 skipped"


def test_bad_rows_are_counted_with_their_reason_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows: list[Any] = custom(6)
    rows[1]["tests"] = []
    rows[3] = ["no object"]
    rows[4]["id"] = 0
    rows[5] = {"id": "x"}
    path = write(tmp_path / "a.jsonl", rows)
    path.write_text(path.read_text() + '\n{"id": 7,\n')
    with caplog.at_level(logging.WARNING, logger="codegym"):
        problems = load_problems("custom", data=path)
    assert problems.ids == ("0", "2")
    report = problems.report
    assert (report.read, report.usable, len(report.skipped)) == (7, 2, 5)
    reasons = {row.place: (row.id, row.reason) for row in report.skipped}
    assert reasons["line 2"] == ("1", "'tests' must be a list with at least one test")
    assert reasons["line 4"] == (None, "the row is not a JSON object but list")
    assert reasons["line 5"] == ("0", "the id was seen before, in line 1")
    assert reasons["line 6"][0] == "x"
    assert "not JSON" in reasons["line 7"][1]
    assert "5 skipped" in caplog.text
    assert "line 2 (1)" in caplog.text


@pytest.mark.parametrize("name", ["f(", "a b", "A.f", "__import__('os').system", "A()().f", "1f"])
def test_an_entry_point_that_is_no_name_is_a_bad_row(tmp_path: Path, name: str) -> None:
    rows = [*custom(1), *custom(1, id="bad", entry_point=name)]
    rows[1]["tests"] = [{"args": [], "expected": 1}, {"code": "assert set(candidate()) == {1}"}]
    problems = load_problems("custom", data=write(tmp_path / "a.json", rows))
    assert problems.ids == ("0",)
    assert "entry point" in problems.report.skipped[0].reason


def test_text_that_is_no_unicode_is_a_bad_row(tmp_path: Path) -> None:
    rows = [*custom(1), *custom(1, id="bad", description="half \ud800 a pair")]
    problems = load_problems("custom", data=write(tmp_path / "a.json", rows))
    assert problems.ids == ("0",)
    assert "Unicode" in problems.report.skipped[0].reason


def test_rows_of_another_source_are_an_error_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", custom(3))
    for source in sorted(set(SOURCES) - {"mini", "custom"}):
        with pytest.raises(DataFormatError, match="none of 3 rows") as caught:
            load_problems(source, data=path)
        assert "\n  line 1" in str(caught.value)


def test_files_that_are_no_data_set(tmp_path: Path) -> None:
    for name, content in [("a.json", b""), ("b.json", b"<html>"), ("c.gz", b"\x1f\x8b\x00")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataFormatError, match="HumanEval rows"):
            load_problems("humaneval", data=tmp_path / name)


def test_unknown_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", custom(4))
    with pytest.raises(UnknownNameError, match="Did you mean 'humaneval'"):
        load_problems("humanevall")
    with pytest.raises(UnknownNameError, match="'validation'"):
        load_problems("custom", data=path, split="valid")
    with pytest.raises(UnknownNameError, match="'hard'"):
        load_problems("custom", data=path, difficulty="harder")
    with pytest.raises(UnknownNameError):
        load_problems("humaneval", data=path, split="train")


def test_arguments_without_meaning(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", custom(4))
    senseless: list[dict[str, Any]] = [{"size": 3}, {"seed": 0}, {"limit": 0}]
    for arguments in senseless:
        with pytest.raises(ConfigurationError):
            load_problems("custom", data=path, **arguments)
    with pytest.raises(ConfigurationError, match="generated"):
        load_problems("mini", data=path)
    with pytest.raises(ConfigurationError, match="needs data="):
        load_problems("custom")


def test_mini_is_forwarded() -> None:
    problems = load_problems("mini", split="test", difficulty="introductory", size=5, seed=3)
    assert len(problems) == 5
    assert problems.difficulties == ("introductory",)
    assert (
        problems.ids
        == load_problems(
            "mini", split="test", difficulty="introductory", size=9, seed=3, limit=5
        ).ids
    )


def test_difficulty_and_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", custom(10))
    assert load_problems("custom", data=path, difficulty="hard").ids == ("1", "3", "5", "7", "9")
    limited = load_problems("custom", data=path, limit=4)
    assert len(limited) == limited.report.read == 4


def test_hash_splits_are_disjoint_complete_and_depend_on_the_text_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", custom(400))
    parts = {
        s: load_problems("custom", data=path, split=s) for s in ("train", "validation", "test")
    }
    ids = [i for part in parts.values() for i in part.ids]
    assert len(ids) == len(set(ids)) == 400
    assert 160 < len(parts["train"]) < 240
    assert 70 < len(parts["validation"]) < 130
    assert parts["train"].report.other_split == 400 - len(parts["train"])
    again = write(tmp_path / "b.json", custom(400)[::-1])
    assert set(load_problems("custom", data=again, split="test").ids) == set(parts["test"].ids)


def test_splits_of_mbpp_follow_the_official_ids(tmp_path: Path) -> None:
    rows = [
        {
            "task_id": number,
            "prompt": "Return x.",
            "code": "import math\ndef f(x):\n  return x\n",
            "test_imports": ["import math"],
            "test_list": ["assert f(1) == 1", "assert math.isclose(f(2), 2)"],
        }
        for number in (1, 10, 11, 510, 511, 600, 601, 974)
    ]
    path = write(tmp_path / "mbpp.json", rows, lines=False)

    def ids(split: str) -> tuple[str, ...]:
        return load_problems("mbpp", data=path, split=split).ids

    assert ids("prompt") == ("MBPP/1", "MBPP/10")
    assert ids("test") == ("MBPP/11", "MBPP/510")
    assert ids("validation") == ("MBPP/511", "MBPP/600")
    assert ids("train") == ("MBPP/601", "MBPP/974")
    problem = load_problems("mbpp", data=path)[0]
    assert (problem.entry_point, problem.starter_code) == ("f", "def f(x):\n")
    assert (problem.prelude, problem.comparison) == ("import math\n", "exact")


def test_a_file_for_each_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / f"LeetCodeDataset-v0.2.0-{split}.jsonl.gz", [leetcode(split)])
    assert load_problems("leetcode", data=tmp_path).ids == ("train", "test")
    assert load_problems("leetcode", data=tmp_path, split="test").ids == ("test",)
    file = tmp_path / "LeetCodeDataset-v0.2.0-test.jsonl.gz"
    assert load_problems("leetcode", data=file).ids == ("test",)
    with pytest.raises(ConfigurationError, match="is the split 'test'"):
        load_problems("leetcode", data=file, split="train")


def test_a_leetcode_row(tmp_path: Path) -> None:
    (problem,) = load_problems("leetcode", data=write(tmp_path / "mine.jsonl", [leetcode("a")]))
    (test,) = problem.tests
    assert isinstance(test, CodeTest)
    assert len(test.checks) == 1
    assert "candidate(x = 1) == 1" in test.source
    assert problem.prelude == "from typing import *\n"
    assert problem.starter_code == "class Solution:\n    def f(self, x):\n"
    assert (problem.difficulty, problem.comparison) == ("easy", "exact")


def test_search_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_machine: list[str]
) -> None:
    name = "LeetCodeDataset-v0.2.0-test.jsonl"
    cached = write(tmp_path / "cache" / "codegym" / name, [leetcode("from-cache")])
    assert load_problems("leetcode", split="test").ids == ("from-cache",)
    write(tmp_path / "env" / f"{name}.gz", [leetcode("from-environment")])
    monkeypatch.setenv("CODEGYM_DATA", str(tmp_path / "env"))
    assert load_problems("leetcode", split="test").ids == ("from-environment",)
    write(tmp_path / "mine" / name, [leetcode("from-data")])
    assert load_problems("leetcode", split="test", data=tmp_path / "mine").ids == ("from-data",)
    assert empty_machine == []
    monkeypatch.delenv("CODEGYM_DATA")
    cached.unlink()
    with pytest.raises(DataNotFoundError):
        load_problems("leetcode", split="test")
    assert len(empty_machine) == 1


@pytest.mark.parametrize(
    "source", [name for name, source in sorted(SOURCES.items()) if getattr(source, "files", ())]
)
def test_offline_the_error_names_file_address_and_command(
    source: str, empty_machine: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codegym.problems.files.locate.require_parquet", str)  # as if it were here
    with pytest.raises(OfflineError) as caught:
        load_problems(source, allow_sample=False)
    message = str(caught.value)
    assert "https://" in message
    assert "curl -L" in message
    assert "data=" in message
    assert "$CODEGYM_DATA" in message
    assert empty_machine[0] in message


def test_one_data_set_never_stands_in_silently_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [leetcode("a")]
    write(tmp_path / "leetcode_as_appsplus.json.gz", rows)
    write(tmp_path / "LeetCodeDataset-v0.2.0-train.jsonl", rows)
    monkeypatch.setenv("CODEGYM_DATA", str(tmp_path))
    for source in ("apps_plus", "apps", "livecodebench"):
        with pytest.raises(DataNotFoundError):
            load_problems(source, allow_sample=False)
    with pytest.raises(DataNotFoundError, match="does not hold"):
        load_problems("apps_plus", data=tmp_path)


def test_a_download_that_changed_is_refused(tmp_path: Path) -> None:
    name = "LeetCodeDataset-v0.2.0-test.jsonl"
    path = write(tmp_path / "cache" / "codegym" / name, [leetcode("a")])
    checksum = path.with_name(name + ".sha256")
    checksum.write_text(hashlib.sha256(path.read_bytes()).hexdigest() + "\n")
    assert len(load_problems("leetcode", split="test")) == 1
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DataFormatError, match="SHA-256 differs"):
        load_problems("leetcode", split="test")


def test_a_problem_set_can_be_pickled(tmp_path: Path) -> None:
    problems = load_problems("custom", data=write(tmp_path / "a.json.gz", custom(9))).shuffle(1)
    again = pickle.loads(pickle.dumps(problems))
    assert again.ids == problems.ids
    assert list(again) == list(problems)
    assert again.report == problems.report


@pytest.mark.parametrize("limit", ["a", 0, 1.5, True])
def test_a_limit_is_a_number_of_problems(limit: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=f"limit must be an int of 1 or more, got {limit!r}"
    ):
        load_problems("mini", limit=limit)
