"""Which installed packages a program may import, and whether they are there."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from codegym.errors import ConfigurationError
from codegym.execution.isolation import hello

__all__ = ["checked_names", "installed_packages"]

_NEVER = "codegym"


def installed_packages(names: Iterable[str], python: str | None = None) -> frozenset[str]:
    """Those of some packages that an interpreter has, with all that they depend on.

    Args:
        names: Names as in `import NAME`, top-level ones only.
        python: Path of the interpreter; default: this one.

    Raises:
        ConfigurationError: If a name can be none of a package, or is `codegym`.
        WorkerError: If the interpreter cannot be started.
    """
    found: list[str] = hello(python or sys.executable, checked_names(names))["packages"]
    return frozenset(found)


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names in order, each once.

    Raises:
        ConfigurationError: If a name can be none of a package, or is `codegym`.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ConfigurationError(f"packages must be several names, got {names!r:.100}.")
    checked = list(dict.fromkeys(names))
    for name in checked:
        if not isinstance(name, str) or not name.isidentifier():
            raise ConfigurationError(
                f"packages must be names as in `import NAME`, without dots, got {name!r}."
            )
        if name == _NEVER:
            raise ConfigurationError("No program may import codegym, which holds solutions.")
    return tuple(sorted(checked))
