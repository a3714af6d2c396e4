"""What a case is, and the few problems that most cases are about."""

from __future__ import annotations

import dataclasses
from typing import Literal

from codegym.execution import ExecutionLimits
from codegym.grading import Verdict
from codegym.problems import CallTest, CodeTest, Comparison, Problem, StdinTest, UnitTest

LIMITS = ExecutionLimits(
    cpu_seconds=1.0, wall_seconds=3.0, memory_bytes=256 * 2**20, output_bytes=2**16
)
"""What a test of an honest program may use, which stays well below."""
BRIEF = dataclasses.replace(LIMITS, cpu_seconds=0.5, wall_seconds=1.0)
"""What a test of any other program may use."""
FILLING = dataclasses.replace(LIMITS, cpu_seconds=10.0, wall_seconds=20.0)
"""What a test of a program may use that must end at its memory limit.

What a page costs to touch differs tenfold between machines; where it is dear, a program that fills
its memory page by page would reach :data:`BRIEF`'s time first.
"""

SECRET = "c0nf0rmance-s3cret"
"""Stands in an environment variable and in a file of the host; no program contains it."""
SECRET_VARIABLE = "CONFORMANCE_SECRET"

Kind = Literal["accept", "reject"]
Ending = Verdict | Literal["refused"]
"""`"refused"`: the grader's owner gets an error and no grade (a problem without tests)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One program and what must come of it.

    In `program` the word ``@HOST@`` stands for a folder of the host that anybody may write to,
    with a file ``victim`` that holds :data:`SECRET`; ``@PORT@`` for a TCP port of 127.0.0.1 on
    which the host listens; ``@SIGNAL@`` for the signal to send to everybody (0 where nothing
    contains the grader).

    How an effect on the host is seen, after the grader has ended, whatever the case is after: a
    change below ``@HOST@``, a process that is still there, a connection to ``@PORT@``, a grader
    that died or hangs, more than a GiB of memory in use; and, for a case with `leak`, acceptance.

    Attributes:
        name: Unique in the suite.
        kind: Whether the program is a right and honest answer.
        group: The heading it stands under.
        tries: What the program does, in a phrase.
        program: Python source.
        tests: The tests of its problem, all of one kind.
        verdicts: What codegym must say: one of these.
        entry_point: As in :class:`~codegym.problems.Problem`.
        comparison: As in :class:`~codegym.problems.Problem`.
        calls: The same question as calls of `f`, for graders that know no standard input.
        error_types: If not empty, the exception that ends the program is one of these.
        needs: What must be there for codegym's verdict: a barrier (`"calls"`, `"files"`,
            `"namespaces"`, see :class:`~codegym.execution.Isolation`) or `"numpy"`, which the
            program may then import.
        leak: The expected answer is given only by a program that got where it should not.
        ours: The verdict is a rule of codegym's, which other judges need not share.
        lenient: A judge that compares with Python's `==` would reasonably reject the answer.
        lengthy: Takes more than five seconds, which a quick run of the suite need not spend.
    """

    name: str
    kind: Kind
    group: str
    tries: str
    program: str
    tests: tuple[UnitTest, ...]
    verdicts: tuple[Ending, ...]
    entry_point: str | None = None
    comparison: Comparison = "tolerant"
    calls: tuple[CallTest, ...] = ()
    error_types: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    leak: bool = False
    ours: bool = False
    lenient: bool = False
    lengthy: bool = False

    @property
    def limits(self) -> ExecutionLimits:
        """What each of its tests may use."""
        if self.kind == "accept":
            return LIMITS
        return FILLING if self.verdicts == (Verdict.MEMORY_LIMIT,) else BRIEF

    @property
    def unhurried_limits(self) -> ExecutionLimits:
        """:attr:`limits`, whose time no busy machine can exceed where another ending is right."""
        if Verdict.TIME_LIMIT in self.verdicts:
            return self.limits
        return dataclasses.replace(self.limits, cpu_seconds=60.0, wall_seconds=3600.0)

    def problem(self) -> Problem:
        """The problem that the program is an answer to.

        Raises:
            ProblemError: If the case has no tests.
        """
        return Problem(
            id=self.name,
            description="",
            canonical_solution="",
            tests=self.tests,
            entry_point=self.entry_point,
            comparison=self.comparison,
            packages=tuple(need for need in self.needs if need == "numpy"),
        )

    def text(self, host: str, port: int, signal: int) -> str:
        """The program with its words replaced."""
        words = {"@HOST@": host, "@PORT@": str(port), "@SIGNAL@": str(signal)}
        text = self.program
        for word, value in words.items():
            text = text.replace(word, value)
        return text


DOUBLE_CALLS = (CallTest((3,), 6), CallTest((5,), 10), CallTest((-1,), -2))
DOUBLE_LINES = (StdinTest("3\n", "6\n"), StdinTest("5\n", "10\n"))
DOUBLE_CODE = (
    CodeTest("def check(c):\n    assert c(3) == 6\n    assert c(5) == 10\ncheck(f)\n", "f"),
)
NEVER = (StdinTest("", "never\n"),)
"""What no attack prints."""
NEVER_CALLS = (CallTest((), "never"),)
