"""Runs one program on its inputs, a child for each, and frames what was seen.

No code of the program is run or compiled in this process.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import mmap
import os
import signal
import socket
from typing import Any

from . import confine, report, supervise, tracing
from .box import empty_box
from .message import Outbox, Request, write_all
from .packages import Packages
from .protocol import LIMITS, ErrorReport, ExitReason, Frame, Position, Stage, reason_of
from .relay import Relay
from .supervise import Nursery, Run, ZygoteGoneError
from .task import Confinement, Order, order
from .turns import MOST_TOGETHER

_NOTICEABLE = 0.03  # share of a time limit; a machine's own noise is larger
_LOST = Frame(ExitReason.KILLED, error=ErrorReport(message="The program died by signal 9."))


@dataclasses.dataclass
class Seen:
    """One child's run, and what it said of itself.

    Attributes:
        run: What the supervisor saw.
        kind: Of its input: `"stdin"`, `"call"` or `"code"`.
        reason: How it ended, in the child's own word, or in that of its tester.
        body: What belongs to that, see :meth:`Report.write`.
        lines: Executed lines.
        statements: Executed statements.
        loaded: Whether the program's module was executed to its end.
        checks: How many checks passed, in the tester's word.
    """

    run: Run
    kind: str
    reason: ExitReason = ExitReason.KILLED
    body: bytes = b""
    lines: list[int] = dataclasses.field(default_factory=list)
    statements: list[Position] = dataclasses.field(default_factory=list)
    loaded: bool = True
    checks: int = 0

    @property
    def fine(self) -> bool:
        """Whether it came to its end."""
        return self.run.end is ExitReason.FINISHED and self.reason is ExitReason.FINISHED


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
            self._outbox.put(_LOST)
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
                if run.told is Stage.STARTED_ALL:
                    return self._frame_series(request, run, len(indices))
                seen = self._take(request, index, run)
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
            seen = self._take(request, index, self._run(request, index, relay))
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
        for number, (reason, body, cpu, lines, statements) in enumerate(series, 1):
            one = dataclasses.replace(
                run, end=ExitReason.FINISHED, cpu_seconds=cpu, wall_seconds=wall
            )
            seen = Seen(one, "call", *_own_word("call", reason, body), lines, statements)
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
        if test.end is ExitReason.FINISHED and not said:
            raise RuntimeError(f"a tester failed: {test.stderr.data!r}")
        return _joined(self._take(request, index, candidate), test, said)

    def _report(self, request: Request) -> report.Report:
        return report.Report(self._memory, request.head["report_bytes"], request.head["lines"])

    def _take(self, request: Request, index: int, run: Run) -> Seen:
        told = self._report(request)
        kind = request.kinds[index]
        reason, body = told.read()
        if isinstance(run.told, Stage):  # else nothing of the program ran: the report is ours
            reason, body = _own_word(kind, reason, body)
        seen = Seen(
            run, kind, reason, body, told.executed(), told.executed_statements(), told.loaded
        )
        told.clear()
        return seen

    def _frame(self, request: Request, seen: Seen) -> bool:
        """Tells what was seen; whether the inputs after it are still wanted."""
        self._check(seen.run)
        # Loading a program for a call does not depend on the call.
        begun = isinstance(seen.run.told, Stage)
        together = seen.run.told is Stage.STARTED_ALL
        stays = seen.fine or seen.loaded or seen.kind == "stdin" or together
        alike = not (begun and stays)
        self._outbox.put(frame_of(seen)._replace(same_for_all=alike))
        if alike:
            return False
        return seen.fine or not request.head["stop_on_error"]

    def _check(self, run: Run) -> None:
        """Raises if a run ended for a reason that is not the program's."""
        unprepared = run.told is None and run.end is ExitReason.FINISHED
        killed = run.end is ExitReason.KILLED and run.signal == signal.SIGKILL
        killed = killed and self._nursery.sealed and not run.stopped
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


_OWN_WORDS = {
    "stdin": {ExitReason.FINISHED, ExitReason.EXCEPTION, ExitReason.MEMORY_LIMIT},
    "call": {
        ExitReason.FINISHED,
        ExitReason.EXCEPTION,
        ExitReason.MEMORY_LIMIT,
        ExitReason.OUTPUT_LIMIT,
    },
    "code": {ExitReason.EXCEPTION, ExitReason.MEMORY_LIMIT, ExitReason.OUTPUT_LIMIT},
}
"""What a program can say of itself on each kind of input; for test code, its tester speaks."""


def _own_word(kind: str, reason: ExitReason, body: bytes) -> tuple[ExitReason, bytes]:
    """What a program says of itself, as far as it is its business."""
    return (reason, body) if reason in _OWN_WORDS[kind] else (ExitReason.KILLED, b"")


def _joined(seen: Seen, test: Run, said: bytes) -> Seen:
    """What counts of a candidate (`seen`) and of the tester that called it."""
    reason, checks, body = reason_of(said[:1]), int.from_bytes(said[1:5], "little"), said[5:]
    candidate = seen.run
    if candidate.told is not Stage.STARTED or candidate.end in LIMITS:
        return seen
    if reason is ExitReason.KILLED and test.end is ExitReason.FINISHED:
        return seen  # it left in the middle, and what it said of itself counts
    test.stdout, test.stderr = candidate.stdout, candidate.stderr
    test.cpu_seconds += candidate.cpu_seconds
    test.peak_memory_bytes = max(test.peak_memory_bytes, candidate.peak_memory_bytes)
    return Seen(test, seen.kind, reason, body, seen.lines, seen.statements, checks=checks)


def failed_by_tracing(seen: Seen, limits: dict[str, Any]) -> bool:
    """Whether a run may have failed because it was observed; observing must never be the cause."""
    if not (tracing.TAKES_TIME or seen.statements):
        return False
    if seen.run.end is ExitReason.WALL_LIMIT:
        waited_only = seen.run.cpu_seconds < _NOTICEABLE * limits["wall_seconds"]
        return not waited_only
    limited = (ExitReason.CPU_LIMIT, ExitReason.MEMORY_LIMIT)
    return seen.run.end in limited or seen.reason is ExitReason.MEMORY_LIMIT


_ERROR_BYTES = 1 << 14
_TYPE_CHARACTERS, _MESSAGE_CHARACTERS = 100, 500
_EXPLAINED = frozenset({ExitReason.EXCEPTION, ExitReason.TEST_FAILED})


def frame_of(seen: Seen) -> Frame:
    """What is reported of a run. What the child said may be forged; it is only ever data."""
    run = seen.run
    if isinstance(run.told, ExitReason):  # said before the program's own code ran, so it is true
        return Frame(run.told, error=_error(seen.body) or ErrorReport())
    if seen.reason is ExitReason.TEST_BROKEN:
        return Frame(seen.reason, error=_error(seen.body) or ErrorReport())
    reason, exit_code, error, answer = _outcome(seen)
    return Frame(
        reason=reason,
        exit_code=exit_code,
        error=error,
        checks=seen.checks,
        lines=seen.lines,
        statements=seen.statements,
        cpu_seconds=run.cpu_seconds,
        wall_seconds=run.wall_seconds,
        memory_bytes=run.peak_memory_bytes,
        answer=answer,
        stdout=run.stdout.data,
        stderr=run.stderr.data,
    )


def _outcome(seen: Seen) -> tuple[ExitReason, int, ErrorReport, bytes | None]:
    """How the run ended, its exit code, its exception and what it returned."""
    run, reason, script = seen.run, seen.reason, seen.kind == "stdin"
    if run.end in LIMITS:
        return run.end, 0, ErrorReport(), None
    if reason is ExitReason.MEMORY_LIMIT:
        return reason, 0, ErrorReport("MemoryError"), None
    if reason is ExitReason.OUTPUT_LIMIT:
        return reason, 0, ErrorReport(), None
    exited = run.end is ExitReason.FINISHED
    if reason is ExitReason.FINISHED and exited:
        if not script:
            return reason, 0, ErrorReport(), seen.body
        if seen.body.isdigit() and len(seen.body) < 4:
            return reason, int(seen.body), ErrorReport(), None
    if reason in _EXPLAINED and (error := _error(seen.body)) is not None:
        return reason, 0, error, None
    if script and exited:  # it may end itself by `os._exit`: the kernel knows how
        return ExitReason.FINISHED, run.exit_code, ErrorReport(), None
    how = f"died by signal {run.signal}" if run.signal else "left without a report"
    return ExitReason.KILLED, 0, ErrorReport(message=f"The program {how}."), None


def _error(body: bytes) -> ErrorReport | None:
    """What a report says of an exception; None if it is none, as a forged one may be."""
    if len(body) > _ERROR_BYTES:  # no honest one is, see `loading.describe`
        return None
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    line = said.get("line")
    return ErrorReport(
        type=_cut(said.get("type"), _TYPE_CHARACTERS),
        message=_cut(said.get("message"), _MESSAGE_CHARACTERS),
        line=line if type(line) is int and 0 < line < 1 << 31 else None,
    )


def _cut(said: Any, characters: int) -> str:
    """Text of some length at most that can be written to any stream or file."""
    text = said[:characters] if isinstance(said, str) else ""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:characters]
