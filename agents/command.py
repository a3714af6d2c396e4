"""What the commands of this package share: reading a command line, and failing with a message."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from codegym.errors import CodegymError, ConfigurationError

__all__ = ["command_line", "main", "refuse_unused"]

Settings = TypeVar("Settings")


def command_line(settings: type[Settings], *, default: Settings | None = None) -> Settings:
    """Reads ``sys.argv``.

    Args:
        settings: A dataclass; its fields are the options, their docstrings the help.
        default: What is taken where the command line says nothing.

    Returns:
        The settings.
    """
    if default is None:
        return tyro.cli(settings)
    return tyro.cli(settings, default=default)


def main(command: Callable[[], int | None]) -> None:
    """Runs a command and ends the process with 0, what it returns, or 1 after an error of ours.

    Args:
        command: Raises errors of codegym's tree for what the user can mend; their message is
            printed. Any other exception is a fault of ours and shows where it happened.
    """
    try:
        status = command()
    except CodegymError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.exit(status or 0)


def refuse_unused(settings: Any, names: Sequence[str], used: bool, needs: str) -> None:
    """Refuses settings that were given and would have no effect.

    Args:
        settings: A dataclass.
        names: Its fields that may have no effect.
        used: Whether they have one.
        needs: What they need, as the user would write it.

    Raises:
        ConfigurationError: If they have none, and one is not its default.
    """
    if used:
        return
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for name in names:
        value = getattr(settings, name)
        if value != defaults[name]:
            raise ConfigurationError(
                f"{name}={value!r} has no effect here: it needs {needs}. Leave it out."
            )
