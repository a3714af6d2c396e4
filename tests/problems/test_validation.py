from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest

from codegym.errors import ConfigurationError
from codegym.execution import ExecutionLimits
from codegym.grading import Grader
from codegym.problems import (
    CallTest,
    Checker,
    FindingKind,
    Problem,
    ProblemSet,
    StdinTest,
    load_problems,
    validate,
)
from codegym.problems.validation import stub_of


@dataclasses.dataclass(frozen=True)
class Said:
    verdict: str
    tests_passed: int = 0
    tests_total: int = 1
    error_type: str | None = None
    error_message: str | None = None


class Scripted:
    """Grades a program by what it says: each run takes the next of its words."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = {}

    def grade_many(self, pairs: Iterable[tuple[Problem, str]]) -> list[Said]:
        return [self._grade(program) for _, program in pairs]

    def _grade(self, program: str) -> Said:
        if "def" in program:  # the stub
            return Said("wrong_answer")
        words = program.split()
        run = self.runs.get(program, 0)
        self.runs[program] = run + 1
        return Said(words[run % len(words)], error_type="E", error_message="because\n of this")


def problems(*solutions: str) -> ProblemSet:
    tests = (CallTest((), 1),)
    return ProblemSet.of(
        Problem(f"p{i}", "d", s, tests, entry_point="f") for i, s in enumerate(solutions)
    )


def test_findings() -> None:
    report = validate(
        problems("accepted", "wrong_answer", "time_limit", "accepted wrong_answer", ""), Scripted()
    )
    assert (report.checked, report.accepted, report.runs) == (5, 1, 2)
    assert [(f.problem_id, f.kind) for f in report.findings] == [
        ("p1", FindingKind.FAILS),
        ("p2", FindingKind.TIMES_OUT),
        ("p3", FindingKind.DISAGREES),
        ("p4", FindingKind.NO_SOLUTION),
    ]
    assert report.findings[2].verdicts == ("accepted", "wrong_answer")
    text = str(report)
    assert text.startswith("custom: 1 of 5 solutions accepted in each of 2 runs, 1 disagrees")
    assert "p1: fails: wrong_answer, wrong_answer; 0 of 1 tests passed; E: because of this" in text


def test_many_problems_and_progress() -> None:
    seen: list[tuple[int, int]] = []
    report = validate(
        problems(*[f"accepted {'accepted ' * i}" for i in range(130)]),
        Scripted(),
        runs=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert report.accepted == report.checked == 130
    assert seen == [(64, 130), (128, 130), (130, 130)]
    assert validate([], Scripted()).checked == 0
    with pytest.raises(ConfigurationError):
        validate([], Scripted(), runs=0)


def test_a_real_grader_rejects_stubs_and_finds_the_trivial_problem() -> None:
    trivial = Problem("none", "d", "def f(x): pass", (CallTest((1,), None),), entry_point="f")
    method = Problem(
        "method", "d", "class A:\n def g(self, x): return x", (CallTest((1,), 1),),
        entry_point="A().g",
    )  # fmt: skip
    script = Problem("script", "d", "print(input())", (StdinTest("a", "a"),))
    assert stub_of(script) == "pass\n"
    with Grader(cache_size=0) as grader:
        report = validate([trivial, method, script], grader, check_stub=True)
    assert report.accepted == 3
    assert [(f.problem_id, f.kind) for f in report.findings] == [("none", FindingKind.STUB_PASSES)]


@pytest.mark.parametrize(
    ("source", "file", "rows"),
    [
        ("humaneval", "HumanEval.jsonl.gz", 164),
        ("mbpp", "sanitized-mbpp.json", 427),
        ("leetcode", "LeetCodeDataset-v0.2.0-train.jsonl.gz", 1890),
        ("leetcode", "LeetCodeDataset-v0.2.0-test.jsonl.gz", 200),
        ("apps_plus", "leetcode_as_appsplus.json.gz", 1600),
        ("apps", "apps_sample.jsonl", 5),
    ],
)
def test_a_sample_of_real_problems_is_sound(
    data_dir: Path, source: str, file: str, rows: int
) -> None:
    loaded = load_problems(source, data=data_dir / file)
    assert (len(loaded), len(loaded.report.skipped)) == (rows, 0)
    patient = ExecutionLimits(cpu_seconds=60.0, wall_seconds=3600.0)  # MBPP/123 takes some seconds
    with Grader(limits=patient, cache_size=0) as grader:
        report = validate(loaded.sample(30, 0), grader, runs=1)
    assert report.accepted == report.checked, str(report)


def checked(source: str, solution: str = "print(7)") -> Problem:
    checker = Checker(f"def check(input, output, expected):\n    {source}\n")
    return Problem("c", "d", solution, (StdinTest("7", "7"),), checker=checker)


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("return output.strip() == expected", []),
        ("return int(output) == 7", ["on no output: 0 of 1", "on nonsense: 0 of 1"]),
        ("return output == '' or int(output) == 7", ["on nonsense: 0 of 1 tests passed; ValueEr"]),
        ("return bool(output)", ["a program that answers nonsense is accepted"]),
        ("return not output or output == '7\\n'", []),  # perhaps there is nothing to print
        (
            "1 / 0",
            ["judge_error, judge_error; 0 of 1 tests passed; ZeroDivisionError"] + ["on "] * 2,
        ),
    ],
)
def test_checkers_are_asked_about_nonsense(source: str, findings: list[str]) -> None:
    with Grader(cache_size=0) as grader:
        report = validate([checked(source)], grader)
    assert len(report.findings) == len(findings), str(report)
    for finding, said in zip(report.findings, findings, strict=True):
        assert finding.message.startswith(said)
    kinds = {finding.kind for finding in report.findings}
    accepts = any("accepted" in said for said in findings)
    assert kinds <= {FindingKind.CHECKER_ACCEPTS if accepts else FindingKind.CHECKER_FAILS}


def test_checkers_of_returned_values_are_asked_about_nonsense() -> None:
    checker = Checker("def check(input, output, expected):\n    return output[0] == expected[0]\n")
    solution = "def returnNone(): return [1]"
    problem = Problem(
        "c", "d", solution, (CallTest((), [1]),), entry_point="returnNone", checker=checker
    )
    with Grader(cache_size=0) as grader:
        report = validate([problem], grader)
    assert report.accepted == 1
    (finding,) = report.findings
    assert (finding.kind, finding.verdicts) == (FindingKind.CHECKER_FAILS, ())
    assert finding.message.startswith("on None: 0 of 1 tests passed; TypeError")
