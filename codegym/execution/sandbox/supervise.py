"""Has children forked and watches them until they are dead: limits, output, resource usage.

The supervisor never trusts a child: time comes from the kernel's clocks, death from the zygote
that waits for it, and whatever a child leaves behind is killed. It waits in `poll` only; it never
sleeps.
"""

from __future__ import annotations

import array
import collections
import contextlib
import dataclasses
import marshal
import math
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

from .fence import memory
from .fence.threads import Threads
from .message import ParentGoneError, write_all
from .protocol import LIMITS, NEWS_BYTES, ExitReason, Stage, unpack_news
from .zygote import COMMAND_BYTES, pack

_STDERR_KEPT = 4096
_CHUNK = 1 << 16
_SHORTEST_WAIT = 0.001
_UNDISTURBED_MS = 2  # most programs print little and end before this: one wake-up, not three
_ORPHANS_MS = 20
_NEWS_AT_ONCE = 100


class ZygoteGoneError(Exception):
    """The zygote died, and its children with it."""


class ZygoteClient:
    """The supervisor's end of a zygote.

    Args:
        channel: Packets to and from the zygote.
        news: Descriptor of the pipe on which it and its children tell what happens.
        pid: The zygote's own process id.
        base: What a child has before it runs anything.
        threads: The descriptor at which the kernel asks about new threads, if it does.
        sealed: Whether a program can neither fork, nor kill itself by SIGKILL, nor be killed by
            another.

    Attributes:
        born: Children that it forked and that nobody has asked for yet.
        successor: Process that waits for its turn, or 0.
        clean: Whether no process is below it.
    """

    def __init__(
        self,
        channel: socket.socket,
        news: int,
        pid: int,
        base: memory.Usage,
        threads: Threads | None,
        *,
        sealed: bool,
    ) -> None:
        self._channel = channel
        self._news = news
        self._told: dict[int, Stage | ExitReason] = {}
        self._dead: dict[int, tuple[int, float, int]] = {}
        self.born: collections.deque[int] = collections.deque()
        self.successor = 0
        self.clean = True
        self.pid = pid
        self.base = base
        self.threads = threads
        self.sealed = sealed
        os.set_blocking(news, False)

    def fileno(self) -> int:
        """What to poll for deaths."""
        return self._channel.fileno()

    def fork(self, orders: Any, descriptors: list[int], wait: bool) -> None:
        """Has a child made."""
        self.clean = False
        try:
            send(self._channel, pack(orders, wait), descriptors)
        except ConnectionError as error:
            raise ZygoteGoneError from error

    def read_news(self) -> None:
        """Takes in what was told until now."""
        with contextlib.suppress(BlockingIOError):
            while news := os.read(self._news, NEWS_BYTES * _NEWS_AT_ONCE):
                for start in range(0, len(news), NEWS_BYTES):
                    pid, what = unpack_news(news[start : start + NEWS_BYTES])
                    if what is Stage.BORN:
                        self.born.append(pid)
                    elif what is Stage.WAITS:
                        self.successor = pid
                    else:
                        self._told[pid] = what

    def read_death(self) -> None:
        """Takes in an answer of the zygote, and the news that came before it."""
        try:
            answer = self._channel.recv(COMMAND_BYTES)
        except ConnectionError as error:
            raise ZygoteGoneError from error
        if not answer:
            raise ZygoteGoneError
        pid, status, cpu, peak, self.clean = marshal.loads(answer)
        self.read_news()
        self._dead[pid] = status, cpu, peak

    def death_of(self, pid: int) -> tuple[Stage | ExitReason | None, tuple[int, float, int]] | None:
        """The last news of a process, status, CPU time and memory, if it is dead; once."""
        if pid not in self._dead:
            return None
        return self._told.pop(pid, None), self._dead.pop(pid)

    def forget(self) -> None:
        """Drops what was told of processes that are dead, when all are."""
        self.born.clear()
        self.successor = 0
        self._told.clear()
        self._dead.clear()


def send(channel: socket.socket, message: bytes, descriptors: list[int]) -> None:
    """Sends a message and descriptors."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    channel.sendmsg([message], [rights])


class Output:
    """What a run wrote to one descriptor.

    Args:
        descriptor: The descriptor that is read from.
        kept: How many of the last bytes are wanted; None for all.
    """

    def __init__(self, descriptor: int, kept: int | None = None) -> None:
        self.descriptor = descriptor
        self.data = bytearray()
        self.total = 0
        self._kept = kept

    def read(self) -> bool:
        """Reads what is there; whether there may be more."""
        try:
            new = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:  # others may hold the other end
            return False
        self.total += len(new)
        self.data += new
        if self._kept is not None:
            del self.data[: -self._kept]
        return len(new) == _CHUNK


@dataclasses.dataclass
class Run:
    """One child, while it lives and after.

    Attributes:
        stdout: What it prints.
        stderr: The last of what it writes to standard error.
        pid: The process id, or 0 as long as that is not known.
        told: How far it came before the program's own code, or why it did not come to that.
        end: How it ended, as the kernel tells: one of `LIMITS`, `FINISHED` if it left by itself,
            `KILLED` by a signal; None while it lives.
        stopped: Whether it was killed because the run that it belongs to was over.
        signal: The signal that it died of, or 0.
        exit_code: What it left with, if it left by itself.
        alive: Whether it lives.
        cpu_seconds: CPU time.
        wall_seconds: Time on the clock.
        waited_seconds: For a CPU, as far as that mattered; threads end, and take theirs along.
        peak_memory_bytes: Largest resident set.
        watched: The child's memory, while it is watched.
        files: What it left of the files that were asked for.
    """

    stdout: Output
    stderr: Output
    pid: int = 0
    told: Stage | ExitReason | None = None
    end: ExitReason | None = None
    stopped: bool = False
    signal: int = 0
    exit_code: int = 0
    alive: bool = True
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    waited_seconds: float = 0.0
    peak_memory_bytes: int = 0
    watched: memory.Watch | None = None
    files: list[tuple[str, bytes]] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def new_run(stdin: memoryview | None = None) -> Iterator[tuple[Run, list[int]]]:
    """A run that is to be begun, with descriptors 0, 1 and 2 for its process.

    They are closed here afterwards.

    Args:
        stdin: What is to be read from descriptor 0; None for nothing. It is a file that no other
            run has: its flags and locks would outlive this one.
    """
    file = os.memfd_create("stdin")
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    try:
        if stdin is not None:
            write_all(file, stdin)
            os.lseek(file, 0, os.SEEK_SET)
        for descriptor in (out_read, err_read):
            os.set_blocking(descriptor, False)
        yield Run(Output(out_read), Output(err_read, _STDERR_KEPT)), [file, out_write, err_write]
    finally:
        for descriptor in (file, out_write, err_write):
            os.close(descriptor)


def watch(zygote: ZygoteClient, runs: list[Run], control: int, limits: dict[str, Any]) -> None:
    """Returns when all `runs`, and all that they left behind, are dead.

    The last of `runs` is the one that decides: when it ends, the others are killed. So they are
    when one hits a limit. A program that cannot fork leaves nothing behind; what is alive then
    waits for its turn.

    Raises:
        ParentGoneError: If the other end of `control` was closed.
        ZygoteGoneError: If the zygote died.
    """
    for run in runs:
        run.watched = memory.Watch(limits["memory_bytes"], zygote.base)
    started = time.monotonic()
    poll = select.poll()
    poll.register(control, 0)  # tells of the end only
    poll.register(zygote, select.POLLIN)
    if zygote.threads is not None:
        poll.register(zygote.threads, select.POLLIN)
    reading: dict[int, Output] | None = None
    wait: float = _UNDISTURBED_MS
    while True:
        ready = [descriptor for descriptor, _ in poll.poll(wait)]
        if control in ready:
            raise ParentGoneError
        if zygote.threads is not None and zygote.threads.fileno() in ready:
            zygote.threads.answer(limits["threads"])
        if zygote.fileno() in ready:
            zygote.read_death()
        else:
            zygote.read_news()
        for run in runs:
            if not run.pid and zygote.born:
                run.pid = zygote.born.popleft()
            if run.alive and (death := zygote.death_of(run.pid)):
                _bury(run, *death, limits["cpu_seconds"])
                run.wall_seconds = time.monotonic() - started
        if zygote.clean or (zygote.sealed and not any(run.alive for run in runs)):
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
        wait = _judge(zygote, runs, started, limits)
    for run in runs:
        _drain(run, limits)


def _judge(zygote: ZygoteClient, runs: list[Run], started: float, limits: dict[str, Any]) -> float:
    """Kills what is over a limit or not needed any more; milliseconds until the next look."""
    alive = [run for run in runs if run.alive and run.pid]
    for run in alive:
        if _over_output(run, limits):
            _stop(zygote, run, ExitReason.OUTPUT_LIMIT)
    remaining = [_remaining(zygote, run, alive, started, limits) for run in alive if not run.end]
    if not any(run.alive for run in runs):
        _kill_children(zygote.pid)
        return _ORPHANS_MS
    if not runs[-1].alive or any(run.end in LIMITS for run in runs):
        for run in alive:
            run.stopped |= run.end is None
            _stop(zygote, run, ExitReason.KILLED)
    return 1000 * min(remaining, default=_SHORTEST_WAIT * 10)


def _bury(
    run: Run, told: Stage | ExitReason | None, seen: tuple[int, float, int], cpu_limit: float
) -> None:
    status, cpu, peak = seen
    run.alive = False
    run.told = told
    run.cpu_seconds = cpu
    run.peak_memory_bytes = peak
    if os.WIFSIGNALED(status):
        run.signal = os.WTERMSIG(status)
    else:
        run.exit_code = os.WEXITSTATUS(status)
    if not run.end:
        run.end = ExitReason.KILLED if run.signal else ExitReason.FINISHED
        if run.signal in (signal.SIGXCPU, signal.SIGKILL) and cpu >= cpu_limit:
            run.end = ExitReason.CPU_LIMIT  # the kernel was faster than this process
        elif run.watched is not None and run.watched.exceeded(peak):
            run.end = ExitReason.MEMORY_LIMIT


def _stop(zygote: ZygoteClient, run: Run, end: ExitReason) -> None:
    """Kills a run; `end` says why, unless it has an end already."""
    if not run.end:
        run.end = end
    if not zygote.sealed:
        with contextlib.suppress(ProcessLookupError):  # it may not have its own group yet
            os.killpg(run.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(run.pid, signal.SIGKILL)


def _over_output(run: Run, limits: dict[str, Any]) -> bool:
    most: int = limits["output_bytes"]
    return run.stdout.total + run.stderr.total > most


def _drain(run: Run, limits: dict[str, Any]) -> None:
    """Reads what is left, now that nobody writes any more."""
    for output in (run.stdout, run.stderr):
        while not _over_output(run, limits) and output.read():
            pass
        os.close(output.descriptor)
    if _over_output(run, limits) and run.end not in LIMITS and not run.stopped:
        run.end = ExitReason.OUTPUT_LIMIT


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | 2)  # the CPU-time clock of another process
    except OSError:
        return 0.0


def _remaining(
    zygote: ZygoteClient, run: Run, alive: list[Run], started: float, limits: dict[str, Any]
) -> float:
    """Seconds until the next look at this run; stops it if it is over a limit.

    A tester sleeps while the program that it called waits for a CPU: what all of the `alive` waited
    counts for each.
    """
    passed = time.monotonic() - started
    cpu: float = limits["cpu_seconds"] - _cpu_seconds(run.pid)
    wall = wall_left(limits, passed, 0.0)
    if wall <= 0:
        for one in alive:
            one.waited_seconds = max(one.waited_seconds, waited_seconds(one.pid))
        wall = wall_left(limits, passed, sum(one.waited_seconds for one in alive))
    look = math.inf if run.watched is None else run.watched.look(run.pid, passed)
    if look <= 0:
        _stop(zygote, run, ExitReason.MEMORY_LIMIT)
    elif wall <= 0:
        _stop(zygote, run, ExitReason.WALL_LIMIT)
    elif cpu <= 0:
        _stop(zygote, run, ExitReason.CPU_LIMIT)
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
