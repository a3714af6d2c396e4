"""A set of problems as an immutable, lazy sequence, and the report of how it was loaded.

A problem is built from its key when it is asked for, and kept while it is in use; views (filters,
shuffles, slices) share what was built and copy nothing but keys. Nothing here reads files.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import operator
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems.overlap import KnownProblems
from codegym.problems.problem import Problem

__all__ = ["LoadReport", "ProblemSet", "Remembering", "SkippedRow", "Summary"]

_CACHED_PROBLEMS = 4096
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Summary(NamedTuple):
    """What can be known of a problem without building it.

    Attributes:
        id: The problem's id.
        difficulty: The source's own word.
    """

    id: str
    difficulty: str


@dataclasses.dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row of a data file that is not a usable problem.

    Attributes:
        place: Where the row is, counted from 1: ``"line 3"`` of a file with a row a line, or
            ``"row 3"`` of a JSON list. Names the file as well if the source has several.
        id: The row's id, or None if it has none that can be read.
        reason: A sentence for a human.
    """

    place: str
    id: str | None
    reason: str

    def __str__(self) -> str:
        name = "" if self.id is None else f" ({self.id})"
        return f"{self.place}{name}: {self.reason}"


@dataclasses.dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of the rows of a source.

    Attributes:
        source: Name of the source.
        read: Rows that were looked at.
        usable: Rows that became problems.
        other_split: Rows that belong to a split that was not asked for.
        skipped: Rows that cannot be used, each with its reason.
        stands_in_for: Name of the source that was asked for, if it could not be had and these are
            the problems of its sample; else None.
        other_date: Rows of a date that was not asked for.
    """

    source: str
    read: int
    usable: int
    other_split: int = 0
    skipped: tuple[SkippedRow, ...] = ()
    stands_in_for: str | None = None
    other_date: int = 0

    def __str__(self) -> str:
        other = f", {self.other_split} of other splits" if self.other_split else ""
        other += f", {self.other_date} of other dates" if self.other_date else ""
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
        keys: What `get` is asked with, in order: a tuple of hashable values, one a problem; or the
            number of problems, whose keys are then 0, 1, ...
        get: Builds the problem of a key. It must be pure: the same key always gives an equal
            problem.
        summary: Tells the id and difficulty of a key without building the problem. Without it, the
            problem is built to know them.
        report: What became of the rows that were read; without it, all are usable.
        cached: How many built problems are kept (the least recently used ones go first).

    Raises:
        ConfigurationError: If `keys` is neither a tuple nor a number of 0 or more, or `get` cannot
            be called.

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
        keys: int | range | tuple[Any, ...],
        get: Callable[[Any], Problem] | None = None,  # no default: one error for all mistakes
        *,
        summary: Callable[[Any], Summary] | None = None,
        report: LoadReport | None = None,
        cached: int = _CACHED_PROBLEMS,
    ) -> None:
        if not isinstance(keys, int | range | tuple) or isinstance(keys, bool) or not callable(get):
            raise ConfigurationError(
                "ProblemSet() takes a number of problems, or their keys, and a function that "
                f"builds the problem of a key, got {type(keys).__name__} and "
                f"{type(get).__name__}. For problems that already exist, use ProblemSet.of([...])."
            )
        if isinstance(keys, int):
            if keys < 0:
                raise ConfigurationError(f"A problem set needs a length of 0 or more, got {keys}.")
            keys = range(keys)
        self._keys = keys
        self._get = Remembering(get, cached) if cached else get
        self._summary = summary
        self._report = report or LoadReport("custom", len(keys), len(keys))
        self._whole = self

    @classmethod
    def of(cls, problems: Iterable[Problem], *, report: LoadReport | None = None) -> ProblemSet:
        """A set of problems that already exist.

        Args:
            problems: The problems, in order.
            report: Where they come from.

        Raises:
            ConfigurationError: If something is not a problem, or if two have the same id.
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
        return tuple(self._summary_of(key).id for key in self._keys)

    @functools.cached_property
    def difficulties(self) -> tuple[str, ...]:
        """The difficulties that occur, sorted."""
        return tuple(sorted({self._summary_of(key).difficulty for key in self._keys}))

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> ProblemSet: ...
    def __getitem__(self, index: int | slice) -> Problem | ProblemSet:
        if isinstance(index, slice):
            return self._view(self._keys[index])
        try:
            key = self._keys[operator.index(index)]
        except IndexError:
            raise IndexError(
                f"problem {index} of a set of {len(self)}: expected -{len(self)} to {len(self) - 1}"
            ) from None
        return self._get(key)

    def __iter__(self) -> Iterator[Problem]:
        return map(self._get, self._keys)

    def __contains__(self, item: object) -> bool:
        if isinstance(item, str):
            return item in self._key_of
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
        self.check_id(problem_id)
        return self._get(self._key_of[problem_id])

    def check_id(self, problem_id: str) -> None:
        """Does nothing if a problem has this id; builds no problem.

        Raises:
            UnknownNameError: If none has it; suggests near ids.
        """
        if problem_id not in self._key_of:
            near = difflib.get_close_matches(str(problem_id), self._key_of, n=3, cutoff=0.5)
            some = near or list(self._key_of)[:3]
            raise UnknownNameError("problem id", problem_id, some, known=len(self._key_of))

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
        keys: Iterable[Any] = self._keys
        if difficulty is not None:
            wanted = {difficulty} if isinstance(difficulty, str) else set(difficulty)
            for name in sorted(wanted.difference(self._whole.difficulties)):
                raise UnknownNameError("difficulty", name, self._whole.difficulties)
            keys = [key for key in keys if self._summary_of(key).difficulty in wanted]
        if predicate is not None:
            keys = [key for key in keys if predicate(self._get(key))]
        return self._view(tuple(keys))

    def take(self, count: int) -> ProblemSet:
        """The first `count` problems, or all if there are fewer."""
        return self[: _not_negative(count)]

    def shuffle(self, seed: int | np.random.Generator) -> ProblemSet:
        """The same problems in an order that depends on `seed` alone."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self._view(tuple(self._keys[i] for i in order.tolist()))

    def sample(self, count: int, seed: int | np.random.Generator) -> ProblemSet:
        """`count` problems drawn without replacement, or all if there are fewer."""
        count = min(_not_negative(count), len(self))
        drawn = np.random.default_rng(seed).choice(len(self), size=count, replace=False)
        return self._view(tuple(self._keys[i] for i in drawn.tolist()))

    def with_tests(self, most: int) -> ProblemSet:
        """The same problems, each with at most `most` of its tests, which stay in order.

        Train on some tests and evaluate on all to see how far a policy fits the tests and not the
        problem. Which tests are kept is drawn for each problem and depends on its content alone.

        Args:
            most: Largest number of tests, at least 1. Test code is one test, however much it
                asserts.

        Raises:
            ConfigurationError: If `most` is not a positive whole number.
        """
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise ConfigurationError(f"A problem needs a number of 1 test or more, got {most!r}.")
        fewer = ProblemSet(
            self._keys,
            functools.partial(_with_tests, self._get, most),
            summary=self._summary,
            report=self._report,
        )
        fewer._whole = self._whole
        return fewer

    def without(self, other: ProblemSet) -> ProblemSet:
        """The problems that another set does not hold, in order.

        What makes two problems the same is their content, whatever their ids: equal words of the
        description, a description of the other set that stands in this one's as a whole, or equal
        tests (all rules: :mod:`codegym.problems.overlap`). Builds each problem of both sets once.

        Args:
            other: The set whose problems are left out, such as the benchmark to evaluate on.

        Raises:
            ConfigurationError: If `other` is not a problem set.
        """
        if not isinstance(other, ProblemSet):
            raise ConfigurationError(
                f"without() takes a ProblemSet, got {other!r:.80}. Make one with "
                "codegym.load_problems(...) or ProblemSet.of([...])."
            )
        known = KnownProblems(other)
        return self.filter(lambda problem: problem not in known)

    @functools.cached_property
    def _key_of(self) -> dict[str, Any]:
        return {self._summary_of(key).id: key for key in self._keys}

    def _summary_of(self, key: Any) -> Summary:
        if self._summary is not None:
            return self._summary(key)
        problem = self._get(key)
        return Summary(problem.id, problem.difficulty)

    def _view(self, keys: range | tuple[Any, ...]) -> ProblemSet:
        view = ProblemSet(keys, self._get, summary=self._summary, report=self._report, cached=0)
        view._whole = self._whole
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


def _with_tests(get: Callable[[Any], Problem], most: int, key: Any) -> Problem:
    problem = get(key)
    if len(problem.tests) <= most:
        return problem
    rng = np.random.default_rng(int(problem.content_hash, 16))
    kept = np.sort(rng.choice(len(problem.tests), size=most, replace=False))
    return dataclasses.replace(problem, tests=tuple(problem.tests[i] for i in kept.tolist()))


def _not_negative(count: int) -> int:
    if count < 0:
        raise ConfigurationError(f"A number of problems must be 0 or more, got {count}.")
    return count
