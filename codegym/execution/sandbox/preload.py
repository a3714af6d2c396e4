"""Loads the modules that programs usually import, once for all of them.

Each makes the fork of a child dearer, those of the library that are written in C most (every one
is five more mappings): what is left out here halves that time. A program that does import it pays
a few milliseconds.

This must come before anything else is imported: some modules hook themselves into `fork`, and the
hooks of `random` and `threading` alone double its time. A child needs neither, since its random
numbers are seeded and it has one thread; a program that may fork itself needs both.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

_MODULES = (
    "abc",
    "bisect",
    "collections",
    "collections.abc",
    "contextlib",
    "copy",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "io",
    "itertools",
    "json",
    "keyword",
    "linecache",
    "math",
    "numbers",
    "operator",
    "os",
    "random",
    "re",
    "string",
    "struct",
    "sys",
    "threading",
    "time",
    "traceback",
    "types",
    "typing",
    "warnings",
    "weakref",
)


def load() -> list[dict[str, Callable[[], Any]]]:
    """Imports the modules; returns the hooks on `fork` that they asked for."""
    asked: list[dict[str, Callable[[], Any]]] = []
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: asked.append(hooks)
    try:
        for name in _MODULES:
            importlib.import_module(name)
    finally:
        os.register_at_fork = register
    return asked
