"""A data set is added from outside, in one file, without touching ours."""

from __future__ import annotations

import ast
import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import codegym
from codegym.errors import ConfigurationError, DataFormatError, ProblemError, UnknownNameError
from codegym.problems import (
    SOURCES,
    CallTest,
    GeneratedSource,
    Problem,
    ProblemSet,
    RemoteFile,
    Row,
    Source,
    load,
    load_problems,
    register_source,
)
from tests.python import PYTHON

ROOT = Path(__file__).parents[2]


def parse(row: Row) -> Problem:
    if row.first("refused"):
        raise ProblemError("it is refused")
    name = row.text("name")
    return Problem(
        id=name,
        description=row.values["task"],
        canonical_solution=f"def {name}(x):\n    return x\n",
        tests=(CallTest((1,), 1),),
        entry_point=name,
    )


def mine(**changes: Any) -> Source:
    attributes: dict[str, Any] = {
        "name": "mine",
        "expected": "rows with 'name' and 'task'",
        "splits": ("train", "test"),
        "parse": parse,
        "id_fields": ("name",),
        "row_splits": lambda row: (row.values["split"],),
    }
    return Source(**(attributes | changes))


def generate(*, split: str, difficulty: str | None, size: int, seed: int) -> ProblemSet:
    def make(position: int) -> Problem:
        tests = (CallTest((), position),)
        return Problem(f"{split}-{seed}-{position}", "Count.", "", tests, entry_point="f")

    return ProblemSet(size, make)


def rows(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": name, "task": "Return x.", "split": "train", **fields} for name in names]


def write(path: Path, *lines: Any) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n")
    return path


@pytest.fixture(autouse=True)
def registry_as_before() -> Iterator[None]:
    before = dict(load._REGISTERED)
    yield
    for name in set(load._REGISTERED) - set(before):
        del load._REGISTERED[name]


def test_a_registered_source_is_loaded_by_its_name(tmp_path: Path) -> None:
    register_source(mine())
    path = write(tmp_path / "a.jsonl", *rows("a", "b"), *rows("c", split="test"))
    problems = load_problems("mine", data=path)
    assert problems.ids == ("a", "b", "c")
    assert {problem.source for problem in problems} == {"mine"}
    assert load_problems("mine", data=path, split="test").ids == ("c",)
    assert problems.report.source == "mine"
    with pytest.raises(UnknownNameError, match=r"split of 'mine' 'tset'\. Did you mean 'test'"):
        load_problems("mine", data=path, split="tset")
    with pytest.raises(ConfigurationError, match=r"Source 'mine' needs data=.*rows with 'name'"):
        load_problems("mine")


def test_environments_take_it_and_an_id_may_name_it(tmp_path: Path) -> None:
    register_source(mine())
    path = write(tmp_path / "a.jsonl", *rows("a"))
    with codegym.CodeEnv(source="mine", data=path) as env:
        assert env.reset(seed=0)[1]["source"] == "mine"
    gymnasium.register("Mine-v0", "codegym.envs:CodeEnv", kwargs={"source": "mine"})
    try:
        made = gymnasium.make("Mine-v0", data=path, disable_env_checker=True)
        assert made.reset(seed=0)[1]["problem_id"] == "a"
        made.close()
    finally:
        del gymnasium.registry["Mine-v0"]


def test_a_generated_source_has_a_size_and_a_seed_and_no_file() -> None:
    register_source(GeneratedSource("count", ("one", "two"), generate, size=12))
    assert len(load_problems("count")) == 12
    assert load_problems("count", size=5, seed=3, split="two", limit=2).ids == (
        "two-3-0",
        "two-3-1",
    )
    with pytest.raises(ConfigurationError, match="is generated and takes no data="):
        load_problems("count", data="x.json")
    with pytest.raises(UnknownNameError, match="split of 'count'"):
        load_problems("count", split="three")
    with pytest.raises(ConfigurationError, match="size= is for source 'mini' or 'count' only"):
        load_problems("humaneval", size=3)
    with codegym.CodeEnv(source="count") as env:
        assert len(env.problems) == 1000


def test_a_name_is_registered_once() -> None:
    register_source(mine())
    for source in (mine(), GeneratedSource("mine", ("a",), generate), mine(name="mini")):
        with pytest.raises(ConfigurationError, match=f"named '{source.name}' is registered alrea"):
            register_source(source)
    with pytest.raises(ConfigurationError, match="takes a Source or a GeneratedSource"):
        register_source("mine")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "name must be text"),
        ({"expected": None}, "expected must be text"),
        ({"splits": "train"}, "splits must be a tuple of one or more strings, got 'train'"),
        ({"splits": ()}, "splits must be a tuple of one or more strings"),
        ({"id_fields": "id"}, "id_fields must be a tuple of strings"),
        ({"parse": "parse"}, "parse must be a function"),
        ({"row_splits": ("train",)}, "row_splits must be a function"),
        ({"packages": "numpy"}, "packages must be a tuple of strings"),
        ({"files": "a.json"}, "files must be a tuple of RemoteFile"),
        ({"files": (RemoteFile("a", "u", ("train", "x")),)}, "holds the split 'x', which is not"),
        (
            {"files": (RemoteFile("a", "u", ("train",)),)},
            "of its files holds the split 'test'",
        ),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_when_it_is_made(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        mine(**changes)


def test_a_generated_source_that_makes_no_sense_is_refused_when_it_is_made() -> None:
    for arguments in ({"generate": None}, {"size": 0}, {"splits": ()}):
        attributes: dict[str, Any] = {"name": "a", "splits": ("b",), "generate": generate}
        with pytest.raises(ConfigurationError, match=f"{next(iter(arguments))} must be"):
            GeneratedSource(**(attributes | arguments))


def test_a_function_that_returns_something_else_is_a_fault_of_the_source(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *rows("a"))
    register_source(mine(parse=lambda _: None))
    with pytest.raises(ConfigurationError, match="'mine': parse must return a Problem"):
        load_problems("mine", data=path)
    register_source(GeneratedSource("none", ("a",), lambda **_: []))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="'none': generate must return a ProblemSet"):
        load_problems("none")


def test_a_file_without_a_usable_row_is_an_error_that_says_why(tmp_path: Path) -> None:
    register_source(mine())
    path = write(tmp_path / "a.jsonl", *rows("a", "b", refused=True))
    with pytest.raises(DataFormatError, match=r"(?s)none of 2 rows.*line 1 \(a\): it is refused"):
        load_problems("mine", data=path)


# ---- where a row is


@pytest.mark.parametrize("gzipped", [False, True])
def test_lines_are_counted_from_1_as_an_editor_does(tmp_path: Path, gzipped: bool) -> None:
    register_source(mine())
    no_task = {"name": "d", "split": "train"}
    path = write(tmp_path / "a.jsonl", *rows("a"), "", "no", "  ", *rows("a"), no_task, "[1]")
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    problems = load_problems("mine", data=path)
    assert [str(row) for row in problems.report.skipped] == [
        "line 3: the line is not JSON: Expecting value at column 1",
        "line 5 (a): the id was seen before, in line 1",
        "line 6 (d): has an unexpected form: KeyError: 'task'",
        "line 7: the row is not a JSON object but list",
    ]


def test_rows_of_a_list_are_counted_from_1(tmp_path: Path) -> None:
    register_source(mine())
    path = tmp_path / "a.json"
    path.write_text(json.dumps([*rows("a"), *rows("a"), 7]))
    assert [str(row) for row in load_problems("mine", data=path).report.skipped] == [
        "row 2 (a): the id was seen before, in row 1",
        "row 3: the row is not a JSON object but int",
    ]


def test_of_several_files_the_one_is_named(tmp_path: Path) -> None:
    files = tuple(RemoteFile(f"{s}.jsonl", "http://x.invalid", (s,)) for s in ("train", "test"))
    register_source(mine(files=files, row_splits=None))
    for split in ("train", "test"):
        write(tmp_path / f"{split}.jsonl", *rows(split), *rows("both"))
    problems = load_problems("mine", data=tmp_path)
    assert problems.ids == ("train", "both", "test")
    assert [str(row) for row in problems.report.skipped] == [
        "line 2 of test.jsonl (both): the id was seen before, in line 2 of train.jsonl"
    ]


def test_a_split_that_cannot_be_told_is_a_bad_row(tmp_path: Path) -> None:
    register_source(mine())
    path = write(tmp_path / "a.jsonl", *rows("a"), {"name": "b", "task": "x"})
    problems = load_problems("mine", data=path, split="train")
    assert problems.ids == ("a",)
    assert "KeyError: 'split'" in problems.report.skipped[0].reason


# ---- ours


def test_no_source_of_ours_imports_another() -> None:
    for path in (ROOT / "codegym" / "problems" / "sources").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("codegym.problems.sources"), path.name


def test_the_sources_of_ours() -> None:
    assert list(SOURCES) == [
        *("mini", "apps_plus", "apps", "humaneval", "mbpp", "leetcode", "livecodebench"),
        *("deepcoder", "intellect3", "synthetic", "eurus2", "verl", "taco", "codecontests"),
        *("codeforces", "nemotron", "kodcode", "custom"),
    ]
    with pytest.raises(TypeError):
        SOURCES["mine"] = mine()  # type: ignore[index]


def test_the_example_plays_an_episode(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PYTHON, str(ROOT / "examples" / "own_data_set.py")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "line 3 (forgotten): 'cases' has no test" in done.stdout
    assert "accepted, 2 of 2 tests passed, reward 1.0" in done.stdout
