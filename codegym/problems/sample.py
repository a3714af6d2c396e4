"""The sample: problems of codegym's own that may stand in for a data set on a machine offline.

A set that stands in for another must never go unnoticed: it warns here, its problems and its
report carry a name of their own, and an argument refuses it.
"""

from __future__ import annotations

import warnings

from codegym.errors import ConfigurationError, OfflineError, SampleDataWarning
from codegym.problems.source import Source

__all__ = ["SAMPLE", "sample_of", "warn_of_sample"]

SAMPLE = "sample"
"""What ``data=`` names it by. A file or folder of that name is ``"./sample"`` or a ``Path``."""

_STACK = 3  # the caller of load_problems
_WARNED: set[str] = set()  # of this process, by name of the source


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


def warn_of_sample(source: Source, error: OfflineError) -> None:
    """Warns, once in a process, that the sample stands in for `source`.

    Args:
        source: What was asked for.
        error: Why it is not to be had, and what to do.
    """
    if source.name in _WARNED:
        return
    warnings.warn(
        "THIS IS NOT APPS+. These are sixty problems of codegym's own in the format of APPS+, and "
        f"no result on them is one on APPS+. {error}\n"
        f"data={SAMPLE!r} chooses them without this warning; allow_sample=False makes it an error.",
        SampleDataWarning,
        stacklevel=_STACK,
    )
    _WARNED.add(source.name)  # not reached where warnings are errors: then every load fails
