"""Loads the modules that programs usually import, once for all of them.

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
    "array",
    "ast",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "collections.abc",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "inspect",
    "io",
    "itertools",
    "json",
    "keyword",
    "linecache",
    "locale",
    "math",
    "numbers",
    "operator",
    "os",
    "pprint",
    "queue",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "sys",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "uuid",
    "warnings",
    "weakref",
    "zlib",
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
