"""`load_problems`: the one door to every source of problems, and where sources are registered."""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from codegym.errors import (
    CodegymError,
    ConfigurationError,
    DataNotFoundError,
    OfflineError,
    UnknownNameError,
)
from codegym.problems.date_window import Day, check_dates
from codegym.problems.files.locate import FoundFile, find_files
from codegym.problems.problem_set import ProblemSet
from codegym.problems.reading.packages import check_packages
from codegym.problems.rows import check_file, read_files
from codegym.problems.sample import SAMPLE, warn_of_sample
from codegym.problems.source import GeneratedSource, Source
from codegym.problems.sources.apps import APPS
from codegym.problems.sources.apps_plus import APPS_PLUS
from codegym.problems.sources.codecontests import CODECONTESTS
from codegym.problems.sources.codeforces import CODEFORCES
from codegym.problems.sources.custom import CUSTOM
from codegym.problems.sources.deepcoder import DEEPCODER
from codegym.problems.sources.eurus2 import EURUS2
from codegym.problems.sources.humaneval import HUMANEVAL
from codegym.problems.sources.intellect3 import INTELLECT3
from codegym.problems.sources.kodcode import KODCODE
from codegym.problems.sources.leetcode import LEETCODE
from codegym.problems.sources.livecodebench import LIVECODEBENCH
from codegym.problems.sources.mbpp import MBPP
from codegym.problems.sources.mini import MINI
from codegym.problems.sources.nemotron import NEMOTRON
from codegym.problems.sources.synthetic import SYNTHETIC
from codegym.problems.sources.taco import TACO
from codegym.problems.sources.verl import VERL

__all__ = ["SOURCES", "load_problems", "register_source"]

_SHIPPED = (
    *(MINI, APPS_PLUS, APPS, HUMANEVAL, MBPP, LEETCODE, LIVECODEBENCH),
    *(DEEPCODER, INTELLECT3, SYNTHETIC, EURUS2, VERL, TACO, CODECONTESTS, CODEFORCES, NEMOTRON),
    *(KODCODE, CUSTOM),
)
_REGISTERED: dict[str, Source | GeneratedSource] = {source.name: source for source in _SHIPPED}

SOURCES: Mapping[str, Source | GeneratedSource] = types.MappingProxyType(_REGISTERED)
"""Every source that :func:`load_problems` knows, by name; :func:`register_source` adds to it."""


def register_source(source: Source | GeneratedSource) -> None:
    """Makes a data set known by its name, to :func:`load_problems` and to the environments.

    Each process needs to know it: register it where the module that defines it is imported.

    Args:
        source: The data set.

    Raises:
        ConfigurationError: If it is not a source, or a source of this name is registered already.
    """
    if not isinstance(source, Source | GeneratedSource):
        raise ConfigurationError(
            f"register_source() takes a Source or a GeneratedSource, got {source!r:.80}."
        )
    if source.name in _REGISTERED:
        raise ConfigurationError(
            f"A source named {source.name!r} is registered already. Choose a name that is none of "
            f"{', '.join(map(repr, _REGISTERED))}."
        )
    _REGISTERED[source.name] = source


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
    dates: Sequence[Day] | None = None,
    keys: Mapping[str, str] | None = None,
) -> ProblemSet:
    """Loads the problems of a source.

    Every row is read once, so that a row that cannot be used is known now: it is skipped,
    counted with its reason in ``problems.report``, and logged as a warning of the logger
    ``"codegym"``. Problems are then built again when they are asked for.

    Args:
        source: One of :data:`SOURCES`, to which :func:`register_source` adds.
        data: A JSON list or JSON lines, plain or gzipped, or a parquet file; or a folder that holds
            the source's files under their public names or, of a source that knows none, any number
            of files. Without it: ``$CODEGYM_DATA``, then the user's cache, then the network, once.
            ``"sample"``, of ``apps_plus`` only: sixty problems of codegym's own in its format,
            which ship with the package.
        split: Which part. Without it: all rows (of a generated source: its first split, for
            ``"mini"`` ``"train"``).
            ``apps``, ``leetcode``: ``train``, ``test`` (a file each); ``humaneval``: ``test``;
            ``mbpp``: ``train``, ``validation``, ``test``, ``prompt``, by official task id;
            ``livecodebench``: ``test`` (all), ``release_v1`` to ``release_v6`` (cumulative);
            ``deepcoder``, ``taco``, ``codeforces``: ``train``, ``test``; ``codecontests``:
            ``train``, ``valid``, ``test``; ``eurus2``, ``nemotron``: ``train``, ``validation``;
            ``verl``: ``train``, ``validation``, ``test`` (all by file);
            ``apps_plus``, ``intellect3``, ``synthetic``, ``kodcode``, ``custom``: ``train``,
            ``validation``, ``test``, by hash of the text (of the sample: fixed).
        difficulty: Keeps the problems of this difficulty, in the source's own word.
        limit: Stops after this many usable problems (before `difficulty` is applied).
        size: Of generated sources, such as ``"mini"``, only: how many problems; 10,000 by default.
        seed: Of generated sources only: chooses the problems; 0 by default.
        allow_sample: Whether the sample may stand in for ``apps_plus`` if no `data` is given, the
            file is neither in ``$CODEGYM_DATA`` nor in the user's cache, and no connection can be
            made within 5 seconds. That warns with a
            :class:`~codegym.errors.SampleDataWarning` once in a process, and
            ``problems.report.stands_in_for`` says it. False: an :class:`OfflineError`, as for
            every other source.
        packages: Names of packages that programs may import, beside the standard library and what
            the data set's own judge has (in most sets ``numpy``, in some ``sortedcontainers``,
            where they are installed). A row whose reference
            solution needs one of those that is not installed is skipped, and counted with that
            reason. Of no use for generated sources.
        dates: Of ``livecodebench`` only: the first and the last day of a contest, both included,
            such as ``("2024-08-01", "2025-02-01")``; one may be None.
        keys: Of ``custom`` only: which keys its fields have in your rows, such as
            ``{"description": "problem", "tests": "verification_info.test_cases"}``.

    Raises:
        UnknownNameError: If the source, split, difficulty or a field of `keys` is unknown.
        ConfigurationError: If an argument has no meaning for the source.
        OfflineError: If a file is nowhere and no connection could be made to download it.
        DataNotFoundError: If a file is nowhere and could not be downloaded for another reason, if
            it may not be read, or if ``$CODEGYM_DATA`` names no folder.
        DataFormatError: If a file is not data set of this source.
    """
    if source not in SOURCES:
        raise UnknownNameError("source of problems", source, SOURCES)
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ConfigurationError(f"limit must be an int of 1 or more, got {limit!r:.80}.")
    if not isinstance(allow_sample, bool):
        raise ConfigurationError(f"allow_sample must be True or False, got {allow_sample!r:.80}.")
    allowed = check_packages(packages)
    spec = SOURCES[source]
    if isinstance(spec, GeneratedSource):
        if data is not None:
            raise ConfigurationError(f"Source {source!r} is generated and takes no data=.")
        _refuse(spec, "dates", dates, "day")
        _refuse(spec, "keys", keys, "with_keys")
        problems = _generated(spec, split, difficulty, size, seed)
        return problems if limit is None else problems.take(limit)
    _refuse_unused(spec, size=size, seed=seed)
    _refuse(spec, "dates", dates, "day")
    _refuse(spec, "keys", keys, "with_keys")
    window = None if dates is None else check_dates(dates)
    if keys is not None and spec.with_keys is not None:
        spec = spec.with_keys(keys)
    if split is not None and split not in spec.splits:
        raise UnknownNameError(f"split of {source!r}", split, spec.splits)
    stands_in_for: str | None = None
    with _readable(spec):
        try:
            spec, found = _find(spec, data, split)
        except OfflineError as error:
            if spec.sample is None or not allow_sample:
                raise
            warn_of_sample(spec.sample, error)
            stands_in_for, spec = spec.name, spec.sample
            spec, found = _find(spec, None, split)
        problems = read_files(
            spec,
            found,
            split=split,
            limit=limit,
            dates=window,
            allowed=allowed,
            stands_in_for=stands_in_for,
            others=_file_sources(),
        )
    return problems if difficulty is None else problems.filter(difficulty=difficulty)


def _generated(
    source: GeneratedSource,
    split: str | None,
    difficulty: str | None,
    size: int | None,
    seed: int | None,
) -> ProblemSet:
    if split is not None and split not in source.splits:
        raise UnknownNameError(f"split of {source.name!r}", split, source.splits)
    problems = source.generate(
        split=source.splits[0] if split is None else split,
        difficulty=difficulty,
        size=source.size if size is None else size,
        seed=0 if seed is None else seed,
    )
    if not isinstance(problems, ProblemSet):
        raise ConfigurationError(
            f"Source {source.name!r}: generate must return a ProblemSet, got {problems!r:.80}."
        )
    return problems


def _refuse_unused(source: Source, **arguments: int | None) -> None:
    for name, value in arguments.items():
        if value is not None:
            generated = [s.name for s in SOURCES.values() if isinstance(s, GeneratedSource)]
            raise ConfigurationError(
                f"{name}= is for source {' or '.join(map(repr, generated))} only; {source.name!r} "
                "is read from files. Use load_problems(...).shuffle(seed).take(n), which "
                "environments take as problems=."
            )


def _refuse(source: Source | GeneratedSource, argument: str, value: object, attribute: str) -> None:
    """Refuses an argument that is only for sources with an attribute."""
    if value is not None and getattr(source, attribute, None) is None:
        able = [one.name for one in _file_sources() if getattr(one, attribute) is not None]
        raise ConfigurationError(
            f"{argument}= is for source {' or '.join(map(repr, able))} only, not for "
            f"{source.name!r}. Leave it out."
        )


def _file_sources() -> list[Source]:
    return [source for source in SOURCES.values() if isinstance(source, Source)]


def _find(
    source: Source, data: str | os.PathLike[str] | None, split: str | None
) -> tuple[Source, list[FoundFile]]:
    """The source that `data` names, which may be its sample, and where its files are."""
    if isinstance(data, str) and data == SAMPLE:
        source, data = _sample_of(source), None
    elif isinstance(data, str) and data in SOURCES and not Path(data).exists():
        raise ConfigurationError(
            f"data={data!r} names another source, which {source.name!r} cannot read. Expected a "
            f"file or folder of {source.expected}. For {data!r}, use load_problems({data!r}) or "
            "its own id."
        )
    return source, find_files(source, data, split, lambda path: check_file(source, path))


def _sample_of(source: Source) -> Source:
    if source.sample is None:
        known = [repr(other.name) for other in _file_sources() if other.sample is not None]
        raise ConfigurationError(
            f"data={SAMPLE!r} names the sample of {' or '.join(known)}, which source "
            f"{source.name!r} cannot read: it has no sample. Expected {source.expected}. If a file "
            f"or folder of that name is meant, write data='./{SAMPLE}'."
        )
    return source.sample


@contextlib.contextmanager
def _readable(source: Source) -> Iterator[None]:
    try:
        yield
    except CodegymError:
        raise
    except OSError as error:
        raise DataNotFoundError(
            f"The files of source {source.name!r} cannot be read ({error}). Expected "
            f"{source.expected}. Let this user read them, or name a copy with data= or the folder "
            "that holds it with $CODEGYM_DATA."
        ) from error
