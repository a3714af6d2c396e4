from __future__ import annotations

import pytest

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems import CallTest, LoadReport, Problem, ProblemSet, SkippedRow


def make(index: int, difficulty: str = "easy") -> Problem:
    tests = (CallTest((index,), index),)
    return Problem(f"p{index}", f"Task {index}", "", tests, entry_point="f", difficulty=difficulty)


def numbered(count: int, built: list[int] | None = None, cached: int = 4096) -> ProblemSet:
    def get(index: int) -> Problem:
        if built is not None:
            built.append(index)
        return make(index, "hard" if index % 2 else "easy")

    return ProblemSet(count, get, cached=cached)


def test_a_problem_is_built_when_asked_for_and_once() -> None:
    built: list[int] = []
    problems = numbered(1_000_000, built)
    assert len(problems) == 1_000_000
    assert built == []
    assert problems[7].id == "p7"
    assert problems[10:][-1].id == "p999999"
    assert problems[7] is problems.take(8)[-1]
    assert built == [7, 999999]


def test_the_cache_is_bounded() -> None:
    built: list[int] = []
    problems = numbered(5, built, cached=2)
    for _ in range(2):
        list(problems)
    assert len(built) == 10


def test_indexing_and_iteration() -> None:
    problems = numbered(4)
    assert [p.id for p in problems] == ["p0", "p1", "p2", "p3"] == list(problems.ids)
    assert problems[-1].id == "p3"
    assert problems[1:3].ids == ("p1", "p2")
    assert problems[::-1].ids == ("p3", "p2", "p1", "p0")
    with pytest.raises(IndexError, match="set of 4"):
        problems[4]


def test_by_id_finds_and_suggests() -> None:
    problems = numbered(50)
    assert problems.by_id("p49").id == "p49"
    with pytest.raises(UnknownNameError, match="Did you mean") as caught:
        problems.by_id("p5x")
    assert len(str(caught.value)) < 200
    with pytest.raises(UnknownNameError):
        problems[:5].by_id("p40")


def test_filter_by_predicate_and_difficulty() -> None:
    problems = numbered(10)
    assert problems.filter(difficulty="hard").ids == ("p1", "p3", "p5", "p7", "p9")
    assert len(problems.filter(difficulty=["hard", "easy"])) == 10
    assert problems.filter(lambda p: p.id > "p7", difficulty="easy").ids == ("p8",)
    empty = problems.filter(lambda p: not p.id)
    assert len(empty) == 0
    assert list(empty) == []
    with pytest.raises(UnknownNameError, match="'hard'"):
        problems.filter(difficulty="hrad")


def test_a_known_difficulty_that_a_view_lacks_is_no_error() -> None:
    assert len(numbered(10).filter(difficulty="easy").filter(difficulty="hard")) == 0


def test_shuffle_and_sample_depend_on_the_seed_alone() -> None:
    problems = numbered(100)
    assert problems.shuffle(3).ids == problems.shuffle(3).ids != problems.shuffle(4).ids
    assert sorted(problems.shuffle(3).ids) == sorted(problems.ids)
    drawn = problems.sample(10, 1).ids
    assert drawn == problems.sample(10, 1).ids
    assert len(set(drawn)) == 10
    assert len(problems.sample(1000, 1)) == 100


def test_views_do_not_change_the_set() -> None:
    problems = numbered(10)
    problems.shuffle(0).take(3)
    assert problems.ids == numbered(10).ids


def test_of_refuses_ids_that_repeat() -> None:
    assert ProblemSet.of([make(1), make(2)]).by_id("p2") == make(2)
    with pytest.raises(ConfigurationError, match="'p1'"):
        ProblemSet.of([make(1), make(1)])


def test_a_set_of_problems_is_made_by_of() -> None:
    for arguments in (([make(1)],), (3,), ("3", make), (True, make), ([make(1)], make)):
        with pytest.raises(ConfigurationError, match=r"ProblemSet\.of"):
            ProblemSet(*arguments)
    for problems in (["x"], make(1), None, "abc", [make(1), None]):
        with pytest.raises(ConfigurationError, match=r"ProblemSet\.of\(\) takes problems"):
            ProblemSet.of(problems)  # type: ignore[arg-type]


def test_negative_numbers_are_errors() -> None:
    with pytest.raises(ConfigurationError):
        ProblemSet(-1, make)
    with pytest.raises(ConfigurationError):
        numbered(3).take(-1)


def test_a_report_reads_well() -> None:
    rows = tuple(SkippedRow(f"row {i + 1}", f"x{i}", "bad") for i in range(5))
    report = LoadReport("apps", 10, 5, 0, rows)
    assert str(report).splitlines()[0] == "apps: 10 rows read, 5 usable, 5 skipped:"
    assert "row 5 (x4): bad" in str(report)
    assert report.summary().splitlines()[0] == "apps: 10 rows read, 5 usable, 5 skipped:"
    assert report.summary().splitlines()[-1] == "  and 2 more"
