"""What is known of a public data set: its files, its splits, and how a row becomes a problem."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codegym.errors import ProblemError
from codegym.problems.classes import with_classes
from codegym.problems.packages import with_packages
from codegym.problems.problem import Problem, StdinTest
from codegym.problems.row import Row
from codegym.problems.unicode import require_unicode

__all__ = ["RemoteFile", "Source", "hash_split", "problem_of", "row_of"]

_MOST_CHARACTERS = 64 * 2**20
_ENTRY_POINT = re.compile(r"([^\W\d]\w*\(\)\.)?[^\W\d]\w*")


@dataclasses.dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a data set.

    Attributes:
        name: Its path below the cache folder, such as ``"HumanEval.jsonl.gz"``.
        url: The address it comes from.
        splits: The splits it holds rows of; one that holds a single split stands for it.
        aliases: Other paths at which the file is recognised in a folder that a user names.
    """

    name: str
    url: str
    splits: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A data set that problems are loaded from.

    Attributes:
        name: As in ``load_problems(name)``.
        packages: What its judge has beside the standard library, so that programs may import it.
        expected: What a file of it holds, for error messages.
        splits: The legal names of its splits.
        parse: Makes a problem of a row; raises :class:`~codegym.errors.ProblemError` with the
            reason if it can not.
        id_fields: The fields that may hold a row's id.
        files: Where it comes from; empty if only the user knows.
        row_splits: Tells the splits that a row belongs to, for files that hold several splits.
        packaged: Its file, if that ships with the package and needs no search.
        sample: Problems of codegym's own in this format: what ``data="sample"`` names, and what
            may stand in, with a warning, on a machine without a network.
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


def row_of(value: Any, index: int, split: str | None = None) -> Row:
    """A row of a data file.

    Args:
        value: Its JSON value.
        index: Its position in the file.
        split: The split that the file stands for, if any.

    Raises:
        ProblemError: If the value is no JSON object.
    """
    if not isinstance(value, dict):
        raise ProblemError(f"the row is no JSON object but {type(value).__name__}")
    return Row(index, value, split)


def problem_of(source: Source, row: Row, allowed: Sequence[str] = ()) -> Problem:
    """The problem that a row of a source holds.

    Args:
        source: How its rows are read.
        row: The row.
        allowed: Packages that the user allows, beside those of the source's judge.

    Raises:
        ProblemError: If it holds none that can be used, with the reason.
    """
    try:
        problem = source.parse(row)
        require_unicode(problem)
        _require_reasonable_size(problem)
        if problem.entry_point is not None and not _ENTRY_POINT.fullmatch(problem.entry_point):
            raise ProblemError(
                f"the entry point must be 'name' or 'Class().method', got {problem.entry_point!r}"
            )
    except ProblemError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # Data from outside takes forms that nobody thought of: a bad row is no reason to stop.
        raise ProblemError(f"has an unexpected form: {type(error).__name__}: {error}") from error
    return with_classes(with_packages(problem, source.packages, allowed))


def _require_reasonable_size(problem: Problem) -> None:
    """Refuses output that no program should have to print: it would be kept several times."""
    for number, test in enumerate(problem.tests):
        if isinstance(test, StdinTest) and len(test.stdout) > _MOST_CHARACTERS:
            raise ProblemError(
                f"test {number} expects {len(test.stdout)} characters of output, more than "
                f"{_MOST_CHARACTERS}"
            )
