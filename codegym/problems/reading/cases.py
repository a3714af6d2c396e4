"""Tests in the forms that most sets for reinforcement learning of code share.

Either ``{"inputs": [...], "outputs": [...], "fn_name": ...}`` or a list of ``{"input": ...,
"output": ..., "testtype" or "type": ..., "fn_name": ...}``, as an object, as JSON text of one, or
as the text that Python's ``repr`` gives; perhaps under ``"test_cases"``.

One rule for all of them. A row calls a function if its tests say so (``"functional"``,
``"function_call"``), or if they say nothing and name a function; else it reads standard input.
Inputs that are lists are arguments, as APPS' judge takes them. Inputs that are texts are JSON, an
argument a line, as LiveCodeBench's judge and the many that come from it take them. What is neither
is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from codegym.errors import ProblemError
from codegym.problems.problem import Comparison, UnitTest
from codegym.problems.reading.annotated import mentions_node
from codegym.problems.reading.input_output import (
    as_cases,
    call_tests,
    json_call_tests,
    stdin_tests,
)
from codegym.problems.reading.json_values import from_json, parse_json
from codegym.problems.reading.preludes import NODE_CLASSES
from codegym.problems.reading.signature import Signature, find_signature

__all__ = ["Cases", "read_cases"]

Kind = Literal["stdin", "call"]

_KINDS: dict[object, Kind] = {
    "stdin": "stdin",
    "stdin_stdout": "stdin",
    "functional": "call",
    "function_call": "call",
}
_TEXTS_IN_TEXTS = 3  # JSON text of JSON text, as often as hubs do it


class Cases(NamedTuple):
    """How a row is judged.

    Attributes:
        tests: At least one.
        entry_point: What they call; None if they are run as scripts.
        prelude: What is run before a program.
        comparison: How answers are compared.
    """

    tests: tuple[UnitTest, ...]
    entry_point: str | None
    prelude: str
    comparison: Comparison


class _Listed(NamedTuple):
    inputs: list[Any]
    outputs: list[Any]
    kinds: set[object]
    names: set[str]


def read_cases(
    value: Any,
    *,
    name: str | None = None,
    starter: str = "",
    solution: str = "",
    prelude: str = "",
    printed: Comparison = "livecodebench",
    texts: Literal["lines", "list"] = "lines",
    what: str = "'tests'",
) -> Cases:
    """The tests of a row, and what they call.

    Args:
        value: The tests in one of the forms of this module's docstring.
        name: The function that is called, where the row says it beside its tests.
        starter: The starter code, may be empty; it tells the types of arguments.
        solution: A solution, may be empty; it tells what the starter code leaves open.
        prelude: What the data set's judge runs before a program.
        printed: How that judge compares what is printed.
        texts: What an input is that is text, where a function is called: ``"lines"``, an argument
            a line, or ``"list"``, the list of all arguments. Either is JSON.
        what: The name of the field, for messages.

    Raises:
        ProblemError: If the form is another one, or the row's meaning is not certain.
    """
    listed = _listed(value, what)
    name = _the_name(listed, name)
    if _kind(listed, name, what) == "stdin":
        return Cases(stdin_tests(listed.inputs, listed.outputs), None, prelude, printed)
    found = (find_signature(name, code) for code in (starter, solution))
    signatures = [signature for signature in found if signature is not None]
    if name is None and not signatures:
        raise ProblemError(f"{what} call a function, and nothing names it")
    if any(_has_nodes(signature) for signature in signatures):
        prelude += NODE_CLASSES
    entry_point = signatures[0].entry_point if signatures else name
    inputs, outputs = listed.inputs, listed.outputs
    if any(isinstance(one, str) for one in inputs):
        if not all(isinstance(one, str) for one in [*inputs, *outputs]):
            raise ProblemError(f"{what}: some inputs and outputs are texts and some are not")
        if texts == "lines":
            # Such a judge compares with ==, and takes an outermost tuple for a list.
            called = json_call_tests(inputs, outputs, signatures)
            return Cases(called, entry_point, prelude, "exact")
        inputs = [_arguments(one, number) for number, one in enumerate(inputs)]
        outputs = [from_json(one, what="an output") for one in outputs]
    return Cases(call_tests(inputs, outputs, signatures), entry_point, prelude, "apps")


def _listed(value: Any, what: str) -> _Listed:
    value = _decoded(value, what)
    if isinstance(value, Mapping) and "test_cases" in value:
        language = value.get("language")
        if language not in (None, "", "python"):
            raise ProblemError(f"{what} are for programs in {language!r:.40}, not in Python")
        value = _decoded(value["test_cases"], what)
    if isinstance(value, Mapping):
        return _of_columns(value, what)
    if not isinstance(value, list):
        raise ProblemError(
            f"{what} must be an object with 'inputs' and 'outputs' or a list of objects with "
            f"'input' and 'output', got {type(value).__name__} {value!r:.60}"
        )
    if not value:
        raise ProblemError(f"it has no tests: {what} is empty")
    return _of_rows([_decoded(case, what) for case in value], what)


def _of_columns(value: Mapping[str, Any], what: str) -> _Listed:
    first, second = ("inputs", "outputs") if "inputs" in value else ("input", "output")
    if not {first, second} <= set(value):
        raise ProblemError(
            f"{what} must have 'inputs' and 'outputs'; it has {sorted(map(str, value))}"
        )
    inputs, outputs = as_cases(value[first], value[second])
    return _Listed(inputs, outputs, _said(value), _names(value))


def _of_rows(cases: Sequence[Any], what: str) -> _Listed:
    kinds: set[object] = set()
    names: set[str] = set()
    for number, case in enumerate(cases):
        if not isinstance(case, Mapping) or not {"input", "output"} <= set(case):
            raise ProblemError(
                f"{what}[{number}] must be an object with 'input' and 'output', got {case!r:.60}"
            )
        kinds |= _said(case) or {None}
        names |= _names(case)
    return _Listed(
        [case["input"] for case in cases], [case["output"] for case in cases], kinds, names
    )


def _said(case: Mapping[str, Any]) -> set[object]:
    kind = case.get("testtype") or case.get("type")
    return {kind} if kind else set()


def _names(case: Mapping[str, Any]) -> set[str]:
    extra = case.get("metadata")
    extra = from_json(extra, what="'metadata' of a test") if extra else {}
    found = [case.get("fn_name"), case.get("func_name")]
    found += [extra.get("func_name")] if isinstance(extra, Mapping) else []
    for name in found:
        if name is not None and not isinstance(name, str):
            raise ProblemError(f"a function's name must be text, got {name!r:.60}")
    return {name for name in found if name}


def _the_name(listed: _Listed, name: str | None) -> str | None:
    names = listed.names | ({name} if name else set())
    if len(names) > 1:
        raise ProblemError(f"its tests name several functions: {sorted(names)}")
    return next(iter(names), None)


def _kind(listed: _Listed, name: str | None, what: str) -> Kind:
    unknown = [kind for kind in listed.kinds if kind is not None and kind not in _KINDS]
    if unknown:
        raise ProblemError(
            f"{what} have the 'testtype' {unknown[0]!r:.40}; known are "
            f"{', '.join(map(repr, _KINDS))}"
        )
    kinds = {_KINDS.get(kind) for kind in listed.kinds}
    if len(kinds) > 1:
        raise ProblemError(
            f"{what} must all have the same 'testtype', got {sorted(map(str, listed.kinds))}"
        )
    said = next(iter(kinds), None)
    return said or ("call" if name else "stdin")


def _arguments(text: str, number: int) -> list[Any]:
    arguments = from_json(text, what=f"inputs[{number}]")
    if not isinstance(arguments, list):
        raise ProblemError(
            f"inputs[{number}] is to be a list of arguments, got the text {text!r:.60}"
        )
    return arguments


def _decoded(value: Any, what: str) -> Any:
    """What a text says in JSON or as Python's ``repr``, however often it was packed."""
    for _ in range(_TEXTS_IN_TEXTS):
        if not isinstance(value, str):
            break
        try:
            value = parse_json(value)
        except ProblemError as error:
            raise ProblemError(f"in {what}, {error}") from error
        except ValueError as error:
            value = _literal(value, what, error)
    return value


def _literal(text: str, what: str, error: ValueError) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise ProblemError(f"{what} is text but no JSON: {error}") from error


def _has_nodes(signature: Signature) -> bool:
    kinds = [signature.returns, *(parameter.annotation for parameter in signature.parameters)]
    return any(mentions_node(kind) for kind in kinds)
