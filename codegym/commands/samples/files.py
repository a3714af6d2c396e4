"""Which format a file has, told by its content, and its samples, one after the other.

Lines and parquet are streamed; a JSON list is parsed whole. Files may be gzipped.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import importlib
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from codegym.commands.samples.formats import (
    EVALPLUS_RESULTS,
    LISTS,
    ROW_FORMATS,
    Format,
    RowFormat,
    read_evalplus_result,
    read_lists,
)
from codegym.commands.samples.sample import Form, Sample, Unreadable
from codegym.errors import DataFormatError, DataNotFoundError, ProblemError
from codegym.problems.reading.json_values import parse_json, parse_json_rows

__all__ = ["OURS", "SampleFile", "open_samples"]

OURS = ".codegym."
"""What the names of files that these commands write contain, so that none is read as samples."""
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES_TRIED = 50
_NAMES = re.compile(r"\.(jsonl|json|parquet)(\.gz)?$")
_PROGRAMS = Format(
    "evalplus folder",
    "a folder of programs: TASK_ID/0.py, TASK_ID/1.py, ..., or TASK_ID.py",
)
_KNOWN = (*ROW_FORMATS, EVALPLUS_RESULTS, LISTS, _PROGRAMS)


@dataclasses.dataclass(frozen=True, slots=True)
class SampleFile:
    """A file of samples, or a folder of programs.

    Attributes:
        path: Where it is.
        format: What was found in it.
        _samples: Reads it from the beginning.
        positions: How many problems it has programs of, where only positions tell which.
        programs: The files of a folder of programs.
    """

    path: Path
    format: Format
    _samples: Callable[[], Iterator[Sample | Unreadable]]
    positions: int | None = None
    programs: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return self.programs or (self.path,)

    def __iter__(self) -> Iterator[Sample | Unreadable]:
        """The samples, in the order of the file, and the rows that hold none."""
        try:
            yield from self._samples()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Unreadable(f"{self.path.name}, the rest", f"the gzip file is damaged: {error}")
        except OSError as error:
            yield Unreadable(f"{self.path.name}, the rest", f"the file is damaged: {error}")


def open_samples(path: Path) -> list[SampleFile]:
    """Finds the files of samples and what they are.

    Args:
        path: A file; a folder of programs; or a folder of files, as trainers write them, which are
            read in the order of the numbers in their names.

    Returns:
        One entry, or of a folder of files one for each.

    Raises:
        DataNotFoundError: If there is nothing.
        DataFormatError: If it is of no format that is known; the message names those.
    """
    if not path.exists():
        raise DataNotFoundError(f"There is no file or folder {path}. Expected {_formats()}")
    if not path.is_dir():
        return [_open(path, "")]
    names = sorted((p for p in path.rglob("*") if _is_read(p, path)), key=_in_order)
    programs = [p for p in names if p.suffix == ".py"]
    files = [p for p in names if _NAMES.search(p.name)]
    if programs and files:
        raise DataFormatError(
            f"{path} holds programs ({programs[0].name}, ...) and files of samples "
            f"({files[0].name}, ...). Name the one or the other: a folder of its own for each."
        )
    if programs:
        read = functools.partial(_programs, path, programs)
        return [SampleFile(path, _PROGRAMS, read, programs=tuple(programs))]
    if not files:
        raise DataFormatError(f"{path} holds no samples. Expected {_formats()}")
    return [_open(file, f"{file.relative_to(path)} ") for file in files]


def _is_read(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return (
        path.is_file()
        and OURS not in path.name
        and not any(part.startswith(".") for part in inside)
    )


def _in_order(path: Path) -> list[tuple[int, int, str]]:
    """A key that sorts 2.jsonl before 10.jsonl."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _open(path: Path, prefix: str) -> SampleFile:
    with path.open("rb") as file:
        start = file.read(4)
    if start == _PARQUET:
        return _parquet(path, prefix)
    try:
        return _json(path, prefix)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataFormatError(
            f"{path} is a damaged gzip file ({error}). Expected {_formats()}"
        ) from error


def _json(path: Path, prefix: str) -> SampleFile:
    tried = list(itertools.islice(_lines(path), _LINES_TRIED))
    if not tried:
        raise DataFormatError(f"{path} is empty. Expected {_formats()}")
    if tried[0][1].lstrip().startswith(b"["):
        return _listed(path, prefix, _whole(path))
    objects = [row for row in map(_object_or_none, tried) if row is not None]
    if not objects and tried[0][1].lstrip().startswith(b"{"):
        objects = [_one_object(path)]
    if objects and isinstance(objects[0].get("eval"), dict):
        return SampleFile(
            path, EVALPLUS_RESULTS, lambda: _evalplus_results(objects[0]["eval"], prefix)
        )
    if not objects:
        raise DataFormatError(
            f"{path} holds no JSON objects: it starts with {tried[0][1][:60]!r}. Expected "
            f"{_formats()}"
        )
    fmt = _format_of(path, objects[0])
    return SampleFile(path, fmt, lambda: _json_lines(path, fmt, prefix))


def _format_of(path: Path, row: Any) -> RowFormat:
    if isinstance(row, dict):
        for each in ROW_FORMATS:
            if each.fits(row):
                return each
        found = f"rows with {', '.join(map(repr, list(row)[:12])) or 'no fields'}"
    else:
        found = f"rows such as {row!r:.60}"
    raise DataFormatError(f"{path} holds {found}. Expected {_formats()}")


def _listed(path: Path, prefix: str, rows: list[Any]) -> SampleFile:
    if not rows:
        raise DataFormatError(f"{path} is an empty JSON list. Expected {_formats()}")
    good = [row for row in rows if not isinstance(row, ProblemError)]
    if not good:
        raise DataFormatError(f"{path} has no row that can be read: in the first one, {rows[0]}.")
    if isinstance(good[0], list):
        read_all = functools.partial(_rows, list(enumerate(rows)), prefix, read_lists)
        return SampleFile(path, LISTS, read_all, positions=len(rows))
    fmt = _format_of(path, good[0])

    def read(row: Any, _: int, where: str) -> Iterator[Sample]:
        return _samples_of(fmt, row, where)

    return SampleFile(path, fmt, lambda: _rows(enumerate(rows), prefix, read))


def _rows(
    rows: Iterable[tuple[int, Any]],
    prefix: str,
    read: Callable[[Any, int, str], Iterator[Sample]],
) -> Iterator[Sample | Unreadable]:
    for index, row in rows:
        where = f"{prefix}row {index + 1}"
        try:
            if isinstance(row, ProblemError):
                raise row
            yield from read(row, index, where)
        except ProblemError as error:
            yield Unreadable(where, str(error))


def _samples_of(fmt: RowFormat, row: Any, where: str) -> Iterator[Sample]:
    if not isinstance(row, dict):
        raise ProblemError(f"the row is not an object but {row!r:.60}")
    if not fmt.fits(row):
        raise ProblemError(
            f"it is not a row of {fmt.name} as the first one is ({fmt.described}): it has "
            f"{', '.join(map(repr, row)) or 'no fields'}"
        )
    return fmt.read(row, where)


def _json_lines(path: Path, fmt: RowFormat, prefix: str) -> Iterator[Sample | Unreadable]:
    for number, line in _lines(path):
        where = f"{prefix}line {number}"
        try:
            yield from _samples_of(fmt, parse_json(line), where)
        except ProblemError as error:
            yield Unreadable(where, str(error))
        except ValueError as error:
            yield Unreadable(where, f"the line is not JSON, perhaps it was cut off: {error}")


def _evalplus_results(by_task: dict[str, Any], prefix: str) -> Iterator[Sample | Unreadable]:
    for task_id, samples in by_task.items():
        for number, row in enumerate(samples if isinstance(samples, list) else [samples]):
            where = f"{prefix}{task_id}, sample {number + 1}"
            try:
                if not isinstance(row, dict):
                    raise ProblemError(f"it is not an object but {row!r:.60}")
                yield from read_evalplus_result({"task_id": task_id, **row}, where)
            except ProblemError as error:
                yield Unreadable(where, str(error))


def _programs(folder: Path, paths: list[Path]) -> Iterator[Sample | Unreadable]:
    for path in paths:
        inside = path.relative_to(folder)
        name = inside.parts[-2] if len(inside.parts) > 1 else path.stem
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError as error:
            yield Unreadable(str(inside), f"it is not UTF-8: {error}")
        else:
            yield Sample(str(inside), text, Form.PROGRAM, problem_id=name)


def _parquet(path: Path, prefix: str) -> SampleFile:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise DataFormatError(
            f"{path} is a parquet file, which needs an optional package: "
            "pip install -e '.[parquet]' (in codegym's checkout)"
        ) from None
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these classes
        raise DataFormatError(f"{path} is a damaged parquet file: {error}") from error
    fmt = _format_of(path, dict.fromkeys(file.schema_arrow.names))

    def rows() -> Iterator[tuple[int, Any]]:
        try:
            batches = parquet.ParquetFile(path).iter_batches(batch_size=256)
            yield from enumerate(row for batch in batches for row in batch.to_pylist())
        except ValueError as error:  # as which pyarrow tells some of what is damaged
            raise OSError(str(error)) from error

    return SampleFile(
        path,
        fmt,
        lambda: _rows(rows(), prefix, lambda row, _, where: _samples_of(fmt, row, where)),
    )


def _stream(path: Path) -> gzip.GzipFile | io.BufferedReader:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
    return gzip.open(path) if zipped else path.open("rb")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number, from 1, and bytes of each line that is not blank."""
    with _stream(path) as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line.strip():
                yield number, line


def _object_or_none(numbered: tuple[int, bytes]) -> dict[str, Any] | None:
    try:
        # A row with a key twice is refused when it is read, but its keys tell the format.
        value = json.loads(numbered[1], parse_int=str)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _whole(path: Path) -> list[Any]:
    with _stream(path) as file:
        content = file.read().removeprefix(_BYTE_ORDER_MARK)
    try:
        return parse_json_rows(content)
    except ValueError as error:
        raise DataFormatError(
            f"{path} starts like a JSON list but is none ({error}); it may be cut off, get it "
            f"again. Expected {_formats()}"
        ) from error


def _one_object(path: Path) -> dict[str, Any]:
    """The object that a file of several lines is, as evalplus writes its results."""
    with _stream(path) as file:
        content = file.read().removeprefix(_BYTE_ORDER_MARK)
    try:
        value = parse_json(content)
    except ProblemError as error:
        raise DataFormatError(f"{path} cannot be read: {error}.") from error
    except ValueError as error:
        raise DataFormatError(
            f"{path} starts like a JSON object but no line of its first {_LINES_TRIED} is one, "
            f"and it is none as a whole ({error}). Expected {_formats()}"
        ) from error
    assert isinstance(value, dict)
    return value


def _formats() -> str:
    known = "".join(f"\n  {each.name}: {each.described}" for each in _KNOWN)
    return f"one of these kinds, gzipped or not:{known}"
