"""What is asked: a problem, its reference solution and its tests, as frozen values.

A problem knows nothing of tokens, prompts or processes. It does no I/O.
"""

from __future__ import annotations

import dataclasses
import decimal
import fractions
import functools
import hashlib
import keyword
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from codegym.errors import ConfigurationError, ProblemError
from codegym.problems.checker import Checker

__all__ = [
    "LONGEST_ANSWER",
    "BinaryTree",
    "CallTest",
    "CodeTest",
    "Comparison",
    "LinkedList",
    "Problem",
    "StdinTest",
    "UnitTest",
    "complaint",
    "is_entry_point",
]

Comparison = Literal["tolerant", "exact", "apps", "livecodebench"]
"""How an answer is compared with the expected one.

``"tolerant"``: an expected float is met within tolerance, a tuple equals a list of the same items.
``"exact"`` is Python's ``==``, which is what an ``assert`` asks. ``"apps"`` and ``"livecodebench"``
compare what is printed as the judge of that data set does: words as text or as numbers of the same
value, ``3.0`` for ``3``, and of ``"apps"`` floats within tolerance and without blank lines (all
rules: :mod:`codegym.grading.printed`). What is returned they compare as
:func:`~codegym.grading.same_value` says.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class LinkedList:
    """A LeetCode ``ListNode`` chain as plain data: the values from head to tail."""

    values: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class BinaryTree:
    """A LeetCode ``TreeNode`` tree as plain data: values in level order, ``None`` for a gap."""

    values: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class StdinTest:
    """The program is run as ``__main__`` on `stdin` and must print `stdout`.

    If the problem has an entry point, it is a function without parameters that reads standard
    input and prints. It is called after the program was run, unless the program calls it itself.

    Attributes:
        stdin: What standard input holds.
        stdout: What must be printed.
        alternatives: Further outputs that are as good as `stdout`.
        tolerance: How far each number that is printed, whole or not, may be from the expected one;
            ``None``: the rule of the problem's :data:`Comparison`.
    """

    stdin: str
    stdout: str
    alternatives: tuple[str, ...] = ()
    tolerance: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class CallTest:
    """The entry point is called with plain data and must return `expected`.

    Attributes:
        args: Positional arguments: ``None``, numbers, strings, bytes, and lists, tuples, sets,
            dicts of these, or :class:`LinkedList` and :class:`BinaryTree`.
        expected: The value that must be returned, plain data as well.
        kwargs: Keyword arguments as ``(name, value)`` pairs.
        alternatives: Further values that are as good as `expected`.
        tolerance: How far each number of the answer, whole or not, may be from the expected one;
            ``None``: the rule of the problem's :data:`Comparison`.
        expression: If given, this Python expression is evaluated in the program's namespace
            instead of calling the entry point (for arguments that are not plain data). It never
            contains the expected value.
    """

    args: tuple[Any, ...]
    expected: Any
    kwargs: tuple[tuple[str, Any], ...] = ()
    alternatives: tuple[Any, ...] = ()
    tolerance: float | None = None
    expression: str | None = None


Classes = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of classes, each with names of what their objects have."""


@dataclasses.dataclass(frozen=True, slots=True)
class CodeTest:
    """Test code, which is run whole and in the order written.

    It runs in a process of its own, as the script ``__main__``, with a function `name` (and
    ``candidate``) that forwards each call to the entry point in the program's process, which is the
    same for all calls. What it only defines in pytest's or unittest's way is then found and run.
    The test passes when nothing raised.

    Attributes:
        source: The test code.
        name: What it calls the entry point.
        setup: Code that is run before it in the same namespace.
        checks: First lines of the statements or test functions in `source` that count as one test
            each, ascending; none: the whole counts as one.
        classes: Classes of the program with the names that the code may ask their objects for,
            methods (special ones too) and attributes. All other objects of the program are data.
    """

    source: str
    name: str
    setup: str = ""
    checks: tuple[int, ...] = ()
    classes: Classes = ()


UnitTest = StdinTest | CallTest | CodeTest
"""A test of any kind."""

LONGEST_ANSWER = 48 * 2**20
"""Bytes of an expected answer, at most: a child's report has room for 64 MiB."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One programming problem.

    Two problems are equal when their content is, whatever their ids (see :attr:`content_hash`).

    Attributes:
        id: Unique in its source, such as ``"HumanEval/0"``.
        description: The task in natural language.
        canonical_solution: A whole program that passes all tests; empty if the source has none.
        tests: At least one test.
        starter_code: Opening part that a solution should have (signature, imports); may be empty.
            A prompt in completion style shows it, and the program then begins with it.
        entry_point: What is called: ``"name"`` or ``"Class().method"``. A name that the program
            has as a method of its ``class Solution`` only is called there. ``None``: the program
            reads standard input and prints.
        difficulty: The source's own word, lower case, or ``"unknown"``.
        source: The name of the source, such as ``"apps_plus"``.
        prelude: Code that is run before the program, in its namespace (imports and node classes
            that the source promises). Never part of the program's lines.
        comparison: How answers are compared.
        packages: Top-level packages that a program may import beside the standard library, such
            as ``"numpy"``. They are installed, or the problem could not be loaded.
        any_order: How many levels of lists, from the outermost one inwards, may be in any order.
            0: every order counts; 1: the order of the outermost list does not, as LeetCode says by
            "in any order"; 2: neither does that of the lists in it, as in "group anagrams". Of
            printed answers, level 1 is the order of the lines and level 2 that of the words in a
            line.
        checker: Says whether answers are right, in place of any comparison; ``None``: they are
            compared with what the tests expect.
        metadata: Whatever else the source tells: url, release date, ... Not hashed.

    Raises:
        ProblemError: If there is no test, something that is not a test, a call without entry point,
            an entry point that names no function, a package that is not a name, an empty id, a text
            with half of a surrogate pair, an attribute of another type or no known comparison, or
            if the checker cannot be asked about a test.
    """

    id: str
    description: str
    canonical_solution: str
    tests: tuple[UnitTest, ...]
    starter_code: str = ""
    entry_point: str | None = None
    difficulty: str = "unknown"
    source: str = "custom"
    prelude: str = ""
    comparison: Comparison = "tolerant"
    packages: tuple[str, ...] = ()
    any_order: int = 0
    checker: Checker | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.id or not isinstance(self.id, str):
            raise ProblemError(
                "A problem needs an id: a non-empty string that is unique in its set, got "
                f"{self.id!r:.80}."
            )
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise ProblemError(
                    f"Problem {self.id!r}: {name} must be a str, got {getattr(self, name)!r:.80}. "
                    "Where there is none, give an empty one or leave it out."
                )
            _require_unicode(self.id, name, getattr(self, name))
        if self.comparison not in get_args(Comparison):
            raise ProblemError(
                f"Problem {self.id!r} has the comparison {self.comparison!r:.80}. Give one of "
                f"{', '.join(map(repr, get_args(Comparison)))}."
            )
        if not isinstance(self.metadata, Mapping):
            raise ProblemError(
                f"Problem {self.id!r}: metadata must be a mapping, got "
                f"{type(self.metadata).__name__}."
            )
        if not self.tests:
            raise ProblemError(
                f"Problem {self.id!r} has no tests. A program cannot be judged without at least "
                "one; an empty test list is never a pass."
            )
        if not isinstance(self.tests, tuple | list):
            raise ProblemError(
                f"Problem {self.id!r} needs a tuple of tests, got {type(self.tests).__name__}."
            )
        for test in self.tests:
            wrong = complaint(test)
            if wrong:
                raise ProblemError(f"Problem {self.id!r}: {wrong}.")
        if self.entry_point is not None and not is_entry_point(self.entry_point):
            raise ProblemError(
                f"Problem {self.id!r} has {self.entry_point!r} for an entry point. Name the "
                'function ("name" or "Class().method"), or give None for standard-input tests.'
            )
        if not (_are_items(self.packages) and all(map(_is_name, self.packages))):
            raise ProblemError(
                f"Problem {self.id!r} has {self.packages!r} for packages. Give a tuple of names as "
                'they are imported, such as ("numpy",).'
            )
        if self.entry_point is None and any(not isinstance(t, StdinTest) for t in self.tests):
            raise ProblemError(
                f"Problem {self.id!r} has tests that call a function, but no entry point. Name the "
                'function ("name" or "Class().method") or give standard-input tests.'
            )
        wrong = _order_complaint(self) or _checker_complaint(self)
        if wrong:
            raise ProblemError(f"Problem {self.id!r}: {wrong}.")

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything that decides what is asked and how it is judged.

        Raises:
            ConfigurationError: If a test holds anything but plain data.
        """
        return _content_hash(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)


_TEXTS = (
    "description",
    "canonical_solution",
    "starter_code",
    "difficulty",
    "source",
    "prelude",
)


def _require_unicode(problem_id: str, name: str, text: str) -> None:
    """Refuses text that neither a file nor a tokenizer can hold."""
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise ProblemError(
            f"Problem {problem_id!r}: {name} must be Unicode text, and holds half of a "
            f"surrogate pair at position {error.start}. Decode its bytes with errors='replace'."
        ) from None


_LONG_INT_BITS = 10_000
_ATOMS = (
    type(None),
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    decimal.Decimal,
    fractions.Fraction,
)
_PLAIN = (
    "must be plain data (None, numbers, strings, bytes, lists, tuples, sets, dicts, LinkedList or "
    "BinaryTree)"
)


def is_entry_point(name: object) -> bool:
    """Whether this is ``"name"`` or ``"Class().method"``."""
    if not isinstance(name, str):
        return False
    owner, made, method = name.partition("().")
    return _is_name(owner) and (_is_name(method) if made else True)


def complaint(test: object) -> str | None:
    """Why this can be no test; None if it can. What its values are is seen when they are used."""
    if isinstance(test, StdinTest):
        if not (_is_text(test.stdin) and _is_text(test.stdout)):
            return f"a StdinTest needs two strings, got {test!r:.200}"
        if not (_are_items(test.alternatives) and all(map(_is_text, test.alternatives))):
            return f"alternatives of a StdinTest must be a tuple of strings, got {test!r:.200}"
        return _tolerance_complaint(test)
    if isinstance(test, CodeTest):
        texts = _is_text(test.source) and _is_text(test.setup) and _is_name(test.name)
        if not texts:
            return f"a CodeTest needs source and a function's name, got {test!r:.200}"
        last = test.source.count("\n") + 1
        if not (_are_items(test.checks) and all(_is_line(one, last) for one in test.checks)):
            return f"checks of a CodeTest are lines of its {last}, from 1, got {test.checks!r:.200}"
        if not (_are_items(test.classes) and all(map(_is_class, test.classes))):
            return (
                "classes of a CodeTest are pairs of a class's name and a tuple of names, got "
                f"{test.classes!r:.200}"
            )
        return None
    if not isinstance(test, CallTest):
        return f"a test is a StdinTest, CallTest or CodeTest, got {type(test).__name__}"
    if not (_are_items(test.args) and _are_items(test.alternatives)):
        return f"args and alternatives of a CallTest must be tuples, got {test!r:.200}"
    if not (_are_items(test.kwargs) and all(map(_is_keyword, test.kwargs))):
        return f"kwargs of a CallTest must be (name, value) pairs, got {test.kwargs!r:.200}"
    if test.expression is not None and not _is_text(test.expression):
        return f"expression of a CallTest must be a string or None, got {test.expression!r:.200}"
    return _tolerance_complaint(test)


def _tolerance_complaint(test: StdinTest | CallTest) -> str | None:
    value: object = test.tolerance
    if value is None or (isinstance(value, int | float) and 0 <= value < math.inf):
        return None
    return (
        f"tolerance of a {type(test).__name__} must be at least 0 and finite, or None, got "
        f"{value!r:.80}"
    )


def _order_complaint(problem: Problem) -> str | None:
    levels: object = problem.any_order
    if not isinstance(levels, int) or isinstance(levels, bool) or levels < 0:
        return (
            f"any_order is a number of levels, 0 or more, got {levels!r:.80}. Give 1 if the order "
            "of the outermost list, or of the lines, does not count"
        )
    if levels and any(isinstance(test, CodeTest) for test in problem.tests):
        return "any_order has no meaning for a CodeTest, which compares by itself"
    return None


def _checker_complaint(problem: Problem) -> str | None:
    """Why the checker cannot be asked; None if it can, or if there is none."""
    checker: object = problem.checker
    if checker is None:
        return None
    if not isinstance(checker, Checker):
        return f"checker must be a Checker or None, got {type(checker).__name__}"
    if problem.any_order:
        return "a checker decides alone: leave out any_order, or the checker"
    for test in problem.tests:
        if isinstance(test, CodeTest):
            return "a checker cannot be asked about a CodeTest, which judges by itself"
        if test.alternatives or test.tolerance is not None:
            return "a checker decides alone: leave out alternatives and tolerance, or the checker"
        if isinstance(test, StdinTest):
            continue
        if checker.form == "script":
            return "a checker that is a script is asked about StdinTests only; define check()"
        if test.kwargs or test.expression is not None:
            return "a checker gets the arguments of a CallTest as a tuple: give them all in args"
    return None


def _are_items(value: object) -> bool:
    return isinstance(value, tuple | list)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_line(value: object, last: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= last


def _is_class(pair: object) -> bool:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return False
    name, names = pair
    return _is_name(name) and _are_items(names) and all(map(_is_name, names))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier() and not keyword.iskeyword(value)


def _is_keyword(pair: object) -> bool:
    return isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)


@functools.lru_cache(maxsize=65_536)
def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _content_hash(problem: Problem) -> str:
    # repr of frozen dataclasses and plain data is deterministic; sets are sorted by _stable.
    content: tuple[Any, ...] = (
        problem.description,
        problem.canonical_solution,
        problem.starter_code,
        problem.entry_point,
        problem.prelude,
        problem.comparison,
        _stable_tests(problem),
    )
    # What was added later counts only where it is used, so that hashes stay what they were.
    if problem.packages:
        content += (problem.packages,)
    if problem.any_order:
        content += (problem.any_order,)
    if problem.checker is not None:
        content += ((problem.checker.form, problem.checker.source, None),)
    return _hash_text(repr(content))


def _stable_tests(problem: Problem) -> tuple[Any, ...]:
    try:
        return tuple(_stable(test) for test in problem.tests)
    except RecursionError:
        raise ConfigurationError(
            f"A value in a test of problem {problem.id!r} {_PLAIN}, and this one contains itself "
            "or is nested hundreds of levels deep."
        ) from None


def _stable(value: Any) -> Any:
    """A value with the same ``repr`` in every process (sets have no order of their own)."""
    if isinstance(value, StdinTest) and not value.alternatives and value.tolerance is None:
        return ("StdinTest", value.stdin, value.stdout)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return (type(value).__name__, *(_stable(getattr(value, f.name)) for f in fields))
    if isinstance(value, set | frozenset):
        return (type(value).__name__, *sorted(repr(_stable(item)) for item in value))
    if isinstance(value, dict):
        return ("dict", *((_stable(k), _stable(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return (type(value).__name__, *(_stable(item) for item in value))
    if isinstance(value, int) and value.bit_length() > _LONG_INT_BITS:
        return hex(value)  # Python refuses to write that many decimal digits
    if not isinstance(value, _ATOMS):
        raise ConfigurationError(
            f"An argument or expected value {_PLAIN}, got {type(value).__name__}: {value!r:.100}. "
            "Use CallTest.expression for arguments that are made by code."
        )
    return value
