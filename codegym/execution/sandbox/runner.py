"""Answers requests: runs a program on its inputs, a child for each, and reports what was seen.

No code of the program is run or compiled in this process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import mmap
import os
import signal
import socket

from . import supervise
from .chain import Chain
from .child.link import MOST_TOGETHER
from .child.report import Report
from .child.task import Confinement, Order, make_order
from .fence import confine
from .fence.box import empty_box
from .fence.files import TooLargeError, fetch, place
from .fence.packages import Packages
from .message import Outbox, Request, receive
from .outcome import Seen, failed_by_tracing, frame_of, joined, own_word
from .protocol import LIMITS, ErrorReport, ExitReason, Frame, Stage
from .supervise import Run, ZygoteClient, ZygoteGoneError, new_run

_COLLECTED_AFTER = 256  # requests
_LOST = Frame(ExitReason.KILLED, error=ErrorReport(message="The program died by signal 9."))


class Runner:
    """What a worker needs to run any program.

    Args:
        zygote: The zygote that forks the children.
        packages: What programs can import, whatever each may.
        memory: Shared with the children.
        control: The socket to the parent.
        box: The private directory, empty.
    """

    def __init__(
        self,
        *,
        zygote: ZygoteClient,
        packages: Packages,
        memory: mmap.mmap,
        control: socket.socket,
        box: str,
    ) -> None:
        self._zygote = zygote
        self._packages = packages
        self._memory = memory
        self._control = control
        self._outbox = Outbox(control)
        self._box = box

    def serve(self) -> None:
        """Answers requests as long as there is a zygote.

        It sends a frame for each input, until all are done or one ends in an error. Where nothing
        stops it, a program can kill its zygote; that costs it this input, and this method returns.

        Raises:
            ParentGoneError: If nobody asks any more.
            ZygoteGoneError: If the zygote died although no program can kill it.
            RuntimeError: If a child failed by a fault of ours.
        """
        try:
            for number in itertools.count(1):
                with contextlib.closing(receive(self._control)) as request:
                    index, alone, wanted = 0, False, True
                    while wanted and index < len(request.kinds):
                        if request.kinds[index] == "code":
                            seen = self._run_code(request, index)
                            done, wanted = 1, self._report(request, seen)
                        else:
                            done, alone, wanted = self._run_chain(request, index, alone)
                        index += done
                self._outbox.finish()
                if number % _COLLECTED_AFTER == 0:
                    # The collector is off. A full collection also empties the interpreter's lists
                    # of free tuples, which hold up to 2,000 of each length and fill up slowly.
                    gc.collect()
        except ZygoteGoneError:
            if self._zygote.sealed:
                raise
            self._outbox.put(_LOST)
            self._outbox.finish()

    def _run_chain(self, request: Request, first: int, alone: bool) -> tuple[int, bool, bool]:
        """Reports on the inputs from `first` on that are of its kind, as far as one chain gets.

        Args:
            request: What to run.
            first: Index of an input.
            alone: Whether it needs a process of its own.

        Returns:
            How many were reported, whether the one after them needs a process of its own, and
            whether it is wanted.
        """
        alone = alone or not self._zygote.sealed
        indices = range(first, first + 1) if alone else _alike_from(request, first)
        index = first
        with self._chain(request, indices, request.head["coverage"]) as chain:
            while index in indices and not chain.over:
                place(self._box, request.files)
                run = chain.begin(request.inputs[index], request.stdin(index))
                self._watch(request, run)
                if run.told is Stage.STARTED_ALL:
                    return self._report_series(request, run, len(indices))
                seen = self._seen(request, index, run)
                if self._failed_by_tracing(request, seen):
                    chain.close()
                    seen = self._run_again(request, index, seen)
                index += 1
                if not self._report(request, seen):
                    return index - first, False, False
        return index - first, False, True

    def _run_again(self, request: Request, index: int, before: Seen) -> Seen:
        """What a program does when it is not observed; its lines are told as before."""
        with self._chain(request, range(index, index + 1), traced=False) as chain:
            place(self._box, request.files)
            run = chain.begin(request.inputs[index], request.stdin(index))
            self._watch(request, run)
            seen = self._seen(request, index, run)
        seen.lines, seen.statements = before.lines, before.statements
        return seen

    def _run_code(self, request: Request, index: int) -> Seen:
        """Runs test code and the program that it calls."""
        seen = self._run_tester(request, index, request.head["coverage"])
        if self._failed_by_tracing(request, seen):
            executed = seen.lines, seen.statements
            seen = self._run_tester(request, index, traced=False)
            seen.lines, seen.statements = executed
        return seen

    def _run_tester(self, request: Request, index: int, traced: bool) -> Seen:
        """One run of test code, in a process that a socket joins to the program's."""
        orders = self._orders(request, "candidate", range(index, index + 1), traced)
        place(self._box, request.files)
        ours, theirs = socket.socketpair()
        verdict = os.memfd_create("verdict")
        with ours, theirs:
            with new_run() as (candidate, standard):
                others = [theirs.fileno(), request.file]
                self._zygote.fork(orders, [*standard, *others], wait=False)
            with new_run() as (test, standard):
                others = [ours.fileno(), request.codes, verdict, request.file]
                self._zygote.fork(("tester", *orders[1:]), [*standard, *others], wait=True)
        self._watch(request, candidate, test)
        self._zygote.forget()
        said = os.pread(verdict, os.fstat(verdict).st_size, 0)
        os.close(verdict)
        if test.end is ExitReason.FINISHED and not said:
            raise RuntimeError(f"a tester failed: {test.stderr.data!r}")
        return joined(self._seen(request, index, candidate), test, said)

    def _chain(self, request: Request, indices: range, traced: bool) -> Chain:
        action = _ACTIONS[request.kinds[indices.start]]
        orders = self._orders(request, action, indices, traced)
        return Chain(self._zygote, orders, request.file, len(indices))

    def _orders(
        self, request: Request, action: str, indices: range, traced: bool
    ) -> tuple[str, Confinement, Order]:
        """What a child is to do; see `child/actions.py`."""
        head = request.head
        rlimits = confine.rlimits(head["limits"], self._zygote.base.mapped)
        order = make_order(
            program=head["program"],
            prelude=head["prelude"],
            given=request.inputs[indices.start : indices.stop][:MOST_TOGETHER],
            runs=len(indices),
            together=len(indices) > 1 and action == "call" and not head["fetch"],
            report_bytes=head["report_bytes"],
            lines=head["lines"],
            index=indices.start,
            entry_point=head["entry_point"],
            traced=traced,
            packages=self._packages.part(head["packages"]),
        )
        return action, (rlimits, head["limits"]["threads"]), order

    def _watch(self, request: Request, *runs: Run) -> None:
        """Returns when runs, of which the program's is the first, are over and nothing is left."""
        limits = request.head["limits"]
        supervise.watch(self._zygote, list(runs), self._control.fileno(), limits)
        program = runs[0]
        try:
            program.files = fetch(self._box, request.head["fetch"])
        except TooLargeError:
            if program.end not in LIMITS:
                program.end = ExitReason.OUTPUT_LIMIT
        empty_box(self._box)

    def _memory_of(self, request: Request) -> Report:
        return Report(self._memory, request.head["report_bytes"], request.head["lines"])

    def _seen(self, request: Request, index: int, run: Run) -> Seen:
        """What became of a run, and what the program said of it."""
        said = self._memory_of(request)
        kind = request.kinds[index]
        reason, body = said.read()
        if isinstance(run.told, Stage):  # else nothing of the program ran: the report is ours
            reason, body = own_word(kind, reason, body)
        lines, statements = said.executed(), said.executed_statements()
        seen = Seen(run, kind, reason, body, lines, statements, said.loaded)
        said.clear()
        return seen

    def _failed_by_tracing(self, request: Request, seen: Seen) -> bool:
        return request.head["coverage"] and failed_by_tracing(seen, request.head["limits"])

    def _report_series(self, request: Request, run: Run, most: int) -> tuple[int, bool, bool]:
        """Reports what one process did on several inputs; returns as :meth:`_run_chain` does."""
        self._check(run)
        said = self._memory_of(request)
        series = said.read_series(run.cpu_seconds)[:most]
        said.clear()
        wall = run.wall_seconds / max(1, len(series))
        for number, (reason, body, cpu, lines, statements) in enumerate(series, 1):
            one = dataclasses.replace(
                run, end=ExitReason.FINISHED, cpu_seconds=cpu, wall_seconds=wall
            )
            seen = Seen(one, "call", *own_word("call", reason, body), lines, statements)
            if not self._report(request, seen):
                return number, False, False
        return len(series), len(series) < min(most, MOST_TOGETHER), True

    def _report(self, request: Request, seen: Seen) -> bool:
        """Reports what was seen; whether the inputs after it are still wanted."""
        self._check(seen.run)
        # Loading a program for a call does not depend on the call.
        begun = isinstance(seen.run.told, Stage)
        together = seen.run.told is Stage.STARTED_ALL
        stays = seen.fine or seen.loaded or seen.kind == "stdin" or together
        alike = not (begun and stays)
        self._outbox.put(frame_of(seen, same_for_all=alike))
        if alike:
            return False
        return seen.fine or not request.head["stop_on_error"]

    def _check(self, run: Run) -> None:
        """Raises if a run ended for a reason that is not the program's."""
        unprepared = run.told is None and run.end is ExitReason.FINISHED
        killed = run.end is ExitReason.KILLED and run.signal == signal.SIGKILL
        killed = killed and self._zygote.sealed and not run.stopped
        if unprepared or killed:
            how = "was killed from outside" if killed else "failed before it ran the program"
            raise RuntimeError(f"a child {how}: {run.stderr.data.decode('utf-8', 'replace')}")


_ACTIONS = {"stdin": "script", "call": "call"}


def _alike_from(request: Request, index: int) -> range:
    """The inputs from `index` on that are of one kind."""
    rest = request.kinds[index:]
    alike = itertools.takewhile(lambda kind: kind == rest[0], rest)
    return range(index, index + len(list(alike)))
