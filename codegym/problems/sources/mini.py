"""CodeGen-Mini: an endless, seeded set of small problems that needs no file.

A problem is a few English lines and a signature; its program has one to eight conditional
statements. How problems are made is in :mod:`codegym.problems.mini`.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems.mini.generator import (
    LEVELS,
    SHAPES,
    SPLITS,
    flawed_solution,
    mini_problems,
)
from codegym.problems.problem_set import LoadReport, ProblemSet
from codegym.problems.source import GeneratedSource

__all__ = ["MINI", "load_mini"]

_CACHED = 16_384  # problems; some 6 kB each


def load_mini(
    *,
    split: str = "train",
    difficulty: str | None = None,
    shape: Literal["plain", "opening", "dispatch"] = "plain",
    size: int = 10_000,
    seed: int = 0,
) -> ProblemSet:
    """A set of Mini problems, each generated when it is asked for.

    The problem at a position depends on `seed`, `split`, the selection and the position alone, not
    on `size`, the process or the version of Python.

    Args:
        split: Which of three sets of programs that have none in common: ``"train"``,
            ``"validation"`` or ``"test"``.
        difficulty: ``"introductory"`` (1 conditional statement), ``"interview"`` (2-3) or
            ``"competition"`` (4-8), or the fewest and most conditional statements, such as
            ``"6-8"``. None: the three levels in turn.
        shape: ``"plain"`` programs are alike at the beginning and at the end, and their tests run
            every line. With an ``"opening"`` they begin with two steps and up to two guard clauses
            of phrases that occur nowhere else and that :func:`flawed_solution` gets wrong nine
            times in ten: what is learned at the end does not help at the beginning. A
            ``"dispatch"`` has one arm for each value of its first parameter: a test runs one of
            them, so that few tests leave much of the program unexecuted.
        size: Number of problems.
        seed: The seed of the set; not negative.

    Raises:
        UnknownNameError: If there is no such split, difficulty or shape.
        ConfigurationError: If `size` or `seed` is negative or no whole number, or `difficulty` is a
            range that is not within 1 to 8.
    """
    if split not in SPLITS:
        raise UnknownNameError("split of Mini", split, SPLITS)
    if shape not in SHAPES:
        raise UnknownNameError("shape of Mini's programs", shape, SHAPES)
    if not (_is_natural(size) and _is_natural(seed)):
        raise ConfigurationError(
            "size and seed of Mini must be whole numbers of 0 or more, got "
            f"size={size!r}, seed={seed!r}."
        )
    if difficulty is None:
        ranges, name = tuple(LEVELS.values()), "mixed"
    else:
        ranges, name = (_conditionals(difficulty),), difficulty
    if shape != "plain":
        name = f"{shape}-{name}"
    made = mini_problems(split, name, ranges, int(seed), shape)
    report = LoadReport("mini", size, size)
    return ProblemSet(size, made.problem, summary=made.summary, report=report, cached=_CACHED)


def _is_natural(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 0


def _conditionals(difficulty: str) -> tuple[int, int]:
    """The fewest and the most conditional statements of a difficulty."""
    if difficulty in LEVELS:
        return LEVELS[difficulty]
    numbers = re.fullmatch(r"([0-9])-([0-9])", str(difficulty))
    if numbers is None:
        raise UnknownNameError("difficulty of Mini", difficulty, (*LEVELS, "6-8"))
    fewest, most = map(int, numbers.groups())
    if not 1 <= fewest <= most <= 8:
        raise ConfigurationError(
            "A range of conditional statements must be fewest-most with 1 <= fewest <= most <= 8, "
            f"got difficulty={difficulty!r}."
        )
    return fewest, most


MINI = GeneratedSource(
    name="mini",
    splits=SPLITS,
    generate=load_mini,
    difficulties=tuple(LEVELS),
    weak_coder=flawed_solution,
)
