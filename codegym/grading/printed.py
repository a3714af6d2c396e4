r"""Whether a printed answer is right, by the rules of the data set that it answers.

*LiveCodeBench*: white space around the whole output and around each line does not count; a line is
right as text, or if all its words are numbers of the same value, to the last digit (``3.0`` for
``3``).

*APPS*: blank lines do not count either, wherever they are; words are compared one by one, as text
or as numbers of the same value, or within the tolerance where the expected one is written as a
float. Its judge also accepts words in another order and whole numbers that are nearly right; that
is not imitated.
"""

from __future__ import annotations

import decimal
import math
import re

from codegym.grading.compare import FLOAT_TOLERANCE, same_output
from codegym.problems.problem import Comparison

__all__ = ["same_printed"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_WHOLE = re.compile(r"[+-]?[0-9]+")


def same_printed(actual: str, expected: str, comparison: Comparison) -> bool:
    r"""Whether a printed answer is the expected one. Linear in the length of both.

    >>> same_printed("\n 3.0  4\n", "3 4", "livecodebench")
    True
    >>> same_printed("2.5000001", "2.5", "livecodebench"), same_printed("2.5000001", "2.5", "apps")
    (False, True)
    """
    if comparison == "livecodebench":
        same_line, got, wanted = _same_decimals, _stripped(actual), _stripped(expected)
    elif comparison == "apps":
        same_line = _same_words
        got, wanted = (list(filter(None, _stripped(text))) for text in (actual, expected))
    else:
        return same_output(actual, expected)
    return len(got) == len(wanted) and all(
        one == other or same_line(one, other) for one, other in zip(got, wanted, strict=True)
    )


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_decimals(actual: str, expected: str) -> bool:
    got, wanted = _numbers(actual), _numbers(expected)
    return got is not None and got == wanted


def _numbers(line: str) -> list[decimal.Decimal] | None:
    words = line.split()
    if not all(map(_NUMBER.fullmatch, words)):
        return None
    return list(map(decimal.Decimal, words))


def _same_words(actual: str, expected: str) -> bool:
    got, wanted = actual.split(), expected.split()
    return len(got) == len(wanted) and all(map(_same_word, got, wanted))


def _same_word(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    if not (_NUMBER.fullmatch(actual) and _NUMBER.fullmatch(expected)):
        return False
    if decimal.Decimal(actual) == decimal.Decimal(expected):
        return True
    if _WHOLE.fullmatch(expected):
        return False
    wanted = float(expected)
    if not math.isfinite(wanted):
        return False  # too large for a float, and any number would be near enough
    return abs(float(actual) - wanted) <= FLOAT_TOLERANCE * max(1.0, abs(wanted))
