"""Can the policy still finish this? Prefixes are completed K times and the programs are run.

All open questions advance together: a wave fills the sub-environments with completions of as many
questions as there are, and a question whose first completion passes needs no more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv

from agents.policy import CausalLMPolicy
from agents.prm.labels import Search
from agents.rollout import Sampling, play

__all__ = ["Oracle", "Prefix", "Searched"]


class Prefix(NamedTuple):
    """The beginning of a program, as tokens behind the prompt."""

    problem_id: str
    tokens: tuple[int, ...]


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
    tried: int = 0
    passed: bool = False

    @property
    def open(self) -> bool:
        return self.left > 0 and not self.passed


class Oracle:
    """Best-of-K completion (arXiv 2410.17621, section 3.1).

    Args:
        policy: Writes the completions.
        envs: A vector env of codegym without autoreset, with the problems asked about.
        completions: K.
        sampling: Temperature and nucleus of the completions.
        seed: Decides all completions, together with the order of the questions.

    Attributes:
        completed: Programs that were written and run so far.
    """

    def __init__(
        self,
        policy: CausalLMPolicy,
        envs: VectorEnv[Any, Any, Any],
        *,
        completions: int,
        sampling: Sampling,
        seed: int,
    ) -> None:
        self._policy, self._envs = policy, envs
        self._completions, self._sampling = completions, sampling
        self._seeds = _seeds(seed)
        self.completed = 0

    def recoverable(self, prefixes: Sequence[Prefix]) -> list[bool]:
        """Whether any of K completions passes all tests.

        Args:
            prefixes: Each of a problem of the environment.

        Returns:
            One answer for each.
        """
        questions = [_Question(prefix, self._completions) for prefix in prefixes]
        while any(question.open for question in questions):
            self._wave(questions)
        return [question.passed for question in questions]

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
                    search.answer(recoverable=questions[-1].passed)
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
        slots = _slots([question for question in questions if question.open], self._envs.num_envs)
        # An episode for each sub-env: those without a question repeat one and are not looked at.
        rows = slots + slots[:1] * (self._envs.num_envs - len(slots))
        options = {
            "problem_id": [question.prefix.problem_id for question in rows],
            "prefix": [question.prefix.tokens for question in rows],
            "check_prefix": False,
        }
        sequences = play(
            self._policy,
            self._envs,
            episodes=self._envs.num_envs,
            seed=next(self._seeds),
            sampling=self._sampling,
            options=[options],
        ).sequences
        for question, solved in zip(slots, sequences.solved.tolist(), strict=False):
            question.left -= 1
            question.tried += 1
            question.passed |= solved
        self.completed += len(slots)


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


def _seeds(seed: int) -> Iterator[int]:
    number = 0
    while True:
        yield int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        number += 1
