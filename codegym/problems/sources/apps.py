"""APPS (Hendrycks et al., 2021) in the row format of the hub: JSON inside of strings.

Empty ``starter_code`` means that a program reads standard input; call style has ``fn_name`` in
``input_output``. All reference solutions are in ``metadata["solutions"]``; the first is the
canonical one (of the training split, about one in ten does not pass its own tests).
"""

from __future__ import annotations

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.apps_tests import read_apps_tests
from codegym.problems.reading.json_values import from_json
from codegym.problems.source import RemoteFile, Row, Source

__all__ = ["APPS"]

_HUB = "https://huggingface.co/datasets/codeparrot/apps/resolve/main"
_ID = ("problem_id", "id")


def _parse(row: Row) -> Problem:
    cases = from_json(row.first("input_output") or None, what="'input_output'")
    if not isinstance(cases, dict):
        raise ProblemError("it has no tests: 'input_output' is empty")
    listed = from_json(row.first("solutions") or "[]", what="'solutions'")
    solutions = tuple(s for s in listed if isinstance(s, str)) if isinstance(listed, list) else ()
    starter = row.optional_text("starter_code")
    name = cases.get("fn_name")
    if name is not None and not isinstance(name, str):
        raise ProblemError(f"'fn_name' must be text, got {name!r:.60}")
    tests, entry_point, prelude = read_apps_tests(
        inputs=cases.get("inputs"),
        outputs=cases.get("outputs"),
        name=name,
        starter=starter if name else "",
        solution=solutions[0] if solutions else "",
    )
    number = row.identifier(*_ID) or f"row-{row.index}"
    return Problem(
        id=f"{row.split}/{number}" if row.split else number,
        description=row.text("question"),
        canonical_solution=solutions[0] if solutions else "",
        tests=tests,
        starter_code=starter,
        entry_point=entry_point,
        difficulty=row.difficulty("difficulty"),
        prelude=prelude,
        comparison="apps",
        metadata={"solutions": solutions, "url": row.first("url"), "split": row.split},
    )


APPS = Source(
    name="apps",
    expected="APPS rows as on the hub: JSON lines with 'question', 'solutions' and 'input_output'",
    splits=("train", "test"),
    parse=_parse,
    packages=("numpy", "sortedcontainers"),
    id_fields=_ID,
    files=tuple(
        RemoteFile(
            f"apps/{split}.jsonl",
            f"{_HUB}/{split}.jsonl",
            (split,),
            aliases=(f"apps_{split}.jsonl",),
        )
        for split in ("train", "test")
    ),
)
