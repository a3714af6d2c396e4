"""`python -m codegym.serving`: the command `codegym serve`."""

from __future__ import annotations

from codegym.serving.command import main

if __name__ == "__main__":
    main()
