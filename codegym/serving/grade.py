"""`/grade`: a problem and a program in, a grade out. Expected outputs stay in this process.

The problem is a row as a data set has it, in the format of any source that is read from rows; by
default that of one's own problems, :mod:`codegym.problems.sources.custom`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from codegym.errors import ConfigurationError, ProblemError, UnknownNameError
from codegym.execution.limits import ExecutionLimits
from codegym.grading.limits import make_limits
from codegym.grading.verdict import Grade
from codegym.problems.load import SOURCES
from codegym.problems.problem import Problem
from codegym.problems.rows import problem_of, row_of
from codegym.problems.source import Source
from codegym.serving.run_code import read_object

__all__ = ["GradeRequest", "grade_answer", "read_grade"]

_FIELDS = ("problem", "program", "source", "limits", "coverage", "stop_at_first_failure")


class GradeRequest(NamedTuple):
    """What is to be graded.

    Attributes:
        problem: What was asked.
        program: Python source.
        limits: What one test may use.
        coverage: Whether executed lines are wanted.
        stop: Whether to leave out the tests after the first that fails.
    """

    problem: Problem
    program: str
    limits: ExecutionLimits
    coverage: bool
    stop: bool


def read_grade(body: bytes) -> GradeRequest:
    """What is to be graded.

    Raises:
        ConfigurationError: If a field has no meaning.
    """
    fields = read_object(body)
    for name in fields:
        if name not in _FIELDS:
            raise UnknownNameError("field", name, _FIELDS)
    if not isinstance(fields.get("program"), str):
        raise ConfigurationError(f"program must be text, got {fields.get('program')!r:.80}.")
    limits = fields.get("limits")
    return GradeRequest(
        problem=_problem(fields.get("problem"), fields.get("source", "custom")),
        program=fields["program"],
        limits=make_limits(limits),
        coverage=_flag(fields, "coverage"),
        stop=_flag(fields, "stop_at_first_failure"),
    )


def grade_answer(grade: Grade) -> dict[str, Any]:
    """A grade as JSON-ready data."""
    return {
        "verdict": grade.verdict.value,
        "judged": grade.judged,
        "solved": grade.solved,
        "pass_ratio": grade.pass_ratio,
        "tests_passed": grade.tests_passed,
        "tests_run": grade.tests_run,
        "tests_total": grade.tests_total,
        "executed_lines": sorted(grade.executed_lines),
        "error_type": grade.error_type,
        "error_message": grade.error_message,
        "error_line": grade.error_line,
        "tests": [None if test is None else dataclasses.asdict(test) for test in grade.tests],
    }


def _problem(row: Any, name: Any) -> Problem:
    source = SOURCES.get(name) if isinstance(name, str) else None
    if not isinstance(source, Source):
        rows = [one.name for one in SOURCES.values() if isinstance(one, Source)]
        raise UnknownNameError("source", name, rows)
    try:
        return problem_of(source, row_of(row, 0))
    except ProblemError as error:
        raise ConfigurationError(
            f"problem must be a row of source {source.name!r}: {error}"
        ) from error


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, got {value!r:.80}.")
    return value
