"""Where a data file is: the `data` argument, `$CODEGYM_DATA`, the user's cache, or the network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from codegym.errors import DataNotFoundError, OfflineError
from codegym.problems.download import download, verify
from codegym.problems.source import RemoteFile, Source

__all__ = ["cache_folder", "locate"]

_SAMPLE_HINT = (
    '\nOr choose data="sample": problems of codegym\'s own in the same format, which ship with the '
    "package."
)


def cache_folder() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/codegym`` or ``~/.cache/codegym``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "codegym"


def locate(source: Source, files: Sequence[RemoteFile], data: Path | None) -> list[Path]:
    """Finds the files of a source, downloading those that are nowhere on this machine.

    Args:
        source: The data set.
        files: Which of its files are needed.
        data: A folder that must hold the files, or None for the usual places. (A single file
            needs no search.)

    Returns:
        One path for each of `files`.

    Raises:
        OfflineError: If a file is nowhere, and no connection could be made to download it.
        DataNotFoundError: If a file is nowhere and can not be downloaded for another reason, or is
            not in `data`.
    """
    if data is not None:
        return [_in_folder(data, source, file) for file in files]
    return [_anywhere(source, file) for file in files]


def _in_folder(folder: Path, source: Source, file: RemoteFile) -> Path:
    names = _names(file)
    found = _first_file(folder / name for name in (*names, *map(os.path.basename, names)))
    if found is None:
        raise DataNotFoundError(
            f"The folder {folder} does not hold {file.name!r} of source {source.name!r} (looked "
            f"for {', '.join(names)}). Name the file itself with data=, or get it: {_command(file)}"
        )
    return found


def _anywhere(source: Source, file: RemoteFile) -> Path:
    names = _names(file)
    environment = os.environ.get("CODEGYM_DATA")
    if environment:
        found = _first_file(Path(environment) / name for name in names)
        if found is not None:
            return found
    target = cache_folder() / file.name
    if target.is_file():
        verify(target)
        return target
    try:
        return download(file.url, target)
    except OSError as error:
        kind = OfflineError if isinstance(error, ConnectionError) else DataNotFoundError
        raise kind(
            f"{file.name!r} of source {source.name!r} is not on this machine and could not be "
            f"downloaded ({error}). It comes from {file.url} . Get it with\n  {_command(file)}\n"
            "or name a copy with data= or the folder that holds it with $CODEGYM_DATA "
            f"({'now ' + environment if environment else 'not set'})."
            f"{_SAMPLE_HINT if source.sample is not None else ''}"
        ) from error


def _names(file: RemoteFile) -> list[str]:
    names = (file.name, *file.aliases)
    bare = [name.removesuffix(".gz") for name in names]
    return list(dict.fromkeys([*names, *bare, *(name + ".gz" for name in bare)]))


def _first_file(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _command(file: RemoteFile) -> str:
    return f"curl -L --fail --create-dirs -o '{cache_folder() / file.name}' '{file.url}'"
