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

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.annotated import mentions_node
from codegym.problems.input_output import are_texts, as_cases, call_tests, stdin_tests
from codegym.problems.preludes import APPS_PRELUDE, NODE_CLASSES
from codegym.problems.problem import CallTest, Problem, StdinTest
from codegym.problems.row import Row, from_json
from codegym.problems.signature import Signature, find_signature, read_signatures
from codegym.problems.source import RemoteFile, Source, hash_split

__all__ = ["APPS_PLUS", "judged_tests"]

_QUESTION = ("question", "problem", "description", "prompt")
_NAME = ("fn_name", "function_name", "entry_point")
_LEVEL = ("difficulty", "level")
_ID = ("id", "problem_id", "task_id")
_READS = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\s*\(\s*0")
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
    tests, entry_point, prelude = judged_tests(
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
        source="apps_plus",
        prelude=prelude,
        comparison="apps",
        metadata={**row.rest(*_USED), "solutions": solutions},
    )


def _either(first: Any, second: Any) -> Any:
    return second if first is None else first


def judged_tests(
    *, inputs: Any, outputs: Any, name: str | None, starter: str, solution: str
) -> tuple[tuple[StdinTest, ...] | tuple[CallTest, ...], str | None, str]:
    """Tests, entry point and prelude of a row of APPS or APPS+.

    Args:
        inputs: The row's inputs.
        outputs: The row's outputs.
        name: The function that is called, or None.
        starter: The starter code, may be empty.
        solution: A solution, may be empty; it tells what the starter code leaves open.

    Raises:
        ProblemError: If the row's meaning is not certain.
    """
    ins, outs = as_cases(inputs, outputs)
    in_starter = find_signature(name or None, starter)
    in_solution = find_signature(name or None, solution) if name or not are_texts(ins) else None
    signatures = [s for s in (in_starter, in_solution) if s is not None]
    if are_texts(ins) and _reads_stdin(ins, name, starter, solution, signatures):
        entry = _script_function(name, starter, solution)
        return stdin_tests(ins, outs), entry, APPS_PRELUDE
    if not name and not signatures:
        raise ProblemError(
            "no function name, no starter code that tells one, and inputs that are no texts"
        )
    if not signatures and any(isinstance(i, str) for i in ins):
        raise ProblemError(
            f"the inputs are texts and the function {name!r} is neither in the starter code nor in "
            "the solution: standard input or arguments is not said"
        )
    tests = call_tests(ins, outs, signatures)
    nodes = any(_has_nodes(s) for s in signatures)
    prelude = APPS_PRELUDE + (NODE_CLASSES if nodes else "")
    return tests, signatures[0].entry_point if signatures else name, prelude


def _reads_stdin(
    inputs: Sequence[Any],
    name: str | None,
    starter: str,
    solution: str,
    signatures: Sequence[Signature],
) -> bool:
    """Whether texts are standard input: nothing takes arguments, or the solution reads."""
    if not signatures:
        return not name and (not starter.strip() or bool(_READS.search(solution)))
    takes_none = not signatures[0].parameters and not signatures[0].variadic
    listed = any(isinstance(i, list) for i in inputs)  # of arguments, if anything takes some
    return takes_none or (not listed and bool(_READS.search(solution)))


def _script_function(name: str | None, starter: str, solution: str) -> str | None:
    """The function that a program may leave to be called after it was run."""
    for code in (starter, solution) if starter.strip() else ():
        free = [
            s
            for s in read_signatures(code)
            if not s.required and s.owner is None and s.name == (name or s.name)
        ]
        if len(free) == 1:
            return free[0].name
    return None


def _has_nodes(signature: Signature) -> bool:
    kinds = [signature.returns, *(p.annotation for p in signature.parameters)]
    return any(mentions_node(kind) for kind in kinds)


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


def _parse_sample(row: Row) -> Problem:
    return dataclasses.replace(_parse(row), source=_SAMPLE.name)


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
    parse=_parse_sample,
    packages=_PACKAGES,
    id_fields=_ID,
    row_splits=_fixed_splits,
    packaged=Path(__file__).with_name("apps_plus_sample.json"),
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
