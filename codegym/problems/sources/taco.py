"""TACO (Li et al., 2023): problems of programming contests, in the row format of APPS.

``data=`` names a file, or a folder of them; the beginning of a file's name is its split, ``train``
or ``test``. A row has ``question``; ``input_output``, JSON text of ``{"inputs": [...], "outputs":
[...], "fn_name": ...}``; and perhaps ``solutions`` (JSON text of a list; the first is the canonical
one), ``starter_code``, ``difficulty``, ``tags``, ``source``, ``url``, ``time_limit`` and
``memory_limit``, which the metadata keeps. The hub has Arrow files:
``dataset.to_parquet("train.parquet")`` of the package ``datasets`` writes what is read here.
Answers are compared as APPS does, from whose judge TACO's comes.

Ids are made of the content. *What confirmed the keys*: TACO's own judge and code that brings it
into verl's format. No real row was read here.
"""

from __future__ import annotations

from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.json_values import from_json
from codegym.problems.reading.preludes import APPS_PRELUDE
from codegym.problems.source import Row, Source

__all__ = ["TACO"]

_USED = ("question", "input_output", "solutions", "starter_code", "difficulty")


def _parse(row: Row) -> Problem:
    listed = from_json(row.first("solutions") or "[]", what="'solutions'")
    solutions = tuple(s for s in listed if isinstance(s, str)) if isinstance(listed, list) else ()
    starter = row.optional_text("starter_code")
    judged = read_cases(
        row.first("input_output"),
        starter=starter,
        solution=solutions[0] if solutions else "",
        prelude=APPS_PRELUDE,
        printed="apps",
        what="'input_output'",
    )
    return Problem(
        id=row.content_id("question", "input_output"),
        description=row.text("question"),
        canonical_solution=solutions[0] if solutions else "",
        tests=judged.tests,
        starter_code=starter,
        entry_point=judged.entry_point,
        difficulty=row.difficulty("difficulty"),
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata={**row.rest(*_USED), "solutions": solutions, "split": row.split},
    )


TACO = Source(
    name="taco",
    expected="TACO rows: 'question' and 'input_output'",
    splits=("train", "test"),
    parse=_parse,
    packages=("numpy", "sortedcontainers"),
    id_fields=(),
)
