"""MBPP sanitized (Austin et al., 2021): short functions with three asserts each.

The starter code is the ``def`` line of the reference solution, because the task does not name the
function. Splits follow the official task ids: prompt 1-10, test 11-510, validation 511-600,
train 601-974.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.asserts import read_asserts
from codegym.problems.reading.python_code import parse_python
from codegym.problems.reading.signature import Signature, read_signatures
from codegym.problems.source import RemoteFile, Row, Source

__all__ = ["MBPP"]

_ID = ("task_id",)
_FIRST_IDS = (("prompt", 1), ("test", 11), ("validation", 511), ("train", 601))


def _parse(row: Row) -> Problem:
    code, asserts = row.text("code").replace("\r\n", "\n"), _lines(row, "test_list")
    imports = "\n".join(_lines(row, "test_imports"))
    setup = "\n".join(part for part in (imports, row.optional_text("test_setup_code")) if part)
    entry = _entry_point(code, asserts)
    number = row.identifier(*_ID)
    return Problem(
        id=f"MBPP/{number}" if number else f"row-{row.index}",
        description=row.text("prompt", "text"),
        canonical_solution=code,
        tests=read_asserts(asserts, entry_point=entry.name, prelude=setup, support=_imports(code)),
        starter_code="\n".join(code.split("\n")[entry.line - 1 : entry.body_line - 1]) + "\n"
        if entry.body_line > entry.line
        else "",
        entry_point=entry.name,
        prelude=setup + "\n" if setup else "",
        comparison="exact",
        metadata={"test_list": tuple(asserts), "source_file": row.first("source_file")},
    )


def _lines(row: Row, name: str) -> list[str]:
    value = row.first(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise ProblemError(f"{name!r} must be a list of lines of code, got {value!r:.60}")
    return value


def _entry_point(code: str, asserts: Sequence[str]) -> Signature:
    """The function of the code that the asserts call."""
    functions = {s.name: s for s in read_signatures(code) if s.owner is None}
    for text in asserts:
        for node in ast.walk(parse_python(text, what="'test_list'")):
            if isinstance(node, ast.Name) and node.id in functions:
                return functions[node.id]
    raise ProblemError(f"the tests call none of the functions of the code: {sorted(functions)}")


def _imports(code: str) -> str:
    """Top-level imports of the code, which the asserts may use as well."""
    body = parse_python(code, what="'code'").body
    return "\n".join(ast.unparse(n) for n in body if isinstance(n, ast.Import | ast.ImportFrom))


def _row_splits(row: Row) -> tuple[str, ...]:
    number = row.first(*_ID)
    if not isinstance(number, int):
        return ()
    return tuple(name for name, first in _FIRST_IDS if first <= number)[-1:]


MBPP = Source(
    name="mbpp",
    expected="sanitized MBPP rows: a JSON list of objects with 'task_id', 'prompt', 'code' and "
    "'test_list'",
    splits=("train", "validation", "test", "prompt"),
    parse=_parse,
    packages=("numpy",),  # as evalplus has, whose MBPP+ this set became
    id_fields=_ID,
    files=(
        RemoteFile(
            "sanitized-mbpp.json",
            "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/"
            "sanitized-mbpp.json",
            ("train", "validation", "test", "prompt"),
        ),
    ),
    row_splits=_row_splits,
)
