"""KodCode (Xu et al., 2025): tasks with a solution and tests in the way of pytest.

``data=`` names a file of the data set (KodCode-V1, KodCode-Light-RL-10K and those made of them), or
a folder of them. A row has ``question``, ``solution``, ``test`` or ``test_code`` (a pytest file
that begins ``from solution import name``), ``test_info`` (a list of ``{"function_name",
"function_declaration", ...}``) and perhaps ``question_id``, ``gpt_difficulty``, ``style`` and
``subset``. The tests are run whole, as the file is: see "Test code" in the page on execution. Rows
whose tests call several functions of the program are skipped, as those that
:func:`codegym.problems.read_asserts` refuses.

The data set has no split for evaluation; ours are by the SHA-256 of the question: about half
``train``, a quarter each ``validation`` and ``test``.

*What confirmed the keys*: KodCode's own scripts and several public projects that train on it. No
real row was read here.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.asserts import read_asserts
from codegym.problems.reading.json_values import from_json
from codegym.problems.reading.python_code import parse_python
from codegym.problems.source import Row, Source, hash_split

__all__ = ["KODCODE"]

_ID = ("question_id",)
_TESTS = ("test", "test_code")
_LEVEL = "gpt_difficulty"
_MODULE = "solution"


def _parse(row: Row) -> Problem:
    code = row.text(*_TESTS)
    declared = _declared(row)
    entry_point = _called(code, declared)
    declaration = declared.get(entry_point, "")
    question = row.text("question")
    if declaration and declaration not in question:
        question = f"{question.rstrip()}\n\nIts declaration:\n{declaration}"
    return Problem(
        id=row.identifier(*_ID) or row.content_id("question", *_TESTS),
        description=question,
        canonical_solution=row.optional_text("solution"),
        tests=read_asserts([code], entry_point=entry_point),
        entry_point=entry_point,
        difficulty=row.difficulty(_LEVEL),
        comparison="exact",
        metadata=row.rest("question", "solution", "test_info", _LEVEL, *_ID, *_TESTS),
    )


def _declared(row: Row) -> dict[str, str]:
    """The functions that ``test_info`` names, each with its declaration."""
    listed = from_json(row.first("test_info") or "[]", what="'test_info'")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ProblemError(f"'test_info' must be a list of objects, got {listed!r:.60}")
    found = {}
    for one in listed:
        name, declaration = one.get("function_name"), one.get("function_declaration")
        if isinstance(name, str) and name.isidentifier():
            found[name] = declaration.strip() if isinstance(declaration, str) else ""
    return found


def _called(code: str, declared: Mapping[str, str]) -> str:
    """The one function of the program that the tests call."""
    imported, used = set[str](), set[str]()
    for node in ast.walk(parse_python(code, what="the test code")):
        match node:
            case ast.ImportFrom(module=module, names=names) if module == _MODULE:
                imported |= {alias.name for alias in names}
            case ast.Name(id=name) | ast.Attribute(attr=name):
                used.add(name)
    found = imported - {"*"} or used & set(declared)
    if len(found) > 1:
        raise ProblemError(f"its tests call several functions of the program: {sorted(found)}")
    if not found:
        raise ProblemError("nothing tells which function its tests call")
    return found.pop()


def _row_splits(row: Row) -> tuple[str, ...]:
    return (hash_split(row.optional_text("question")),)


KODCODE = Source(
    name="kodcode",
    expected="KodCode rows: 'question', 'solution', 'test' and 'test_info'",
    splits=("train", "validation", "test"),
    parse=_parse,
    packages=("numpy",),
    id_fields=_ID,
    row_splits=_row_splits,
)
