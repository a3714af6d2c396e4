"""The command `codegym`: what the library does, at a terminal and in scripts.

Each command is a module with `Args`, a dataclass that is its command line, and `run` (`serve` has
`main`, as its options are those of a function). They are
named by strings, so that one command does not load what another needs. Exit status: 0, all is well;
1, the work was done, and there is something to look at; 2, it could not be done, and a message says
why; 130, interrupted.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence

from codegym.errors import CodegymError

__all__ = ["main"]

_NEEDED = ("rich", "tyro")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Its words; None: those of this process.

    Returns:
        The exit status.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"codegym: the command needs {' and '.join(missing)}: "
            "pip install -e '.[cli]' (in codegym's checkout)",
            file=sys.stderr,
        )
        return 2
    command_line = importlib.import_module("codegym.commands.command_line")
    try:
        status: int = command_line.run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except CodegymError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a folder that cannot be written to
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. What was written until now is whole.", file=sys.stderr)
        return 130
    return status
