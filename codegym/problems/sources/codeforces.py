"""Codeforces problems of open-r1, with the official tests (its configuration ``verifiable``).

The files are the parquet files of the folder ``verifiable``, with the official splits ``train`` and
``test``. A row has ``id``, ``title``, ``description``, ``input_format``, ``output_format``,
``note`` and ``examples``, of which the task is put together, and ``official_tests``, a list of
``{"input", "output"}``. ``rating`` is the difficulty; limits, tags and the rest are in the
metadata.

Where several answers are right, ``generated_checker`` is the problem's checker, a script.

These rows are skipped, with the reason: interactive ones (``interaction_format``), those that read
or write files (``input_mode``), those that cannot be executed (``executable``), and those whose
official tests are not complete (``official_tests_complete``: long tests are left out there, and the
generated ones that stand in are in other files).

*What confirmed the keys*: the code of open-r1 (``cf_scoring.py``) and of several public projects
that select rows by these keys, and a project's list of the files. No real row was read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.checker import Checker
from codegym.problems.problem import Problem
from codegym.problems.reading.cases import read_cases
from codegym.problems.source import RemoteFile, Row, Source

__all__ = ["CODEFORCES"]

_HUB = "https://huggingface.co/datasets/open-r1/codeforces/resolve/main"
_ID = ("id",)
_SHARDS = {"train": 10, "test": 1}
_USED = ("id", "official_tests", "description", "input_format", "output_format", "editorial")


def _parse(row: Row) -> Problem:
    for reason in _refusals(row):
        raise ProblemError(reason)
    checker = row.optional_text("generated_checker").strip()
    judged = read_cases(row.first("official_tests"), printed="apps", what="'official_tests'")
    return Problem(
        id=row.text("id"),
        description="\n\n".join(_parts(row)),
        canonical_solution="",
        tests=judged.tests,
        difficulty=row.difficulty("rating"),
        comparison=judged.comparison,
        checker=Checker(checker, form="script") if checker else None,
        metadata={**row.rest(*_USED), "split": row.split},
    )


def _refusals(row: Row) -> Iterator[str]:
    """Why a program cannot be judged here by what the row holds."""
    if row.first("interaction_format"):
        yield "it is interactive: the program would talk with another one"
    if row.first("input_mode") not in (None, "stdio"):
        yield f"programs are to use files: 'input_mode' is {row.first('input_mode')!r:.40}"
    if row.first("executable") is False:
        yield "it cannot be executed, as 'executable' says"
    if row.first("official_tests_complete") is False:
        yield "its official tests are not complete, as 'official_tests_complete' says"


def _parts(row: Row) -> Iterator[str]:
    """The task as the site shows it."""
    title = row.optional_text("title").strip()
    if title:
        yield title
    yield row.text("description").strip()
    for heading, field in (("Input", "input_format"), ("Output", "output_format")):
        text = row.optional_text(field).strip()
        if text:
            yield f"{heading}\n{text}"
    for example in row.first("examples") or ():
        yield f"Example input\n{_shown(example, 'input')}"
        yield f"Example output\n{_shown(example, 'output')}"
    note = row.optional_text("note").strip()
    if note:
        yield f"Note\n{note}"


def _shown(example: Any, side: str) -> str:
    if not isinstance(example, dict) or not isinstance(example.get(side), str):
        raise ProblemError(f"an example must have 'input' and 'output', got {example!r:.60}")
    return str(example[side]).strip()


def _files() -> Iterator[RemoteFile]:
    for split, count in _SHARDS.items():
        for number in range(count):
            name = f"verifiable/{split}-{number:05}-of-{count:05}.parquet"
            yield RemoteFile(f"codeforces/{name}", f"{_HUB}/{name}", (split,), aliases=(name,))


CODEFORCES = Source(
    name="codeforces",
    expected="rows of open-r1's codeforces, 'verifiable': 'id', 'description', 'official_tests'",
    splits=("train", "test"),
    parse=_parse,
    id_fields=_ID,
    files=tuple(_files()),
)
