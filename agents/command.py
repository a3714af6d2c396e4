"""What the commands of this package share: reading a command line, and failing with a message."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import tyro

from agents.parallel import refuse_several
from codegym.errors import CodegymError, ConfigurationError

__all__ = [
    "command_line",
    "main",
    "refuse_outside",
    "refuse_set_elsewhere",
    "refuse_unused",
    "resumed_folder",
    "set_up_torch",
]

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


def resumed_folder() -> Path | None:
    """The checkpoint that ``sys.argv`` names with ``--resume``.

    It is looked for before the rest is read: what is said besides may have no meaning but beside
    the settings of the run that goes on.

    Returns:
        The folder; None: nothing is resumed.
    """
    known, _ = tyro.cli(_Resumed, return_unknown_args=True, add_help=False)
    return known.resume


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Resumed:
    resume: Path | None = None


def main(command: Callable[[], int | None], *, several: bool = False) -> None:
    """Runs a command and ends the process with 0, what it returns, or 1 after an error of ours.

    Args:
        command: Raises errors of codegym's tree for what the user can mend; their message is
            printed. Any other exception is a fault of ours and shows where it happened. Ctrl-C
            ends the process with 130.
        several: Whether the command may be one of several processes that were launched together.
    """
    try:
        if not several:
            refuse_several()
        status = command()
    except CodegymError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        print("Interrupted. What was saved until now is whole.", file=sys.stderr)
        sys.exit(130)
    sys.exit(status or 0)


def set_up_torch(threads: int, device: str = "cpu") -> None:
    """Sets the number of threads, and makes sure that a device is there.

    Args:
        threads: Of each computation of torch.
        device: Where the models will be.

    Raises:
        ConfigurationError: If there is no such device, or no thread.
    """
    if threads < 1:
        raise ConfigurationError(f"threads must be 1 or more, got {threads}.")
    torch.set_num_threads(threads)
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"device={device!r} cannot be used: {error}. Name another one, such as device='cpu'."
        ) from error


def refuse_outside(
    settings: Any,
    names: Sequence[str],
    *,
    low: float = -math.inf,
    above: float = -math.inf,
    high: float = math.inf,
    optional: bool = False,
) -> None:
    """Refuses numbers that are out of range, not finite, or NaN.

    Args:
        settings: A dataclass.
        names: Its fields with this range.
        low: Least number that is allowed.
        above: The number must be above this one.
        high: Greatest number that is allowed.
        optional: Whether None is allowed as well.

    Raises:
        ConfigurationError: If there is such a number.
    """
    for name in names:
        value = getattr(settings, name)
        if value is None and optional:
            continue
        if value is None or not (low <= value <= high and above < value and math.isfinite(value)):
            bounds = [f"above {above:g}"] * (above > -math.inf)
            bounds += [f"at least {low:g}"] * (low > -math.inf)
            bounds += [f"at most {high:g}"] * (high < math.inf)
            expected = " and ".join(["finite", *bounds]) + (", or None" if optional else "")
            raise ConfigurationError(f"{name} must be {expected}, got {value}.")


def refuse_set_elsewhere(part: Any, name: str, fields: Sequence[str]) -> None:
    """Refuses settings of a part of a job that the job itself decides.

    Args:
        part: A dataclass, such as the settings of SFT.
        name: What it is called in the job's settings.
        fields: What the job decides.

    Raises:
        ConfigurationError: If one of them is not its default.
    """
    for field, value in _given(part, fields):
        raise ConfigurationError(
            f"{name}.{field}={value!r} has no effect here: the job decides {field} for all of its "
            "parts. Leave it out, or set it for the job if the job has it."
        )


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
    for name, value in _given(settings, names):
        raise ConfigurationError(
            f"{name}={value!r} has no effect here: it needs {needs}. Leave it out."
        )


def _given(settings: Any, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Of these fields of a dataclass, those that are not their default, with their value."""
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for name in names:
        if (value := getattr(settings, name)) != defaults[name]:
            yield name, value
