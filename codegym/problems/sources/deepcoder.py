"""DeepCoder's mix (Agentica, 2025): PrimeIntellect, TACO, LiveCodeBench and Codeforces problems.

``data=`` names a parquet file of the data set, or a folder of them: they are called
``primeintellect/train-....parquet``, ``taco/train-...``, ``lcbv5/train-...`` and
``lcbv5/test-...``, ``codeforces/test-...``, and the beginning of a name is the split. A row has
``problem``; ``tests``, which are JSON text of either form that
:mod:`codegym.problems.reading.cases` reads; and perhaps ``starter_code``, ``metadata`` (with the
``func_name`` that functional tests call) and ``solutions``. Ids are made of the content, as rows
have none. What is printed is compared as LiveCodeBench does.

*What confirmed the keys*: the code with which rLLM (``cookbooks/deepcoder``), tinker-cookbook
(``code_rl``) and NeMo-RL (``deepcoder_preview.py``) read them. No real row was read here.
"""

from __future__ import annotations

from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.json_values import from_json
from codegym.problems.reading.preludes import LIVECODEBENCH_PRELUDE
from codegym.problems.source import Row, Source

__all__ = ["DEEPCODER"]


def _parse(row: Row) -> Problem:
    metadata = from_json(row.first("metadata") or "{}", what="'metadata'")
    metadata = metadata if isinstance(metadata, dict) else {}
    starter = row.optional_text("starter_code")
    solutions = _solutions(row)
    judged = read_cases(
        row.first("tests"),
        name=metadata.get("func_name") or None,
        starter=starter,
        solution=solutions[0] if solutions else "",
        prelude=LIVECODEBENCH_PRELUDE,
    )
    return Problem(
        id=row.content_id("problem", "tests"),
        description=row.text("problem"),
        canonical_solution=solutions[0] if solutions else "",
        tests=judged.tests,
        starter_code=starter,
        entry_point=judged.entry_point,
        prelude=judged.prelude,
        comparison=judged.comparison,
        metadata={"solutions": solutions, "split": row.split, **metadata},
    )


def _solutions(row: Row) -> tuple[str, ...]:
    listed = from_json(row.first("solutions") or "[]", what="'solutions'")
    found = listed if isinstance(listed, list) else ()
    return tuple(one for one in found if isinstance(one, str) and one.strip())


DEEPCODER = Source(
    name="deepcoder",
    expected="DeepCoder rows: 'problem' and 'tests'",
    splits=("train", "test"),
    parse=_parse,
    packages=("numpy",),
    id_fields=(),
)
