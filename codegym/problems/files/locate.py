"""Where a data file is: the `data` argument, `$CODEGYM_DATA`, the user's cache, or the network."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from codegym.errors import ConfigurationError, DataNotFoundError, OfflineError
from codegym.problems.files.download import download, verify
from codegym.problems.files.parquet import require_parquet
from codegym.problems.source import RemoteFile, Source

__all__ = [
    "FoundFile",
    "cache_folder",
    "data_folder",
    "find_files",
    "find_here",
    "how_to_get",
    "user_path",
]

Check = Callable[[Path], None]

# In this order: a folder of parquet files has JSON files that describe them.
_KINDS = (re.compile(r".*\.parquet"), re.compile(r".*\.jsonl?(\.gz)?"))
_LISTED = 5

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


class FoundFile(NamedTuple):
    """A file that was found, and the split that it stands for, if any."""

    path: Path
    split: str | None


def find_files(
    source: Source, data: str | os.PathLike[str] | None, split: str | None, check: Check
) -> list[FoundFile]:
    """Finds the files of a source, downloading those that are nowhere on this machine.

    Args:
        source: The data set.
        data: A file, or a folder that must hold the files (of a source that knows no files: all of
            its parquet files, or else all JSON files, in order of their names); None: the usual
            places.
        split: Only the files that hold rows of this split; None: all.
        check: Raises a :class:`~codegym.errors.DataError` if a file that was received is not a
            whole file of the source.

    Raises:
        ConfigurationError: If `data` is not a path, is a folder where a file is needed, or is the
            file of another split; or if only a user knows where the files are, and none is named.
        OfflineError: If a file is nowhere, and no connection could be made to download it.
        DataNotFoundError: If a file is nowhere and cannot be downloaded for another reason, or is
            not in `data`; if ``$CODEGYM_DATA`` names no folder, or something is at the place of a
            file that is none.
        DataError: If a parquet file would be downloaded, and the package that reads these is not
            installed.
        DataFormatError: If a file of the cache has changed since it was downloaded.
        OSError: If it may not be known whether a file is there.
    """
    if source.packaged is not None:
        return [FoundFile(source.packaged, None)]
    path = None if data is None else _path(data)
    if path is not None and not os.path.isdir(path):
        return [FoundFile(path, _split_of_file(source, path, split))]
    if not source.files:
        if path is None:
            raise ConfigurationError(
                f"Source {source.name!r} needs data=: a .parquet, .json or .jsonl file (the latter "
                f"two also with .gz), or a folder of them, of {source.expected}."
            )
        return _all_in_folder(path, source, split)
    files = [file for file in source.files if split is None or split in file.splits]
    if path is not None:
        paths = [_in_folder(path, source, file) for file in files]
    else:
        paths = [_anywhere(source, file, check) for file in files]
    return [
        FoundFile(found, file.splits[0] if _stands_for_one(source, file) else None)
        for found, file in zip(paths, files, strict=True)
    ]


def _path(data: object) -> Path:
    if not isinstance(data, str | os.PathLike):
        raise ConfigurationError(f"data must be the path of a file or folder, got {data!r:.80}.")
    return user_path(data)


def _all_in_folder(folder: Path, source: Source, split: str | None) -> list[FoundFile]:
    """All files of a folder and of folders in it, of a source that knows no names of files."""
    paths = [path for path in sorted(folder.rglob("*")) if _is_visible(path.relative_to(folder))]
    for kind in _KINDS:
        found = [path for path in paths if kind.fullmatch(path.name.lower()) and path.is_file()]
        if found:
            break
    else:
        names = ", ".join(path.name for path in paths[:_LISTED]) or "nothing"
        raise DataNotFoundError(
            f"The folder {folder} holds no .parquet, .json or .jsonl file; it holds {names}. "
            f"Expected {source.expected}."
        )
    named = [FoundFile(path, _split_by_name(source, path)) for path in found]
    if source.row_splits is not None or split is None:
        return named
    wanted = [file for file in named if file.split == split]
    if not wanted:
        names = ", ".join(path.name for path in found[:_LISTED])
        raise DataNotFoundError(
            f"The folder {folder} holds no file of the split {split!r}, whose name would begin "
            f"with it; it holds {names}. Rename the files, or name one with data=."
        )
    return wanted


def _is_visible(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def _split_by_name(source: Source, path: Path) -> str | None:
    """The split that a file's name begins with, of a source whose rows do not tell theirs."""
    if source.row_splits is not None:
        return None
    return next((split for split in source.splits if path.name.lower().startswith(split)), None)


def _stands_for_one(source: Source, file: RemoteFile) -> bool:
    return len(file.splits) == 1 and len(source.splits) > 1


def _split_of_file(source: Source, path: Path, split: str | None) -> str | None:
    """The split that a named file stands for, where a source has a file for each split."""
    if not source.files and source.row_splits is None:
        named = _split_by_name(source, path)
        if named is not None and split not in (None, named):
            raise ConfigurationError(_other_split(source, path, named, split))
        return split or named
    if not source.files or not all(_stands_for_one(source, file) for file in source.files):
        return None
    for file in source.files:
        if path.name.removesuffix(".gz") in {_base(name) for name in (file.name, *file.aliases)}:
            if split not in (None, *file.splits):
                raise ConfigurationError(_other_split(source, path, file.splits[0], split))
            return file.splits[0]
    return split


def _other_split(source: Source, path: Path, named: str, split: str | None) -> str:
    return (
        f"{path.name} is the split {named!r} of {source.name!r}, but split={split!r} was asked "
        "for. Leave split out, or name the other file."
    )


def _base(name: str) -> str:
    return os.path.basename(name).removesuffix(".gz")


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


def find_here(file: RemoteFile) -> Path | None:
    """Where a file is in ``$CODEGYM_DATA`` or the user's cache; None if it would be downloaded.

    Raises:
        DataNotFoundError: If ``$CODEGYM_DATA`` names no folder, or something is at the place of the
            file that is none.
        DataFormatError: If a file of the cache has changed since it was downloaded.
        OSError: If it may not be known whether a file is there.
    """
    folder = data_folder()
    if folder is not None:
        found = _first_file(folder / name for name in _names(file))
        if found is not None:
            return found
    target = cache_folder() / file.name
    if not _is_file(target):
        return None
    verify(target)
    return target


def how_to_get(file: RemoteFile) -> str:
    """The command that downloads a file to where it is looked for."""
    return _command(file, cache_folder() / file.name)


def _anywhere(source: Source, file: RemoteFile, check: Check) -> Path:
    found = find_here(file)
    if found is not None:
        return found
    target, folder = cache_folder() / file.name, data_folder()
    if target.suffix == ".parquet":
        require_parquet(f"{file.name!r} of source {source.name!r}")
    try:
        return download(file.url, target, check)
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


def _command(file: RemoteFile, target: Path) -> str:
    return f"curl -L --fail --create-dirs -o '{target}' '{file.url}'"
