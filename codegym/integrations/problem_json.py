"""A whole problem as one text, for trainers whose rows are all that a reward is given.

A problem holds more than JSON can say: tuples, sets, integers as dictionary keys, linked lists. Its
values are written as those that cross the sandbox's fence are (:mod:`codegym.execution.values`).
``metadata`` is left out: it may hold anything, and decides nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from codegym.errors import ConfigurationError, ProblemError
from codegym.execution.values import decode_value, encode_value
from codegym.problems.checker import Checker
from codegym.problems.problem import CallTest, CodeTest, Problem, StdinTest

__all__ = ["is_problem_json", "problem_from_json", "problem_to_json"]

_HEAD, _TAIL = '{"codegym_problem":', "}"
_RECORDS = {record.__name__: record for record in (StdinTest, CallTest, CodeTest, Checker)}
_TYPE = "type"


def problem_to_json(problem: Problem) -> str:
    """A problem as JSON text: an object with the one key ``"codegym_problem"``.

    It holds the tests and the canonical solution: it is for the side that grades, and no part of
    it belongs into a prompt.

    Raises:
        ConfigurationError: If this is no problem, or a value in it is not plain data.

    Example:
        >>> tests = (CallTest(((1, 2),), {3}),)
        >>> problem = Problem("sum", "Sum x in a set.", "", tests, entry_point="f")
        >>> problem_from_json(problem_to_json(problem)) == problem
        True
    """
    if not isinstance(problem, Problem):
        raise ConfigurationError(f"Expected a codegym.Problem, got {type(problem).__name__}.")
    record = {name: _as_data(value) for name, value in _fields(problem) if name != "metadata"}
    return _HEAD + encode_value(record).decode() + _TAIL


def problem_from_json(text: str) -> Problem:
    """The problem that :func:`problem_to_json` wrote.

    Raises:
        ProblemError: If the text is no such problem, or one of another version of codegym.
    """
    if not is_problem_json(text):
        raise ProblemError(
            f"expected the text that begins with {_HEAD!r}, got {text!r:.80}: write rows again"
        )
    try:
        record = decode_value(text[len(_HEAD) : -len(_TAIL)].encode())
        return Problem(**{name: _from_data(value) for name, value in record.items()})
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ProblemError(
            "this is not a problem as this version of codegym writes it; write the rows again "
            f"({type(error).__name__}: {error})"
        ) from error


def is_problem_json(text: object) -> bool:
    """Whether a text is one of :func:`problem_to_json`, by how it begins and ends."""
    return isinstance(text, str) and text.startswith(_HEAD) and text.endswith(_TAIL)


def _fields(record: Any) -> list[tuple[str, Any]]:
    return [(field.name, getattr(record, field.name)) for field in dataclasses.fields(record)]


def _as_data(value: Any) -> Any:
    """Tests as dictionaries, which name their type; everything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(_as_data, value))
    if type(value).__name__ in _RECORDS:
        return {_TYPE: type(value).__name__, **dict(_fields(value))}
    return value


def _from_data(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_from_data, value))
    if isinstance(value, dict):
        fields = dict(value)
        return _RECORDS[fields.pop(_TYPE)](**fields)
    return value
