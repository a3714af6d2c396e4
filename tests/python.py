"""The interpreter as tests start it in a process of its own."""

import os
import sys

PYTHON = [sys.executable]
"""The first words of a command. Warnings are errors where the versions of all packages are locked,
as in `make test`: other versions may warn of what is no fault of ours."""
if "CODEGYM_LOCKED" in os.environ:
    PYTHON += ["-W", "error"]
