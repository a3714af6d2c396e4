"""`python -m codegym.execution [PYTHON]`: prints what this machine enforces."""

from __future__ import annotations

import sys

from codegym.execution.isolation import describe_isolation

if __name__ == "__main__":
    print(describe_isolation(sys.argv[1] if len(sys.argv) > 1 else None))
