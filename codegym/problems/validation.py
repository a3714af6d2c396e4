"""Are the problems sound? Every reference solution is run, and run again.

A problem is sound if its own solution is accepted each time, and a stub that does nothing is not.
If it has a checker, that must also come to an answer about output that makes no sense, and reject
it: what a policy in training writes is often no better.
This room knows no grader: it asks anything that has ``grade_many``, such as
:class:`codegym.Grader`. Two runs tell nothing if the second comes from a cache, so use
``Grader(cache_size=0)``.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from codegym.errors import ConfigurationError
from codegym.problems.problem import Problem, StdinTest

__all__ = ["Finding", "FindingKind", "GradesPrograms", "ValidationReport", "stub_of", "validate"]

_AT_ONCE = 64
_SHOWN = 120


class GradeLike(Protocol):
    """What validation reads of a grade."""

    @property
    def verdict(self) -> str:
        """The verdict, ``"accepted"`` if all tests passed."""
        ...

    @property
    def tests_passed(self) -> int:
        """Number of tests that passed."""
        ...

    @property
    def tests_total(self) -> int:
        """Number of tests."""
        ...

    @property
    def error_type(self) -> str | None:
        """Name of the exception's class, or None."""
        ...

    @property
    def error_message(self) -> str | None:
        """A sentence for a human, or None."""
        ...


class GradesPrograms(Protocol):
    """What validation needs of a grader."""

    def grade_many(self, pairs: Iterable[tuple[Problem, str]]) -> Sequence[GradeLike]:
        """Grades `(problem, program)` pairs, in their order."""
        ...


class FindingKind(enum.StrEnum):
    """What can be wrong with a problem."""

    NO_SOLUTION = "no solution"  #: The problem has no canonical solution.
    FAILS = "fails"  #: Its canonical solution does not pass its tests.
    TIMES_OUT = "times out"  #: Its canonical solution reaches the time limit.
    DISAGREES = "disagrees between runs"  #: Its canonical solution passes in some runs only.
    STUB_PASSES = "stub passes"  #: A program that does nothing passes its tests.
    #: Its checker fails (raises, exceeds a limit, gives no answer) on the output named.
    CHECKER_FAILS = "checker fails"
    CHECKER_ACCEPTS = "checker accepts nonsense"  #: Its checker accepts output without any sense.


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one problem.

    Attributes:
        problem_id: The problem's id.
        kind: What is wrong.
        verdicts: The verdict of each run of the solution.
        message: What the grader said, for a human.
    """

    problem_id: str
    kind: FindingKind
    verdicts: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{self.problem_id}: {self.kind}: {self.message}"


@dataclasses.dataclass(frozen=True, slots=True)
class ValidationReport:
    """What came of validating a set.

    Attributes:
        source: Name of the source.
        checked: Number of problems.
        runs: How often each solution was run.
        accepted: Problems whose solution was accepted in every run.
        findings: What is wrong, in the order of the set.
    """

    source: str
    checked: int
    runs: int
    accepted: int
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        kinds = collections.Counter(f.kind.value for f in self.findings)
        counts = "".join(f", {count} {kind}" for kind, count in sorted(kinds.items()))
        head = (
            f"{self.source}: {self.accepted} of {self.checked} solutions accepted in each of "
            f"{self.runs} runs{counts}"
        )
        return "\n  ".join([head, *map(str, self.findings)])


def validate(
    problems: Iterable[Problem],
    grader: GradesPrograms,
    *,
    runs: int = 2,
    check_stub: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ValidationReport:
    """Runs every canonical solution and reports those that fail, time out or disagree.

    Checkers are asked about no output and about nonsense as well, by two more programs for each
    problem that has one.

    Args:
        problems: What to check.
        grader: Runs and grades programs. Give one that caches nothing
            (``Grader(cache_size=0)``), or every run after the first is the first again.
        runs: How often each solution is run.
        check_stub: Whether a program that does nothing is run as well; it must be rejected.
        progress: Called with the number of problems done and in all, after each batch.

    Raises:
        ConfigurationError: If `runs` is less than 1.
        ExecutionError: If the grader could not run a program.
    """
    if runs < 1:
        raise ConfigurationError(f"runs must be 1 or more, got {runs}.")
    items = problems if isinstance(problems, Sequence) else tuple(problems)
    findings: list[Finding] = []
    accepted = 0
    sources: set[str] = set()
    for start in range(0, len(items), _AT_ONCE):
        batch = [items[i] for i in range(start, min(start + _AT_ONCE, len(items)))]
        sources |= {problem.source for problem in batch}
        found = _check(batch, grader, runs)
        accepted += sum(finding is None for finding in found)
        findings += [finding for finding in found if finding is not None]
        findings += _check_checkers(batch, grader)
        if check_stub:
            findings += _check_stubs(batch, grader)
        if progress is not None:
            progress(min(start + _AT_ONCE, len(items)), len(items))
    name = "+".join(sorted(sources)) or "no problems"
    return ValidationReport(name, len(items), runs, accepted, tuple(findings))


def stub_of(problem: Problem) -> str:
    """A program with the right names that does nothing.

    Example:
        >>> from codegym.problems.problem import CallTest
        >>> problem = Problem("1", "Add.", "", (CallTest((1, 2), 3),), entry_point="add")
        >>> print(stub_of(problem), end="")
        def add(*args, **kwargs):
            return None
    """
    if problem.entry_point is None:
        return "pass\n"
    owner, _, method = problem.entry_point.rpartition("().")
    function = f"def {method}(*args, **kwargs):\n    return None\n"
    if not owner:
        return function
    body = "".join(f"    {line}\n" for line in function.splitlines())
    return f"class {owner}:\n{body}"


def _check(batch: Sequence[Problem], grader: GradesPrograms, runs: int) -> list[Finding | None]:
    """For each problem what is wrong with its solution, or None."""
    solved = [p for p in batch if p.canonical_solution.strip()]
    by_run = [grader.grade_many((p, p.canonical_solution) for p in solved) for _ in range(runs)]
    grades = dict(zip((id(p) for p in solved), zip(*by_run, strict=True), strict=True))
    return [_finding(problem, grades.get(id(problem), ())) for problem in batch]


def _finding(problem: Problem, grades: Sequence[GradeLike]) -> Finding | None:
    verdicts = tuple(str(grade.verdict) for grade in grades)
    if not grades:
        kind, message = FindingKind.NO_SOLUTION, "the source has no reference solution"
        return Finding(problem.id, kind, verdicts, message)
    worst = next((grade for grade in grades if grade.verdict != "accepted"), None)
    if worst is None:
        return None
    if len(set(verdicts)) > 1:
        kind = FindingKind.DISAGREES
    elif worst.verdict == "judge_error":
        kind = FindingKind.CHECKER_FAILS
    elif worst.verdict == "time_limit":
        kind = FindingKind.TIMES_OUT
    else:
        kind = FindingKind.FAILS
    return Finding(problem.id, kind, verdicts, f"{', '.join(verdicts)}; {_said(worst)}")


def _check_checkers(batch: Sequence[Problem], grader: GradesPrograms) -> list[Finding]:
    """What is wrong with the checkers of these problems, as far as nonsense shows."""
    probes = [
        (problem, what, program)
        for problem in batch
        if problem.checker is not None
        for what, program in _probes(problem)
    ]
    grades = grader.grade_many((problem, program) for problem, _, program in probes)
    findings = []
    for (problem, what, _), grade in zip(probes, grades, strict=True):
        if grade.verdict == "judge_error":
            message = f"on {what}: {_said(grade)}"
            findings.append(Finding(problem.id, FindingKind.CHECKER_FAILS, (), message))
        elif grade.verdict == "accepted" and what == _NONSENSE:
            message = "a program that answers nonsense is accepted"
            findings.append(Finding(problem.id, FindingKind.CHECKER_ACCEPTS, (), message))
    return findings


def _probes(problem: Problem) -> list[tuple[str, str]]:
    """Programs whose answers a checker must be able to judge, with what these answers are."""
    if problem.entry_point is None or isinstance(problem.tests[0], StdinTest):
        return [("no output", "pass\n"), (_NONSENSE, f"print({_GARBAGE!r})\n")]
    stub = stub_of(problem)
    return [("None", stub), (_NONSENSE, stub.replace("return None", f"return {_GARBAGE!r}"))]


_NONSENSE = "nonsense"
_GARBAGE = "?! \x00 -1e999 \u00e9\n\n 99999999999999999999 nan"


def _said(grade: GradeLike) -> str:
    error = f"{grade.error_type}: " if grade.error_type else ""
    message = " ".join((grade.error_message or "no message").split())
    text = message if len(message) <= _SHOWN else message[:_SHOWN] + "..."
    return f"{grade.tests_passed} of {grade.tests_total} tests passed; {error}{text}"


def _check_stubs(batch: Sequence[Problem], grader: GradesPrograms) -> list[Finding]:
    grades = grader.grade_many((problem, stub_of(problem)) for problem in batch)
    return [
        Finding(problem.id, FindingKind.STUB_PASSES, (), "a program that does nothing is accepted")
        for problem, grade in zip(batch, grades, strict=True)
        if grade.verdict == "accepted"
    ]
