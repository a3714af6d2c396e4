"""Whether two sets hold the same problem, by what it asks and how it is judged, not by its id.

Sets of problems are made of each other, so that a set to train on may hold what another evaluates.
A problem is taken for one that is known if

- its description has the same words (case, white space, punctuation and Unicode's compatible forms
  of letters do not count);
- or one description, of 12 words or more, stands in the other as a whole, as where a prompt puts
  instructions around it or a set leaves out the end; what stands in the known one begins within its
  first 100 words;
- or its tests are the same, in whatever order, and are three or more, or test code.

A task that was told in other words and is tested otherwise is not recognised. No program is run.
"""

from __future__ import annotations

import collections
import itertools
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator

from codegym.problems.problem import CallTest, CodeTest, Problem, StdinTest, UnitTest

__all__ = ["KnownProblems"]

_WORD = re.compile(r"[^\W_]+")
_LENGTH = 12  # words; a shorter description may well stand in another one by chance
_POSITIONS = 100
_FEWEST_TESTS = 3

Words = tuple[str, ...]


class KnownProblems:
    """Problems that others are compared with, each in time linear in its own length.

    Args:
        problems: The problems that are known.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._descriptions: dict[Words, None] = {}
        self._tests: set[frozenset[str]] = set()
        for problem in problems:
            words = _words(problem)
            if words:
                self._descriptions[words] = None
            tests = _tests(problem)
            if tests:
                self._tests.add(tests)
        # By the words from each of their first positions.
        self._at: dict[int, list[tuple[Words, int]]] = collections.defaultdict(list)
        for words in self._descriptions:
            for start, key in enumerate(itertools.islice(_windows(words), _POSITIONS)):
                self._at[key].append((words, start))

    def __contains__(self, problem: Problem) -> bool:
        """Whether a problem is one of those that are known."""
        words = _words(problem)
        if words in self._descriptions or self._overlaps(words):
            return True
        return bool(self._tests) and _tests(problem) in self._tests

    def _overlaps(self, words: Words) -> bool:
        """Whether a known description stands in these words, or they in one."""
        for place, key in enumerate(_windows(words)):
            for known, start in self._at.get(key, ()):
                if start == 0 and words[place : place + len(known)] == known:
                    return True
                if place == 0 and known[start : start + len(words)] == words:
                    return True
        return False


def _windows(words: Words) -> Iterator[int]:
    """A number for each so many words in a row, equal for equal words in every process."""
    for start in range(len(words) - _LENGTH + 1):
        yield zlib.crc32(" ".join(words[start : start + _LENGTH]).encode("utf-8", "surrogatepass"))


def _words(problem: Problem) -> Words:
    text = unicodedata.normalize("NFKC", problem.description).casefold()
    return tuple(_WORD.findall(text))


def _tests(problem: Problem) -> frozenset[str] | None:
    """What the tests are, if they are enough to tell a problem from another."""
    try:
        found = frozenset(map(_test, problem.tests))
    except (ValueError, RecursionError):  # numbers of thousands of digits, values without end
        return None
    if len(found) < _FEWEST_TESTS and not any(isinstance(t, CodeTest) for t in problem.tests):
        return None
    return found


def _test(test: UnitTest) -> str:
    if isinstance(test, StdinTest):
        return repr((test.stdin.split(), test.stdout.split()))
    if isinstance(test, CallTest):
        return repr((test.args, test.kwargs, test.expression, test.expected))
    return repr(test.source.split())
