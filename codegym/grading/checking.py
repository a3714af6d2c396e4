"""Where a problem has a checker: what is sent to it, and what its answer means.

The checker is a program like any other: it is run by the executor, in the sandbox, in processes of
its own, on all answers of one program in one request. It gets input, output and expected answer as
plain data; it sees neither the program that is judged nor this process, and no process that runs
that program ever sees an expected answer.

**When a checker fails.** A checker must come to an answer whatever it is asked about. One that
raises, is killed, exceeds a limit or answers neither yes nor no is a fault of the problem, and
never a verdict: the test's grade is :attr:`Verdict.JUDGE_ERROR`. It is no exception either,
because a program chooses its output, and could else stop a trainer by printing ``x`` where the
checker expects a number. It earns nothing by that: such a grade has no reward (an environment pays
0 and masks all of its tokens), it is never accepted, and any test that the program does fail
outweighs it. ``validate`` reports the problems whose checkers fail so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from codegym.errors import ExecutionError
from codegym.execution.limits import ExecutionLimits
from codegym.execution.result import Call, ExitReason, Observation, Request
from codegym.execution.values import UNREADABLE, EncodedAnswer, decode_plain, encode_value
from codegym.grading.judge import judged
from codegym.grading.verdict import TestGrade, Verdict
from codegym.problems.checker import CHECK, Checker
from codegym.problems.problem import CallTest, Problem, StdinTest, UnitTest

__all__ = ["LIMITS", "checker_request", "graded_by"]

LIMITS = ExecutionLimits(cpu_seconds=10.0, wall_seconds=30.0)
"""What a checker may use for one answer; more memory and larger files where answers are long."""

_MEMORY_EACH = 32  # bytes for each character that it is given: a list of short words takes as much
_SHOWN = 200
_RIGHT, _WRONG = encode_value(True), encode_value(False)
_SUCCESS = encode_value(0)

# Runs a script as `python checker.py input.txt correct_output.txt solution_output.txt` does. Its
# code has the file name of a program, so that the line of an error is a line of the checker.
_SCRIPT = """
import sys, types
SOURCE = {source!r}
NAMES = ("input.txt", "correct_output.txt", "solution_output.txt")
def check(given, output, expected):
    for name, text in zip(NAMES, (given, expected, output)):
        with open(name, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)
    sys.argv[:] = ["checker.py", *NAMES]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__file__ = "checker.py"
    try:
        exec(compile(SOURCE, "program.py", "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return int(error.code or 0)
        return 1
    return 0
"""


def checker_request(
    problem: Problem, checker: Checker, answers: Sequence[tuple[UnitTest, Observation]]
) -> Request:
    """What the executor is asked to run.

    Args:
        problem: Its packages may be imported.
        checker: The problem's checker.
        answers: Tests, and what was seen of the program on each: it came to an answer.
    """
    is_script = checker.form == "script"
    longest = max(_length(test, seen) for test, seen in answers)
    return Request(
        program=_SCRIPT.format(source=checker.source) if is_script else checker.source,
        inputs=tuple(Call(_arguments(test, seen)) for test, seen in answers),
        entry_point=CHECK,
        limits=dataclasses.replace(
            LIMITS,
            memory_bytes=LIMITS.memory_bytes + _MEMORY_EACH * longest,
            file_bytes=LIMITS.file_bytes + longest,
        ),
        coverage=False,
        packages=problem.packages,
    )


def graded_by(
    checker: Checker, test: UnitTest, answer: Observation, seen: Observation
) -> TestGrade:
    """The grade of a test.

    Args:
        checker: The problem's checker.
        test: What the program was run on.
        answer: What was seen of the program.
        seen: What was seen of the checker.
    """
    if seen.error_type == UNREADABLE and seen.reason is ExitReason.EXCEPTION:
        return judged(test, answer, "The answer is no plain data, which a checker could be given.")
    fault = _FAULTS.get(seen.reason)
    if fault is None and seen.reason is not ExitReason.FINISHED:
        said = f": {seen.error_message}" if seen.error_message else ""
        fault = f"ended with {seen.error_type or seen.reason.value}{said}"
    if fault is None:
        is_right = _printed(seen) if checker.form == "script" else _returned(seen)
        if isinstance(is_right, bool):
            complaint = None if is_right else _complaint(test, answer)
            return judged(test, answer, complaint)
        fault = is_right
    return TestGrade(
        verdict=Verdict.JUDGE_ERROR,
        error_type=seen.error_type,
        error_message=f"The problem's checker {fault}. That is no fault of the program.",
        error_line=seen.error_line,
        cpu_seconds=answer.cpu_seconds,
    )


_FAULTS = {
    ExitReason.COMPILE_ERROR: "is not Python for the interpreter that runs programs",
    ExitReason.KILLED: "was killed, or left without an answer",
    ExitReason.CPU_LIMIT: f"took more than {LIMITS.cpu_seconds:g} s of CPU time",
    ExitReason.WALL_LIMIT: f"took more than {LIMITS.wall_seconds:g} s",
    ExitReason.MEMORY_LIMIT: "needed more memory than it may",
    ExitReason.OUTPUT_LIMIT: "printed or returned more than it may",
}


def _returned(seen: Observation) -> bool | str:
    """Whether a function says that the answer is right, or what else it did."""
    if seen.answer in (_RIGHT, _WRONG):
        return seen.answer == _RIGHT
    return f"returned {_shown(seen.answer)}, where it must return True or False"


def _printed(seen: Observation) -> bool | str:
    """Whether a script says that the answer is right, or what else it did."""
    said, succeeded = seen.stdout.strip(), seen.answer == _SUCCESS
    if not said and succeeded:
        return "printed nothing, where it must print 1 or 0"
    return said == "1" and succeeded


def _shown(answer: bytes | None) -> str:
    if answer is None:
        raise ExecutionError(
            "The executor reported that a checker's call has finished, but no answer. It must "
            "report what a call returned in Observation.answer."
        )
    try:
        return f"{decode_plain(answer)!r:.80}"
    except Exception:  # too large, too strange or, as of a checker that was taken over, forged
        return "something else"


def _complaint(test: UnitTest, answer: Observation) -> str:
    got = answer.stdout if isinstance(test, StdinTest) else _shown(answer.answer)
    return f"The problem's checker rejects the answer {got[:_SHOWN]!r}."


def _arguments(test: UnitTest, seen: Observation) -> tuple[object, object, object]:
    if isinstance(test, StdinTest):
        return test.stdin, seen.stdout, test.stdout
    assert isinstance(test, CallTest)
    assert seen.answer is not None
    return tuple(test.args), EncodedAnswer(seen.answer), test.expected


def _length(test: UnitTest, seen: Observation) -> int:
    """Characters that a checker is given, about."""
    if isinstance(test, StdinTest):
        return 4 * (len(test.stdin) + len(test.stdout) + len(seen.stdout))  # as UTF-8
    return len(seen.answer or b"")
