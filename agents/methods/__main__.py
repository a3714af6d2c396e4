"""The command ``python -m agents.methods NAME``: runs a method, or lists them all."""

from __future__ import annotations

import importlib
import sys

from agents.command import main
from agents.methods import METHODS
from agents.running import command
from codegym.errors import UnknownNameError


def listing() -> str:
    """All methods, one a line."""
    width = max(map(len, METHODS))
    lines = [f"  {name:{width}}  {entry.idea}" for name, entry in METHODS.items()]
    head = "python -m agents.methods NAME [options]; NAME --help shows the options.\n"
    return "\n".join([head, *lines])


def _main() -> None:
    _, *words = sys.argv
    if not words or words[0] in ("-h", "--help"):
        print(listing())
        return
    name = words[0].replace("-", "_")
    if name not in METHODS:
        raise UnknownNameError("method", words[0], METHODS)
    module = importlib.import_module(f"agents.methods.{name}")
    sys.argv[:2] = [f"python -m agents.methods {name}"]
    command(module.Args, module.run)


if __name__ == "__main__":
    main(_main)
