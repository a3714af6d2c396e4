"""Prompts that are lists of messages, as chat models take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.reading.json_values import from_json

__all__ = ["last_task"]


def last_task(messages: Any, *, what: str) -> str:
    """The content of the last message of the user.

    Args:
        messages: A list of ``{"role": ..., "content": ...}``, JSON text of one, or a text, which is
            then the task itself.
        what: The name of the field, for messages.

    Raises:
        ProblemError: If there is no such message, or it is not text.
    """
    if isinstance(messages, str) and not messages.lstrip().startswith("["):
        found: Any = messages
    else:
        listed = from_json(messages, what=what)
        if not isinstance(listed, list):
            raise ProblemError(f"{what} must be a list of messages, got {listed!r:.60}")
        asked = [m for m in listed if isinstance(m, Mapping) and m.get("role") == "user"]
        found = asked[-1].get("content") if asked else None
    if not isinstance(found, str) or not found.strip():
        raise ProblemError(f"{what} has no message of the user with text")
    return found
