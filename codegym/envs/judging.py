"""Programs on their way to a grade: sent when an episode ends, delivered when they are judged.

Each sub-environment has one at most. Grades come in any order from other threads; whoever waits
here gets each exactly once, for the program that was sent.
"""

from __future__ import annotations

import dataclasses
import functools
import queue
from concurrent.futures import CancelledError, Future
from typing import Any, Literal, NamedTuple

from codegym.envs.episode import Episode
from codegym.envs.task import CodeTask
from codegym.errors import ClosedError, CodegymError, ExecutionError, UnknownNameError
from codegym.grading.verdict import Grade
from codegym.programs.program import Program

__all__ = ["Graded", "Judging", "JudgingLane", "Ticket", "Wait", "make_judging"]

Judging = Literal["sync", "async"]
"""Whether a step waits for the grades of the programs that it ends."""

Wait = Literal["none", "one", "all"]
"""How many grades a call waits for."""

_JUDGING: dict[object, Judging] = {"sync": "sync", "async": "async"}


def make_judging(judging: object) -> Judging:
    """`judging` if it is a way of judging.

    Raises:
        UnknownNameError: Otherwise.
    """
    if not isinstance(judging, str) or judging not in _JUDGING:
        raise UnknownNameError("way of judging", judging, map(str, _JUDGING))
    return _JUDGING[judging]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """One program that was sent.

    Attributes:
        number: Counts the programs in the order in which they were sent.
        index: Number of the sub-environment.
        episode: What it answers.
        program: The program; None if there is none in the answer.
    """

    number: int
    index: int
    episode: Episode
    program: Program | None


class Graded(NamedTuple):
    """A program that was judged, its grade, and the terms of its reward."""

    ticket: Ticket
    grade: Grade
    terms: dict[str, float]


class JudgingLane:
    """Sends programs to the grader and collects their grades.

    Start distribution and sampler learn the outcomes in the order in which the programs were sent,
    whatever the order of the grades: an outcome waits until all earlier ones are known.

    Args:
        task: Grades programs and counts outcomes.
    """

    def __init__(self, task: CodeTask) -> None:
        self._task = task
        self._done: queue.SimpleQueue[tuple[Ticket, Future[Grade]] | None] = queue.SimpleQueue()
        self._sent = 0
        self._pending: dict[int, Ticket] = {}
        self._arrived: dict[Ticket, Future[Grade]] = {}
        self._uncounted: dict[Ticket, Grade | None] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        # For a copy of the environment: what was sent and not delivered is sent again.
        waiting = sorted(self._pending.values(), key=lambda ticket: ticket.number)
        return self._task, self._sent, waiting, list(self._uncounted.items())

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        task, sent, waiting, uncounted = state
        self.__init__(task)  # type: ignore[misc]  # of an object that has nothing yet
        self._sent, self._uncounted = sent, dict(uncounted)
        for ticket in waiting:
            self._pending[ticket.index] = ticket
            self._submit(ticket)

    def __len__(self) -> int:
        """Number of programs that were sent and not delivered."""
        return len(self._pending)

    def send(self, index: int, episode: Episode, program: Program | None) -> None:
        """Sends the program of a sub-environment; returns at once.

        A failure, also one to send it, is raised by :meth:`collect`.
        """
        ticket = Ticket(self._sent, index, episode, program)
        self._sent += 1
        self._pending[index] = ticket
        self._uncounted[ticket] = None
        self._submit(ticket)

    def _submit(self, ticket: Ticket) -> None:
        try:
            future = self._task.submit(ticket.episode, ticket.program)
        except CodegymError as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(functools.partial(_report, self._done, ticket))

    def collect(self, wait: Wait, *, raises: bool) -> list[Graded]:
        """The grades that are in, in the order in which their programs were sent.

        They are told again until :meth:`deliver` or :meth:`forget` takes them away.

        Args:
            wait: Wait for none, for one, or for all that are outstanding.
            raises: Whether to raise what went wrong with a program. If not, it is left out and
                stays for another call.

        Raises:
            ExecutionError: If a program could not be run.
            RewardError: If the reward returned something that is not a reward.
            ClosedError: If the grader or this lane was closed meanwhile.
        """
        self._drain(wait)
        graded = []
        for ticket, future in sorted(self._arrived.items(), key=_number):
            try:
                grade = future.result()
                graded.append(Graded(ticket, grade, self._task.terms(grade)))
            except CancelledError:
                if raises:
                    raise ExecutionError(
                        f"The executor cancelled a program. {_concerns(ticket)}"
                    ) from None
            except Exception as error:
                if raises:
                    _add_note(error, _concerns(ticket))
                    raise
        return graded

    def deliver(self, graded: Graded) -> None:
        """Takes a grade away, and counts the outcomes whose turn has come."""
        del self._arrived[graded.ticket], self._pending[graded.ticket.index]
        self._uncounted[graded.ticket] = graded.grade
        self._count()

    def forget(self, index: int) -> None:
        """Abandons the program of a sub-environment, if it has one; its outcome counts nowhere."""
        ticket = self._pending.pop(index, None)
        if ticket is not None:
            self._arrived.pop(ticket, None)
            del self._uncounted[ticket]
            self._count()

    def close(self) -> None:
        """Abandons all programs and wakes a thread that waits for a grade."""
        self._pending.clear()
        self._arrived.clear()
        self._uncounted.clear()
        self._done.put(None)

    def _drain(self, wait: Wait) -> None:
        while self._must_wait(wait) or not self._done.empty():
            arrival = self._done.get()
            if arrival is None:
                raise ClosedError("The vector environment was closed while grades were pending.")
            self._take(*arrival)

    def _must_wait(self, wait: Wait) -> bool:
        outstanding = len(self._pending) > len(self._arrived)
        return outstanding and (wait == "all" or (wait == "one" and not self._arrived))

    def _take(self, ticket: Ticket, future: Future[Grade]) -> None:
        if self._pending.get(ticket.index) is ticket:
            self._arrived[ticket] = future

    def _count(self) -> None:
        while self._uncounted:
            ticket = next(iter(self._uncounted))
            grade = self._uncounted[ticket]
            if grade is None:
                return
            del self._uncounted[ticket]
            self._task.count(ticket.episode, grade)


def _report(
    done: queue.SimpleQueue[tuple[Ticket, Future[Grade]] | None],
    ticket: Ticket,
    future: Future[Grade],
) -> None:
    done.put((ticket, future))


def _number(item: tuple[Ticket, Future[Grade]]) -> int:
    return item[0].number


_CONCERNS = "It concerns the program of sub-environment"


def _concerns(ticket: Ticket) -> str:
    return (
        f"{_CONCERNS} {ticket.index}, which has no reward. To go on, reset that: "
        'reset(options={"reset_mask": ...}).'
    )


def _add_note(error: Exception, note: str) -> None:
    # Sub-environments that wrote the same program share its error: the last one raised counts.
    error.__notes__ = [
        *(old for old in getattr(error, "__notes__", ()) if not old.startswith(_CONCERNS)),
        note,
    ]
