"""How a benchmark was called, without the folders of the machine that it ran on."""

from __future__ import annotations

import os
import shlex
import sys

__all__ = ["shown"]


def shown(name: str) -> str:
    """The command line of this process; an argument that is an absolute path becomes FOLDER.

    Args:
        name: Of the benchmark's module.
    """
    arguments = ["FOLDER" if os.path.isabs(each) else each for each in sys.argv[1:]]
    return f"python -m benchmarks.{name} {shlex.join(arguments)}".rstrip()
