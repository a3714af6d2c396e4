"""JSON text of other people to values: very long integers, and JSON inside of JSON."""

from __future__ import annotations

import json
from typing import Any

from codegym.errors import ProblemError

__all__ = ["from_json", "parse_json"]

_DIGITS_PER_CHUNK = 4000  # below the interpreter's limit for int(str)


def parse_json(text: str | bytes) -> Any:
    """`json.loads`, also for integers longer than the interpreter's limit of digits.

    Raises:
        ValueError: If the text is not JSON.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None
    except ValueError:  # an integer of more than 4300 digits
        return json.loads(text, parse_int=_long_int)


def from_json(value: Any, *, what: str) -> Any:
    """A value that may be JSON text inside of JSON, as several hubs store nested data.

    Args:
        value: The JSON text, or a value that is parsed already.
        what: What it is, for the error message.

    Raises:
        ProblemError: If it is text but no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError as error:
        raise ProblemError(f"{what} is text but no JSON: {error}") from error


def _long_int(digits: str) -> int:
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    value = 0
    for start in range(0, len(digits), _DIGITS_PER_CHUNK):
        chunk = digits[start : start + _DIGITS_PER_CHUNK]
        value = value * 10 ** len(chunk) + int(chunk)
    return sign * value
