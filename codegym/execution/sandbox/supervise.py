"""Forks children and watches them until they are dead: limits, output, resource usage.

The supervisor never trusts a child: time comes from the kernel's clocks, death from `wait4`,
and whatever a child leaves behind is killed. It waits in `poll` only; it never sleeps.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

from . import confine

# The wrappers of the module `signal` convert to enums, which costs a child 0.1 ms.
_signal: Any = importlib.import_module("_signal")

LIMITS = ("cpu", "wall", "output")
_STDERR_KEPT = 4096
_CHUNK = 1 << 16
_SHORTEST_WAIT = 0.001


@dataclasses.dataclass
class Run:
    """One child, while it lives and after.

    `end` is `"exit"`, `"signal"`, `"stopped"` (by us, for another run's sake) or one of `LIMITS`.
    """

    pid: int
    stdout_fd: int
    stderr_fd: int
    end: str = ""
    signal: int = 0
    alive: bool = True
    stdout: bytearray = dataclasses.field(default_factory=bytearray)
    stderr: bytearray = dataclasses.field(default_factory=bytearray)
    stderr_seen: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_memory_bytes: int = 0


class Bell:
    """Wakes `poll` when a child dies (SIGCHLD through a pipe)."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)

    def quiet(self) -> None:
        """Empties the pipe."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 512):
                pass


def start(body: Callable[[], None], stdin: int, keep: tuple[int, ...] = ()) -> Run:
    """Forks a child that runs `body` with fresh descriptors 0, 1, 2, then `keep`, and no other."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            os.setsid()
            confine.signal_with_parent(parent, signal.SIGKILL)
            confine.take_descriptors(stdin, out_write, err_write, keep)
            body()
        finally:
            os._exit(1)
    os.close(out_write)
    os.close(err_write)
    os.set_blocking(out_read, False)
    os.set_blocking(err_read, False)
    return Run(pid, out_read, err_read)


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | 2)  # the CPU-time clock of another process
    except OSError:
        return 0.0


def _read(run: Run, descriptor: int, limit: int) -> bool:
    """Reads what is there; False at the end of the stream."""
    try:
        data = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return True
    if descriptor == run.stdout_fd:
        run.stdout += data
    else:
        run.stderr_seen += len(data)
        run.stderr += data
        del run.stderr[:-_STDERR_KEPT]
    if len(run.stdout) + run.stderr_seen > limit:
        _stop(run, "output")
        return False
    return bool(data)


def _stop(run: Run, end: str) -> None:
    if not run.end:
        run.end = end
    for kill in (os.killpg, os.kill):  # the child may not have its own group yet
        with contextlib.suppress(ProcessLookupError):
            kill(run.pid, signal.SIGKILL)


def _reap(run: Run, started: float, cpu_limit: float, block: bool) -> None:
    pid, status, usage = os.wait4(run.pid, 0 if block else os.WNOHANG)
    if pid == 0:
        return
    run.alive = False
    run.wall_seconds = time.monotonic() - started
    run.cpu_seconds = usage.ru_utime + usage.ru_stime
    run.peak_memory_bytes = usage.ru_maxrss * 1024
    run.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not run.end:
        run.end = "signal" if run.signal else "exit"
        if run.signal in (signal.SIGXCPU, signal.SIGKILL) and run.cpu_seconds >= cpu_limit:
            run.end = "cpu"  # the kernel was faster than this process


def watch(runs: list[Run], bell: Bell, limits: dict[str, Any]) -> None:
    """Returns when all `runs` are dead. When one hits a limit, all are killed.

    The first of `runs` is the one that decides: when it ends, the others are killed.
    """
    started = time.monotonic()
    poll = select.poll()
    poll.register(bell.fd, select.POLLIN)
    streams = {run.stdout_fd: run for run in runs} | {run.stderr_fd: run for run in runs}
    for descriptor in streams:
        poll.register(descriptor, select.POLLIN)
    while any(run.alive for run in runs):
        wait = min(_remaining(run, started, limits) for run in runs if run.alive)
        for descriptor, _ in poll.poll(wait * 1000):
            if descriptor == bell.fd:
                bell.quiet()
            elif not _read(streams[descriptor], descriptor, limits["output_bytes"]):
                poll.unregister(descriptor)
        for run in runs:
            if run.alive:
                _reap(run, started, limits["cpu_seconds"], block=bool(run.end))
        if not runs[0].alive or any(run.end in LIMITS for run in runs):
            for run in runs:
                if run.alive:
                    _stop(run, "stopped")
                    _reap(run, started, limits["cpu_seconds"], block=True)
    for descriptor, run in streams.items():
        while _read(run, descriptor, limits["output_bytes"]) and _readable(descriptor):
            pass
        os.close(descriptor)


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _remaining(run: Run, started: float, limits: dict[str, Any]) -> float:
    """Seconds until the next look at this run; stops it if it is over a limit."""
    passed = time.monotonic() - started
    wall: float = limits["wall_seconds"] - passed
    cpu: float = limits["cpu_seconds"] - _cpu_seconds(run.pid)
    if wall <= 0:
        # A busy machine is not the program's fault: waiting for a CPU does not count.
        longest: float = limits["wall_seconds"] * limits["stretch"] - passed
        wall = min(wall + _waited_seconds(run.pid), longest)
    if wall <= 0:
        _stop(run, "wall")
    elif cpu <= 0:
        _stop(run, "cpu")
    return max(min(wall, cpu), _SHORTEST_WAIT)


def _waited_seconds(pid: int) -> float:
    """How long the program was ready to run but had no CPU; 0 if the kernel does not tell."""
    waited = [0.0]
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{thread}/schedstat"
            with contextlib.suppress(OSError, IndexError, ValueError), open(path, "rb") as file:
                waited.append(int(file.read().split()[1]) / 1e9)
    return max(waited)


def kill_leftovers() -> None:
    """Kills and reaps every child of this process (orphans of a run that were adopted)."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    found.append(int(entry))
    return found
