"""What a model is given to read."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["shapes_read"]


def shapes_read(model: nn.Module) -> list[tuple[int, int]]:
    """Grows by the rows and columns of each pass through a model, padding included."""
    read: list[tuple[int, int]] = []

    def note(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        read.append(tuple(named["input_ids"].shape))

    model.register_forward_pre_hook(note, with_kwargs=True)
    return read
