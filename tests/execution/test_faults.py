"""Faults of the machine, not of the program: no grade is lost, changed or waited for in vain."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from codegym.errors import ClosedError, WorkerError
from codegym.execution import (
    Call,
    ExecutionLimits,
    ExitReason,
    LocalExecutor,
    Request,
    Result,
    Stdin,
)
from codegym.grading import Grade, Grader, Verdict
from codegym.problems.problem import CallTest, Problem, StdinTest

from .process_tree import alive, below, children_of, left_behind, wait_until

BRIEF = ExecutionLimits(cpu_seconds=0.5, wall_seconds=1.0, memory_bytes=128 * 2**20)
DOUBLE = Problem("double", "", "", (CallTest((3,), 6), CallTest((5,), 10)), entry_point="f")
PRINT = Problem("print", "", "", (StdinTest("3\n", "6\n"),))
PROGRAMS = [
    (PRINT, "print(int(input()) * 2)", Verdict.ACCEPTED),
    (PRINT, "print(int(input()) * 3)", Verdict.WRONG_ANSWER),
    (PRINT, "import time\ntime.sleep(0.03)\nprint(6)", Verdict.ACCEPTED),
    (DOUBLE, "def f(x): return 2 * x", Verdict.ACCEPTED),
    (DOUBLE, "def f(x): raise ValueError(x)", Verdict.RUNTIME_ERROR),
    (DOUBLE, "def f(x: return", Verdict.COMPILE_ERROR),
]
NAME = "at-work"
ANNOUNCE = f"import ctypes, time\nctypes.CDLL(None).prctl(15, b{NAME!r})\n"
"""Names the process that runs it, so that it is found among those of a worker."""
SLEEP = Request(f"{ANNOUNCE}time.sleep(0.6)\nprint(1)", (Stdin(""),), limits=BRIEF)


class Recording:
    """An executor that remembers its futures, so that a test knows which requests are running."""

    def __init__(self, pool: LocalExecutor) -> None:
        self._pool = pool
        self.futures: list[Future[Result]] = []

    def submit(self, request: Request) -> Future[Result]:
        future = self._pool.submit(request)
        self.futures.append(future)
        return future

    def close(self) -> None:
        self._pool.close()

    def wait_for_those_underway(self) -> None:
        """Returns when what runs now, and what is taken up next, has been answered."""
        underway = [index for index, f in enumerate(self.futures) if f.running()]
        last = max(underway, default=sum(f.done() for f in self.futures)) + 5
        assert wait_until(lambda: all(f.done() for f in self.futures[:last]), 60)


class Pool:
    """A started pool and its worker processes."""

    def __init__(self, executor: LocalExecutor, others: set[int]) -> None:
        self.executor = executor
        self._others = others

    @property
    def workers(self) -> list[int]:
        return sorted(children_of(os.getpid()) - self._others)

    def wait_for_program(self) -> tuple[int, int]:
        """The worker that runs a program which announces itself, and the process of the latter."""
        found: list[tuple[int, int]] = []

        def look() -> bool:
            for worker in self.workers:
                for pid in below(worker):
                    with contextlib.suppress(OSError):
                        if Path(f"/proc/{pid}/comm").read_text().strip() == NAME:
                            found.append((worker, pid))
            return bool(found)

        assert wait_until(look, 30)
        return found[0]


@contextlib.contextmanager
def started(workers: int) -> Iterator[Pool]:
    LocalExecutor().close()  # looks at the machine once, in a process that comes and goes
    others = children_of(os.getpid())
    with LocalExecutor(workers=workers) as executor:
        nap = Request("import time\ntime.sleep(0.2)", (Stdin(""),))
        for future in [executor.submit(nap) for _ in range(workers)]:
            future.result(timeout=60)
        pool = Pool(executor, others)
        assert len(pool.workers) == workers
        yield pool
    assert children_of(os.getpid()) <= others


def batch(size: int) -> list[tuple[Problem, str, Verdict]]:
    cases = [PROGRAMS[index % len(PROGRAMS)] for index in range(size)]
    return [(problem, f"{text}  # {i}", v) for i, (problem, text, v) in enumerate(cases)]


def submit(grader: Grader, cases: list[tuple[Problem, str, Verdict]]) -> list[Future[Grade]]:
    return [grader.submit(problem, program) for problem, program, _ in cases]


@pytest.mark.parametrize("seed", [0, 1])
def test_whoever_is_killed_no_grade_is_lost_or_changed(seed: int) -> None:
    cases, rng, kills = batch(300), random.Random(seed), 0
    with started(2) as pool:
        recording = Recording(pool.executor)
        futures = submit(Grader(recording, BRIEF, cache_size=0), cases)
        while kills < 8 and not all(future.done() for future in futures):
            time.sleep(rng.uniform(0, 0.1))
            workers = set(pool.workers)
            family = workers if seed == 0 else set().union(*map(below, workers))
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(rng.choice(sorted(family)), signal.SIGKILL)
                kills += 1
            recording.wait_for_those_underway()
        grades = [future.result(timeout=60) for future in futures]
    assert kills >= 5
    assert [g.verdict for g in grades] == [verdict for _, _, verdict in cases]


def test_a_program_killed_by_an_outsider_is_run_again() -> None:
    with started(1) as pool:
        future = pool.executor.submit(SLEEP)
        os.kill(pool.wait_for_program()[1], signal.SIGKILL)
        assert future.result(timeout=30).observations[0].reason is ExitReason.FINISHED


SUICIDES = {
    "kill": "import os\nos.kill(os.getpid(), 9)",
    "raise": "import signal\nsignal.raise_signal(9)",
    "thread": "import signal, threading\nsignal.pthread_kill(threading.get_ident(), 9)",
    "group": "import os\nos.killpg(0, 9)",
    "abort": "import os\nos.abort()",
    "ready": "import fcntl, os, time\nr, w = os.pipe()\nfcntl.fcntl(r, 10, 9)\n"
    "fcntl.fcntl(r, fcntl.F_SETOWN, os.getpid())\n"
    "fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\nos.write(w, b'x')\ntime.sleep(0.5)",
    "timer": "import ctypes, struct, time\nlibc = ctypes.CDLL(None)\nt = ctypes.c_void_p()\n"
    "libc.timer_create(0, struct.pack('<QiiI', 0, 9, 0, 0).ljust(64), ctypes.byref(t))\n"
    "libc.timer_settime(t, 0, struct.pack('<4q', 0, 0, 0, 10**7), None)\ntime.sleep(0.5)",
    "CPU limit": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (0, 0))\n"
    "while True: pass",
}


@pytest.mark.parametrize("how", SUICIDES)
def test_no_program_can_pass_its_own_death_for_a_fault_of_ours(
    executor: LocalExecutor, how: str
) -> None:
    request = Request(SUICIDES[how], (Stdin(""),), limits=BRIEF)
    assert executor.run(request).observations[0].stdout == ""


def test_a_program_that_stops_itself_ends_at_its_limit() -> None:
    program = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nprint(1)"
    with started(1) as pool:
        began = time.monotonic()
        seen = pool.executor.run(Request(program, (Stdin(""),), limits=BRIEF)).observations[0]
        assert seen.reason is ExitReason.WALL_LIMIT
        # Once with and once without tracing.
        assert time.monotonic() - began < 2 * (BRIEF.wall_seconds + 0.5)


@pytest.mark.parametrize("victim", ["worker", "program"])
def test_killed_twice_on_one_request_is_an_error_and_no_verdict(victim: str) -> None:
    with started(1) as pool:
        grader = Grader(pool.executor, BRIEF)
        future = grader.submit(PRINT, f"{ANNOUNCE}time.sleep(0.8)\nprint(6)")
        for _ in range(2):
            worker, program = pool.wait_for_program()
            pid = worker if victim == "worker" else program
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda pid=pid: not alive(pid))
        with pytest.raises(WorkerError):
            future.result(timeout=30)
        cases = batch(12)
        grades = [f.result(timeout=30) for f in submit(grader, cases)]
        assert [g.verdict for g in grades] == [verdict for _, _, verdict in cases]


def test_the_program_dies_with_its_worker() -> None:
    with started(1) as pool:
        future = pool.executor.submit(SLEEP)
        worker, _ = pool.wait_for_program()
        family = below(worker)
        os.kill(worker, signal.SIGKILL)
        assert wait_until(lambda: not any(map(alive, family)), 1)
        assert future.result(timeout=30).observations[0].stdout == "1\n"


def test_a_worker_killed_while_it_starts_loses_no_grade() -> None:
    LocalExecutor().close()
    others = children_of(os.getpid())
    with LocalExecutor(workers=1) as executor:
        future = executor.submit(Request("print(1)", (Stdin(""),)))
        assert wait_until(lambda: children_of(os.getpid()) - others)
        os.kill(min(children_of(os.getpid()) - others), signal.SIGKILL)
        assert future.result(timeout=60).observations[0].stdout == "1\n"


def test_a_stopped_worker_is_replaced_and_holds_up_nobody() -> None:
    limits = ExecutionLimits(cpu_seconds=0.1, wall_seconds=0.8)
    program = f"{ANNOUNCE}time.sleep(0.5)\ndef f(x): return x"
    with started(2) as pool:
        future = pool.executor.submit(Request(program, (Call((1,)),), "f", limits=limits))
        stopped, _ = pool.wait_for_program()
        os.kill(stopped, signal.SIGSTOP)
        cases = batch(20)
        grades = [f.result(timeout=30) for f in submit(Grader(pool.executor, BRIEF), cases)]
        assert [g.verdict for g in grades] == [verdict for _, _, verdict in cases]
        assert future.result(timeout=60).observations[0].value == 1
        assert not alive(stopped)


BURN = "import threading, time\ndef burn():\n    while time.process_time() < 0.3: pass\n"
IN_THREADS = (
    "threads = [threading.Thread(target=burn) for _ in range(4)]\n"
    "for each in threads: each.start()\nfor each in threads: each.join()\n"
)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("burn()\n", id="alone"),
        pytest.param(IN_THREADS, id="in threads"),
    ],
)
def test_waiting_for_a_cpu_is_no_time_of_the_program(body: str) -> None:
    cores = os.sched_getaffinity(0)
    if os.getloadavg()[0] > 2 * len(cores):
        pytest.skip("others keep this machine so busy that no wall limit can allow for it")
    os.sched_setaffinity(0, [min(cores)])  # three programs share one CPU: 0.9 s on the clock
    try:
        limits = ExecutionLimits(cpu_seconds=0.5, wall_seconds=0.5)
        with started(3) as pool:
            request = Request(f"{BURN}{body}print('done')", (Stdin(""),), limits=limits)
            futures = [pool.executor.submit(request) for _ in range(3)]
            seen = [future.result(timeout=30).observations[0] for future in futures]
    finally:
        os.sched_setaffinity(0, cores)
    assert [each.reason for each in seen] == [ExitReason.FINISHED] * 3, seen


def test_cancelled_requests_are_not_run_and_hold_up_nobody() -> None:
    with started(1) as pool:
        futures = [pool.executor.submit(SLEEP) for _ in range(4)]
        assert [future.cancel() for future in futures[1:3]] == [True, True]
        assert futures[3].result(timeout=30).observations[0].stdout == "1\n"


STUBBORN = (
    "import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass"
)


@pytest.mark.parametrize("answered", [20, 60])
def test_closing_in_mid_batch_ends_every_future_quickly_and_leaves_nothing(
    answered: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cases = batch(60) + [(PRINT, f"{STUBBORN}  # {i}", Verdict.TIME_LIMIT) for i in range(60)]
    with started(2) as pool:
        futures = submit(Grader(pool.executor), cases)
        assert wait_until(lambda: sum(future.done() for future in futures) >= answered, 60)
        family = set(pool.workers).union(*map(below, pool.workers))
        began = time.monotonic()
        closing = threading.Thread(target=pool.executor.close)
        closing.start()
        errors = [future.exception(timeout=10) for future in futures]
        closing.join(timeout=10)
        assert not closing.is_alive()
        assert time.monotonic() - began < 3
        assert wait_until(lambda: not any(map(alive, family)), 2)
    assert {type(error) for error in errors} == {type(None), ClosedError}
    assert all(isinstance(error, ClosedError) for error in errors[60:])
    assert left_behind(tmp_path) == []


def test_a_batch_that_waits_in_another_thread_is_told_that_the_pool_was_closed() -> None:
    raised: list[BaseException] = []
    with started(1) as pool:
        grader = Grader(pool.executor)

        def wait() -> None:
            try:
                grader.grade_many([(problem, program) for problem, program, _ in batch(2_000)])
            except ClosedError as error:
                raised.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        assert wait_until(lambda: thread.is_alive() and below(pool.workers[0]))
        pool.executor.close()
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert len(raised) == 1
