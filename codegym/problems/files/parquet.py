"""The rows of a parquet file, of which one row group is in memory at a time.

A row group is what a parquet file can be read by: the rows of some hundred to some thousand in a
row, which are compressed together. The package ``pyarrow`` reads them; it is optional.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import importlib
import itertools
from pathlib import Path
from typing import Any

from codegym.errors import DataError, DataFormatError, ProblemError

__all__ = ["PARQUET_MAGIC", "ParquetRows", "open_parquet", "require_parquet"]

PARQUET_MAGIC = b"PAR1"
_PIP_LINE = "pip install -e '.[parquet]' (in codegym's checkout)"


@dataclasses.dataclass(frozen=True)
class ParquetRows:
    """The rows of one file, each read from its row group when it is asked for.

    Attributes:
        path: Where the file is.
        size: Bytes of all columns, uncompressed.
        ends: For each row group, how many rows it and those before it have.
        version: Size and time of change of the file; another version is read anew.
    """

    path: Path
    size: int
    ends: tuple[int, ...]
    version: tuple[int, int]

    def __len__(self) -> int:
        return self.ends[-1]

    def row(self, index: int) -> dict[str, Any]:
        """A row as plain values: columns are keys, structs are dicts, lists are lists.

        Args:
            index: The row's position, from 0.

        Raises:
            ProblemError: If the row group cannot be decoded, or the row is not plain values: a text
                that is not UTF-8, a struct with two fields of a name.
            OSError: If the file may not be read any more.
        """
        group = bisect.bisect_right(self.ends, index)
        first = self.ends[group - 1] if group else 0
        table = _row_group(self.path, self.version, group)
        try:
            row: dict[str, Any] = table.slice(index - first, 1).to_pylist()[0]
        except (ValueError, OverflowError) as error:
            raise ProblemError(f"it cannot be read ({_first_line(error)})") from error
        return row


def open_parquet(path: Path, *, expected: str) -> ParquetRows:
    """Finds the row groups of a parquet file.

    Args:
        path: The file.
        expected: What it should hold, for the error message.

    Raises:
        DataError: If the package that reads parquet files is not installed.
        DataFormatError: If the file is damaged or cut off, has no rows, or several columns of a
            name.
    """
    arrow = require_parquet(path)
    stat = path.stat()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            groups = [
                file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)
            ]
            rows = [group.num_rows for group in groups]
            size = sum(group.total_byte_size for group in groups)
            names = file.schema_arrow.names
    except (arrow.ArrowException, OSError) as error:
        if not _is_damage(error):
            raise
        raise DataFormatError(
            f"{path} is a damaged parquet file ({_first_line(error)}). Expected {expected}; the "
            "file may be cut off, get it again."
        ) from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataFormatError(
            f"{path} has several columns named {' and '.join(map(repr, twice))}, and which of them "
            f"counts is not certain. Expected {expected}; rename or leave out all but one."
        )
    if not sum(rows):
        raise DataFormatError(
            f"{path} is a parquet file without rows. Expected {expected}; get the file again."
        )
    ends = tuple(itertools.accumulate(rows))
    return ParquetRows(path, size, ends, (stat.st_size, stat.st_mtime_ns))


@functools.lru_cache(maxsize=1)
def _row_group(path: Path, _version: tuple[int, int], number: int) -> Any:
    arrow = require_parquet(path)
    try:
        with arrow.parquet.ParquetFile(path) as file:
            return file.read_row_group(number, use_threads=False)
    except (arrow.ArrowException, OSError) as error:
        if not _is_damage(error):
            raise
        raise ProblemError(
            f"row group {number} of the parquet file is damaged ({_first_line(error)})"
        ) from error


def require_parquet(file: Path | str) -> Any:
    """The package ``pyarrow``.

    Args:
        file: What is to be read with it, for the error message.

    Raises:
        DataError: If it is not installed.
    """
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise DataError(
            f"{file} is a parquet file, which needs an optional package: {_PIP_LINE}"
        ) from None


def _is_damage(error: Exception) -> bool:
    """Whether the content is at fault; what the system refused has a number."""
    return getattr(error, "errno", None) is None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
