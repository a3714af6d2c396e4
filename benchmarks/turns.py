"""Contenders take turns in short blocks, so that whatever else the machine does hits all alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["rotated"]

T = TypeVar("T")


def rotated(contenders: Sequence[T], turn: int) -> list[T]:
    """The order of a turn: each begins with the next contender."""
    first = turn % len(contenders)
    return [*contenders[first:], *contenders[:first]]
