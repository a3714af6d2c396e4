"""Memory that is used counts, memory that is only reserved does not."""

from __future__ import annotations

import mmap
import os
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from codegym.execution import ExecutionLimits, ExitReason
from codegym.execution.sandbox import runner, supervise
from codegym.execution.sandbox.fence import memory
from codegym.execution.sandbox.message import ParentGoneError
from codegym.execution.sandbox.protocol import Stage, pack_request

from .conftest import Run

LIMIT = 256 * 2**20
LIMITS = ExecutionLimits(cpu_seconds=60.0, wall_seconds=3600.0, memory_bytes=LIMIT)
MAP = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
PRIVATE, SHARED, POPULATE, ANONYMOUS, HUGE, LET_GO = 2, 1, 0x8000, 0x20, 14, 4
def take(size, flags, advice=0):
    start = libc.mmap(None, size, 3, flags | ANONYMOUS, -1, 0)
    if start in (None, ctypes.c_void_p(-1).value):
        return None
    if advice:
        libc.madvise(start, size, advice)
    libc.memset(start, 1, size)
    return start
def together(count, size, *how):
    threads = [threading.Thread(target=take, args=(size // count, *how)) for _ in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
SIZE = 800 * 2**20
"""
FAST = {
    "at once": "take(SIZE, PRIVATE)",
    "populated": "take(SIZE, PRIVATE | POPULATE)",
    "huge pages": "take(SIZE, PRIVATE, HUGE)",
    "shared": "take(SIZE, SHARED)",
    "threads": "together(8, SIZE, PRIVATE)",
    "threads, huge pages": "together(32, SIZE, PRIVATE, HUGE)",
    "threads, populated": "together(8, SIZE, PRIVATE | POPULATE)",
    "threads, shared": "together(32, SIZE, SHARED, HUGE)",
    "swallowed": "import mmap\nwhile True:\n    try: take(2**26, PRIVATE)\n"
    "    except MemoryError: pass",
    "from numpy's side": "held = []\nwhile True: held.append(bytearray(b'x' * 2**25))",
}


def base(run: Run) -> int:
    """The largest resident set of a program that does nothing."""
    return run(MAP, limits=LIMITS).peak_memory_bytes


@pytest.mark.parametrize("how", FAST)
def test_no_allocator_gets_to_one_and_a_half_times_the_limit(run: Run, how: str) -> None:
    seen = run(MAP + FAST[how], limits=LIMITS)
    assert seen.reason is ExitReason.MEMORY_LIMIT
    assert seen.peak_memory_bytes - base(run) <= 1.5 * LIMIT


def test_shared_pages_that_are_let_go_but_not_freed_count(run: Run) -> None:
    hide = (
        "for _ in range(13):\n    start = take(2**26, SHARED)\n"
        "    libc.madvise(start, 2**26, LET_GO)"
    )
    seen = run(f"{MAP}{hide}\nwhile True: pass\n", limits=LIMITS)
    assert seen.reason is ExitReason.MEMORY_LIMIT


def test_a_program_that_was_too_fast_for_a_look_is_judged_by_its_peak(run: Run) -> None:
    """Also when it has given all of it back and comes to its end."""
    takes = "del data\nprint('done')\n"
    within = run(f"data = bytearray(b'x') * (200 * 2**20)\n{takes}", limits=LIMITS)
    assert (within.reason, within.stdout) == (ExitReason.FINISHED, "done\n")
    beyond = run(f"data = bytearray(b'x') * (300 * 2**20)\n{takes}", limits=LIMITS)
    assert beyond.reason is ExitReason.MEMORY_LIMIT


def test_reserved_addresses_are_not_used_memory(run: Run) -> None:
    reserved = run(
        "import mmap\nflags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS\n"
        "data = mmap.mmap(-1, 700 * 2**20, flags)\nprint(data[-1])",
        limits=LIMITS,
    )
    assert (reserved.reason, reserved.stdout) == (ExitReason.FINISHED, "0\n")


def test_a_look_counts_what_is_in_memory_and_not_what_is_reserved() -> None:
    limit = 64 * 2**20
    watch = memory.Watch(limit, memory.Usage(os.getpid()))
    with mmap.mmap(-1, 4 * limit, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as data:
        assert watch.look(os.getpid(), 1.0) > 0
        data.write(b"x" * (limit + limit // 4))
        assert watch.look(os.getpid(), 2.0) <= 0


def test_a_look_comes_before_a_cpu_could_fill_the_overshoot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    watch = memory.Watch(10 * 2**30, memory.Usage(os.getpid()))
    assert 0 < watch.look(os.getpid(), 0.0) <= 0.75


def test_addresses_have_an_end_as_well(run: Run) -> None:
    seen = run("data = bytearray(2 * 2**30)", limits=LIMITS)
    assert (seen.reason, seen.error_type) == (ExitReason.MEMORY_LIMIT, "MemoryError")
    caught = "try: bytearray(2 * 2**30)\nexcept MemoryError: print('caught')"
    assert run(caught, limits=LIMITS).stdout == "caught\n"


def test_the_peak_that_the_kernel_saw_decides_when_a_child_is_dead() -> None:
    base = memory.Usage(os.getpid())
    for beyond, end in ((-4096, ExitReason.FINISHED), (4096, ExitReason.MEMORY_LIMIT)):
        run = supervise.Run(supervise.Output(-1), supervise.Output(-1))
        run.watched = memory.Watch(LIMIT, base)
        supervise._bury(run, Stage.STARTED, (0, 0.1, base.resident + LIMIT + beyond), 9.0)
        assert run.end == end


def test_a_worker_collects_its_garbage_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    collected = []
    monkeypatch.setattr(runner, "gc", SimpleNamespace(collect=lambda: collected.append(1)))
    monkeypatch.setattr(runner, "_COLLECTED_AFTER", 3)
    nothing = {"inputs": [], "files": [], "program": 0, "prelude": 0}
    ours, theirs = socket.socketpair()
    with ours, theirs, mmap.mmap(-1, 1) as shared:
        ours.sendall(7 * pack_request(nothing, []))
        ours.shutdown(socket.SHUT_WR)
        worker = runner.Runner(
            zygote=cast("Any", SimpleNamespace()),
            packages=cast("Any", None),
            memory=shared,
            control=theirs,
            box="",
        )
        with pytest.raises(ParentGoneError):
            worker.serve()
    assert len(collected) == 2
