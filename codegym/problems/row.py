"""One row of a data file, read tolerantly: several names for a field, JSON inside of strings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.data_file import parse_json

__all__ = ["Row", "from_json"]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A JSON object of a data file.

    Attributes:
        index: 0-based position in the file.
        values: The fields.
        split: The split that the *file* stands for, if it stands for one.
    """

    index: int
    values: Mapping[str, Any]
    split: str | None = None

    def first(self, *names: str) -> Any:
        """The first of these fields that is there and not null, else None."""
        for name in names:
            value = self.values.get(name)
            if value is not None:
                return value
        return None

    def text(self, *names: str) -> str:
        """The first of these fields, which must be there and hold text.

        Raises:
            ProblemError: If none is there, or the first is no text or blank.
        """
        value = self.optional_text(*names)
        if not value.strip():
            raise ProblemError(f"needs text in {_or(names)}; the row has {sorted(self.values)}")
        return value

    def optional_text(self, *names: str) -> str:
        """The first of these fields, or an empty string.

        Raises:
            ProblemError: If it is there but holds no text.
        """
        value = self.first(*names)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ProblemError(f"{_or(names)} must be text, got {type(value).__name__}")
        return value

    def identifier(self, *names: str) -> str | None:
        """The first of these fields as text, or None; numbers are ids as well."""
        value = self.first(*names)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        return str(value) or None

    def difficulty(self, *names: str) -> str:
        """The first of these fields in lower case, or ``"unknown"``."""
        value = self.first(*names)
        return str(value).strip().lower() if isinstance(value, str | int) else "unknown"

    def rest(self, *used: str) -> dict[str, Any]:
        """The fields that are not among `used`."""
        return {name: value for name, value in self.values.items() if name not in used}


def from_json(value: Any, *, what: str) -> Any:
    """A value that may be JSON text inside of JSON, as several hubs store nested data.

    Raises:
        ProblemError: If it is text but no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError as error:
        raise ProblemError(f"{what} is text but no JSON: {error}") from error


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(map(repr, names))
