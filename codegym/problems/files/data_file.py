"""The rows of a JSON list, of JSON lines (either plain or gzipped) or of a parquet file.

They are not kept all parsed. What the file is, is decided by its content, not by its name. A file
that holds no rows at all is an error; a single line that is not JSON is left to the caller, who
reports it as a bad row.
"""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import mmap
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from codegym.errors import DataFormatError, DataNotFoundError, ProblemError
from codegym.problems.files.parquet import PARQUET_MAGIC, ParquetRows, open_parquet
from codegym.problems.reading.json_values import parse_json, parse_json_rows

__all__ = ["DataFile", "open_data_file"]

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES_TRIED = 50  # a data set may have bad lines, but not nothing else
_READ = "a JSON list or JSON lines (either plain or gzipped) or a parquet file"
_OTHER_KINDS = {
    b"ARROW1": "an Arrow file: `dataset.to_parquet(...)` of the package `datasets` writes parquet",
    b"\xff\xff\xff\xff": "an Arrow stream, as in the cache of the package `datasets`, whose "
    "`dataset.to_parquet(...)` writes parquet",
    b"version https://git-lfs": "a pointer of Git LFS in place of the file: `git lfs pull` gets it",
    b"<": "a page in HTML or XML, such as an error that a server sent",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard: unpack it",
    b"BZh": "compressed by bzip2: unpack it",
    b"\xfd7zXZ": "compressed by xz: unpack it",
    b"\x80": "a pickle, which could run code and is never read",
    b"SQLite format 3": "an SQLite database",
}
"""What a file of another kind begins with, and what that is."""


@dataclasses.dataclass(frozen=True)
class DataFile:
    """The rows of one file: JSON text by line, row groups, or values that are parsed already.

    Attributes:
        path: Where the file is.
        size: Bytes of the rows as text.
    """

    path: Path
    size: int
    _values: Sequence[Any] | None = None
    _lines: Sequence[bytes] | None = None
    _offsets: Sequence[int] | None = None
    _numbers: Sequence[int] = ()  # of the lines that are rows
    _parquet: ParquetRows | None = None

    def __len__(self) -> int:
        if self._parquet is not None:
            return len(self._parquet)
        return len(self._numbers if self._values is None else self._values)

    def row(self, index: int) -> Any:
        """The JSON value of a row.

        Args:
            index: The row's position, from 0.

        Raises:
            ProblemError: If the row's text is not JSON or has a key twice in an object, or its row
                group is damaged.
        """
        if self._parquet is not None:
            return self._parquet.row(index)
        if self._values is not None:
            value = self._values[index]
            if isinstance(value, ProblemError):
                raise value
            return value
        line = self._line(index)
        try:
            return parse_json(line)
        except json.JSONDecodeError as error:
            told = f"{error.msg} at column {error.colno}"
            if index == len(self) - 1 and not line.endswith(b"\n"):
                told += "; it is the last line, the file may be cut off"
            raise ProblemError(f"the line is not JSON: {told}") from error
        except ProblemError:
            raise
        except ValueError as error:
            raise ProblemError(f"the line is not JSON: {error}") from error

    def place(self, index: int) -> str:
        """Where a row is, for a message, counted from 1 as an editor does.

        Returns:
            Such as ``"line 3"`` of a file with a row a line, or ``"row 3"`` of a JSON list or a
            parquet file.
        """
        return f"line {self._numbers[index]}" if self._numbers else f"row {index + 1}"

    def _line(self, index: int) -> bytes:
        if self._lines is not None:
            return self._lines[index]
        assert self._offsets is not None
        with self.path.open("rb") as file:
            file.seek(self._offsets[index])
            return file.readline()


def open_data_file(path: Path, *, expected: str) -> DataFile:
    """Finds the rows of a file.

    Args:
        path: A JSON list or JSON lines, plain or gzipped, or a parquet file.
        expected: What the file should hold, for the error message.

    Raises:
        DataNotFoundError: If there is no such file.
        DataError: If it is a parquet file, and the package that reads these is not installed.
        DataFormatError: If the file is empty, truncated, of another kind, or holds no rows.
    """
    if not path.is_file():
        raise DataNotFoundError(f"There is no file {path}. Expected {expected}.")
    try:
        with path.open("rb") as file:
            start = file.read(len(PARQUET_MAGIC))
        if start == PARQUET_MAGIC:
            rows = open_parquet(path, expected=expected)
            return DataFile(path, rows.size, _parquet=rows)
        if start.startswith(_GZIP_MAGIC):
            with gzip.open(path) as file:
                content = file.read()
            return _rows_of(content, path, expected)
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return _rows_of(b"", path, expected)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content_map:
                return _rows_of(content_map, path, expected)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataFormatError(
            f"{path} is a damaged gzip file ({error}). Expected {expected}; get the file again."
        ) from error


def _rows_of(content: bytes | mmap.mmap, path: Path, expected: str) -> DataFile:
    start = len(_BYTE_ORDER_MARK) if content[:3] == _BYTE_ORDER_MARK else 0
    numbered = list(_numbered_offsets(content, start))
    if not numbered:
        raise DataFormatError(f"{path} is empty. Expected {expected}; get the file again.")
    numbers, offsets = zip(*numbered, strict=True)
    head = _line_at(content, offsets[0]).lstrip()
    if head.startswith(b"["):
        return DataFile(path, len(content), _values=_list_of(content[start:], path, expected))
    if any(_is_object(_line_at(content, offset)) for offset in offsets[:_LINES_TRIED]):
        if isinstance(content, bytes):  # was compressed: a row cannot be read alone
            lines = [_line_at(content, offset) for offset in offsets]
            return DataFile(path, len(content), _lines=lines, _numbers=numbers)
        return DataFile(path, len(content), _offsets=offsets, _numbers=numbers)
    if head.startswith(b"{") and _is_object(content[start:]):
        return DataFile(path, len(content), _values=parse_json_rows(b"[" + content[start:] + b"]"))
    raise DataFormatError(
        f"{path} holds no rows: it is {_kind_of(head)}. Expected {expected}, in {_READ}."
    )


def _kind_of(head: bytes) -> str:
    """What a file is that holds no rows, by its first bytes."""
    for start, kind in _OTHER_KINDS.items():
        if head.startswith(start):
            return kind
    return f"of an unknown kind and starts with {head[:60]!r}"


def _list_of(content: bytes, path: Path, expected: str) -> list[Any]:
    try:
        values = parse_json_rows(content)
    except ValueError as error:
        raise DataFormatError(
            f"{path} starts like a JSON list but is none ({error}). Expected {expected}; "
            "the file may be cut off, get it again."
        ) from error
    if not values:
        raise DataFormatError(
            f"{path} is an empty JSON list. Expected {expected}; get the file again."
        )
    return values


def _numbered_offsets(content: bytes | mmap.mmap, start: int) -> Iterator[tuple[int, int]]:
    """Number, from 1, and offset of each line that is not blank."""
    for number in itertools.count(1):
        if start >= len(content):
            return
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end + 1
        if content[start:end].strip():
            yield number, start
        start = end


def _line_at(content: bytes | mmap.mmap, offset: int) -> bytes:
    end = content.find(b"\n", offset)
    return content[offset:] if end < 0 else content[offset:end]


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except ProblemError:  # a key stands twice in it: it is a row, and is refused as one
        return True
    except ValueError:
        return False
