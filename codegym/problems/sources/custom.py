"""Your own problems: a JSON list or JSON lines of objects with these fields.

=======================  ==========================================================================
``id``                   text or number, unique (required)
``description``          the task in natural language (required)
``tests``                a list with at least one of these objects (required):
                         ``{"stdin": "1 2", "stdout": "3"}``: run as a script;
                         ``{"args": [1, 2], "expected": 3}``: call the entry point, with optional
                         ``"kwargs": {...}``; both with optional ``"alternatives": [...]``, answers
                         that are as good, and ``"tolerance": 0.001``, how far numbers may be off;
                         ``{"code": "assert add(1, 2) == 3"}``: test code that calls the entry
                         point by its name, or as ``candidate``, or defines ``check(candidate)``,
                         or tests in the way of pytest or unittest; it is run as it is, and
                         compares as it says, whatever ``comparison`` is
``canonical_solution``   a whole program that passes (needed for start states)
``starter_code``         the opening part of a solution
``entry_point``          ``"name"`` or ``"Class().method"``; needed by tests that are not scripts.
                         With ``stdin`` tests: a function without parameters, called after the
                         program was run, unless the program calls it itself
``prelude``              code that is run before every program
``comparison``           ``"tolerant"`` (default: floats within tolerance) or ``"exact"``
``any_order``            true if the outermost list, or the lines of the output, may be in any
                         order; 2 if the lists in it, or the words of a line, may be as well
``checker``              code that decides in place of any comparison: text that defines
                         ``check(input, output, expected)``, or ``{"source": "...", "form":
                         "script"}`` (see :class:`~codegym.problems.Checker`)
``difficulty``           any word
``packages``             a list of names of packages that programs may import, such as ``"numpy"``;
                         where one is not installed, the row is skipped
``metadata``             any object
=======================  ==========================================================================

``tests`` may also have the forms that other data sets use: an object with ``inputs``, ``outputs``
and perhaps ``fn_name``, a list of objects with ``input`` and ``output``, JSON text of either (the
rules: :mod:`codegym.problems.reading.cases`), a list of asserts, or a text of test code.

**Rows with other keys.** ``keys=`` says where your rows have these fields, and then only what it
names is read; all other keys of a row become its metadata. Dots lead into objects, lists (by
position, from 0, or from the end by -1) and JSON text. A description that is a list of messages is
the last one of the user. Without a key for ``id``, ids are made of description and tests::

    gymnasium.make(
        "CodeGen-Custom-v0",
        data="rows.parquet",
        keys={"description": "prompt", "tests": "reward_model.ground_truth"},
    )

A key that a row does not have is a reason to skip the row; one that is null, or a position that a
list does not have, means that the field is not given.

Arguments and expected values that the starter code or the solution annotates as ``ListNode`` or
``TreeNode`` are given as lists. Unknown fields are errors: a typo should not lose a test.

Without a `split` all rows are loaded; with one, rows are split by the SHA-256 of the description
(about half ``train``, a quarter each ``validation`` and ``test``).
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
from collections.abc import Mapping
from typing import Any

from codegym.errors import ConfigurationError, ProblemError, UnknownNameError
from codegym.problems.checker import Checker
from codegym.problems.problem import CallTest, Comparison, Problem, StdinTest, UnitTest
from codegym.problems.reading.annotated import as_annotated
from codegym.problems.reading.asserts import read_asserts, read_check
from codegym.problems.reading.cases import read_cases
from codegym.problems.reading.json_values import from_json
from codegym.problems.reading.messages import last_task
from codegym.problems.reading.signature import Signature, find_signature
from codegym.problems.source import Row, Source, hash_split

__all__ = ["CUSTOM"]

_FIELDS = (
    "id",
    "description",
    "tests",
    "canonical_solution",
    "starter_code",
    "entry_point",
    "prelude",
    "comparison",
    "any_order",
    "checker",
    "difficulty",
    "packages",
    "metadata",
)
_NO_ENTRY_POINT = "it calls a function, but the row has no 'entry_point'"
_CHECK = re.compile(r"^def check\(", re.MULTILINE)
_TEST_FIELDS = (
    ("stdin", {"stdin", "stdout"}, {"tolerance", "alternatives"}),
    ("args", {"args", "expected"}, {"kwargs", "tolerance", "alternatives"}),
    ("kwargs", {"kwargs", "expected"}, {"args", "tolerance", "alternatives"}),
    ("code", {"code"}, set[str]()),
)


def _parse(row: Row) -> Problem:
    _only_known(row.values, _FIELDS, "field")
    number = row.identifier("id")
    if number is None:
        raise ProblemError("needs an 'id': text or a whole number")
    return _problem(row, number)


def _problem(row: Row, number: str) -> Problem:
    starter, solution = row.optional_text("starter_code"), row.optional_text("canonical_solution")
    metadata = row.first("metadata") or {}
    if not isinstance(metadata, dict):
        raise ProblemError(f"'metadata' must be an object, got {metadata!r:.60}")
    tests, entry_point, prelude = _all_tests(row, starter, solution)
    return Problem(
        id=number,
        description=row.text("description"),
        canonical_solution=solution,
        tests=tests,
        starter_code=starter,
        entry_point=entry_point,
        difficulty=row.difficulty("difficulty"),
        prelude=prelude,
        comparison=_comparison(row.first("comparison") or "tolerant"),
        packages=_packages(row.first("packages")),
        any_order=_any_order(row.first("any_order")),
        checker=_checker(row.first("checker")),
        metadata=metadata,
    )


def _all_tests(
    row: Row, starter: str, solution: str
) -> tuple[tuple[UnitTest, ...], str | None, str]:
    """The tests of a row, what they call, and what is run before a program."""
    entry_point, prelude = row.optional_text("entry_point") or None, row.optional_text("prelude")
    name = entry_point.rsplit(".", 1)[-1] if entry_point else None
    listed = row.first("tests")
    code = _as_code(listed)
    if code:
        return _code_tests(code, entry_point, prelude), entry_point, prelude
    if not _is_own_form(listed):
        judged = read_cases(listed, name=name, starter=starter, solution=solution, prelude=prelude)
        return judged.tests, entry_point or judged.entry_point, judged.prelude
    signature = find_signature(name, starter, solution) if name else None
    tests: list[UnitTest] = []
    for position, test in enumerate(listed):
        try:
            tests += _tests(test, entry_point, prelude, signature)
        except ProblemError as error:
            raise ProblemError(f"tests[{position}]: {error}") from error
    return tuple(tests), entry_point, prelude


def _as_code(listed: Any) -> list[str]:
    """The pieces of test code that tests are, or none."""
    if isinstance(listed, str) and not listed.lstrip().startswith(("[", "{", '"')):
        return [listed]
    if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
        return listed
    return []


def _is_own_form(listed: Any) -> bool:
    """Whether tests have the form of this module's table, or none that is known."""
    if isinstance(listed, str | dict):
        return False
    if not isinstance(listed, list) or not listed:
        raise ProblemError("'tests' must be a list with at least one test")
    return not all(isinstance(one, dict) and {"input", "output"} <= set(one) for one in listed)


def _tests(
    test: Any, entry_point: str | None, prelude: str, signature: Signature | None
) -> tuple[UnitTest, ...]:
    kind = _kind(test)
    if kind == "stdin":
        if not isinstance(test["stdin"], str) or not isinstance(test["stdout"], str):
            raise ProblemError("'stdin' and 'stdout' must be text")
        tolerance, alternatives = _leeway(test)
        return (StdinTest(test["stdin"], test["stdout"], alternatives, tolerance),)
    if kind == "code":
        if not isinstance(test["code"], str):
            raise ProblemError("'code' must be text")
        return _code_tests([test["code"]], entry_point, prelude)
    if entry_point is None:
        raise ProblemError(_NO_ENTRY_POINT)
    return (_call_test(test, signature),)


def _code_tests(code: list[str], entry_point: str | None, prelude: str) -> tuple[UnitTest, ...]:
    if entry_point is None:
        raise ProblemError(_NO_ENTRY_POINT)
    if len(code) == 1 and _CHECK.search(code[0]):
        return read_check(code[0], entry_point=entry_point, prelude=prelude)
    return read_asserts(code, entry_point=entry_point, prelude=prelude)


def _kind(test: Any) -> str:
    if not isinstance(test, dict):
        raise ProblemError(f"must be an object, got {test!r:.60}")
    for kind, needed, optional in _TEST_FIELDS:
        if kind in test:
            missing = needed - set(test)
            if missing:
                raise ProblemError(f"needs {', '.join(map(repr, sorted(missing)))} as well")
            _only_known(test, (*needed, *optional), "field of a test")
            return kind
    raise ProblemError(
        "must have 'stdin' and 'stdout', or 'args' and 'expected', or 'code'; it has "
        f"{sorted(test)}"
    )


def _call_test(test: Mapping[str, Any], signature: Signature | None) -> CallTest:
    args, kwargs = test.get("args", []), test.get("kwargs", {})
    tolerance, alternatives = _leeway(test)
    _check_types(("args", args, list), ("kwargs", kwargs, dict))
    parameters = signature.parameters if signature else ()
    kinds = [p.annotation for p in parameters] + [None] * len(args)
    by_name = {p.name: p.annotation for p in parameters}
    returns = signature.returns if signature else None
    return CallTest(
        args=tuple(as_annotated(a, kind) for a, kind in zip(args, kinds, strict=False)),
        kwargs=tuple((k, as_annotated(v, by_name.get(k))) for k, v in kwargs.items()),
        expected=as_annotated(test["expected"], returns),
        alternatives=tuple(as_annotated(a, returns) for a in alternatives),
        tolerance=tolerance,
    )


def _leeway(test: Mapping[str, Any]) -> tuple[float | None, tuple[Any, ...]]:
    """Tolerance and alternatives of a test."""
    tolerance, alternatives = test.get("tolerance"), test.get("alternatives", [])
    _check_types(("alternatives", alternatives, list), ("tolerance", tolerance, int | float | None))
    return tolerance, tuple(alternatives)


def _check_types(*fields: tuple[str, Any, Any]) -> None:
    for name, value, kind in fields:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ProblemError(f"{name!r} has the wrong type: {value!r:.60}")


def _any_order(value: Any) -> int:
    if value is None or isinstance(value, bool):
        return int(bool(value))
    if isinstance(value, int) and value >= 0:
        return value
    raise ProblemError(f"'any_order' must be true, false or a number of levels, got {value!r:.60}")


def _checker(value: Any) -> Checker | None:
    if value is None:
        return None
    if isinstance(value, str):
        return Checker(value)
    if not isinstance(value, dict) or set(value) != {"source", "form"}:
        raise ProblemError(
            f"'checker' must be text, or an object with 'source' and 'form', got {value!r:.60}"
        )
    return Checker(value["source"], value["form"])


def _packages(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ProblemError(f"'packages' must be a list of names, got {value!r:.60}")
    return tuple(value)


def _comparison(value: Any) -> Comparison:
    if value == "tolerant":
        return "tolerant"
    if value == "exact":
        return "exact"
    raise ProblemError(f"'comparison' must be 'tolerant' or 'exact', got {value!r:.60}")


def _only_known(values: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name)[:200], known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ProblemError(f"unknown {what} {name!r:.200}{hint}")


def _row_splits(row: Row) -> tuple[str, ...]:
    return (hash_split(row.optional_text("description")),)


def _with_keys(keys: Mapping[str, str]) -> Source:
    """The source of rows that have the fields of this module's table under other keys.

    Raises:
        ConfigurationError: If that is no mapping of texts, or names neither description nor tests.
        UnknownNameError: If it names a field that there is not.
    """
    example = 'such as keys={"description": "problem", "tests": "tests"}'
    if not isinstance(keys, Mapping):
        raise ConfigurationError(f"keys must be a mapping, {example}; got {keys!r:.80}.")
    for field, key in keys.items():
        if field not in _FIELDS:
            raise UnknownNameError("field in keys", field, _FIELDS)
        if not isinstance(key, str) or not key:
            raise ConfigurationError(
                f"keys must name a key of your rows for {field!r}, {example}; got {key!r:.80}."
            )
    for field in ("description", "tests"):
        if field not in keys:
            raise ConfigurationError(
                f"keys must say where {field!r} is, {example}; it names {sorted(keys)}."
            )
    fixed = dict(keys)
    return dataclasses.replace(
        CUSTOM,
        expected=f"rows with {', '.join(map(repr, fixed.values()))}",
        parse=functools.partial(_parse_with_keys, fixed),
        id_fields=(fixed["id"],) if "id" in fixed else (),
        row_splits=functools.partial(_row_splits_with_keys, fixed),
    )


def _parse_with_keys(keys: Mapping[str, str], row: Row) -> Problem:
    read = _renamed(keys, row)
    if "id" not in keys:
        return _problem(read, read.content_id("description", "tests"))
    number = read.identifier("id")
    if number is None:
        raise ProblemError(f"needs text or a whole number in {keys['id']!r}")
    return _problem(read, number)


def _row_splits_with_keys(keys: Mapping[str, str], row: Row) -> tuple[str, ...]:
    return _row_splits(_renamed({"description": keys["description"]}, row))


def _renamed(keys: Mapping[str, str], row: Row) -> Row:
    """A row with the fields of this module's table."""
    values = {field: _at(row.values, key) for field, key in keys.items()}
    if isinstance(values["description"], list):
        values["description"] = last_task(values["description"], what=f"{keys['description']!r}")
    used = {key if key in row.values else key.partition(".")[0] for key in keys.values()}
    values.setdefault("metadata", row.rest(*used))
    return Row(row.index, values, row.split)


def _at(values: Mapping[str, Any], key: str) -> Any:
    """What is at a key whose dots lead into objects, lists and JSON text."""
    if key in values:
        return values[key]
    found: Any = values
    for part in key.split("."):
        found = from_json(found, what=f"the text on the way to {key!r}")
        if isinstance(found, list) and part.lstrip("-").isdecimal():
            position = int(part)
            found = found[position] if -len(found) <= position < len(found) else None
        elif isinstance(found, Mapping) and part in found:
            found = found[part]
        else:
            has = sorted(map(str, found)) if isinstance(found, Mapping) else repr(found)[:60]
            raise ProblemError(f"has no {key!r}: {part!r} is not in {has}")
        if found is None:
            return None
    return found


CUSTOM = Source(
    name="custom",
    expected="problems as codegym.problems.sources.custom describes them: objects with 'id', "
    "'description' and 'tests'",
    splits=("train", "validation", "test"),
    parse=_parse,
    id_fields=("id",),
    row_splits=_row_splits,
    with_keys=_with_keys,
)
