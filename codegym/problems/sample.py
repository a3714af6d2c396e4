"""The sample: problems of codegym's own that may stand in for a data set on a machine offline.

A set that stands in for another must never go unnoticed: it warns here, its problems and its
report carry a name of their own, and an argument refuses it.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from codegym.errors import ConfigurationError, OfflineError, SampleDataWarning
from codegym.problems.source import Source

__all__ = ["SAMPLE", "sample_of", "warn_of_sample"]

SAMPLE = "sample"
"""What ``data=`` names it by. A file or folder of that name is ``"./sample"`` or a ``Path``."""

_STACK = 2  # the caller of load_problems
_REGISTRY: dict[Any, Any] = {}  # Python notes here what it showed, not what it ignored or raised


def sample_of(source: Source) -> Source:
    """The sample of a source, for a caller who named it.

    Raises:
        ConfigurationError: If the source has none.
    """
    if source.sample is None:
        raise ConfigurationError(
            f"data={SAMPLE!r} names the sample of 'apps_plus', which source {source.name!r} cannot "
            f"read: it has no sample. Expected {source.expected}. If a file or folder of that name "
            f"is meant, write data='./{SAMPLE}'."
        )
    return source.sample


def warn_of_sample(error: OfflineError) -> None:
    """Warns that the sample stands in for a source, until that was shown once in a process.

    Who ignores the warning for a while is warned afterwards, and who always wants to see it, is
    always warned.

    Args:
        error: Why the source is not to be had, and what to do.
    """
    if any(isinstance(key, tuple) for key in _REGISTRY):  # the other keys are Python's own
        return
    caller = sys._getframe(_STACK)
    warnings.warn_explicit(
        "THIS IS NOT APPS+. These are sixty problems of codegym's own in the format of APPS+, and "
        f"no result on them is one on APPS+. {error}\n"
        f"data={SAMPLE!r} chooses them without this warning; allow_sample=False makes it an error.",
        SampleDataWarning,
        caller.f_code.co_filename,
        caller.f_lineno,
        module=caller.f_globals.get("__name__"),
        registry=_REGISTRY,
    )
