"""Where a data file is: the `data` argument, `$CODEGYM_DATA`, the user's cache, or the network."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from codegym.errors import DataFormatError, DataNotFoundError, OfflineError, ProblemError
from codegym.problems.data_file import open_data_file
from codegym.problems.download import download, verify
from codegym.problems.source import RemoteFile, Source, problem_of, row_of

__all__ = ["cache_folder", "data_folder", "locate", "user_path"]

_SAMPLE_HINT = (
    '\nOr choose data="sample": problems of codegym\'s own in the same format, which ship with the '
    "package."
)


def cache_folder() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/codegym`` or ``~/.cache/codegym``.

    Raises:
        DataNotFoundError: If that is nowhere, because the user has no home folder.
    """
    return user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "codegym"


def data_folder() -> Path | None:
    """The folder that ``$CODEGYM_DATA`` names; None if it is not set or empty.

    Raises:
        DataNotFoundError: If it names no folder.
    """
    named = os.environ.get("CODEGYM_DATA")
    if not named:
        return None
    folder = user_path(named)
    if not folder.is_dir():
        raise DataNotFoundError(
            f"$CODEGYM_DATA is {named!r}, which is {'a file' if folder.exists() else 'not there'}. "
            "Expected a folder that holds data sets: correct it or unset it. A single file is "
            "named with data=."
        )
    return folder


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path as a user writes it, with ``~``.

    Raises:
        DataNotFoundError: If there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataNotFoundError(
            f"{os.fspath(path)!r} is nowhere: there is no such home folder. Set $HOME, or name the "
            "place of data sets without '~', with data=, $CODEGYM_DATA or $XDG_CACHE_HOME."
        ) from error


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
            not in `data`; if ``$CODEGYM_DATA`` names no folder, or something is at the place of a
            file that is none.
        DataFormatError: If a file of the cache has changed since it was downloaded.
        OSError: If it may not be known whether a file is there.
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
            f"for {', '.join(names)}). Name the file itself with data=, or get it: "
            f"{_command(file, folder / file.name)}"
        )
    return found


def _anywhere(source: Source, file: RemoteFile) -> Path:
    names = _names(file)
    folder = data_folder()
    if folder is not None:
        found = _first_file(folder / name for name in names)
        if found is not None:
            return found
    target = cache_folder() / file.name
    if _is_file(target):
        verify(target)
        return target
    try:
        return download(file.url, target, functools.partial(_check, source))
    except OSError as error:
        kind = OfflineError if isinstance(error, ConnectionError) else DataNotFoundError
        raise kind(
            f"{file.name!r} of source {source.name!r} is not on this machine and could not be "
            f"downloaded ({error}). It comes from {file.url} . Get it with\n  "
            f"{_command(file, target)}\nor name a copy with data= or the folder that holds it with "
            f"$CODEGYM_DATA ({'not set' if folder is None else f'now {folder}'})."
            f"{_SAMPLE_HINT if source.sample is not None else ''}"
        ) from error


def _names(file: RemoteFile) -> list[str]:
    names = (file.name, *file.aliases)
    bare = [name.removesuffix(".gz") for name in names]
    return list(dict.fromkeys([*names, *bare, *(name + ".gz" for name in bare)]))


def _first_file(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """Whether a file is there.

    A link to nothing on the way, or something else in its place, is an error: somebody put it
    there for a reason, and another file is not what they meant.
    """
    for place in (path, *path.parents):
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if place == path and path.is_file():
            return True
        if place != path and place.exists():
            return False
        raise DataNotFoundError(
            f"{place} is {'no file' if place.exists() else 'a link to nothing'}. Expected the file "
            f"{path.name!r}, or nothing there: repair or remove it."
        )
    return False


def _check(source: Source, path: Path) -> None:
    """Raises a DataFormatError if what was received is no whole file of the source."""
    rows = open_data_file(path, expected=source.expected)
    try:
        rows.row(len(rows) - 1)
    except ProblemError as error:
        raise DataFormatError(f"{path} is cut off: in its last row, {error}") from error
    reason = ""
    for index in range(len(rows)):
        try:
            problem_of(source, row_of(rows.row(index), index))
        except ProblemError as error:
            reason = reason or str(error)
        else:
            return
    raise DataFormatError(
        f"none of {len(rows)} rows of {path} can be used as {source.expected} (row 0: {reason})"
    )


def _command(file: RemoteFile, target: Path) -> str:
    return f"curl -L --fail --create-dirs -o '{target}' '{file.url}'"
