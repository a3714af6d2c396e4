"""Where a problem has a checker: what is sent to it, and what its answer means.

The checker is a program like any other: it is run by the executor, in the sandbox, in processes of
its own, on the answers of one program, as many in one request as have room in it. It gets input,
output and expected answer as plain data; it sees neither the program that is judged nor this
process, and no process that runs that program ever sees an expected answer.

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
from codegym.execution.result import Call, ExitReason, Observation, Request, Stdin
from codegym.execution.values import UNREADABLE, EncodedAnswer, decode_plain, encode_value
from codegym.grading.judge import judged
from codegym.grading.verdict import TestGrade, Verdict
from codegym.problems.checker import CHECK, Checker
from codegym.problems.problem import CallTest, Problem, StdinTest, UnitTest

__all__ = [
    "LIMITS",
    "answer_bytes",
    "checker_request",
    "fitting",
    "graded_by",
    "question_bytes",
    "too_large",
]

LIMITS = ExecutionLimits(cpu_seconds=10.0, wall_seconds=30.0)
"""What a checker may use for one answer; more memory and larger files where answers are long."""

# Bytes for each byte that a checker may be given. Measured in the sandbox, with 1 MiB each of
# input, output and expected answer: lines of one digit take 87 for each byte when they are split
# into lists of words, digits 63 as Decimals, linked lists 53, and lists of deques, the most of any
# value, 108.
_MEMORY_EACH = 128
_MOST_MEMORY = 4 * 2**30  # what `codegym serve` gives, unless it is started with another limit
_FILE_EACH = 3  # a byte that is no UTF-8 is written as a replacement character
# What a checker is given in one request, in bytes. In a message to a server each becomes up to
# seven (JSON in JSON has `\\u0000` for a NUL), and a server takes 64 MiB, unless it says less.
_REQUEST_BYTES = 8 * 2**20
_SHOWN = 200
_RIGHT, _WRONG = encode_value(True), encode_value(False)

# Runs a script as `python checker.py input.txt correct_output.txt solution_output.txt` does, and is
# a script itself, so that it ends as one does. What the files hold comes on standard input, behind
# a line with their lengths. The code has the file name of a program, so that the line of an error
# is a line of the checker.
_SCRIPT = """
def write_files(names):
    import sys
    data = sys.stdin.buffer
    for name, length in zip(names, data.readline().split()):
        with open(name, "wb") as file:
            file.write(data.read(int(length)))
    sys.argv[:] = ["checker.py", *names]
write_files(("input.txt", "correct_output.txt", "solution_output.txt"))
del write_files
__file__ = "checker.py"
exec(compile({source!r}, "program.py", "exec", dont_inherit=True))
"""


def question_bytes(test: UnitTest) -> int:
    """Bytes that a checker is given of a test, beside the answer."""
    if isinstance(test, StdinTest):
        return _size(test.stdin) + _size(test.stdout)
    assert isinstance(test, CallTest)
    return len(encode_value([test.args, test.expected]))


def answer_bytes(seen: Observation) -> int:
    """Bytes that it is given of what a program did."""
    return _size(seen.stdout) if seen.answer is None else len(seen.answer)


def fitting(sizes: Sequence[int]) -> int:
    """How many answers of these sizes, in bytes, are asked about in one request: at least one."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > _REQUEST_BYTES:
            return count
    return len(sizes)


def checker_request(
    problem: Problem,
    checker: Checker,
    answers: Sequence[tuple[UnitTest, Observation]],
    most_bytes: int,
) -> Request:
    """What the executor is asked to run.

    Args:
        problem: Its packages may be imported.
        checker: The problem's checker.
        answers: Tests, and what was seen of the program on each: it came to an answer.
        most_bytes: What a checker may be given of any test of the problem and any answer to it.
            The limits follow from that, and not from what this program printed: a server that
            does not give so much says so whatever the program.
    """
    is_script = checker.form == "script"
    inputs = (_files(test, seen) if is_script else _call(test, seen) for test, seen in answers)
    return Request(
        program=_SCRIPT.format(source=checker.source) if is_script else checker.source,
        inputs=tuple(inputs),
        entry_point=None if is_script else CHECK,
        limits=dataclasses.replace(
            LIMITS,
            memory_bytes=max(
                LIMITS.memory_bytes,
                min(LIMITS.memory_bytes + _MEMORY_EACH * most_bytes, _MOST_MEMORY),
            ),
            file_bytes=LIMITS.file_bytes + _FILE_EACH * most_bytes,
        ),
        coverage=False,
        packages=problem.packages,
    )


def too_large(answer: Observation) -> TestGrade:
    """The grade of a test whose answer no checker can be given, because it is too long."""
    return _without_verdict(answer, "could not be given the answer, which is too long to be sent")


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
    return _without_verdict(answer, fault, seen.error_type, seen.error_line)


def _without_verdict(
    answer: Observation, fault: str, error_type: str | None = None, error_line: int | None = None
) -> TestGrade:
    return TestGrade(
        verdict=Verdict.JUDGE_ERROR,
        error_type=error_type,
        error_message=f"The problem's checker {fault}. That is no fault of the program.",
        error_line=error_line,
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
    said, succeeded = seen.stdout.strip(), seen.exit_code == 0
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


def _call(test: UnitTest, seen: Observation) -> Call:
    if isinstance(test, StdinTest):
        return Call((test.stdin, seen.stdout, test.stdout))
    assert isinstance(test, CallTest)
    assert seen.answer is not None
    return Call((tuple(test.args), EncodedAnswer(seen.answer), test.expected))


def _files(test: UnitTest, seen: Observation) -> Stdin:
    assert isinstance(test, StdinTest)
    texts = (test.stdin, test.stdout, seen.stdout)
    return Stdin(" ".join(map(str, map(_size, texts))) + "\n" + "".join(texts))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
