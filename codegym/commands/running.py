"""Grades a stream of samples: each is matched, made a program of, run, and noted at once.

A sample that no problem was found for, a row that holds no sample, and a program that this machine
could not run are counted and listed; none of them is a verdict.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future
from typing import Any

from codegym.commands.results import ResultsFile
from codegym.commands.samples.matching import Match, Matcher, Unmatched
from codegym.commands.samples.programs import program_of
from codegym.commands.samples.sample import Form, Sample, Unreadable
from codegym.errors import CodegymError, ConfigurationError, ExecutionError
from codegym.grading.failing_test import failing_test
from codegym.grading.grader import Grader
from codegym.grading.judge import NO_PROGRAM, grade_without_program
from codegym.grading.verdict import Grade
from codegym.problems import Problem, ProblemSet

__all__ = ["LeftOut", "Tally", "grade_samples"]

_FAULTS_IN_A_ROW = 10
_FENCE = re.compile(r"^[ ]{0,3}(```|~~~)", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOut:
    """A row without a verdict.

    Attributes:
        where: Its place.
        reason: A sentence for a human.
    """

    where: str
    reason: str


@dataclasses.dataclass(slots=True)
class Tally:
    """What became of all samples.

    Attributes:
        graded: Samples with a verdict.
        resumed: Those among them that had it already.
        verdicts: How many samples have each verdict.
        matched_by: How many samples were matched by what.
        counts: Problem id to the numbers of its samples and of those that passed.
        unmatched: Samples whose problem is not known.
        unreadable: Rows that hold no sample.
        faults: Samples that this machine could not grade, or a problem's checker.
        compared: How many samples were judged (right, wrong) by an older grader and by this one:
            pairs of old and new to their number.
        unscored: Samples that an older grader was to have a score of, and has none.
        fenced: Samples that a file has as code, hold a fence of Markdown, and so do not compile.
    """

    graded: int = 0
    resumed: int = 0
    verdicts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    matched_by: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    counts: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    unmatched: list[LeftOut] = dataclasses.field(default_factory=list)
    unreadable: list[LeftOut] = dataclasses.field(default_factory=list)
    faults: list[LeftOut] = dataclasses.field(default_factory=list)
    compared: collections.Counter[tuple[bool, bool]] = dataclasses.field(
        default_factory=collections.Counter
    )
    unscored: int = 0
    fenced: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every row has a verdict."""
        return not (self.unmatched or self.unreadable or self.faults)

    @property
    def differences(self) -> int:
        """How many samples the older grader judged otherwise."""
        return self.compared[True, False] + self.compared[False, True]

    def count(self, one: _Waiting, verdict: str) -> None:
        """Notes one verdict."""
        problem_id, matched_by, old = one.problem.id, one.match.by, one.old
        passed = verdict == "accepted"
        self.fenced += verdict == "compile_error" and one.is_fenced
        self.graded += 1
        self.verdicts[verdict] += 1
        self.matched_by[matched_by] += 1
        counts = self.counts.setdefault(problem_id, [0, 0])
        counts[0] += 1
        counts[1] += passed
        if old is not None:
            self.compared[old, passed] += 1


class _Waiting:
    """A sample that is being graded."""

    def __init__(self, sample: Sample, match: Match, problem: Problem, program: str | None) -> None:
        self.sample, self.match, self.problem, self.program = sample, match, problem, program
        self.digest = _digest(problem, program)
        self.old: bool | None = None

    @property
    def is_fenced(self) -> bool:
        """Whether a fence of Markdown stands where there should be code."""
        return self.sample.form is not Form.ANSWER and bool(_FENCE.search(self.sample.text))


def grade_samples(
    samples: Iterable[Sample | Unreadable],
    problems: ProblemSet,
    matcher: Matcher,
    grader: Grader,
    results: ResultsFile,
    *,
    window: int,
    old: Callable[[Sample], bool | None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """Grades samples, and writes each result as soon as it is there.

    Args:
        samples: What is graded.
        problems: What they may be solutions of.
        matcher: Finds the problem of a sample.
        grader: Runs and judges programs.
        results: Gets a row for each verdict; what it has already is not done again.
        window: How many programs are being graded at a time, at most.
        old: What an older grader says of a sample: whether it is right, or None; no such grader.
        progress: Called with the number of rows that are done.

    Returns:
        What became of the samples.

    Raises:
        ExecutionError: If this machine could not run ten programs in a row: it is at fault, and
            going on is of no use. Results until then are kept.
        ConfigurationError: If the results that are resumed are of other programs.
    """
    tally = Tally()
    waiting: dict[Future[Grade], _Waiting] = {}
    failing = 0
    done = 0

    def collect(finished: Iterable[Future[Grade]]) -> None:
        nonlocal failing, done
        for future in finished:
            one = waiting.pop(future)
            done += 1
            error = future.exception()
            if error is None:
                failing = 0
                _note(one, future.result(), results, tally)
            elif isinstance(error, CodegymError):
                # A fault of the machine or of the problem, never of the program: no verdict.
                failing += isinstance(error, ExecutionError)
                reason = f"{one.problem.id}: {type(error).__name__}: {error}"
                tally.faults.append(LeftOut(one.sample.where, reason))
                if failing >= _FAULTS_IN_A_ROW:
                    raise error
            else:
                raise error
        if progress is not None:
            progress(done)

    try:
        for sample in samples:
            if isinstance(sample, Unreadable):
                tally.unreadable.append(LeftOut(sample.where, sample.reason))
                done += 1
                continue
            match = matcher.match(sample)
            if isinstance(match, Unmatched):
                tally.unmatched.append(LeftOut(sample.where, match.reason))
                done += 1
                continue
            problem = problems.by_id(match.problem_id)
            one = _Waiting(sample, match, problem, program_of(sample, problem))
            if old is not None:
                one.old = old(sample)
                tally.unscored += one.old is None
            earlier = results.earlier(sample.where, one.digest)
            if earlier is not None:
                if old is not None and earlier["old"] != one.old:
                    raise ConfigurationError(
                        f"{results.path} has a result for {sample.where} with another score of "
                        "the older grader: the rollouts have changed since. Begin anew with "
                        "--overwrite, or name another file with --out."
                    )
                tally.resumed += 1
                done += 1
                tally.count(one, earlier["verdict"])
            elif one.program is None:
                done += 1
                _note(one, grade_without_program(problem, NO_PROGRAM), results, tally)
            else:
                waiting[_submit(grader, problem, one.program)] = one
            if len(waiting) >= window:
                collect(concurrent.futures.wait(waiting, return_when=FIRST_COMPLETED).done)
        while waiting:
            collect(concurrent.futures.wait(waiting, return_when=FIRST_COMPLETED).done)
    finally:
        # Whatever ended this, what has been graded is kept, and what was not begun is not run.
        for future, one in waiting.items():
            if not future.cancel() and future.done() and future.exception() is None:
                _note(one, future.result(), results, tally)
    return tally


def _submit(grader: Grader, problem: Problem, program: str) -> Future[Grade]:
    """Starts grading; what is refused at once fails as what fails later does."""
    try:
        return grader.submit(problem, program)
    except CodegymError as error:
        failed: Future[Grade] = Future()
        failed.set_exception(error)
        return failed


def _note(one: _Waiting, grade: Grade, results: ResultsFile, tally: Tally) -> None:
    if not grade.judged:
        reason = f"{one.problem.id}: its checker failed on the answer: {grade.error_message}"
        tally.faults.append(LeftOut(one.sample.where, reason))
        return
    results.add(_row(one, grade))
    tally.count(one, grade.verdict.value)


def _row(one: _Waiting, grade: Grade) -> dict[str, Any]:
    """A result: what is written of a sample."""
    row = {
        "where": one.sample.where,
        "problem_id": one.problem.id,
        "matched_by": one.match.by,
        "verdict": grade.verdict.value,
        "passed": grade.solved,
        "tests_passed": grade.tests_passed,
        "tests_total": grade.tests_total,
        "failing_test": _failing_test(one.problem, grade),
        "error_type": grade.error_type,
        "error_message": grade.error_message,
        "error_line": grade.error_line,
        "executed_lines": sorted(grade.executed_lines),
        "program": one.program,
        "digest": one.digest,
    }
    if one.old is not None:
        row |= {"old": one.old, "differs": one.old != grade.solved}
    return row


def _failing_test(problem: Problem, grade: Grade) -> dict[str, Any] | None:
    """The first test that failed: its number from 1, what it is, and its own verdict."""
    failed = failing_test(problem, grade)
    if failed is None:
        return None
    return {
        "number": failed.number,
        "test": failed.test,
        "verdict": failed.verdict.value,
        "error_type": failed.error_type,
        "error_message": failed.error_message,
    }


def _digest(problem: Problem, program: str | None) -> str:
    """SHA-256 (hex) of what a verdict depends on."""
    text = repr((problem.content_hash, program))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
