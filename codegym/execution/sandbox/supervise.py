"""Has children forked and watches them until they are dead: limits, output, resource usage.

The supervisor never trusts a child: time comes from the kernel's clocks, death from the zygote
that waits for it, and whatever a child leaves behind is killed. It waits in `poll` only; it never
sleeps.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import marshal
import math
import os
import select
import signal
import socket
import time
from typing import Any

from . import memory, zygote
from .message import ParentGoneError

LIMITS = ("cpu", "wall", "output", "memory")
_STDERR_KEPT = 4096
_CHUNK = 1 << 16
_SHORTEST_WAIT = 0.001
_UNDISTURBED_MS = 2  # most programs print little and end before this: one wake-up, not three
_ORPHANS_MS = 20


class ZygoteGoneError(Exception):
    """The zygote died, and its children with it."""


class Nursery:
    """The supervisor's end of a zygote.

    Args:
        channel: Packets to and from the zygote.
        births: Descriptor that it writes process ids to.
        pid: The zygote's own process id.
        base: What a child has before it runs anything.
    """

    def __init__(self, channel: socket.socket, births: int, pid: int, base: memory.Usage) -> None:
        self._channel = channel
        self._births = births
        self.pid = pid
        self.base = base

    def fileno(self) -> int:
        """What to poll for deaths."""
        return self._channel.fileno()

    def fork(self, orders: Any, descriptors: list[int], wait: bool) -> None:
        """Has a child made."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        try:
            self._channel.sendmsg([zygote.pack(orders, wait)], [rights])
        except ConnectionError as error:
            raise ZygoteGoneError from error

    def next_birth(self) -> int:
        """Process id of the first child that was not told yet."""
        pid = os.read(self._births, 4)
        if not pid:
            raise ZygoteGoneError
        return int.from_bytes(pid, "little")

    def next_death(self) -> tuple[int, int, float, int, bool]:
        """An answer of the zygote."""
        try:
            answer = self._channel.recv(zygote.COMMAND_BYTES)
        except ConnectionError as error:
            raise ZygoteGoneError from error
        if not answer:
            raise ZygoteGoneError
        told: tuple[int, int, float, int, bool] = marshal.loads(answer)
        return told

    def close(self) -> None:
        """Ends the zygote."""
        self._channel.close()
        os.close(self._births)


class Output:
    """What a run wrote to one descriptor.

    Args:
        descriptor: Where it comes from.
        kept: How many of the last bytes are wanted; None for all.
    """

    def __init__(self, descriptor: int, kept: int | None = None) -> None:
        self.descriptor = descriptor
        self.data = bytearray()
        self.total = 0
        self._kept = kept

    def read(self) -> bool:
        """Reads what is there; whether there may be more."""
        new = os.read(self.descriptor, _CHUNK)
        self.total += len(new)
        self.data += new
        if self._kept is not None:
            del self.data[: -self._kept]
        return len(new) == _CHUNK


@dataclasses.dataclass
class Run:
    """One child, while it lives and after.

    `end` is `"exit"`, `"signal"`, `"stopped"` (by us, for another run's sake) or one of `LIMITS`.
    """

    stdout: Output
    stderr: Output
    pid: int = 0
    end: str = ""
    signal: int = 0
    exit_code: int = 0
    alive: bool = True
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    waited_seconds: float = 0.0  # for a CPU, as far as that mattered; threads end, and take theirs
    peak_memory_bytes: int = 0
    watched: memory.Watch | None = None

    @property
    def preamble(self) -> bytes:
        """How far the child came before the program's own code, see `loading.py`; or nothing."""
        return bytes(self.stdout.data[:1])


def start(nursery: Nursery, orders: Any, given: list[int], wait: bool = True) -> Run:
    """Has a child forked, with pipes for its output.

    Args:
        nursery: Where.
        orders: What it is to do, see `actions.py`.
        given: Descriptors: its standard input, the request, and others.
        wait: Whether the zygote is to wait for its children now.
    """
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    nursery.fork(orders, [given[0], out_write, err_write, *given[1:]], wait)
    os.close(out_write)
    os.close(err_write)
    return Run(Output(out_read), Output(err_read, _STDERR_KEPT))


def watch(nursery: Nursery, runs: list[Run], control: int, limits: dict[str, Any]) -> None:
    """Returns when all `runs`, and all that they left behind, are dead.

    The last of `runs` is the one that decides: when it ends, the others are killed. So they are
    when one hits a limit.

    Raises:
        ParentGoneError: If the other end of `control` was closed.
        ZygoteGoneError: If the zygote died.
    """
    for run in runs:
        run.watched = memory.Watch(limits["memory_bytes"], nursery.base)
    started = time.monotonic()
    poll = select.poll()
    poll.register(control, 0)  # tells of the end only
    poll.register(nursery, select.POLLIN)
    reading: dict[int, Output] | None = None
    wait: float = _UNDISTURBED_MS
    clean = False
    while not clean:
        ready = [descriptor for descriptor, _ in poll.poll(wait)]
        if control in ready:
            raise ParentGoneError
        if not runs[0].pid:
            for run in runs:
                run.pid = nursery.next_birth()
        if nursery.fileno() in ready:
            pid, status, cpu, peak, clean = nursery.next_death()
            for run in runs:
                if run.pid == pid:
                    _bury(run, status, cpu, peak, limits["cpu_seconds"])
                    run.wall_seconds = time.monotonic() - started
            if clean:
                break
        if reading is None:
            reading = {o.descriptor: o for run in runs for o in (run.stdout, run.stderr)}
            for descriptor in reading:
                poll.register(descriptor, select.POLLIN)
        for descriptor in ready:
            if descriptor in reading:
                before = reading[descriptor].total
                reading[descriptor].read()
                if reading[descriptor].total == before:
                    poll.unregister(descriptor)
        wait = _judge(nursery, runs, started, limits)
    for run in runs:
        _drain(run, limits)


def _judge(nursery: Nursery, runs: list[Run], started: float, limits: dict[str, Any]) -> float:
    """Kills what is over a limit or not needed any more; milliseconds until the next look."""
    alive = [run for run in runs if run.alive]
    for run in alive:
        if _over_output(run, limits):
            stop(run, "output")
    remaining = [_remaining(run, started, limits) for run in alive if not run.end]
    if not runs[-1].alive or any(run.end in LIMITS for run in runs):
        for run in alive:
            stop(run, "stopped")
    if not alive:
        _kill_children(nursery.pid)
        return _ORPHANS_MS
    return 1000 * min(remaining, default=_SHORTEST_WAIT * 10)


def _bury(run: Run, status: int, cpu: float, memory_peak: int, cpu_limit: float) -> None:
    run.alive = False
    run.cpu_seconds = cpu
    run.peak_memory_bytes = memory_peak
    if os.WIFSIGNALED(status):
        run.signal = os.WTERMSIG(status)
    else:
        run.exit_code = os.WEXITSTATUS(status)
    if not run.end:
        run.end = "signal" if run.signal else "exit"
        if run.signal in (signal.SIGXCPU, signal.SIGKILL) and cpu >= cpu_limit:
            run.end = "cpu"  # the kernel was faster than this process
        elif run.watched is not None and run.watched.exceeded(memory_peak):
            run.end = "memory"


def stop(run: Run, end: str) -> None:
    """Kills a run; `end` says why, unless it has an end already."""
    if not run.end:
        run.end = end
    for kill in (os.killpg, os.kill):  # the child may not have its own group yet
        with contextlib.suppress(ProcessLookupError):
            kill(run.pid, signal.SIGKILL)


def _over_output(run: Run, limits: dict[str, Any]) -> bool:
    most: int = limits["output_bytes"] + 1  # the preamble
    return run.stdout.total + run.stderr.total > most


def _drain(run: Run, limits: dict[str, Any]) -> None:
    """Reads what is left, now that nobody writes any more."""
    for output in (run.stdout, run.stderr):
        while not _over_output(run, limits) and output.read():
            pass
        os.close(output.descriptor)
    if _over_output(run, limits) and run.end in ("exit", "signal"):
        run.end = "output"


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | 2)  # the CPU-time clock of another process
    except OSError:
        return 0.0


def _remaining(run: Run, started: float, limits: dict[str, Any]) -> float:
    """Seconds until the next look at this run; stops it if it is over a limit."""
    passed = time.monotonic() - started
    cpu: float = limits["cpu_seconds"] - _cpu_seconds(run.pid)
    wall = wall_left(limits, passed, 0.0)
    if wall <= 0:
        run.waited_seconds = max(run.waited_seconds, waited_seconds(run.pid))
        wall = wall_left(limits, passed, run.waited_seconds)
    look = math.inf if run.watched is None else run.watched.look(run.pid, passed)
    if look <= 0:
        stop(run, "memory")
    elif wall <= 0:
        stop(run, "wall")
    elif cpu <= 0:
        stop(run, "cpu")
    return max(min(wall, cpu, look), _SHORTEST_WAIT)


def wall_left(limits: dict[str, Any], passed: float, waited: float) -> float:
    """Seconds on the clock until a run is over its limit.

    A busy machine is not the program's fault: of the time that has `passed`, the time that it
    `waited` for a CPU does not count, up to a multiple of the limit.
    """
    counted: float = limits["wall_seconds"] + waited
    longest: float = limits["wall_seconds"] * limits["stretch"]
    return min(counted, longest) - passed


def waited_seconds(pid: int) -> float:
    """How long a process was ready to run but had no CPU; 0 if the kernel does not tell.

    Of its threads, the one that waited longest.
    """
    waited = [0.0]
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{thread}/schedstat"
            with contextlib.suppress(OSError, IndexError, ValueError), open(path, "rb") as file:
                waited.append(int(file.read().split()[1]) / 1e9)
    return max(waited)


def _kill_children(parent: int) -> None:
    """Kills what a zygote has adopted."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                if int(file.read().rpartition(b")")[2].split()[1]) == parent:
                    os.kill(int(entry), signal.SIGKILL)
