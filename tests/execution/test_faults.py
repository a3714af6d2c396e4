"""Faults of the machine, not of the program: no grade is lost, changed or waited for in vain."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator
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
    Stdin,
    worker_process,
)
from codegym.execution.sandbox import supervise
from codegym.execution.sandbox.protocol import Frame
from codegym.execution.wire import STRETCH
from codegym.execution.worker_process import WorkerProcess
from codegym.grading import Grade, Grader, Verdict
from codegym.problems.problem import CallTest, Problem, StdinTest
from tests.waiting import wait_until

from .held import HELD, UNTIMED, held_below, let_go, wait_for_held
from .process_tree import alive, below, children_of, left_behind, wait_until_dead

SHORT = ExecutionLimits(cpu_seconds=0.5, wall_seconds=1.0)
"""For programs that would wait for ever."""
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
WAITING = Request(f"{HELD}print(1)", (Stdin(""),), limits=UNTIMED)


class Pool:
    """A started pool and its worker processes."""

    def __init__(self, executor: LocalExecutor, others: set[int]) -> None:
        self.executor = executor
        self._others = others

    @property
    def workers(self) -> list[int]:
        return sorted(children_of(os.getpid()) - self._others)

    def wait_for_program(self, besides: Collection[int] = ()) -> tuple[int, int]:
        """A worker whose program is held, and the process of the latter."""
        return wait_until(lambda: self._look(besides))[0]

    def _look(self, besides: Collection[int]) -> list[tuple[int, int]]:
        return [(worker, pid) for worker in self.workers for pid in held_below(worker, besides)]


@contextlib.contextmanager
def started(workers: int) -> Iterator[Pool]:
    LocalExecutor().close()  # looks at the machine once, in a process that comes and goes
    others = children_of(os.getpid())
    with LocalExecutor(workers=workers) as executor:
        futures = [executor.submit(WAITING) for _ in range(workers)]
        let_go(*wait_for_held(os.getpid(), workers))  # so that no worker had two of them
        for future in futures:
            future.result()
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
    rng, kills, seen = random.Random(seed), 0, []
    with started(2) as pool:
        grader = Grader(pool.executor, UNTIMED, cache_size=0)
        while kills < 8:
            # Killed twice, a request would be an error: each round has one kill.
            futures = submit(grader, batch(30))
            answered = rng.randrange(20)
            wait_until(lambda: sum(f.done() for f in futures) >= answered)  # noqa: B023
            workers = set(pool.workers)
            family = workers if seed == 0 else set().union(*map(below, workers))
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(rng.choice(sorted(family)), signal.SIGKILL)
                kills += 1
            seen.append([future.result().verdict for future in futures])
    assert seen == [[verdict for _, _, verdict in batch(30)]] * len(seen)


def test_a_program_killed_by_an_outsider_is_run_again() -> None:
    with started(1) as pool:
        future = pool.executor.submit(WAITING)
        _, program = pool.wait_for_program()
        os.kill(program, signal.SIGKILL)
        let_go(pool.wait_for_program(besides=[program])[1])
        assert future.result().observations[0].reason is ExitReason.FINISHED


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
    "CPU limit, far up in memory": "import ctypes, struct\nlibc = ctypes.CDLL(None)\n"
    "libc.mmap.restype = ctypes.c_void_p\nwords = [ctypes.c_long(n) for n in (1 << 32, 4096)]\n"
    "place = libc.mmap(*words, 3, 0x32, -1, ctypes.c_long(0))\n"
    "ctypes.memmove(place, struct.pack('QQ', 0, 0), 16)\n"
    "libc.prlimit(0, 0, ctypes.c_void_p(place), None)\nwhile True: pass",
    "CPU limit": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (0, 0))\n"
    "while True: pass",
}


@pytest.mark.parametrize("how", SUICIDES)
def test_no_program_can_pass_its_own_death_for_a_fault_of_ours(
    executor: LocalExecutor, how: str
) -> None:
    request = Request(SUICIDES[how], (Stdin(""),), limits=SHORT)
    assert executor.run(request).observations[0].stdout == ""


def test_a_program_that_stops_itself_ends_at_its_limit() -> None:
    program = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nprint(1)"
    with started(1) as pool:
        seen = pool.executor.run(Request(program, (Stdin(""),), limits=SHORT)).observations[0]
        assert seen.reason is ExitReason.WALL_LIMIT


@pytest.mark.parametrize("victim", ["worker", "program"])
def test_killed_twice_on_one_request_is_an_error_and_no_verdict(victim: str) -> None:
    with started(1) as pool:
        grader = Grader(pool.executor, UNTIMED)
        future = grader.submit(PRINT, f"{HELD}print(6)")
        for _ in range(2):
            worker, program = pool.wait_for_program()
            pid = worker if victim == "worker" else program
            os.kill(pid, signal.SIGKILL)
            wait_until_dead({worker, program} if victim == "worker" else {program})
        with pytest.raises(WorkerError):
            future.result()
        cases = batch(12)
        grades = [f.result() for f in submit(grader, cases)]
        assert [g.verdict for g in grades] == [verdict for _, _, verdict in cases]


def test_the_program_dies_with_its_worker() -> None:
    with started(1) as pool:
        future = pool.executor.submit(WAITING)
        worker, _ = pool.wait_for_program()
        family = below(worker)
        os.kill(worker, signal.SIGKILL)
        wait_until_dead(family)  # which would wait for ever
        let_go(pool.wait_for_program()[1])
        assert future.result().observations[0].stdout == "1\n"


def test_a_worker_killed_while_it_starts_loses_no_grade() -> None:
    LocalExecutor().close()
    others = children_of(os.getpid())
    with LocalExecutor(workers=1) as executor:
        future = executor.submit(Request("print(1)", (Stdin(""),)))
        os.kill(min(wait_until(lambda: children_of(os.getpid()) - others)), signal.SIGKILL)
        assert future.result().observations[0].stdout == "1\n"


@pytest.mark.parametrize("works", [True, False])
def test_a_silent_worker_is_waited_for_while_it_gets_some_of_the_cpu(
    works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it may be silent for long, and is at no fault."""
    exchange, used = WorkerProcess.exchange, itertools.count()
    monkeypatch.setattr(worker_process, "_cpu_seconds", lambda _: next(used) if works else 1.0)
    monkeypatch.setattr(worker_process, "_MOST_WAITS", 10**9)
    with started(1) as pool:
        monkeypatch.setattr(
            WorkerProcess, "exchange", lambda one, said, codes, _: exchange(one, said, codes, 1e-3)
        )
        future = pool.executor.submit(WAITING)
        if works:
            let_go(pool.wait_for_program()[1])
            assert future.result().observations[0].stdout == "1\n"
        else:
            with pytest.raises(WorkerError, match="timed out"):
                future.result()


def test_a_worker_that_only_ever_works_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, used = WorkerProcess.exchange, itertools.count()
    monkeypatch.setattr(worker_process, "_cpu_seconds", lambda _: next(used))
    with started(1) as pool:
        monkeypatch.setattr(
            WorkerProcess, "exchange", lambda one, said, codes, _: exchange(one, said, codes, 1e-3)
        )
        with pytest.raises(WorkerError, match="10 times as long"):
            pool.executor.submit(WAITING).result()


def test_a_stopped_worker_is_replaced_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = f"{HELD}def f(x): return x"
    exchange, patience_is_over = WorkerProcess.exchange, threading.Event()

    def first_exchange(
        worker: WorkerProcess, message: bytes, codes: str | None, patience: float
    ) -> list[Frame]:
        """Its patience ends when the test says so, not the clock."""
        monkeypatch.undo()
        worker._socket.sendall(message)
        patience_is_over.wait()
        return exchange(worker, b"", None, 0.01)

    with started(2) as pool:
        monkeypatch.setattr(WorkerProcess, "exchange", first_exchange)
        future = pool.executor.submit(Request(program, (Call((1,)),), "f", limits=UNTIMED))
        stopped, held = pool.wait_for_program()
        os.kill(stopped, signal.SIGSTOP)
        cases = batch(20)
        grades = [f.result() for f in submit(Grader(pool.executor, UNTIMED), cases)]
        assert [g.verdict for g in grades] == [verdict for _, _, verdict in cases]
        assert not future.done()
        patience_is_over.set()
        let_go(pool.wait_for_program(besides=[held])[1])
        assert future.result().observations[0].value == 1
        assert not alive(stopped)


@pytest.mark.parametrize(
    ("passed", "waited", "left"),
    [
        (0.5, 0.0, 1.5),
        (2.5, 0.0, -0.5),
        (2.5, 1.0, 0.5),  # another program had the CPU for a second
        (7.5, 7.0, 0.5),  # but four times the limit is the end
        (8.5, 8.0, -0.5),
    ],
)
def test_waiting_for_a_cpu_is_no_time_of_the_program(
    passed: float, waited: float, left: float
) -> None:
    limits = {"wall_seconds": 2.0, "stretch": STRETCH}
    assert supervise.wall_left(limits, passed, waited) == left


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this kernel does not tell who waits"
)
@pytest.mark.parametrize("threads", [1, 4])
def test_the_kernel_tells_who_waits_for_a_cpu(threads: int) -> None:
    burn = (
        "import os, threading\n"
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "def burn():\n    while True: pass\n"
        f"for _ in range({threads}): threading.Thread(target=burn).start()\n"
    )
    command = [sys.executable, "-c", burn]
    with contextlib.ExitStack() as stack:
        rivals = [stack.enter_context(subprocess.Popen(command)) for _ in range(2)]
        for rival in rivals:
            stack.callback(rival.kill)
        wait_until(lambda: all(supervise.waited_seconds(rival.pid) > 0.1 for rival in rivals))


def test_cancelled_requests_are_not_run_and_hold_up_nobody() -> None:
    with started(1) as pool:
        first, *others = [pool.executor.submit(WAITING) for _ in range(4)]
        _, program = pool.wait_for_program()
        assert [future.cancel() for future in others[:2]] == [True, True]
        let_go(program)
        let_go(pool.wait_for_program(besides=[program])[1])
        assert others[2].result().observations[0].stdout == "1\n"
        assert first.done()


STUBBORN = (
    "import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass"
)


@pytest.mark.parametrize("answered", [20, 60])
def test_closing_in_mid_batch_ends_every_future_and_leaves_nothing(
    answered: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cases = batch(60) + [(PRINT, f"{STUBBORN}  # {i}", Verdict.TIME_LIMIT) for i in range(60)]
    with started(2) as pool:
        futures = submit(Grader(pool.executor, UNTIMED), cases)
        wait_until(lambda: sum(future.done() for future in futures) >= answered)
        family = set(pool.workers).union(*map(below, pool.workers))
        pool.executor.close()
        assert all(future.done() for future in futures)  # though half the programs never end
        wait_until_dead(family)
        errors = [future.exception() for future in futures]
    assert {type(error) for error in errors} == {type(None), ClosedError}
    assert all(isinstance(error, ClosedError) for error in errors[60:])
    assert left_behind(tmp_path) == []


def test_a_batch_that_waits_in_another_thread_is_told_that_the_pool_was_closed() -> None:
    raised: list[BaseException] = []
    with started(1) as pool:
        grader = Grader(pool.executor, UNTIMED)

        def wait() -> None:
            try:
                grader.grade_many([(PRINT, "print(6)"), (PRINT, HELD), (PRINT, "print(7)")])
            except ClosedError as error:
                raised.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        pool.wait_for_program()
        pool.executor.close()
        thread.join()
    assert len(raised) == 1
