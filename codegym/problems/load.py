"""`load_problems`: the one door to every source of problems."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from codegym.errors import (
    CodegymError,
    ConfigurationError,
    DataFormatError,
    DataNotFoundError,
    OfflineError,
    ProblemError,
    UnknownNameError,
)
from codegym.problems.apps import APPS
from codegym.problems.apps_plus import APPS_PLUS
from codegym.problems.custom import CUSTOM
from codegym.problems.data_file import DataFile, open_data_file
from codegym.problems.dataset import Head, LoadReport, ProblemSet, Remembering, SkippedRow
from codegym.problems.humaneval import HUMANEVAL
from codegym.problems.leetcode import LEETCODE
from codegym.problems.livecodebench import LIVECODEBENCH
from codegym.problems.locate import locate, user_path
from codegym.problems.mbpp import MBPP
from codegym.problems.mini import load_mini
from codegym.problems.packages import check_packages
from codegym.problems.problem import Problem
from codegym.problems.row import Row
from codegym.problems.sample import SAMPLE, sample_of, warn_of_sample
from codegym.problems.source import Source, problem_of, row_of

__all__ = ["SOURCES", "load_problems"]

_LOG = logging.getLogger("codegym")
_CACHED_BYTES = 256 * 2**20
_MINI_SIZE = 10_000

_FILE_SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (APPS_PLUS, APPS, HUMANEVAL, MBPP, LEETCODE, LIVECODEBENCH, CUSTOM)
}
SOURCES: tuple[str, ...] = ("mini", *_FILE_SOURCES)
"""The names that :func:`load_problems` knows."""


class _Spot(NamedTuple):
    """Where a row is: which file, which row of it."""

    file: int
    row: int


def load_problems(
    source: str,
    *,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    difficulty: str | None = None,
    limit: int | None = None,
    size: int | None = None,
    seed: int | None = None,
    allow_sample: bool = True,
    packages: Sequence[str] = (),
) -> ProblemSet:
    """Loads the problems of a source.

    Every row is read once, so that a row that can not be used is known now: it is skipped,
    counted with its reason in ``problems.report``, and logged as a warning of the logger
    ``"codegym"``. Problems are then built again when they are asked for.

    Args:
        source: One of :data:`SOURCES`.
        data: A `.json` or `.jsonl` file, plain or gzipped, or a folder that holds the source's
            files under their public names. Without it: ``$CODEGYM_DATA``, then the user's cache,
            then the network, once. ``"sample"``, of ``apps_plus`` only: sixty problems of
            codegym's own in its format, which ship with the package.
        split: Which part. Without it: all rows (``"mini"``: ``"train"``).
            ``apps``, ``leetcode``: ``train``, ``test`` (a file each); ``humaneval``: ``test``;
            ``mbpp``: ``train``, ``validation``, ``test``, ``prompt``, by official task id;
            ``livecodebench``: ``test`` (all), ``release_v1`` to ``release_v6`` (cumulative);
            ``apps_plus``, ``custom``: ``train``, ``validation``, ``test``, by hash of the text
            (of the sample: fixed).
        difficulty: Keeps the problems of this difficulty, in the source's own word.
        limit: Stops after this many usable problems (before `difficulty` is applied).
        size: ``"mini"`` only: how many problems; 10,000 by default.
        seed: ``"mini"`` only: which problems; 0 by default.
        allow_sample: Whether the sample may stand in for ``apps_plus`` if no `data` is given, the
            file is neither in ``$CODEGYM_DATA`` nor in the user's cache, and no connection can be
            made within 5 seconds. That warns with a
            :class:`~codegym.errors.SampleDataWarning` once in a process, and
            ``problems.report.stands_in_for`` says it. False: an :class:`OfflineError`, as for
            every other source.
        packages: Names of packages that programs may import, beside the standard library and what
            the data set's own judge has (``numpy`` and ``sortedcontainers`` for ``apps``,
            ``apps_plus`` and ``leetcode``, where they are installed). A row whose reference
            solution needs one of those that is not installed is skipped, and counted with that
            reason. Of no use for ``"mini"``.

    Raises:
        UnknownNameError: If the source, split or difficulty is unknown.
        ConfigurationError: If an argument has no meaning for the source.
        OfflineError: If a file is nowhere and no connection could be made to download it.
        DataNotFoundError: If a file is nowhere and could not be downloaded for another reason, if
            it may not be read, or if ``$CODEGYM_DATA`` names no folder.
        DataFormatError: If a file is no data set of this source.
    """
    if source not in SOURCES:
        raise UnknownNameError("source of problems", source, SOURCES)
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ConfigurationError(f"limit must be an int of 1 or more, got {limit!r:.80}.")
    if not isinstance(allow_sample, bool):
        raise ConfigurationError(f"allow_sample must be True or False, got {allow_sample!r:.80}.")
    allowed = check_packages(packages)
    if source == "mini":
        if data is not None:
            raise ConfigurationError("Source 'mini' is generated and takes no data=.")
        problems = load_mini(
            split=split or "train",  # type: ignore[arg-type]  # checked by load_mini
            difficulty=difficulty,  # type: ignore[arg-type]  # checked by load_mini
            size=_MINI_SIZE if size is None else size,
            seed=0 if seed is None else seed,
        )
        return problems if limit is None else problems.take(limit)
    for name, value in (("size", size), ("seed", seed)):
        if value is not None:
            raise ConfigurationError(
                f"{name}= is for source 'mini' only; {source!r} is read from files. Use "
                "load_problems(...).shuffle(seed).take(n), which environments take as problems=."
            )
    spec = _FILE_SOURCES[source]
    if split is not None and split not in spec.splits:
        raise UnknownNameError(f"split of {source!r}", split, spec.splits)
    if isinstance(data, str) and data == SAMPLE:
        spec = sample_of(spec)
    elif isinstance(data, str) and data in SOURCES and not Path(data).exists():
        raise ConfigurationError(
            f"data={data!r} names another source, which {source!r} cannot read. Expected a file or "
            f"folder of {spec.expected}. For {data!r}, use load_problems({data!r}) or its own id."
        )
    asked: str | None = None
    with _readable(spec):
        try:
            found = _find(spec, data, split)
        except OfflineError as error:
            if spec.sample is None or not allow_sample:
                raise
            warn_of_sample(error)
            asked, spec = spec.name, spec.sample
            found = _find(spec, None, split)
        problems = _from_files(spec, found, split, limit, asked, allowed)
    return problems if difficulty is None else problems.filter(difficulty=difficulty)


@contextlib.contextmanager
def _readable(spec: Source) -> Iterator[None]:
    try:
        yield
    except CodegymError:
        raise
    except OSError as error:
        raise DataNotFoundError(
            f"The files of source {spec.name!r} can not be read ({error}). Expected "
            f"{spec.expected}. Let this user read them, or name a copy with data= or the folder "
            "that holds it with $CODEGYM_DATA."
        ) from error


class _Found(NamedTuple):
    path: Path
    split: str | None  # the split that the file stands for


def _find(spec: Source, data: str | os.PathLike[str] | None, split: str | None) -> list[_Found]:
    if spec.packaged is not None:
        return [_Found(spec.packaged, None)]
    path = None if data is None else _path(data)
    files = [f for f in spec.files if split is None or split in f.splits]
    if path is not None and not os.path.isdir(path):
        return [_Found(path, _split_of_file(spec, path, split))]
    if not files and path is not None:
        raise ConfigurationError(
            f"{path} is a folder. Source {spec.name!r} has no files of known names, so data= must "
            f"be the file itself: .json or .jsonl (or either with .gz) of {spec.expected}."
        )
    if not files:
        raise ConfigurationError(
            f"Source {spec.name!r} needs data=: a .json or .jsonl file (or either with .gz) of "
            f"{spec.expected}."
        )
    only = [f.splits[0] if len(f.splits) == 1 and len(spec.splits) > 1 else None for f in files]
    return [_Found(p, s) for p, s in zip(locate(spec, files, path), only, strict=True)]


def _path(data: object) -> Path:
    if not isinstance(data, str | os.PathLike):
        raise ConfigurationError(f"data must be the path of a file or folder, got {data!r:.80}.")
    return user_path(data)


def _split_of_file(spec: Source, path: Path, split: str | None) -> str | None:
    """The split that a named file stands for, where a source has a file for each split."""
    if len(spec.splits) == 1 or any(len(file.splits) != 1 for file in spec.files) or not spec.files:
        return None
    for file in spec.files:
        if path.name.removesuffix(".gz") in {_base(name) for name in (file.name, *file.aliases)}:
            if split not in (None, *file.splits):
                raise ConfigurationError(
                    f"{path.name} is the split {file.splits[0]!r} of {spec.name!r}, but "
                    f"split={split!r} was asked for. Leave split out, or name the other file."
                )
            return file.splits[0]
    return split


def _base(name: str) -> str:
    return os.path.basename(name).removesuffix(".gz")


def _from_files(
    spec: Source,
    found: Sequence[_Found],
    split: str | None,
    limit: int | None,
    stands_in_for: str | None,
    allowed: tuple[str, ...],
) -> ProblemSet:
    files = [open_data_file(f.path, expected=spec.expected) for f in found]
    most = max(16, _CACHED_BYTES // max(1, _mean_bytes(files)))
    rows = _Rows(spec, tuple(files), tuple(f.split for f in found), allowed)
    build = Remembering(rows.problem, most)
    spots, heads, report = _scan(spec, files, found, split, limit, build)
    report = dataclasses.replace(report, stands_in_for=stands_in_for)
    if report.skipped:
        _LOG.warning("%s", report.summary())
    get = _AtSpots(build, tuple(spots))
    return ProblemSet(len(spots), get, head=heads.__getitem__, report=report, cached=0)


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Builds a problem from its row."""

    spec: Source
    files: tuple[DataFile, ...]
    splits: tuple[str | None, ...]
    allowed: tuple[str, ...]

    def problem(self, spot: _Spot) -> Problem:
        row = row_of(self.files[spot.file].row(spot.row), spot.row, self.splits[spot.file])
        return problem_of(self.spec, row, self.allowed)


@dataclasses.dataclass(frozen=True)
class _AtSpots:
    """Positions of the problem set to rows of the files."""

    build: Callable[[_Spot], Problem]
    spots: tuple[_Spot, ...]

    def __call__(self, index: int) -> Problem:
        return self.build(self.spots[index])


def _scan(
    spec: Source,
    files: Sequence[DataFile],
    found: Sequence[_Found],
    split: str | None,
    limit: int | None,
    build: Callable[[_Spot], Problem],
) -> tuple[list[_Spot], list[Head], LoadReport]:
    """Tries every row once."""
    spots: list[_Spot] = []
    heads: list[Head] = []
    skipped: list[SkippedRow] = []
    first_seen: dict[str, _Spot] = {}
    read = other = 0
    for spot in _spots(files):
        if limit is not None and len(spots) >= limit:
            break
        read += 1
        row: Row | None = None
        try:
            row = row_of(files[spot.file].row(spot.row), spot.row, found[spot.file].split)
            if split is not None and spec.row_splits and split not in spec.row_splits(row):
                other += 1
                continue
            problem = build(spot)
            if problem.id in first_seen:
                raise ProblemError(f"the id was seen before, in row {first_seen[problem.id].row}")
        except ProblemError as error:
            number = row.identifier(*spec.id_fields) if row else None
            skipped.append(SkippedRow(spot.row, number, str(error)))
            continue
        first_seen[problem.id] = spot
        spots.append(spot)
        heads.append(Head(problem.id, problem.difficulty))
    report = LoadReport(spec.name, read, len(spots), other, tuple(skipped))
    if not spots and skipped and not other:
        raise DataFormatError(
            f"{' and '.join(f.path.name for f in found)}: none of {read} rows can be used as "
            f"{spec.expected}.{_other_sources(files[0])}\n{report.summary()}"
        )
    return spots, heads, report


def _other_sources(file: DataFile) -> str:
    """Names the sources that can read a file's first row, for an error message."""
    able = []
    for other in _FILE_SOURCES.values():
        try:
            problem_of(other, row_of(file.row(0), 0, None))
        except ProblemError:
            continue
        able.append(repr(other.name))
    return f" Its rows can be read as source {' or '.join(able)}." if able else ""


def _spots(files: Sequence[DataFile]) -> Iterator[_Spot]:
    for number, file in enumerate(files):
        yield from (_Spot(number, row) for row in range(len(file)))


def _mean_bytes(files: Sequence[DataFile]) -> int:
    return sum(file.size for file in files) // max(1, sum(map(len, files)))
