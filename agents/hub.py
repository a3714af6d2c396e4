"""Loading what Hugging Face libraries load, with errors that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from agents.folders import replaced
from codegym.errors import ConfigurationError

__all__ = ["loading"]


@contextlib.contextmanager
def loading(name: str | Path, kind: str) -> Iterator[str]:
    """Turns what goes wrong inside into an error of ours.

    Those libraries raise what they like: for damaged files, for shapes that do not fit, for
    packages that a checkpoint needs. An error that says already what to do, and a full memory, are
    left as they are.

    Args:
        name: Of a folder or on the hub.
        kind: What is loaded there, such as "a tokenizer".

    Yields:
        The name, as those libraries take it.

    Raises:
        ConfigurationError: If there is no such folder, or it cannot be loaded.
    """
    path = Path(name)
    # Else the hub would be asked, again and again, for what is a misspelt folder.
    local = path.is_absolute() or (path.parent != Path() and path.parent.is_dir())
    if local and not path.is_dir():
        earlier = replaced(path)
        found = (
            f" A process was killed while it replaced it; what stood there before is in "
            f"{str(earlier)!r}, and can be renamed."
            if earlier.is_dir()
            else ""
        )
        raise ConfigurationError(
            f"Expected a folder with {kind}, or its name on the Hugging Face hub, but there is no "
            f"folder {str(name)!r}.{found}"
        )
    try:
        yield str(name)
    except (ConfigurationError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        where = f"folder {str(name)!r}" if path.is_dir() else f"hub, under the name {str(name)!r}"
        clear = isinstance(error, OSError | ValueError | ImportError)
        fault = f"{error}" if clear else f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"Expected {kind} in the {where}, but it cannot be loaded: {fault}"
        ) from error
