from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.hardening import TAKEN_AWAY, WHOLE, kinds, launcher, lines
from codegym.execution import ExecutionLimits, LocalExecutor, describe_isolation
from codegym.grading import Grader, Verdict
from codegym.problems import CallTest, Problem

SWITCHES = {
    "files (Landlock)": {"files"},
    "system calls and threads (seccomp)": {"calls", "threads"},
    "threads alone": {"threads"},
    "namespaces": {"namespaces"},
    "the watch on memory": set[str](),
}
LARGE = "def f(x):\n    y = b'1' * (200 * 2**20)\n    return len(y) > x\n"


@pytest.mark.parametrize("name", TAKEN_AWAY)
def test_a_launcher_switches_off_what_it_says_and_nothing_else(name: str, tmp_path: Path) -> None:
    whole = dataclasses.asdict(describe_isolation())
    less = dataclasses.asdict(describe_isolation(launcher(tmp_path, 0, TAKEN_AWAY[name])))
    assert less == {**whole, **dict.fromkeys(SWITCHES[name], False)}


def test_without_the_watch_a_large_program_passes(tmp_path: Path) -> None:
    limits = ExecutionLimits(memory_bytes=100 * 2**20)
    problem = Problem("large", "", "", (CallTest((1,), True),), entry_point="f")
    unwatched = launcher(tmp_path, 0, TAKEN_AWAY["the watch on memory"])
    verdicts = []
    for python in (None, unwatched):
        executor = LocalExecutor(workers=1, python=python)
        with Grader(executor, limits) as grader:
            verdicts.append(grader.grade(problem, LARGE).verdict)
        executor.close()
    assert verdicts == [Verdict.MEMORY_LIMIT, Verdict.ACCEPTED]


def test_every_kind_is_solved() -> None:
    with Grader(LocalExecutor(workers=1)) as grader:
        for jobs in kinds().values():
            assert grader.grade(*jobs[0]).solved
            assert not grader.grade(jobs[0][0], "def double(x):\n    return 1\n").solved


def test_the_page_tells_what_a_protection_adds() -> None:
    blocks = {WHOLE: [0.3, 0.3], "one": [0.2, 0.2], "the grader of 1234567": [0.6, 0.6]}
    results = {
        "command": "python -m benchmarks.hardening",
        "machine": {},
        "grades": 100,
        "other": "the grader of 1234567",
        "blocks": {"a call": blocks},
    }
    text = "\n".join(lines(results))
    assert f"| (nothing: {WHOLE}) | 3.00 | - |" in text
    assert "| one | 2.00 | +50.0 (+50.0 to +50.0) |" in text
    assert "| (the grader of 1234567) | 6.00 | -50.0 (-50.0 to -50.0) |" in text
