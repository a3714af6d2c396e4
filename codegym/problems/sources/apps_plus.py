"""APPS+ (StepCoder): APPS, cleaned, each with one solution and about three tests.

Two kinds of rows. *Call style*: ``inputs`` are lists of arguments. *Standard input*: the starter
code is a function without parameters that reads and prints, and inputs and outputs are texts.

The data set has no official split. Ours is by content: the SHA-256 of the question puts a row in
``train`` (about half), ``validation`` or ``test`` (about a quarter each, as the paper has it).

*The sample.* Sixty problems of codegym's own in the same row format ship with the package:
``data="sample"``. They are not APPS+, and say so: their source is ``"apps_plus_sample"``. Each row
names its split (half ``train``, a quarter ``validation`` and ``test``, of each level).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.apps_tests import read_apps_tests
from codegym.problems.reading.json_values import from_json
from codegym.problems.source import RemoteFile, Row, Source, hash_split

__all__ = ["APPS_PLUS"]

_QUESTION = ("question", "problem", "description", "prompt")
_NAME = ("fn_name", "function_name", "entry_point")
_LEVEL = ("difficulty", "level")
_ID = ("id", "problem_id", "task_id")
_SOLUTION = ("canonical_solution", "solution")
_USED = (
    *_QUESTION,
    *_NAME,
    *_LEVEL,
    *_ID,
    *_SOLUTION,
    "starter_code",
    "inputs",
    "outputs",
    "solutions",
    "input_output",
)


def _parse(row: Row) -> Problem:
    starter = row.optional_text("starter_code")
    solutions = _solutions(row)
    nested = from_json(row.first("input_output"), what="'input_output'")
    fields = nested if isinstance(nested, dict) else {}
    name = row.optional_text(*_NAME) or fields.get("fn_name")
    tests, entry_point, prelude = read_apps_tests(
        inputs=_either(row.first("inputs", "input"), fields.get("inputs")),
        outputs=_either(row.first("outputs", "output"), fields.get("outputs")),
        name=name,
        starter=starter,
        solution=solutions[0],
    )
    return Problem(
        id=row.identifier(*_ID) or f"row-{row.index}",
        description=row.text(*_QUESTION),
        canonical_solution=solutions[0],
        tests=tests,
        starter_code=starter,
        entry_point=entry_point,
        difficulty=row.difficulty(*_LEVEL),
        prelude=prelude,
        comparison="apps",
        metadata={**row.rest(*_USED), "solutions": solutions},
    )


def _either(first: Any, second: Any) -> Any:
    return second if first is None else first


def _solutions(row: Row) -> tuple[str, ...]:
    """All solutions; the canonical one first."""
    canonical = row.optional_text(*_SOLUTION)
    others = from_json(row.first("solutions"), what="'solutions'") if not canonical else None
    found = (canonical, *(others if isinstance(others, list) else ()))
    texts = tuple(s for s in found if isinstance(s, str) and s.strip())
    if not texts:
        raise ProblemError(
            f"needs a solution in 'canonical_solution'; the row has {sorted(row.values)}"
        )
    return texts


def _row_splits(row: Row) -> tuple[str, ...]:
    return (hash_split(row.optional_text(*_QUESTION)),)


def _fixed_splits(row: Row) -> tuple[str, ...]:
    return (row.text("split"),)


_EXPECTED = (
    "APPS+ rows: a JSON list of objects with 'starter_code', 'inputs', 'outputs' and "
    "'canonical_solution'"
)
_SPLITS = ("train", "validation", "test")
_PACKAGES = ("numpy", "sortedcontainers")
_SAMPLE = Source(
    name="apps_plus_sample",
    expected=_EXPECTED,
    splits=_SPLITS,
    parse=_parse,
    packages=_PACKAGES,
    id_fields=_ID,
    row_splits=_fixed_splits,
    packaged=Path(__file__).with_name("apps_plus_sample.json"),
    disclaimer="THIS IS NOT APPS+. These are sixty problems of codegym's own in the format of "
    "APPS+, and no result on them is one on APPS+.",
)
APPS_PLUS = Source(
    name="apps_plus",
    expected=_EXPECTED,
    splits=_SPLITS,
    parse=_parse,
    packages=_PACKAGES,
    id_fields=_ID,
    files=(
        RemoteFile(
            "apps_plus.json",
            "https://raw.githubusercontent.com/Ablustrund/APPS_Plus/main/data/v1/data.json",
            _SPLITS,
            aliases=("APPS_Plus/data/v1/data.json", "data/v1/data.json"),
        ),
    ),
    row_splits=_row_splits,
    sample=_SAMPLE,
)
