"""JSON text of other people to values: very long integers, and JSON inside of JSON.

An object in which a key stands twice has no certain meaning: `json.loads` would take the last one
and say nothing. It is refused, wherever it lies.
"""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterator
from typing import Any

from codegym.errors import ProblemError

__all__ = ["from_json", "parse_json", "parse_json_rows", "unique_keys"]

_DIGITS_PER_CHUNK = 4000  # below the interpreter's limit for int(str)
_ENDS = json.JSONDecoder(parse_int=str)  # tells where a value ends
_SPACES = " \t\n\r"  # of JSON
_SPACE = re.compile(f"[{_SPACES}]*")


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, as `object_pairs_hook` of `json.loads` makes it.

    Raises:
        ProblemError: If a key stands twice in it.
    """
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    ((twice, _),) = collections.Counter(key for key, _ in pairs).most_common(1)
    raise ProblemError(
        f"the key {twice!r:.80} stands twice in an object of its JSON, and which of the two counts "
        "is not certain: leave out one of them"
    )


def parse_json(text: str | bytes) -> Any:
    """`json.loads`, also for integers longer than the interpreter's limit of digits.

    Raises:
        ProblemError: If a key stands twice in an object.
        ValueError: If the text is not JSON.
    """
    try:
        try:
            return json.loads(text, object_pairs_hook=unique_keys)
        except (json.JSONDecodeError, ProblemError, UnicodeDecodeError):
            raise
        except ValueError:  # an integer of more than 4300 digits
            return json.loads(text, parse_int=_long_int, object_pairs_hook=unique_keys)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None


def parse_json_rows(content: bytes) -> list[Any]:
    """The items of a JSON list; in place of one that is to be refused, the ProblemError.

    Raises:
        ValueError: If the content is not a JSON list.
    """
    try:
        rows = parse_json(content)
    except ProblemError:
        try:
            return list(_one_by_one(content.decode()))
        except RecursionError:
            raise ValueError("nested too deeply") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8: {error}") from None
    if not isinstance(rows, list):
        raise ValueError(f"it is {type(rows).__name__}")
    return rows


def _one_by_one(text: str) -> Iterator[Any]:
    """The items of a JSON list that has at least one.

    Raises:
        ValueError: If the text is not a JSON list.
    """
    mark, start = _marked(text, 0)
    if mark != "[":
        raise ValueError(f"it begins with {mark!r}")
    while mark != "]":
        if mark not in "[,":
            raise ValueError(f"expected ',' or ']' at character {start - 1}, got {mark!r}")
        start = _SPACE.match(text, start).end()  # type: ignore[union-attr]
        _, end = _ENDS.raw_decode(text, start)
        try:
            yield parse_json(text[start:end])
        except ProblemError as error:
            yield error
        mark, start = _marked(text, end)
    if text[start:].strip(_SPACES):
        raise ValueError(f"there is something behind the list, at character {start}")


def _marked(text: str, start: int) -> tuple[str, int]:
    """The next character that is no space, and where it ends.

    Raises:
        ValueError: If there is none.
    """
    end = _SPACE.match(text, start).end()  # type: ignore[union-attr]
    if end == len(text):
        raise ValueError("it is cut off")
    return text[end], end + 1


def from_json(value: Any, *, what: str) -> Any:
    """A value that may be JSON text inside of JSON, as several hubs store nested data.

    Args:
        value: The JSON text, or a value that is parsed already.
        what: What it is, for the error message.

    Raises:
        ProblemError: If it is text but no JSON, or a key stands twice in an object.
    """
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ProblemError as error:
        raise ProblemError(f"in {what}, {error}") from error
    except ValueError as error:
        raise ProblemError(f"{what} is text but no JSON: {error}") from error


def _long_int(digits: str) -> int:
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    value = 0
    for start in range(0, len(digits), _DIGITS_PER_CHUNK):
        chunk = digits[start : start + _DIGITS_PER_CHUNK]
        value = value * 10 ** len(chunk) + int(chunk)
    return sign * value
