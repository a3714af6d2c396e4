"""What is asked of an executor, and what it saw. No expected value ever appears here."""

from __future__ import annotations

import dataclasses
from typing import Any

from codegym.execution.limits import ExecutionLimits
from codegym.execution.sandbox.protocol import ExitReason
from codegym.execution.values import decode_value

__all__ = ["Call", "ExitReason", "Observation", "Request", "Result", "Stdin", "TestCode"]


@dataclasses.dataclass(frozen=True, slots=True)
class Stdin:
    """Run the program as ``__main__`` with this text on descriptor 0."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """Run the program, then call its entry point with plain data, or evaluate `expression`."""

    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    expression: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class TestCode:
    """Run `source` in a process of its own; its function `name` calls the program's entry point.

    `setup` is run before it, in the same namespace; on the lines `checks` begins what counts in
    :attr:`Observation.checks_passed`. Of objects of the program's own `classes` it may ask for the
    names that stand beside each class.
    """

    __test__ = False  # not a test class of pytest

    source: str
    name: str
    setup: str = ""
    checks: tuple[int, ...] = ()
    classes: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One program and the inputs to run it on, each in a child of its own.

    Attributes:
        program: Python source.
        inputs: What to run it on.
        entry_point: ``"name"``, ``"Class().method"`` or ``None`` (a script).
        prelude: Code run in the program's namespace before it; not part of its line numbers.
        limits: What each input may use.
        coverage: Whether executed lines are wanted.
        stop_on_error: Whether to leave out the inputs after the first one that does not end with
            :attr:`ExitReason.FINISHED`.
        packages: Top-level packages that the program may import beside the standard library.
        files: Paths in the program's working folder, and contents of the files that each input
            finds there. The program can import them, too.
        fetch: Paths of files in that folder that are wanted afterwards.
    """

    program: str
    inputs: tuple[Stdin | Call | TestCode, ...]
    entry_point: str | None = None
    prelude: str = ""
    limits: ExecutionLimits = dataclasses.field(default_factory=ExecutionLimits)
    coverage: bool = True
    stop_on_error: bool = False
    packages: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    fetch: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """What happened on one input.

    Attributes:
        reason: Why the run ended.
        answer: What the call returned, encoded by the program's own process and not looked into
            since; None if no call returned. See :func:`~codegym.execution.decode_value`.
        stdout: Standard output, undecodable bytes replaced.
        stderr: The last kilobytes of standard error.
        exit_code: The exit code of a script that ended by ``SystemExit``; minus the number of the
            signal that killed the program; else 0.
        error_type: Name of the exception's class, or None.
        error_message: The exception's text, cut to a few hundred characters, or None.
        error_line: 1-based line of the program where it was raised, or None.
        checks_passed: TestCode only: how many of its checks passed, in the tester's word, which the
            program cannot change.
        executed_lines: 1-based lines of the program that were executed, also when it was killed;
            as :class:`~codegym.programs.ExecutedLines` they tell statements on one line apart.
        cpu_seconds: CPU time used.
        wall_seconds: Time on the clock.
        peak_memory_bytes: Largest resident set.
        files: Paths and contents of those files of :attr:`Request.fetch` that the program left.
    """

    reason: ExitReason
    answer: bytes | None = None
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    error_type: str | None = None
    error_message: str | None = None
    error_line: int | None = None
    checks_passed: int = 0
    executed_lines: frozenset[int] = frozenset()
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_memory_bytes: int = 0
    files: tuple[tuple[str, bytes], ...] = ()

    @property
    def returned(self) -> bool:
        """Whether a call returned at all (None is a value)."""
        return self.answer is not None

    @property
    def value(self) -> Any:
        """What the call returned, decoded without limits each time that it is asked for.

        Raises:
            ValueError: If no call returned, or the program forged its answer.
        """
        if self.answer is None:
            raise ValueError(f"No call returned a value; the run ended with {self.reason.value!r}.")
        return decode_value(self.answer)


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """The observations of one request, in the order of its inputs.

    One for each input; fewer only if the request said `stop_on_error` and the last one did not
    finish.
    """

    observations: tuple[Observation, ...]
