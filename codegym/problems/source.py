"""What is known of a data set: its splits, its files or its generator, and how a row is read.

A new data set is one :class:`Source` (or one :class:`GeneratedSource`), given to
:func:`~codegym.problems.register_source`. ``docs/adding_a_source.md`` shows how.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from codegym.errors import ConfigurationError, ProblemError
from codegym.problems.problem import Problem
from codegym.problems.problem_set import ProblemSet

__all__ = [
    "GeneratedSource",
    "Generator",
    "RemoteFile",
    "Row",
    "Source",
    "WeakCoder",
    "hash_split",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A JSON object of a data file, read tolerantly: a field may have several names.

    Attributes:
        index: Position in the file, from 0.
        values: The fields.
        split: The split that the *file* stands for, if it stands for one.
    """

    index: int
    values: Mapping[str, Any]
    split: str | None = None

    def first(self, *names: str) -> Any:
        """The first of these fields that is there and not null, else None."""
        for name in names:
            value = self.values.get(name)
            if value is not None:
                return value
        return None

    def text(self, *names: str) -> str:
        """The first of these fields, which must be there and hold text.

        Raises:
            ProblemError: If none is there, or the first is not text or blank.
        """
        value = self.optional_text(*names)
        if not value.strip():
            raise ProblemError(f"needs text in {_or(names)}; the row has {sorted(self.values)}")
        return value

    def optional_text(self, *names: str) -> str:
        """The first of these fields, or an empty string.

        Raises:
            ProblemError: If it is there but holds no text.
        """
        value = self.first(*names)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ProblemError(f"{_or(names)} must be text, got {type(value).__name__}")
        return value

    def identifier(self, *names: str) -> str | None:
        """The first of these fields as text, or None; numbers are ids as well."""
        value = self.first(*names)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        return str(value) or None

    def difficulty(self, *names: str) -> str:
        """The first of these fields in lower case, or ``"unknown"``."""
        value = self.first(*names)
        return str(value).strip().lower() if isinstance(value, str | int) else "unknown"

    def content_id(self, *names: str) -> str:
        """An id for a row without one: the first 16 hex digits of the SHA-256 of these fields.

        It is the same in whichever file, and at whichever place of it, the row is.
        """
        # Parquet keeps the fields of a record in an order of its own.
        fields = [self.values.get(name) for name in names]
        content = json.dumps(fields, default=repr, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def rest(self, *used: str) -> dict[str, Any]:
        """The fields that are not among `used`."""
        return {name: value for name, value in self.values.items() if name not in used}


@dataclasses.dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a data set.

    Attributes:
        name: Its path below the cache folder, such as ``"HumanEval.jsonl.gz"``.
        url: The address it comes from.
        splits: The splits it holds rows of; a file that holds a single split stands for it.
        aliases: Other paths at which the file is recognised in a folder that a user names.
    """

    name: str
    url: str
    splits: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("name", "url"):
            _require_text(self, name)
        _require_texts(self, "splits", at_least_one=True)
        _require_texts(self, "aliases")


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A data set that is read from files of JSON rows.

    Attributes:
        name: As in ``load_problems(name)``.
        expected: What a file of it holds, for error messages.
        splits: The legal names of its splits.
        parse: Makes a problem of a row; raises :class:`~codegym.errors.ProblemError` with the
            reason if it cannot. The row is then skipped, and the reason reported. The problem's
            ``source`` becomes the name of this source.
        id_fields: The fields that may hold a row's id, for the report.
        files: Where it comes from; empty if only the user knows, who then names it with ``data=``:
            a file, or a folder, of which all files are read. Where `row_splits` is None, a file's
            name then begins with the split that it holds, as in ``train-00000-of-00002.parquet``.
        row_splits: Tells the splits that a row belongs to, for files that hold several splits.
        packaged: Its file, if that ships with a package and needs no search.
        packages: What its judge has beside the standard library, so that programs may import it.
        sample: Problems in this format that ship with a package: what ``data="sample"`` names, and
            what may stand in, with a warning, on a machine without a network.
        disclaimer: What that warning begins with, if this source is such a sample.
        day: Tells the day of a row, as text that begins ``YYYY-MM-DD``: what ``dates=`` chooses by.
        with_keys: Makes the source that reads rows with other keys, which ``keys=`` names.

    Raises:
        ConfigurationError: If an attribute has the wrong type, or `splits` and the splits of
            the files differ.
    """

    name: str
    expected: str
    splits: tuple[str, ...]
    parse: Callable[[Row], Problem]
    id_fields: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()
    row_splits: Callable[[Row], tuple[str, ...]] | None = None
    packaged: Path | None = None
    packages: tuple[str, ...] = ()
    sample: Source | None = None
    disclaimer: str = ""
    day: Callable[[Row], str] | None = None
    with_keys: Callable[[Mapping[str, str]], Source] | None = None

    def __post_init__(self) -> None:
        for name in ("name", "expected"):
            _require_text(self, name)
        for name in ("splits", "id_fields", "packages"):
            _require_texts(self, name, at_least_one=name == "splits")
        _require_callable(self, "parse")
        for name in ("row_splits", "day", "with_keys"):
            if getattr(self, name) is not None:
                _require_callable(self, name)
        files: object = self.files
        if not isinstance(files, tuple) or not all(isinstance(f, RemoteFile) for f in files):
            raise _complaint(self, "files", "a tuple of RemoteFile")
        for file in self.files:
            for split in file.splits:
                if split not in self.splits:
                    raise ConfigurationError(
                        f"Source {self.name!r}: its file {file.name!r} holds the split {split!r}, "
                        f"which is not in splits={self.splits!r}. Add it there, or correct it."
                    )
        for split in self.splits if self.files else ():
            if not any(split in file.splits for file in self.files):
                raise ConfigurationError(
                    f"Source {self.name!r}: none of its files holds the split {split!r}. Say which "
                    "does, or leave it out of splits."
                )


class Generator(Protocol):
    """Makes the problems of a :class:`GeneratedSource`."""

    def __call__(self, *, split: str, difficulty: str | None, size: int, seed: int) -> ProblemSet:
        """A set of problems; equal arguments give equal problems.

        Args:
            split: One of the source's splits.
            difficulty: Only problems of this difficulty; None: of all.
            size: How many problems.
            seed: Chooses the problems.

        Raises:
            ConfigurationError: If an argument has no meaning.
        """
        ...


class WeakCoder(Protocol):
    """Writes programs with typical mistakes for problems of a :class:`GeneratedSource`."""

    def __call__(self, problem: Problem, rng: np.random.Generator, rate: float = 1.0) -> str:
        """A program that begins with the prompt's header.

        Args:
            problem: A problem of the source.
            rng: Decides which mistakes are made.
            rate: Factor on their probabilities; 0 gives the canonical solution.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class GeneratedSource:
    """A data set whose problems are generated, not read.

    Attributes:
        name: As in ``load_problems(name)``.
        splits: The legal names of its splits; the first is the one that is generated if none is
            asked for.
        generate: Makes the problems.
        size: How many, if that is not asked for.
        difficulties: The difficulties of the problems that are generated if none is asked for,
            from easy to hard; empty if they are not known.
        weak_coder: Writes programs with typical mistakes; None if it has no such writer.

    Raises:
        ConfigurationError: If an attribute has the wrong type.
    """

    name: str
    splits: tuple[str, ...]
    generate: Generator
    size: int = 10_000
    difficulties: tuple[str, ...] = ()
    weak_coder: WeakCoder | None = None

    def __post_init__(self) -> None:
        _require_text(self, "name")
        _require_texts(self, "splits", at_least_one=True)
        _require_texts(self, "difficulties")
        _require_callable(self, "generate")
        if self.weak_coder is not None:
            _require_callable(self, "weak_coder")
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise _complaint(self, "size", "a positive int")


def hash_split(text: str, *, train: float = 0.5, validation: float = 0.25) -> str:
    """The split of a problem by its content alone; the same text is always in the same split.

    Args:
        text: The task in natural language. White space at its ends does not count.
        train: Share of the training split, in [0, 1].
        validation: Share of the validation split; the test split is the rest.

    Example:
        >>> hash_split("Add two numbers."), hash_split("Add two numbers. ")
        ('train', 'train')
    """
    digest = hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    if share < train:
        return "train"
    return "validation" if share < train + validation else "test"


def _require_text(record: Any, name: str) -> None:
    value = getattr(record, name)
    if not isinstance(value, str) or not value.strip():
        raise _complaint(record, name, "text that is not blank")


def _require_texts(record: Any, name: str, *, at_least_one: bool = False) -> None:
    values = getattr(record, name)
    good = isinstance(values, tuple) and all(isinstance(value, str) for value in values)
    if not good or (at_least_one and not values):
        raise _complaint(record, name, f"a tuple of{' one or more' * at_least_one} strings")


def _require_callable(record: Any, name: str) -> None:
    if not callable(getattr(record, name)):
        raise _complaint(record, name, "a function")


def _complaint(record: Any, name: str, expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"{type(record).__name__} {record.name!r:.80}: {name} must be {expected}, got "
        f"{getattr(record, name)!r:.80}."
    )


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(map(repr, names))
