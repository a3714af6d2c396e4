"""The command ``python -m agents.methods NAME``: runs a method, or lists them all."""

from __future__ import annotations

import importlib
import sys

from agents.methods import METHODS
from codegym.errors import UnknownNameError


def listing() -> str:
    """All methods, one a line."""
    width = max(map(len, METHODS))
    lines = [f"  {name:{width}}  {entry.idea}" for name, entry in METHODS.items()]
    head = "python -m agents.methods NAME [options]; NAME --help shows the options.\n"
    return "\n".join([head, *lines])


def run_named() -> None:
    """Runs the method that the command line names.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    from agents.running import command

    _, word, *_ = sys.argv
    name = word.replace("-", "_")
    if name not in METHODS:
        raise UnknownNameError("method", word, METHODS)
    module = importlib.import_module(f"agents.methods.{name}")
    sys.argv[:2] = [f"python -m agents.methods {name}"]
    command(module.Args, module.run)


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1] in ("-h", "--help"):
        print(listing())
    else:
        # Importing torch and transformers takes seconds, which a list of names need not cost.
        from agents.command import main

        main(run_named)
