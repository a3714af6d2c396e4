"""INTELLECT-3-RL, its code part (Prime Intellect, 2025).

``data=`` names a file of the subset ``code``, or a folder of them. A row has ``question`` and
``info``, which is JSON text of an object with ``source`` and ``tests``; these are JSON text in
turn: ``{"inputs": [...], "outputs": [...], "fn_name": ...}``. There are no reference solutions.
Rates of success of other models, as ``avg@8_qwen3_4b_instruct_2507``, are kept in the metadata.

The data set has one split; ours are by the SHA-256 of the question: about half ``train``, a quarter
each ``validation`` and ``test``. Ids are made of the content.

*What confirmed the keys*: the environment ``i3_code`` of Prime Intellect, which trains on them. No
real row was read here.
"""

from __future__ import annotations

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.json_values import from_json
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.source import Row, Source, hash_split

__all__ = ["INTELLECT3"]


def _parse(row: Row) -> Problem:
    info = from_json(row.first("info"), what="'info'")
    if not isinstance(info, dict):
        raise ProblemError(f"'info' must be an object or JSON text of one, got {info!r:.60}")
    judged = read_cases(info.get("tests"), prelude=LIVECODEBENCH_PRELUDE, what="'tests' of 'info'")
    return Problem(
        id=row.content_id("question", "info"),
        description=row.text("question"),
        canonical_solution="",
        tests=judged.tests,
        entry_point=judged.entry_point,
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata={**row.rest("question", "info"), "source": info.get("source")},
    )


def _row_splits(row: Row) -> tuple[str, ...]:
    return (hash_split(row.optional_text("question")),)


INTELLECT3 = Source(
    name="intellect3",
    expected="INTELLECT-3-RL rows of its subset 'code': 'question' and 'info'",
    splits=("train", "validation", "test"),
    parse=_parse,
    packages=("numpy",),
    id_fields=(),
    row_splits=_row_splits,
)
