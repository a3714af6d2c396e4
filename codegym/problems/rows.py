"""The rows of a source's files as problems: each is tried once, and built when it is asked for.

What every problem must satisfy, and what is added to each, whatever its source, is said here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from codegym.errors import ConfigurationError, DataFormatError, ProblemError
from codegym.problems.date_window import DateWindow, day_of
from codegym.problems.files.data_file import DataFile, open_data_file
from codegym.problems.files.locate import FoundFile
from codegym.problems.problem import LONGEST_ANSWER, Problem, StdinTest
from codegym.problems.problem_set import LoadReport, ProblemSet, Remembering, SkippedRow, Summary
from codegym.problems.reading.classes import with_classes
from codegym.problems.reading.packages import with_packages
from codegym.problems.reading.unicode import require_unicode
from codegym.problems.source import Row, Source

__all__ = ["check_file", "problem_of", "read_files", "row_of"]

_LOG = logging.getLogger("codegym")
_CACHED_BYTES = 256 * 2**20
_ENTRY_POINT = re.compile(r"([^\W\d]\w*\(\)\.)?[^\W\d]\w*")


def row_of(value: Any, index: int, split: str | None = None) -> Row:
    """A row of a data file.

    Args:
        value: The row's JSON value.
        index: The row's position in the file, from 0.
        split: The split that the file stands for, if any.

    Raises:
        ProblemError: If the value is not a JSON object.
    """
    if not isinstance(value, dict):
        raise ProblemError(f"the row is not a JSON object but {type(value).__name__}")
    return Row(index, value, split)


def problem_of(source: Source, row: Row, allowed: Sequence[str] = ()) -> Problem:
    """The problem that a row of a source holds.

    Args:
        source: How its rows are read.
        row: The row.
        allowed: Packages that the user allows, beside those of the source's judge.

    Raises:
        ProblemError: If it holds none that can be used, with the reason.
        ConfigurationError: If the source makes something of it that is not a problem.
    """
    with _odd_rows():
        problem = source.parse(row)
    if not isinstance(problem, Problem):
        raise ConfigurationError(
            f"Source {source.name!r}: parse must return a Problem, or raise a ProblemError that "
            f"says why the row is none; it returned {problem!r:.80}."
        )
    with _odd_rows():
        require_unicode(problem)
    _require_reasonable_size(problem)
    if problem.entry_point is not None and not _ENTRY_POINT.fullmatch(problem.entry_point):
        raise ProblemError(
            f"the entry point must be 'name' or 'Class().method', got {problem.entry_point!r}"
        )
    problem = dataclasses.replace(problem, source=source.name)
    return with_classes(with_packages(problem, source.packages, allowed))


def check_file(source: Source, path: Path) -> None:
    """Checks that a file that was received is a whole file of a source.

    Raises:
        DataFormatError: If it is cut off, or no row of it can be used.
    """
    file = open_data_file(path, expected=source.expected)
    try:
        file.row(len(file) - 1)
    except ProblemError as error:
        raise DataFormatError(f"{path} is cut off: in its last row, {error}") from error
    reason = ""
    for index in range(len(file)):
        try:
            problem_of(source, row_of(file.row(index), index))
        except ProblemError as error:
            reason = reason or f"{file.place(index)}: {error}"
        else:
            return
    raise DataFormatError(
        f"none of {len(file)} rows of {path} can be used as {source.expected} ({reason})"
    )


def read_files(
    source: Source,
    found: Sequence[FoundFile],
    *,
    split: str | None = None,
    limit: int | None = None,
    dates: DateWindow | None = None,
    allowed: Sequence[str] = (),
    stands_in_for: str | None = None,
    others: Sequence[Source] = (),
) -> ProblemSet:
    """The problems of a source's files; every row is tried, and a bad one reported.

    Args:
        source: How their rows are read.
        found: The files.
        split: The split to keep; None: all.
        limit: Stops after this many usable problems.
        dates: The window of dates to keep, of a source that knows the day of a row; None: all.
        allowed: Packages that the user allows.
        stands_in_for: Name of the source that was asked for, if these files stand in for it.
        others: Sources that an error may propose, if the files are none of this one.

    Raises:
        DataFormatError: If no row of the files can be used.
        OSError: If a file may not be read.
    """
    files = tuple(open_data_file(file.path, expected=source.expected) for file in found)
    splits = tuple(file.split for file in found)
    build = Remembering(_Rows(source, files, splits, tuple(allowed)).problem, _kept(files))
    summaries: dict[_RowKey, Summary] = {}
    skipped: list[SkippedRow] = []
    first_seen: dict[str, _RowKey] = {}
    read = other_split = other_date = 0
    for key in _row_keys(files):
        if limit is not None and len(summaries) >= limit:
            break
        read += 1
        row: Row | None = None
        try:
            row = row_of(files[key.file].row(key.row), key.row, splits[key.file])
            if split is not None and not _is_of_split(source, row, split):
                other_split += 1
                continue
            if dates is not None and not _is_of_window(source, row, dates):
                other_date += 1
                continue
            problem = build(key)
            if problem.id in first_seen:
                seen = _place(files, first_seen[problem.id])
                raise ProblemError(f"the id was seen before, in {seen}")
        except ProblemError as error:
            number = row.identifier(*source.id_fields) if row else None
            skipped.append(SkippedRow(_place(files, key), number, str(error)))
            continue
        first_seen[problem.id] = key
        summaries[key] = Summary(problem.id, problem.difficulty)
    report = LoadReport(
        source.name,
        read,
        len(summaries),
        other_split,
        tuple(skipped),
        stands_in_for=stands_in_for,
        other_date=other_date,
    )
    if not summaries and skipped and not other_split + other_date:
        raise DataFormatError(
            f"{' and '.join(file.path.name for file in files)}: none of {read} rows can be used as "
            f"{source.expected}.{_proposal(files[0], others)}\n{report.summary()}"
        )
    if skipped:
        _LOG.warning("%s", report.summary())
    return ProblemSet(
        tuple(summaries), build, summary=summaries.__getitem__, report=report, cached=0
    )


class _RowKey(NamedTuple):
    """Where a row is: which file, which row of it."""

    file: int
    row: int


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Builds a problem from its row."""

    source: Source
    files: tuple[DataFile, ...]
    splits: tuple[str | None, ...]
    allowed: tuple[str, ...]

    def problem(self, key: _RowKey) -> Problem:
        row = row_of(self.files[key.file].row(key.row), key.row, self.splits[key.file])
        return problem_of(self.source, row, self.allowed)


def _row_keys(files: Sequence[DataFile]) -> Iterator[_RowKey]:
    for number, file in enumerate(files):
        yield from (_RowKey(number, row) for row in range(len(file)))


def _place(files: Sequence[DataFile], key: _RowKey) -> str:
    """Where a row is, for a message; its file is named where there are several."""
    file = files[key.file]
    place = file.place(key.row)
    return place if len(files) == 1 else f"{place} of {file.path.name}"


def _kept(files: Sequence[DataFile]) -> int:
    """How many built problems are kept, by the mean size of a row."""
    mean_bytes = sum(file.size for file in files) // max(1, sum(map(len, files)))
    return max(16, _CACHED_BYTES // max(1, mean_bytes))


def _is_of_split(source: Source, row: Row, split: str) -> bool:
    if source.row_splits is None:
        return True
    with _odd_rows():
        return split in source.row_splits(row)


def _is_of_window(source: Source, row: Row, dates: DateWindow) -> bool:
    assert source.day is not None
    with _odd_rows():
        return dates.holds(day_of(source.day(row)))


@contextlib.contextmanager
def _odd_rows() -> Iterator[None]:
    """Turns what happens on a row of an unexpected form into a ProblemError."""
    try:
        yield
    except ProblemError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # Data from outside takes forms that nobody thought of: a bad row is no reason to stop.
        raise ProblemError(f"has an unexpected form: {type(error).__name__}: {error}") from error


def _require_reasonable_size(problem: Problem) -> None:
    """Refuses output that no program can be asked for."""
    for number, test in enumerate(problem.tests, 1):
        if isinstance(test, StdinTest):
            size = len(test.stdout) if test.stdout.isascii() else len(test.stdout.encode())
            if size > LONGEST_ANSWER:
                raise ProblemError(
                    f"test {number} expects {size} bytes of output, more than {LONGEST_ANSWER}"
                )


def _proposal(file: DataFile, others: Sequence[Source]) -> str:
    """Names the sources that can read a file's first row, for an error message."""
    able = []
    for other in others:
        with contextlib.suppress(ProblemError, ConfigurationError):
            problem_of(other, row_of(file.row(0), 0))
            able.append(repr(other.name))
    return f" Its rows can be read as source {' or '.join(able)}." if able else ""
