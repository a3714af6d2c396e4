"""Can the policy still finish this? Prefixes are completed until one of K completions passes.

All open questions advance together, and a question needs no more completions when one has passed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from agents.completions import Completions, Prefix
from agents.prm.labels import Search

__all__ = ["Oracle", "Searched"]


class Searched(NamedTuple):
    """The result of a search.

    Attributes:
        lines: Of the last recoverable prefix.
        questions: Prefixes that were asked about.
        completions: Programs that were written and run for them.
    """

    lines: int
    questions: int
    completions: int


@dataclasses.dataclass(slots=True)
class _Question:
    prefix: Prefix
    left: int  # completions that may still be tried
    counts: bool = False  # whether all of them are wanted, and not only one that passes
    tried: int = 0
    passed: int = 0

    @property
    def open(self) -> bool:
        return self.left > 0 and (self.counts or not self.passed)


class Oracle:
    """Best-of-K completion (arXiv 2410.17621, section 3.1).

    Args:
        source: Writes and judges the completions.
        completions: K.
    """

    def __init__(self, source: Completions, *, completions: int) -> None:
        self.source, self._completions = source, completions

    def recoverable(self, prefixes: Sequence[Prefix]) -> list[bool]:
        """Whether any of K completions passes all tests.

        Args:
            prefixes: Each of a problem of the environment.

        Returns:
            One answer for each.
        """
        return [bool(question.passed) for question in self._asked(prefixes, counts=False)]

    def rates(self, prefixes: Sequence[Prefix]) -> list[float]:
        """The share of K completions that pass all tests.

        Args:
            prefixes: Each of a problem of the environment.

        Returns:
            One rate in [0, 1] for each.
        """
        asked = self._asked(prefixes, counts=True)
        return [question.passed / self._completions for question in asked]

    def _asked(self, prefixes: Sequence[Prefix], *, counts: bool) -> list[_Question]:
        questions = [_Question(prefix, self._completions, counts) for prefix in prefixes]
        while any(question.open for question in questions):
            self._wave(questions)
        return questions

    def search(self, programs: Sequence[Sequence[Prefix]]) -> list[Searched]:
        """Finds the last recoverable prefix of failed programs, all at the same time.

        Args:
            programs: For each, its prefixes of 1, 2, ..., T lines; the last is the whole program.

        Returns:
            One result for each.
        """
        searches = [Search(len(prefixes)) for prefixes in programs]
        asked: list[list[_Question]] = [[] for _ in programs]
        while True:
            for search, prefixes, questions in zip(searches, programs, asked, strict=True):
                if questions and not questions[-1].open and not search.done:
                    search.answer(recoverable=bool(questions[-1].passed))
                if not search.done and not (questions and questions[-1].open):
                    questions.append(_Question(prefixes[search.question - 1], self._completions))
            latest = [questions[-1] for questions in asked if questions and questions[-1].open]
            if not latest:
                break
            self._wave(latest)
        return [
            Searched(search.known, len(questions), sum(question.tried for question in questions))
            for search, questions in zip(searches, asked, strict=True)
        ]

    def _wave(self, questions: Sequence[_Question]) -> None:
        """One completion of each open question, or several where there is room."""
        slots = _slots([question for question in questions if question.open], self.source.size)
        outcomes = self.source.wave([question.prefix for question in slots])
        for question, (solved, _) in zip(slots, outcomes, strict=True):
            question.left -= 1
            question.tried += 1
            question.passed += solved


def _slots(questions: Sequence[_Question], size: int) -> list[_Question]:
    """As many places for each question as it may use, the same number for all where that fits."""
    slots: list[_Question] = []
    for turn in range(max(question.left for question in questions)):
        for question in questions:
            if len(slots) == size:
                return slots
            if turn < question.left:
                slots.append(question)
    return slots
