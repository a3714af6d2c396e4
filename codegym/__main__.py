"""`python -m codegym` is the command `codegym`."""

from __future__ import annotations

import sys

from codegym.commands import main

if __name__ == "__main__":
    sys.exit(main())
