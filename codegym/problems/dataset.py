"""A set of problems as an immutable, lazy sequence, and the report of how it was loaded.

A problem is built when it is asked for and kept while it is in use; views (filters, shuffles,
slices) share the same store and copy nothing but positions. Nothing here reads files.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import operator
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, overload

import numpy as np

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems.problem import Problem

__all__ = ["Head", "LoadReport", "ProblemSet", "Remembering", "SkippedRow"]

_CACHED_PROBLEMS = 4096
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Head(NamedTuple):
    """What can be known of a problem without building it."""

    id: str
    difficulty: str


@dataclasses.dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row of a data file that is no usable problem.

    Attributes:
        index: 0-based position in the file.
        id: The row's id, or None if it has none that can be read.
        reason: A sentence for a human.
    """

    index: int
    id: str | None
    reason: str

    def __str__(self) -> str:
        name = "" if self.id is None else f" ({self.id})"
        return f"row {self.index}{name}: {self.reason}"


@dataclasses.dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of the rows of a source.

    Attributes:
        source: Name of the source.
        read: Rows that were looked at.
        usable: Rows that became problems.
        other_split: Rows that belong to a split that was not asked for.
        skipped: Rows that can not be used, each with its reason.
        stands_in_for: Name of the source that was asked for, if it could not be had and these are
            the problems of its sample; else None.
    """

    source: str
    read: int
    usable: int
    other_split: int = 0
    skipped: tuple[SkippedRow, ...] = ()
    stands_in_for: str | None = None

    def __str__(self) -> str:
        other = f", {self.other_split} of other splits" if self.other_split else ""
        line = (
            f"{self.source}: {self.read} rows read, {self.usable} usable{other}, "
            f"{len(self.skipped)} skipped"
        )
        if self.stands_in_for is not None:
            line += f", in place of {self.stands_in_for}, which could not be had"
        return "\n  ".join([line + (":" if self.skipped else ""), *map(str, self.skipped)])

    def summary(self, *, most: int = 3) -> str:
        """The report with at most `most` skipped rows spelled out, for a log line."""
        shown = dataclasses.replace(self, skipped=self.skipped[:most])
        rest = len(self.skipped) - most
        text = str(shown).replace(
            f"{len(shown.skipped)} skipped", f"{len(self.skipped)} skipped", 1
        )
        return f"{text}\n  and {rest} more" if rest > 0 else text


class ProblemSet(Sequence[Problem]):
    """An immutable sequence of problems, each built on access.

    Args:
        length: Number of problems.
        get: Builds the problem at a position in ``range(length)``. It must be pure: the same
            position always gives an equal problem.
        head: Tells id and difficulty at a position without building the problem. Without it, the
            problem is built to know them.
        report: What became of the rows that were read; without it, all are usable.
        cached: How many built problems are kept (the least recently used ones go first).

    Raises:
        ConfigurationError: If `length` is negative or no int, or `get` can not be called.

    Example:
        >>> from codegym.problems.problem import CallTest, Problem
        >>> tests = (CallTest(args=(1,), expected=1),)
        >>> problems = ProblemSet(
        ...     3, lambda i: Problem(str(i), f"Return x + {i}.", "", tests, entry_point="f")
        ... )
        >>> len(problems), problems[-1].id, problems.by_id("1").description, len(problems[:2])
        (3, '2', 'Return x + 1.', 2)
    """

    def __init__(
        self,
        length: int,
        get: Callable[[int], Problem] | None = None,  # no default: one error for all mistakes
        *,
        head: Callable[[int], Head] | None = None,
        report: LoadReport | None = None,
        cached: int = _CACHED_PROBLEMS,
    ) -> None:
        if not isinstance(length, int) or isinstance(length, bool) or not callable(get):
            raise ConfigurationError(
                "ProblemSet() takes a length and a function that builds the problem at a position, "
                f"got {type(length).__name__} and {type(get).__name__}. For problems that already "
                "exist, use ProblemSet.of([...])."
            )
        if length < 0:
            raise ConfigurationError(f"A problem set needs a length of 0 or more, got {length}.")
        self._store = _Store(length, get, head, cached)
        self._positions: Sequence[int] = range(length)
        self._report = report or LoadReport("custom", length, length)

    @classmethod
    def of(cls, problems: Iterable[Problem], *, report: LoadReport | None = None) -> ProblemSet:
        """A set of problems that already exist.

        Args:
            problems: The problems, in order.
            report: Where they come from.

        Raises:
            ConfigurationError: If something is no problem, or if two have the same id.
        """
        items = tuple(problems) if isinstance(problems, Iterable) else (None,)
        if not all(isinstance(item, Problem) for item in items):
            raise ConfigurationError(
                f"ProblemSet.of() takes problems, such as a list of them, got {problems!r:.80}."
            )
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                raise ConfigurationError(
                    f"Ids must be unique in a problem set; {item.id!r} came twice."
                )
            seen.add(item.id)
        return cls(len(items), items.__getitem__, report=report, cached=0)

    @property
    def report(self) -> LoadReport:
        """What became of the rows of the source (the whole load, also on a view)."""
        return self._report

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, in order."""
        return tuple(self._store.head(p).id for p in self._positions)

    @property
    def difficulties(self) -> tuple[str, ...]:
        """The difficulties that occur, sorted."""
        return tuple(sorted({self._store.head(p).difficulty for p in self._positions}))

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> ProblemSet: ...
    def __getitem__(self, index: int | slice) -> Problem | ProblemSet:
        if isinstance(index, slice):
            return self._view(self._positions[index])
        try:
            position = self._positions[operator.index(index)]
        except IndexError:
            raise IndexError(
                f"problem {index} of a set of {len(self)}: expected -{len(self)} to {len(self) - 1}"
            ) from None
        return self._store.get(position)

    def __iter__(self) -> Iterator[Problem]:
        return map(self._store.get, self._positions)

    def __contains__(self, item: object) -> bool:
        if isinstance(item, str):
            return item in self._index
        return any(item == problem for problem in self)

    def __deepcopy__(self, memo: dict[int, object]) -> ProblemSet:
        return self  # immutable

    def __repr__(self) -> str:
        return f"ProblemSet({self._report.source!r}, {len(self)} problems)"

    def by_id(self, problem_id: str) -> Problem:
        """The problem with this id.

        Raises:
            UnknownNameError: If there is none; suggests near ids.
        """
        position = self._index.get(problem_id)
        if position is None:
            near = difflib.get_close_matches(str(problem_id), self._index, n=3, cutoff=0.5)
            raise UnknownNameError("problem id", problem_id, near or list(self._index)[:3])
        return self._store.get(position)

    def filter(
        self,
        predicate: Callable[[Problem], bool] | None = None,
        *,
        difficulty: str | Collection[str] | None = None,
    ) -> ProblemSet:
        """The problems for which all given conditions hold, in order. It may be empty.

        Args:
            predicate: Keeps the problems for which it is true; builds each problem once.
            difficulty: One or several difficulties; builds no problem.

        Raises:
            UnknownNameError: If a difficulty does not occur in the set this view was made from.
        """
        positions: Iterable[int] = self._positions
        if difficulty is not None:
            wanted = {difficulty} if isinstance(difficulty, str) else set(difficulty)
            for name in sorted(wanted - self._store.difficulties):
                raise UnknownNameError("difficulty", name, self._store.difficulties)
            positions = [p for p in positions if self._store.head(p).difficulty in wanted]
        if predicate is not None:
            positions = [p for p in positions if predicate(self._store.get(p))]
        return self._view(tuple(positions))

    def take(self, count: int) -> ProblemSet:
        """The first `count` problems, or all if there are fewer."""
        return self[: _not_negative(count)]

    def shuffle(self, seed: int | np.random.Generator) -> ProblemSet:
        """The same problems in an order that depends on `seed` alone."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self._view(tuple(self._positions[i] for i in order.tolist()))

    def sample(self, count: int, seed: int | np.random.Generator) -> ProblemSet:
        """`count` problems drawn without replacement, or all if there are fewer."""
        count = min(_not_negative(count), len(self))
        drawn = np.random.default_rng(seed).choice(len(self), size=count, replace=False)
        return self._view(tuple(self._positions[i] for i in drawn.tolist()))

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {self._store.head(p).id: p for p in self._positions}

    def _view(self, positions: Sequence[int]) -> ProblemSet:
        view = ProblemSet.__new__(ProblemSet)
        view._store, view._positions, view._report = self._store, positions, self._report
        return view


class Remembering(Generic[_Key, _Value]):
    """A pure function that keeps its last results. It can be pickled if the function can.

    Args:
        function: What is remembered.
        most: Number of results that are kept; the least recently used go first.
    """

    def __init__(self, function: Callable[[_Key], _Value], most: int) -> None:
        self._function, self._most = function, most
        self._cached = functools.lru_cache(maxsize=most)(function)

    def __call__(self, key: _Key) -> _Value:
        """The function's result."""
        return self._cached(key)

    def __reduce__(self) -> tuple[object, ...]:
        return Remembering, (self._function, self._most)


class _Store:
    """The problems of a source by position, the last used ones kept; shared by all views."""

    def __init__(
        self,
        length: int,
        get: Callable[[int], Problem],
        head: Callable[[int], Head] | None,
        cached: int,
    ) -> None:
        self._length = length
        self.get = Remembering(get, cached) if cached else get
        self._head = head

    def head(self, position: int) -> Head:
        if self._head is not None:
            return self._head(position)
        problem = self.get(position)
        return Head(problem.id, problem.difficulty)

    @functools.cached_property
    def difficulties(self) -> frozenset[str]:
        return frozenset(self.head(p).difficulty for p in range(self._length))


def _not_negative(count: int) -> int:
    if count < 0:
        raise ConfigurationError(f"A number of problems must be 0 or more, got {count}.")
    return count
