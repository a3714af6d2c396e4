"""Tests from lists of inputs and outputs, as APPS, APPS+ and LiveCodeBench store them.

Where a row's meaning is certain, its odd forms are accepted (JSON in strings, lists of lines,
dictionaries with integer keys, answers wrapped in a list). Where it is not, the row is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import CallTest, StdinTest
from codegym.problems.reading.annotated import as_annotated, has_text_keys, is_list_like
from codegym.problems.reading.json_values import parse_json
from codegym.problems.reading.signature import Signature

__all__ = ["are_texts", "as_cases", "call_tests", "json_call_tests", "stdin_tests"]


def as_cases(inputs: Any, outputs: Any) -> tuple[list[Any], list[Any]]:
    """Inputs and outputs as two lists of the same length.

    Either may be JSON text of a list. Two plain texts are one test.

    Raises:
        ProblemError: If they are missing, empty, of other types, or not equally many.
    """
    cases = [_parsed_list(inputs), _parsed_list(outputs)]
    if isinstance(inputs, str) and isinstance(outputs, str) and None in cases:
        cases = [[inputs], [outputs]]
    for name, value, case in zip(("inputs", "outputs"), (inputs, outputs), cases, strict=True):
        if case is None:
            raise ProblemError(f"{name!r} must be a list, got {_kind(value)}")
    ins, outs = (case or [] for case in cases)
    if len(ins) != len(outs):
        raise ProblemError(f"{len(ins)} inputs but {len(outs)} outputs")
    if not ins:
        raise ProblemError("it has no tests: inputs and outputs are empty")
    return ins, outs


def are_texts(values: Sequence[Any]) -> bool:
    """Whether every value can be standard input: text, a number, or a list of lines of text."""
    return all(
        isinstance(v, str | int | float)
        or (isinstance(v, list) and v and all(isinstance(x, str) for x in v))
        for v in values
    )


def stdin_tests(inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[StdinTest, ...]:
    """Tests that write to standard input and compare what is printed.

    A list is its lines, a number its decimal text.

    Raises:
        ProblemError: If a value is neither text, number nor a list of these.
    """
    return tuple(
        StdinTest(_as_text(i, "inputs", n), _as_text(o, "outputs", n))
        for n, (i, o) in enumerate(zip(inputs, outputs, strict=True))
    )


def call_tests(
    inputs: Sequence[Any], outputs: Sequence[Any], signatures: Sequence[Signature]
) -> tuple[CallTest, ...]:
    """Tests that call a function with each input and compare what it returns.

    Args:
        inputs: One list of arguments a test. For a function of one parameter the argument itself
            is accepted where the row as a whole leaves no doubt; a dictionary whose keys are the
            parameters gives keyword arguments.
        outputs: What is returned. If every output is a list of one item and the signature does
            not say that lists are returned, the item is expected and the list is as good.
        signatures: The function as the starter code and as the solution declare it, best first.

    Raises:
        ProblemError: If the arguments fit no signature.
    """
    arguments = _arguments(inputs, signatures)
    signature = signatures[0] if signatures else None
    returns = signature.returns if signature else None
    unwrap = all(isinstance(o, list) and len(o) == 1 for o in outputs) and not is_list_like(returns)
    tests = []
    parameters = signature.parameters if signature else ()
    kinds = {p.name: p.annotation for p in parameters}
    for (args, kwargs), output in zip(arguments, outputs, strict=True):
        known = [p.annotation for p in parameters][: len(args)]
        known += [None] * (len(args) - len(known))
        args = [_argument(a, kind) for a, kind in zip(args, known, strict=True)]
        kwargs = {k: _argument(v, kinds.get(k)) for k, v in kwargs.items()}
        expected, alternatives = _expected(output, returns, unwrap=unwrap)
        tests.append(
            CallTest(
                args=tuple(args),
                kwargs=tuple(kwargs.items()),
                expected=expected,
                alternatives=alternatives,
            )
        )
    return tuple(tests)


def json_call_tests(
    inputs: Sequence[str], outputs: Sequence[str], signatures: Sequence[Signature]
) -> tuple[CallTest, ...]:
    """Tests whose input is one JSON value a line, an argument each, and whose output is JSON.

    Where a list is expected, a tuple of the same items is as good.

    Raises:
        ProblemError: If a text is not JSON, or the arguments fit no signature.
    """
    arguments = [_json_lines(text) for text in inputs]
    expected = [_json_value(text) for text in outputs]
    for n, (values, value) in enumerate(zip(arguments, expected, strict=True)):
        if values is None or value is None:
            raise ProblemError(f"test {n} is to call a function, but is not a JSON value a line")
    signature = signatures[0] if signatures else None
    if signature is not None and not all(
        any(s.takes(len(a or ())) for s in signatures) for a in arguments
    ):
        raise ProblemError(_misfit([a or [] for a in arguments], signature))
    returns = signature.returns if signature else None
    kinds = [p.annotation for p in signature.parameters] if signature else []
    tests = []
    for values, value in zip(arguments, expected, strict=True):
        args = tuple(
            as_annotated(v, kinds[k] if k < len(kinds) else None)
            for k, v in enumerate(values or ())
        )
        answer = as_annotated((value or [None])[0], returns)
        as_tuple = (tuple(answer),) if isinstance(answer, list) else ()
        tests.append(CallTest(args, answer, alternatives=as_tuple))
    return tuple(tests)


def _arguments(
    inputs: Sequence[Any], signatures: Sequence[Signature]
) -> list[tuple[list[Any], dict[str, Any]]]:
    if any(isinstance(i, str) for i in inputs):
        inputs = _from_texts(inputs, signatures)
    by_name = [_keywords(i, signatures) for i in inputs]
    if all(by_name):
        return [([], found) for found in by_name if found]
    if all(isinstance(i, list) for i in inputs) and (
        not signatures or any(all(s.takes(len(i)) for i in inputs) for s in signatures)
    ):
        return [(i, {}) for i in inputs]
    # Not lists of arguments. For one parameter, each input can only be the argument itself.
    if any(s.takes(1) and s.required <= 1 and len(s.parameters) == 1 for s in signatures):
        return [([i], {}) for i in inputs]
    if not signatures:
        raise ProblemError("an input is not a list of arguments, and the function is not known")
    raise ProblemError(_misfit(inputs, signatures[0]))


def _from_texts(inputs: Sequence[Any], signatures: Sequence[Signature]) -> list[Any]:
    """Inputs that are texts, for a function that is called with arguments."""
    one = any(s.takes(1) and s.required <= 1 and len(s.parameters) == 1 for s in signatures)
    kind = signatures[0].parameters[0].annotation if one and signatures[0].parameters else None
    if one and isinstance(kind, ast.Name) and kind.id == "str":
        return [[i] for i in inputs]
    lines = [_json_lines(i) if isinstance(i, str) else None for i in inputs]
    for signature in signatures:
        if all(line is not None and signature.takes(len(line)) for line in lines):
            bare = all(line is None or not isinstance(line[0], str | list | dict) for line in lines)
            if one and bare and kind is None:
                raise ProblemError("the inputs are texts of numbers; text or number is not said")
            return [line or [] for line in lines]
        lists = [line[0] if line and len(line) == 1 else None for line in lines]
        if all(isinstance(v, list) and signature.takes(len(v)) for v in lists):
            return lists
    if one and None in lines:
        return [[i] for i in inputs]
    raise ProblemError(
        "the inputs are texts, the function takes arguments, and they are not JSON that fits it"
    )


def _argument(value: Any, annotation: ast.expr | None) -> Any:
    return _with_integer_keys(as_annotated(value, annotation), annotation)


def _expected(
    output: Any, returns: ast.expr | None, *, unwrap: bool
) -> tuple[Any, tuple[Any, ...]]:
    raw = output[0] if unwrap else output
    value = _argument(raw, returns)
    others = []
    if unwrap and is_list_like(returns) is None:
        others.append(output)
    if isinstance(raw, dict) and value != raw:
        others.append(raw)
    return value, tuple(others)


def _with_integer_keys(value: Any, annotation: ast.expr | None) -> Any:
    """A dictionary whose keys are all decimal text, with integers: JSON has only text as keys.

    Not where the annotation says that they are texts.
    """
    if not isinstance(value, dict) or has_text_keys(annotation):
        return value
    if value and all(_is_integer(k) for k in value):
        return {int(k): v for k, v in value.items()}
    return value


def _is_integer(key: Any) -> bool:
    return (
        isinstance(key, str)
        and len(key) < 20
        and key.lstrip("-").isdecimal()
        and str(int(key)) == key
    )


def _keywords(value: Any, signatures: Sequence[Signature]) -> dict[str, Any] | None:
    if not isinstance(value, dict) or not value:
        return None
    for signature in signatures:
        names = [p.name for p in signature.parameters]
        needed = set(names[: signature.required])
        if needed <= set(value) <= set(names):
            return value
    return None


def _parsed_list(value: Any) -> list[Any] | None:
    if isinstance(value, str) and value.lstrip().startswith("["):
        parsed = _json_value(value)
        value = parsed[0] if parsed else None
    return value if isinstance(value, list) else None


def _json_value(text: str) -> list[Any] | None:
    """The JSON value of a text in a list of one, or None if it is not JSON.

    Raises:
        ProblemError: If a key stands twice in an object.
    """
    try:
        return [parse_json(text)]
    except ProblemError:
        raise
    except (ValueError, TypeError):
        return None


def _json_lines(text: str) -> list[Any] | None:
    values = [_json_value(line) for line in text.strip("\n").split("\n")] if text.strip() else []
    return None if None in values else [v[0] for v in values if v]


def _as_text(value: Any, field: str, number: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        return "\n".join(map(str, value))
    raise ProblemError(f"{field}[{number}] is to be standard input or output, got {_kind(value)}")


def _misfit(inputs: Sequence[Any], signature: Signature) -> str:
    counts = [len(value) if isinstance(value, list) else 1 for value in inputs]
    number = next((n for n, count in enumerate(counts) if not signature.takes(count)), 0)
    return (
        f"inputs[{number}] is {_kind(inputs[number])}, {counts[number]} argument(s), but "
        f"{signature.name} takes {len(signature.parameters)}"
    )


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.60}" if value is not None else "nothing"
