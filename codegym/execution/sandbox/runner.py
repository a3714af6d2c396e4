"""Runs one program on its inputs, a child for each, and frames what was seen.

No code of the program is run or compiled in this process.
"""

from __future__ import annotations

import dataclasses
import itertools
import mmap
import os
import signal
import socket
from typing import Any

from . import confine, report, supervise, tracing
from .box import empty_box
from .instrument import Position
from .message import Outbox, Request, write_all
from .packages import Packages
from .relay import Relay
from .supervise import Nursery, Run, ZygoteGoneError
from .task import Confinement, Order, order
from .turns import MOST_TOGETHER, STARTED, TOGETHER

_NOTICEABLE = 0.03  # share of a time limit; a machine's own noise is larger
_LOST = {
    "end": "signal",
    "status": report.NOTHING.decode("latin-1"),
    "told": STARTED.decode("latin-1"),
    "signal": int(signal.SIGKILL),
    "exit_code": None,
    "cpu": 0.0,
    "wall": 0.0,
    "memory": 0,
    "lines": [],
    "statements": [],
    "checks": 0,
    "alike": False,
}


@dataclasses.dataclass
class Seen:
    """One child's run, and what it said of itself."""

    run: Run
    status: bytes = report.NOTHING
    body: bytes = b""
    lines: list[int] = dataclasses.field(default_factory=list)
    statements: list[Position] = dataclasses.field(default_factory=list)
    loaded: bool = True
    checks: int = 0  # passed, in the tester's word

    @property
    def fine(self) -> bool:
        """Whether it came to its end."""
        return self.run.end == "exit" and self.status in (report.RETURNED, report.FINISHED)


class Runner:
    """What a worker needs to run any program.

    Args:
        nursery: Where children come from.
        packages: What programs can import, whatever each may.
        memory: Shared with the children.
        control: Descriptor of the socket to the parent.
        outbox: Where frames go.
        box: The private directory, empty.
    """

    def __init__(
        self,
        *,
        nursery: Nursery,
        packages: Packages,
        memory: mmap.mmap,
        control: int,
        outbox: Outbox,
        box: str,
    ) -> None:
        self._nursery = nursery
        self._packages = packages
        self._memory = memory
        self._control = control
        self._outbox = outbox
        self._box = box

    def run(self, request: Request) -> bool:
        """Sends a frame for each input, until all are done or one ends in an error.

        Returns:
            Whether more can be run. Where nothing stops it, a program can kill its zygote; that
            costs it this input.

        Raises:
            ParentGoneError: If nobody wants the frames any more.
            ZygoteGoneError: If the zygote died all the same.
            RuntimeError: If a child failed by a fault of ours.
        """
        try:
            self._run_all(request)
        except ZygoteGoneError:
            if self._nursery.sealed:
                raise
            self._outbox.frame(_LOST)
            return False
        return True

    def _run_all(self, request: Request) -> None:
        index, alone, going_on = 0, False, True
        while index < len(request.kinds) and going_on:
            if request.kinds[index] == "code":
                done, going_on = 1, self._frame(request, self._attempt_code(request, index))
            else:
                done, alone, going_on = self._run_some(request, index, alone)
            index += done

    def _run_some(self, request: Request, first: int, alone: bool) -> tuple[int, bool, bool]:
        """Frames the inputs from `first` on that are of its kind, as far as one relay gets.

        Args:
            request: What to run.
            first: Index of an input.
            alone: Whether it needs a process of its own.

        Returns:
            How many were framed, whether the one after them needs a process of its own, and
            whether it is wanted.
        """
        alone = alone or not self._nursery.sealed
        indices = range(first, first + 1) if alone else _alike_from(request, first)
        relay = self._relay(request, indices, request.head["coverage"])
        index = first
        try:
            while index in indices and not relay.over:
                run = self._run(request, index, relay)
                if run.told == TOGETHER:
                    return self._frame_series(request, run, len(indices))
                seen = self._take(request, run)
                if self._failed_by_tracing(request, seen):
                    relay.close()
                    seen = self._again(request, index, seen)
                index += 1
                if not self._frame(request, seen):
                    return index - first, False, False
        finally:
            relay.close()
        return index - first, False, True

    def _relay(self, request: Request, indices: range, traced: bool) -> Relay:
        action = _ACTIONS[request.kinds[indices.start]]
        orders = self._orders(request, action, indices, traced)
        return Relay(self._nursery, orders, request.file, len(indices))

    def _orders(
        self, request: Request, action: str, indices: range, traced: bool
    ) -> tuple[str, Confinement, Order]:
        """What a child is to do; see `actions.py`."""
        head = request.head
        rlimits = confine.rlimits(head["limits"], self._nursery.base.mapped)
        told = order(
            program=head["program"],
            prelude=head["prelude"],
            given=request.inputs[indices.start : indices.stop][:MOST_TOGETHER],
            runs=len(indices),
            together=len(indices) > 1 and action == "call",
            report_bytes=head["report_bytes"],
            lines=head["lines"],
            index=indices.start,
            entry_point=head["entry_point"],
            traced=traced,
            packages=self._packages.part(head["packages"]),
        )
        return action, (rlimits, head["limits"]["threads"]), told

    def _run(self, request: Request, index: int, relay: Relay) -> Run:
        """One process of a relay, from its turn to its death."""
        stdin = _new_stdin(request.given(index) if request.kinds[index] == "stdin" else None)
        try:
            run = relay.run(request.inputs[index], stdin)
        finally:
            os.close(stdin)
        supervise.watch(self._nursery, [run], self._control, request.head["limits"])
        empty_box(self._box)
        return run

    def _again(self, request: Request, index: int, before: Seen) -> Seen:
        """What a program does when it is not observed; its lines are told as before."""
        relay = self._relay(request, range(index, index + 1), traced=False)
        try:
            seen = self._take(request, self._run(request, index, relay))
        finally:
            relay.close()
        seen.lines, seen.statements = before.lines, before.statements
        return seen

    def _frame_series(self, request: Request, run: Run, most: int) -> tuple[int, bool, bool]:
        """Frames what one process did on several inputs; returns as :meth:`_run_some` does."""
        self._check(run)
        told = self._report(request)
        series = told.read_series(run.cpu_seconds)[:most]
        told.clear()
        wall = run.wall_seconds / max(1, len(series))
        for number, (status, body, cpu, lines, statements) in enumerate(series, 1):
            one = dataclasses.replace(run, end="exit", cpu_seconds=cpu, wall_seconds=wall)
            seen = Seen(one, *_own_word(status, body), lines, statements)
            if not self._frame(request, seen):
                return number, False, False
        return len(series), len(series) < min(most, MOST_TOGETHER), True

    def _failed_by_tracing(self, request: Request, seen: Seen) -> bool:
        return request.head["coverage"] and failed_by_tracing(seen, request.head["limits"])

    def _attempt_code(self, request: Request, index: int) -> Seen:
        """Runs test code and the program that it calls, joined by a socket."""
        seen = self._code(request, index, request.head["coverage"])
        if self._failed_by_tracing(request, seen):
            executed = seen.lines, seen.statements
            seen = self._code(request, index, traced=False)
            seen.lines, seen.statements = executed
        return seen

    def _code(self, request: Request, index: int, traced: bool) -> Seen:
        nursery = self._nursery
        orders = self._orders(request, "candidate", range(index, index + 1), traced)
        ours, theirs = socket.socketpair()
        verdict = os.memfd_create("verdict")

        def begin(orders: Any, others: list[int], wait: bool) -> Run:
            def fork(standard: list[int]) -> None:
                nursery.fork(orders, [*standard, *others, request.file], wait)

            stdin = _new_stdin(None)
            try:
                return supervise.start(fork, stdin)
            finally:
                os.close(stdin)

        with ours, theirs:
            candidate = begin(orders, [theirs.fileno()], wait=False)
            to_tester = [ours.fileno(), request.codes, verdict]
            test = begin(("tester", *orders[1:]), to_tester, wait=True)
        supervise.watch(nursery, [candidate, test], self._control, request.head["limits"])
        empty_box(self._box)
        nursery.forget()
        said = os.pread(verdict, os.fstat(verdict).st_size, 0)
        os.close(verdict)
        if test.end == "exit" and not said:
            raise RuntimeError(f"a tester failed: {test.stderr.data!r}")
        return _joined(self._take(request, candidate), test, said)

    def _report(self, request: Request) -> report.Report:
        return report.Report(self._memory, request.head["report_bytes"], request.head["lines"])

    def _take(self, request: Request, run: Run) -> Seen:
        told = self._report(request)
        status, body = _own_word(*told.read())
        seen = Seen(run, status, body, told.executed(), told.executed_statements(), told.loaded)
        told.clear()
        return seen

    def _frame(self, request: Request, seen: Seen) -> bool:
        """Tells what was seen; whether the inputs after it are still wanted."""
        run = seen.run
        self._check(run)
        # Loading a program for a call does not depend on the call.
        stays = seen.fine or seen.loaded or request.reads_stdin or run.told == TOGETHER
        alike = run.told not in (STARTED, TOGETHER) or not stays
        header = {
            "end": run.end,
            "status": seen.status.decode("latin-1"),
            "told": run.told.decode("latin-1"),
            "signal": run.signal,
            "exit_code": run.exit_code if request.reads_stdin else None,
            "cpu": run.cpu_seconds,
            "wall": run.wall_seconds,
            "memory": run.peak_memory_bytes,
            "lines": seen.lines,
            "statements": seen.statements,
            "checks": seen.checks,
            "alike": alike,
        }
        self._outbox.frame(header, seen.body, run.stdout.data, run.stderr.data)
        if alike:
            return False
        return seen.fine or not request.head["stop_on_error"]

    def _check(self, run: Run) -> None:
        """Raises if a run ended for a reason that is not the program's."""
        unprepared = not run.told and run.end == "exit"
        killed = self._nursery.sealed and run.end == "signal" and run.signal == signal.SIGKILL
        if unprepared or killed:
            how = "was killed from outside" if killed else "failed before it ran the program"
            raise RuntimeError(f"a child {how}: {run.stderr.data.decode('utf-8', 'replace')}")


def _new_stdin(text: memoryview | None) -> int:
    """A file that no other run has: its flags and locks would outlive this one."""
    stdin = os.memfd_create("stdin")
    if text is not None:
        write_all(stdin, text)
        os.lseek(stdin, 0, os.SEEK_SET)
    return stdin


_ACTIONS = {"stdin": "script", "call": "call"}


def _alike_from(request: Request, index: int) -> range:
    """The inputs from `index` on that are of one kind."""
    rest = request.kinds[index:]
    alike = itertools.takewhile(lambda kind: kind == rest[0], rest)
    return range(index, index + len(list(alike)))


def _own_word(status: bytes, body: bytes) -> tuple[bytes, bytes]:
    """What a program says of itself; it cannot speak for its tester."""
    return (report.NOTHING, b"") if status in report.OF_TESTERS else (status, body)


def _joined(seen: Seen, test: Run, said: bytes) -> Seen:
    """What counts of a candidate (`seen`) and of the tester that called it."""
    status, checks, body = said[:1], int.from_bytes(said[1:5], "little"), said[5:]
    candidate = seen.run
    if candidate.told != STARTED or candidate.end in supervise.LIMITS:
        return seen
    if status == report.GONE:
        # It left in the middle: what it said of itself counts, unless it claims success.
        if seen.fine or seen.status == report.FINISHED:
            seen.status = report.NOTHING
        return seen
    test.stdout, test.stderr = candidate.stdout, candidate.stderr
    test.cpu_seconds += candidate.cpu_seconds
    test.peak_memory_bytes = max(test.peak_memory_bytes, candidate.peak_memory_bytes)
    return Seen(test, status, body, seen.lines, seen.statements, checks=checks)


def failed_by_tracing(seen: Seen, limits: dict[str, Any]) -> bool:
    """Whether a run may have failed because it was observed; observing must never be the cause."""
    if not (tracing.TAKES_TIME or seen.statements):
        return False
    if seen.run.end == "wall":
        waited_only = seen.run.cpu_seconds < _NOTICEABLE * limits["wall_seconds"]
        return not waited_only
    return seen.run.end in ("cpu", "memory") or seen.status == report.MEMORY
