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
from .loading import STARTED
from .message import Outbox, Request, write_all
from .session import Session
from .supervise import Nursery, Run, ZygoteGoneError
from .task import Confinement, Order, order

_NOTICEABLE = 0.03  # share of a time limit; a machine's own noise is larger
_WORTH_A_ZYGOTE = 8_000  # bytes that would be compiled again and again
_LARGE = 1 << 20
_LOST = {
    "end": "signal",
    "status": report.NOTHING.decode("latin-1"),
    "preamble": STARTED.decode("latin-1"),
    "signal": int(signal.SIGKILL),
    "cpu": 0.0,
    "wall": 0.0,
    "memory": 0,
    "lines": [],
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
        memory: Shared with them.
        control: Descriptor of the socket to the parent.
        outbox: Where frames go.
        box: The private directory, empty.
        sealed: Whether a program can neither kill itself by SIGKILL nor be killed by another.
    """

    def __init__(
        self,
        *,
        nursery: Nursery,
        memory: mmap.mmap,
        control: int,
        outbox: Outbox,
        box: str,
        sealed: bool,
    ) -> None:
        self._nursery = nursery
        self._memory = memory
        self._control = control
        self._outbox = outbox
        self._box = box
        self._sealed = sealed
        self._null = os.open(os.devnull, os.O_RDWR)

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
            if self._sealed:
                raise
            self._outbox.frame(_LOST)
            return False
        return True

    def _run_all(self, request: Request) -> None:
        session: Session | None = None
        may_have_session = self._sealed and request.head["program"] < _LARGE
        index, going_on = 0, True
        try:
            while index < len(request.kinds) and going_on:
                again = (len(request.kinds) - index) * request.head["program"]
                if index and may_have_session and again > _WORTH_A_ZYGOTE:
                    # By now a child has shown that compiling this is harmless.
                    session, may_have_session = Session(self._nursery, request, self._null), False
                nursery = session.nursery if session else self._nursery
                try:
                    answered, going_on = self._answer(request, index, nursery)
                except ZygoteGoneError:
                    if session is None:
                        raise
                    session.close()  # whatever it died of: the children can compile themselves
                    session, answered = None, 0
                index += answered
        finally:
            if session is not None:
                session.close()

    def _answer(self, request: Request, index: int, nursery: Nursery) -> tuple[int, bool]:
        """Frames one input, or a few that share a child; how many, and whether to go on."""
        together = _calls_from(request, index)
        if len(together) > 1:
            seen = self._together(request, together, nursery)
            for number, one in enumerate(seen, 1):
                if not self._frame(request, one):
                    return number, False
            if seen:
                return len(seen), True
        return 1, self._frame(request, self._alone(request, index, nursery))

    def _together(self, request: Request, indices: range, nursery: Nursery) -> list[Seen]:
        """What one child did on the first of these calls, as many as it could answer."""
        orders = _orders(request, "calls", indices, nursery, request.head["coverage"])
        run = self._run(request, orders, nursery, self._null)
        told = self._report(request)
        reports, lines = told.read_series()[: len(indices)], told.executed()
        told.clear()
        if run.preamble != STARTED:
            return []
        run.end = "exit"  # whatever came later, these calls were answered
        run.cpu_seconds /= max(1, len(reports))
        run.wall_seconds /= max(1, len(reports))
        return [Seen(run, status, body, lines) for status, body in reports]

    def _alone(self, request: Request, index: int, nursery: Nursery) -> Seen:
        """What a child of its own did on one input."""
        traced = request.head["coverage"]
        seen = self._attempt(request, index, nursery, traced)
        if traced and failed_by_tracing(seen, request.head["limits"]):
            lines = seen.lines
            seen = self._attempt(request, index, self._nursery, traced=False)
            seen.lines = lines
        return seen

    def _attempt(self, request: Request, index: int, nursery: Nursery, traced: bool) -> Seen:
        kind = request.kinds[index]
        orders = _orders(request, _ACTIONS[kind], range(index, index + 1), nursery, traced)
        if kind == "code":
            return self._attempt_code(request, orders, nursery)
        if kind == "call":
            return self._take(request, self._run(request, orders, nursery, self._null))
        stdin = os.memfd_create("stdin")
        try:
            write_all(stdin, request.given(index))
            os.lseek(stdin, 0, os.SEEK_SET)
            run = self._run(request, orders, nursery, stdin)
        finally:
            os.close(stdin)
        return self._take(request, run)

    def _run(self, request: Request, orders: Any, nursery: Nursery, stdin: int) -> Run:
        run = supervise.start(nursery, orders, [stdin, request.file])
        supervise.watch(nursery, [run], self._control, request.head["limits"])
        empty_box(self._box)
        return run

    def _attempt_code(self, request: Request, orders: Any, nursery: Nursery) -> Seen:
        """Runs test code and the program that it calls, joined by a socket."""
        ours, theirs = socket.socketpair()
        verdict = os.memfd_create("verdict")
        common = [self._null, request.file]
        with ours, theirs:
            to_candidate = [*common, theirs.fileno()]
            candidate = supervise.start(nursery, orders, to_candidate, wait=False)
            to_tester = [*common, ours.fileno(), request.codes, verdict]
            test = supervise.start(nursery, ("tester", *orders[1:]), to_tester)
        supervise.watch(nursery, [candidate, test], self._control, request.head["limits"])
        empty_box(self._box)
        said = os.pread(verdict, os.fstat(verdict).st_size, 0)
        os.close(verdict)
        if test.end == "exit" and not said:
            raise RuntimeError(f"a tester failed: {test.stderr.data!r}")
        return _joined(self._take(request, candidate), test, said)

    def _report(self, request: Request) -> report.Report:
        return report.Report(self._memory, request.head["report_bytes"], request.head["lines"])

    def _take(self, request: Request, run: Run) -> Seen:
        told = self._report(request)
        status, body = told.read()
        if status in report.OF_TESTERS:  # a program cannot speak for its tester
            status, body = report.NOTHING, b""
        seen = Seen(run, status, body, told.executed(), told.loaded)
        told.clear()
        return seen

    def _frame(self, request: Request, seen: Seen) -> bool:
        """Tells what was seen; whether the inputs after it are still wanted."""
        run = seen.run
        self._check(run)
        # Loading a program for a call does not depend on the call.
        alike = run.preamble != STARTED or not (seen.loaded or request.reads_stdin)
        header = {
            "end": run.end,
            "status": seen.status.decode("latin-1"),
            "preamble": run.preamble.decode("latin-1"),
            "signal": run.signal,
            "cpu": run.cpu_seconds,
            "wall": run.wall_seconds,
            "memory": run.peak_memory_bytes,
            "lines": seen.lines,
            "checks": seen.checks,
            "alike": alike,
        }
        self._outbox.frame(header, seen.body, run.stdout.data[1:], run.stderr.data)
        if alike:
            return False
        return seen.fine or not request.head["stop_on_error"]

    def _check(self, run: Run) -> None:
        """Raises if a run ended for a reason that is not the program's."""
        unprepared = not run.preamble and run.end == "exit"
        killed = self._sealed and run.end == "signal" and run.signal == signal.SIGKILL
        if unprepared or killed:
            how = "was killed from outside" if killed else "failed before it ran the program"
            raise RuntimeError(f"a child {how}: {run.stderr.data.decode('utf-8', 'replace')}")


_ACTIONS = {"stdin": "script", "call": "call", "code": "candidate"}


def _orders(
    request: Request, action: str, indices: range, nursery: Nursery, traced: bool
) -> tuple[str, Confinement, Order]:
    """What a child is to do; see `actions.py`."""
    head = request.head
    rlimits = confine.rlimits(head["limits"], nursery.base_memory)
    told = order(
        program=head["program"],
        prelude=head["prelude"],
        given=[request.inputs[i] for i in indices if request.kinds[i] == "call"],
        report_bytes=head["report_bytes"],
        lines=head["lines"],
        index=indices.start,
        entry_point=head["entry_point"],
        traced=traced,
    )
    return action, (rlimits, head["limits"]["threads"]), told


def _calls_from(request: Request, index: int) -> range:
    """The calls from `index` on that may share a child."""
    end = min(index + request.head["calls_per_child"], len(request.kinds))
    kinds = itertools.takewhile(lambda kind: kind == "call", request.kinds[index:end])
    return range(index, index + len(list(kinds)))


def _joined(seen: Seen, test: Run, said: bytes) -> Seen:
    """What counts of a candidate (`seen`) and of the tester that called it."""
    status, checks, body = said[:1], int.from_bytes(said[1:5], "little"), said[5:]
    candidate = seen.run
    if candidate.preamble != STARTED or candidate.end in supervise.LIMITS:
        return seen
    if status == report.GONE:
        # It left in the middle: what it said of itself counts, unless it claims success.
        if seen.fine or seen.status == report.FINISHED:
            seen.status = report.NOTHING
        return seen
    test.stdout, test.stderr = candidate.stdout, candidate.stderr
    test.cpu_seconds += candidate.cpu_seconds
    test.peak_memory_bytes = max(test.peak_memory_bytes, candidate.peak_memory_bytes)
    return Seen(test, status, body, seen.lines, checks=checks)


def failed_by_tracing(seen: Seen, limits: dict[str, Any]) -> bool:
    """Whether a run may have failed because it was observed; observing must never be the cause."""
    if not tracing.TAKES_TIME:
        return False
    if seen.run.end == "wall":
        waited_only = seen.run.cpu_seconds < _NOTICEABLE * limits["wall_seconds"]
        return not waited_only
    return seen.run.end == "cpu" or seen.status == report.MEMORY
