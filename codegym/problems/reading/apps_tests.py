"""The tests of a row of APPS or APPS+, which both leave open how they are to be run.

A row does not say whether its inputs are standard input or arguments: the starter code and the
solution tell. A row where they do not is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from codegym.errors import ProblemError
from codegym.problems.problem import CallTest, StdinTest
from codegym.problems.reading.annotated import mentions_node
from codegym.problems.reading.input_output import are_texts, as_cases, call_tests, stdin_tests
from codegym.problems.reading.preludes import APPS_PRELUDE, NODE_CLASSES
from codegym.problems.reading.signature import Signature, find_signature, read_signatures

__all__ = ["AppsTests", "read_apps_tests"]

_READS = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\s*\(\s*0")


class AppsTests(NamedTuple):
    """How a row is judged: its tests, what they call, and what is run before a program."""

    tests: tuple[StdinTest, ...] | tuple[CallTest, ...]
    entry_point: str | None
    prelude: str


def read_apps_tests(
    *, inputs: Any, outputs: Any, name: str | None, starter: str, solution: str
) -> AppsTests:
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
        return AppsTests(stdin_tests(ins, outs), entry, APPS_PRELUDE)
    if not name and not signatures:
        raise ProblemError(
            "no function name, no starter code that tells one, and inputs that are not texts"
        )
    if not signatures and any(isinstance(i, str) for i in ins):
        raise ProblemError(
            f"the inputs are texts and the function {name!r} is neither in the starter code nor in "
            "the solution: standard input or arguments is not said"
        )
    tests = call_tests(ins, outs, signatures)
    nodes = any(_has_nodes(s) for s in signatures)
    prelude = APPS_PRELUDE + (NODE_CLASSES if nodes else "")
    return AppsTests(tests, signatures[0].entry_point if signatures else name, prelude)


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
