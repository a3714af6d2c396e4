"""LeetCodeDataset (newfacade): LeetCode problems with a solution and tests that are asserts.

``prompt`` (imports and node classes) is the problem's prelude; ``completion`` is the canonical
solution. ``check(candidate)`` is run whole: answers are compared as its asserts do.
"""

from __future__ import annotations

from codegym.problems.problem import Problem
from codegym.problems.reading.asserts import read_check
from codegym.problems.source import RemoteFile, Row, Source

__all__ = ["LEETCODE"]

_HUB = "https://huggingface.co/datasets/newfacade/LeetCodeDataset/resolve/main"
_ID = ("task_id",)
_TYPOS = {"meidum": "medium"}  # one row of the test split of v0.2.0


def _parse(row: Row) -> Problem:
    meta = row.first("meta")
    extra = Row(row.index, meta if isinstance(meta, dict) else {})
    prelude = row.optional_text("prompt")
    entry_point = row.text("entry_point")
    tests = read_check(row.text("test"), entry_point=entry_point, prelude=prelude)
    starter = row.optional_text("starter_code") or extra.optional_text("lang_code")
    description = (
        row.optional_text("problem_description")
        or extra.optional_text("question_title")
        or row.text("query")
    )
    level = (row if row.first("difficulty") else extra).difficulty("difficulty")
    return Problem(
        id=row.identifier(*_ID) or f"row-{row.index}",
        description=description,
        canonical_solution=row.text("completion"),
        tests=tests,
        starter_code=starter.rstrip() + "\n" if starter else "",
        entry_point=entry_point,
        difficulty=_TYPOS.get(level, level),
        prelude=prelude,
        comparison="exact",
        metadata={
            "question_id": row.first("question_id") or extra.first("question_id"),
            "tags": row.first("tags"),
            "query": row.first("query"),
        },
    )


LEETCODE = Source(
    name="leetcode",
    expected="LeetCodeDataset rows: JSON lines with 'prompt', 'completion', 'entry_point', 'test'",
    splits=("train", "test"),
    parse=_parse,
    packages=("numpy", "sortedcontainers"),
    id_fields=_ID,
    files=tuple(
        RemoteFile(
            f"LeetCodeDataset-v0.2.0-{split}.jsonl",
            f"{_HUB}/LeetCodeDataset-v0.2.0-{split}.jsonl",
            (split,),
        )
        for split in ("train", "test")
    ),
)
