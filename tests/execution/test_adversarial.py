"""The conformance suite on codegym, and promises of the sandbox that are no single program.

Each case ends in the right verdict and leaves nothing behind: no process, no file, no connection.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from codegym.errors import ProblemError
from codegym.execution import LocalExecutor, Request, Result, describe_isolation
from codegym.grading import Grader, Verdict
from codegym.problems import CallTest, Problem, StdinTest
from conformance.case import SECRET, SECRET_VARIABLE, Case
from conformance.host import Host
from conformance.table import CASES
from tests.waiting import wait_until

from .held import UNTIMED
from .process_tree import below, children_of

ENFORCED = describe_isolation()
DOUBLE = Problem("double", "", "", (CallTest((3,), 6),), entry_point="f")


class Recorder:
    """Passes requests on, and keeps what was seen."""

    def __init__(self, executor: LocalExecutor) -> None:
        self._executor = executor
        self.results: list[Result] = []

    def submit(self, request: Request) -> Future[Result]:
        future = self._executor.submit(request)
        future.add_done_callback(lambda done: self.results.append(done.result()))
        return future

    def close(self) -> None:
        self._executor.close()


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with pytest.MonkeyPatch.context() as patch, LocalExecutor(workers=2) as executor:
        patch.setenv(SECRET_VARIABLE, SECRET)  # before the workers start
        yield Recorder(executor)


@pytest.fixture(scope="module")
def grader(recorder: Recorder) -> Grader:
    return Grader(recorder, dataclasses.replace(UNTIMED, cpu_seconds=1.0))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Host(tmp_path, SECRET) as host:
        yield host


def missing(need: str) -> bool:
    if need == "numpy":
        return importlib.util.find_spec("numpy") is None
    return not getattr(ENFORCED, need)


def survivors() -> list[int]:
    """Processes of programs that are still there: whatever is below the zygote of a worker."""
    zygotes = [pid for worker in children_of(os.getpid()) for pid in children_of(worker)]
    return [pid for zygote in zygotes for pid in below(zygote)]


@pytest.mark.parametrize("case", [c for c in CASES if not c.lengthy], ids=lambda case: case.name)
def test_case(
    recorder: Recorder,
    host: Host,
    tmp_path: Path,
    case: Case,
) -> None:
    lacking = [need for need in case.needs if missing(need)]
    if lacking:
        pytest.skip(f"not on this machine: {', '.join(lacking)}")
    grader = Grader(recorder, case.unhurried_limits)
    program = case.text(str(tmp_path), host.port, signal=0)
    if case.verdicts == ("refused",):
        with pytest.raises(ProblemError):
            grader.grade(case.problem(), program)
        return
    recorder.results.clear()
    grade = grader.grade(case.problem(), program)

    assert grade.verdict in case.verdicts, grade
    assert grade.solved is (case.kind == "accept")
    assert not case.error_types or grade.error_type in case.error_types, grade
    for seen in recorder.results[-1].observations:
        # The kernel's own limit, in whole seconds; it kills where a busy machine is late to look.
        assert seen.cpu_seconds <= math.ceil(grader.limits.cpu_seconds) + 3, seen
    wait_until(lambda: not survivors())  # a worker may still be clearing up
    assert host.effects() == []


def test_a_pool_is_as_good_as_new_after_attacks(grader: Grader) -> None:
    for program in ("import os\nos.abort()", "while True: pass", "x = [0] * 10**9"):
        assert not grader.grade(DOUBLE, program).solved
        assert grader.grade(DOUBLE, f"def f(x): return 2 * x  # {program!r}").solved


def test_the_environment_is_empty(grader: Grader) -> None:
    problem = Problem("env", "", "", (StdinTest("", "{} 0\n"),))
    program = "import os, sys\nprint(dict(os.environ), len(sys.argv[1:]))"
    assert grader.grade(problem, program).solved


def test_the_private_directory_is_empty_and_writable_each_time(grader: Grader) -> None:
    program = """
import os
print(os.listdir())
open("a", "w").write("x")
os.makedirs("b/c")
open("b/c/d", "w").write("y")
print(sorted(os.listdir()), open("b/c/d").read())
"""
    tests = (StdinTest("", "[]\n['a', 'b'] y\n"),) * 3
    assert grader.grade(Problem("box", "", "", tests), program).solved


@pytest.mark.skipif(not ENFORCED.threads, reason="this kernel limits no threads")
def test_threads_are_counted(grader: Grader) -> None:
    program = """
import threading
threading.stack_size(32768)
stop = threading.Event()
started = 0
try:
    for _ in range(1000):
        threading.Thread(target=stop.wait).start()
        started += 1
except RuntimeError: pass
stop.set()
print(started)
"""
    # The first thread is one of the 64.
    assert grader.grade(Problem("threads", "", "", (StdinTest("", "63\n"),)), program).solved


def test_the_table_is_in_order() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert (case.kind == "accept") is (case.verdicts == (Verdict.ACCEPTED,))
        assert SECRET not in case.program
