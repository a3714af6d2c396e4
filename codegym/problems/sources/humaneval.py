"""HumanEval (Chen et al., 2021): complete a function from its signature and docstring.

The starter code is the prompt, and the canonical solution begins with it. ``check(candidate)`` is
run whole, as the benchmark's own judge does.
"""

from __future__ import annotations

import ast

from codegym.errors import ProblemError
from codegym.problems.problem import Problem
from codegym.problems.reading.asserts import read_check
from codegym.problems.reading.python_code import parse_python
from codegym.problems.source import RemoteFile, Row, Source

__all__ = ["HUMANEVAL"]

_ID = ("task_id",)


def _parse(row: Row) -> Problem:
    prompt, entry_point = row.text("prompt"), row.text("entry_point")
    return Problem(
        id=row.identifier(*_ID) or f"row-{row.index}",
        description=_docstring(prompt, entry_point),
        canonical_solution=prompt + row.text("canonical_solution"),
        tests=read_check(
            row.text("test"), entry_point=entry_point, support=_support(prompt, entry_point)
        ),
        starter_code=prompt,
        entry_point=entry_point,
        comparison="exact",
    )


def _tree(prompt: str) -> ast.Module:
    return parse_python(prompt + "\n    pass\n", what="'prompt' with a body")


def _docstring(prompt: str, entry_point: str) -> str:
    for node in _tree(prompt).body:
        if isinstance(node, ast.FunctionDef) and node.name == entry_point:
            return ast.get_docstring(node) or prompt
    raise ProblemError(f"'prompt' does not define the entry point {entry_point!r}")


def _support(prompt: str, entry_point: str) -> str:
    """What the prompt brings besides the function itself: imports, and helpers of the tests."""
    others = [n for n in _tree(prompt).body if getattr(n, "name", None) != entry_point]
    return "\n".join(ast.unparse(node) for node in others)


HUMANEVAL = Source(
    name="humaneval",
    expected="HumanEval rows: JSON lines with 'task_id', 'prompt', 'canonical_solution', 'test' "
    "and 'entry_point'",
    splits=("test",),
    parse=_parse,
    packages=("numpy",),  # of the harness's own requirements
    id_fields=_ID,
    files=(
        RemoteFile(
            "HumanEval.jsonl.gz",
            "https://raw.githubusercontent.com/openai/human-eval/master/data/HumanEval.jsonl.gz",
            ("test",),
        ),
    ),
)
