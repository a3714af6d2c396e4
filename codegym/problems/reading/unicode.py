"""Text that can be written to a process and given to a tokenizer: no lone surrogates."""

from __future__ import annotations

import dataclasses
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.problem import Problem

__all__ = ["require_unicode"]


def require_unicode(problem: Problem) -> None:
    """Checks every text of a problem.

    Raises:
        ProblemError: If a text holds half of a surrogate pair, which no file or pipe can hold.
    """
    for field in dataclasses.fields(problem):
        if field.name != "metadata":
            _check(getattr(problem, field.name), field.name)


def _check(value: Any, field: str) -> None:
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ProblemError(f"{field!r} holds text that is not Unicode: {error}") from error
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _check(item, field)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, field)
            _check(item, field)
    elif dataclasses.is_dataclass(value):
        for inner in dataclasses.fields(value):
            _check(getattr(value, inner.name), field)
