"""CodeContests (Li et al., 2022; AlphaCode), as the hub has it.

``data=`` names a parquet file, or a folder of them; the beginning of a file's name is its split,
``train``, ``valid`` or ``test``. A row has ``name``, ``description`` and the tests
``public_tests``, ``private_tests`` and ``generated_tests``, each ``{"input": [...], "output":
[...]}``; a program is judged by all of them, in this order. ``solutions`` is ``{"language": [...],
"solution": [...]}``: those in Python 3 (language 3) are kept, and the first is the canonical one. A
row that names an input or an output file is skipped, as programs read standard input. Limits,
ratings and tags are in the metadata.

Tests say one right answer. Where a task accepts several, correct programs may be refused: the data
set has no checkers.

*What confirmed the keys*: code of more than a dozen public projects that reads
``deepmind/code_contests``. No real row was read here.
"""

from __future__ import annotations

from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.input_output import as_cases
from codegym.problems.source import Row, Source

__all__ = ["CODECONTESTS"]

_TESTS = ("public_tests", "private_tests", "generated_tests")
_PYTHON3 = 3
_DIFFICULTIES = ("unknown", "easy", "medium", "hard", "harder", "hardest", "external")
_LAST_DIFFICULTY = 28  # the letter V
_SOLUTIONS = ("solutions", "incorrect_solutions")


def _parse(row: Row) -> Problem:
    for name in ("input_file", "output_file"):
        if row.optional_text(name).strip():
            raise ProblemError(f"a program is to use the file {row.first(name)!r:.60}")
    inputs: list[Any] = []
    outputs: list[Any] = []
    public = 0
    for field in _TESTS:
        some = row.first(field) or {}
        if not isinstance(some, dict):
            raise ProblemError(f"{field!r} must have 'input' and 'output', got {some!r:.60}")
        if some.get("input") or some.get("output"):
            ins, outs = as_cases(some.get("input"), some.get("output"))
            inputs, outputs = inputs + ins, outputs + outs
        public = public or len(inputs)
    judged = read_cases({"inputs": inputs, "outputs": outputs}, printed="apps", what="the tests")
    solutions = _solutions(row.first("solutions"))
    return Problem(
        id=row.text("name"),
        description=row.text("description"),
        canonical_solution=solutions[0] if solutions else "",
        tests=judged.tests,
        difficulty=_difficulty(row.first("difficulty")),
        comparison=judged.comparison,
        metadata={
            **row.rest("name", "description", "difficulty", *_TESTS, *_SOLUTIONS),
            "solutions": solutions,
            "public_tests": public,
            "split": row.split,
        },
    )


def _solutions(value: Any) -> tuple[str, ...]:
    if not isinstance(value, dict):
        return ()
    languages, texts = value.get("language") or (), value.get("solution") or ()
    return tuple(
        text for language, text in zip(languages, texts, strict=False) if language == _PYTHON3
    )


def _difficulty(value: Any) -> str:
    """The name of a difficulty, which is a number from 0 to 28; from 7, a letter of Codeforces."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LAST_DIFFICULTY:
        return "unknown"
    if value < len(_DIFFICULTIES):
        return _DIFFICULTIES[value]
    return chr(ord("a") + value - len(_DIFFICULTIES))


CODECONTESTS = Source(
    name="codecontests",
    expected="CodeContests rows: 'name', 'description', 'public_tests', 'private_tests' and "
    "'generated_tests'",
    splits=("train", "valid", "test"),
    parse=_parse,
    packages=("numpy",),
    id_fields=("name",),
)
