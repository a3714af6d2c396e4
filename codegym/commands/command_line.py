"""Reads the command line: which command, and its arguments."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Any

import tyro

from codegym.commands.console import Console
from codegym.errors import UnknownNameError

__all__ = ["COMMANDS", "run"]

COMMANDS: dict[str, tuple[str, str]] = {
    "doctor": ("doctor", "what this machine enforces between a program and itself"),
    "envs": ("envs", "the environments, their data, and where it was found"),
    "data validate": ("data_validate", "do reference solutions pass, and does a stub fail?"),
    "grade": ("grade", "grades samples of people's models: verdicts and pass@k"),
    "eval": ("evaluate", "lets a model write programs, and grades them"),
    "regrade": ("regrade", "grades rollouts that have a score: where do the graders differ?"),
    "view": ("view", "rollouts and curves of a run as one HTML page that needs no server"),
    "serve": ("serve", "runs and grades programs over HTTP, for trainers on other machines"),
    "play": ("play", "an episode at the terminal, by hand or by the reference solution"),
}
"""Every command: its module in this room, and what it does in a line."""

_GROUPS = {
    word: [name for name in COMMANDS if name.startswith(f"{word} ")]
    for word in (name.split()[0] for name in COMMANDS if " " in name)
}
_SERVES = "serve"  # prints nothing but where it listens


def run(arguments: Sequence[str]) -> int:
    """Runs the command that a command line names.

    Args:
        arguments: The words of the command line, without the program's name.

    Returns:
        The exit status.

    Raises:
        UnknownNameError: If there is no such command.
        CodegymError: As the command does.
        SystemExit: By tyro, after `--help` (0) and for arguments that it cannot read (2).
    """
    words = list(arguments)
    console = Console()
    if not words or words[0] in ("-h", "--help"):
        _show_commands(console)
        return 0 if words else 2
    if words[0] == "--version":
        console.print(f"codegym {version('codegym')}")
        return 0
    if words[0] in _GROUPS and set(words[1:]) <= {"-h", "--help"}:
        _show_commands(console, _GROUPS[words[0]])
        return 0 if words[1:] else 2
    name, rest = _split(words)
    module = importlib.import_module(f"codegym.commands.{COMMANDS[name][0]}")
    if name == _SERVES:
        served: int = module.main(rest)
        return served
    args = _parse(module, name, rest)
    status: int = module.run(args, Console(as_json=args.json))
    return status


def _parse(module: ModuleType, name: str, words: list[str]) -> Any:
    return tyro.cli(
        module.Args,
        prog=f"codegym {name}",
        args=words,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _split(words: list[str]) -> tuple[str, list[str]]:
    """The command's name, which may be two words, and the rest."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, words[length:]
    group = _GROUPS.get(words[0], [])
    named = " ".join(words[:2]) if group else words[0]
    raise UnknownNameError("command", named, group or COMMANDS)


def _show_commands(console: Console, names: Iterable[str] = COMMANDS) -> None:
    console.print("codegym COMMAND [ARGUMENTS]; `codegym COMMAND --help` says which\n")
    width = max(map(len, COMMANDS))
    for name in names:
        console.print(f"  {name:<{width}}  {COMMANDS[name][1]}")
    console.print(
        "\nEvery command but serve takes --json. Exit status: 0 all is well, 1 done but there is "
        "something to look at,\n2 it could not be done, 130 interrupted."
    )
