"""The limits that a grader is given, as an object or as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.execution.limits import ExecutionLimits

__all__ = ["make_limits"]


def make_limits(limits: ExecutionLimits | Mapping[str, float] | None) -> ExecutionLimits:
    """Limits from an object, from a mapping of its fields (as in a spec), or the default ones.

    Raises:
        UnknownNameError: If the mapping names a limit that does not exist.
        ConfigurationError: If a limit is out of range.
    """
    if limits is None:
        return ExecutionLimits()
    if isinstance(limits, ExecutionLimits):
        return limits
    if not isinstance(limits, Mapping):
        raise ConfigurationError(
            f"limits must be an ExecutionLimits or a mapping of its fields, got {limits!r:.80}."
        )
    legal = [field.name for field in dataclasses.fields(ExecutionLimits)]
    for name in limits:
        if name not in legal:
            raise UnknownNameError("limit", name, legal)
    values: Mapping[str, Any] = limits  # ExecutionLimits checks types and ranges
    return ExecutionLimits(**values)
