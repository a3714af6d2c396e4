"""`codegym serve`: the server of :mod:`codegym.serving`, until it is told to stop."""

from __future__ import annotations

from collections.abc import Sequence

import tyro

from codegym.serving.command import serve

__all__ = ["main"]


def main(words: Sequence[str]) -> int:
    """Serves.

    Args:
        words: The options, those of :func:`codegym.serving.command.serve`.

    Returns:
        0, when it was told to stop.

    Raises:
        CodegymError: As :func:`~codegym.serving.command.serve` does.
    """
    # `--packages numpy --packages pandas`: without this the last one would count alone.
    append = (tyro.conf.UseAppendAction,)
    tyro.cli(serve, prog="codegym serve", args=list(words), config=append)
    return 0
