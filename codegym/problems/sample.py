"""The sample: problems of codegym's own that may stand in for a data set on a machine offline.

A set that stands in for another must never go unnoticed: it warns here, its problems and its
report carry a name of their own, and an argument refuses it.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from codegym.errors import OfflineError, SampleDataWarning
from codegym.problems.source import Source

__all__ = ["SAMPLE", "warn_of_sample"]

SAMPLE = "sample"
"""What ``data=`` names it by. A file or folder of that name is ``"./sample"`` or a ``Path``."""

_STACK = 2  # the caller of load_problems
# By sample: Python notes here what it showed, not what it ignored or raised.
_REGISTRIES: dict[str, dict[Any, Any]] = {}


def warn_of_sample(sample: Source, error: OfflineError) -> None:
    """Warns that a sample stands in for a source, until that was shown once in a process.

    Who ignores the warning for a while is warned afterwards, and who always wants to see it, is
    always warned.

    Args:
        sample: What stands in.
        error: Why the source is not to be had, and what to do.
    """
    registry = _REGISTRIES.setdefault(sample.name, {})
    if any(isinstance(key, tuple) for key in registry):  # the other keys are Python's own
        return
    caller = sys._getframe(_STACK)
    warnings.warn_explicit(
        f"{sample.disclaimer} {error}\n"
        f"data={SAMPLE!r} chooses them without this warning; allow_sample=False makes it an error.",
        SampleDataWarning,
        caller.f_code.co_filename,
        caller.f_lineno,
        module=caller.f_globals.get("__name__"),
        registry=registry,
    )
