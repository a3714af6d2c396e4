"""What happens when a GPU's memory is full: an error that says what to lower."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from codegym.errors import CodegymError

__all__ = ["OutOfMemoryError", "watched_memory"]


class OutOfMemoryError(CodegymError, MemoryError):
    """The device's memory is full."""


@contextlib.contextmanager
def watched_memory(settings: Any, *sizes: str, good: Path | None = None) -> Iterator[None]:
    """Turns PyTorch's error within into one of ours.

    Args:
        settings: Of the command.
        sizes: Names of those that may be lowered.
        good: Folder of the last good state, which is there if the run got so far.

    Raises:
        OutOfMemoryError: If the memory of the device is full.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        lower = ", ".join(f"{name}={getattr(settings, name)}" for name in sizes)
        others = {
            "dtype='bfloat16'": settings.dtype == "float32",
            "gradient_checkpointing=True": good is not None and not settings.gradient_checkpointing,
            "lora_rank=16": settings.is_pretrained and settings.lora_rank == 0,
            "critic='head'": getattr(settings, "critic", None) == "policy",
        }
        choices = [name for name, helps in others.items() if helps]
        less = f" Or choose {' or '.join(choices)}." if choices else ""
        kept = "" if good is None or not good.is_dir() else f" The last good state is in {good}."
        raise OutOfMemoryError(
            f"The memory of device={settings.device!r} is full. Lower {lower}.{less} A run with "
            f"--dry-run tells what needs how much.{kept} ({str(error).splitlines()[0]})"
        ) from error
