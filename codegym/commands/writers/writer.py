"""What a model is asked for, and what it gives: an answer of a chat, or the rest of a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from codegym.errors import ConfigurationError
from codegym.problems import Problem

__all__ = ["Failed", "Sampling", "Wanted", "Writer"]


@dataclasses.dataclass(frozen=True, slots=True)
class Sampling:
    """How a model writes.

    Attributes:
        temperature: 0 is greedy.
        max_new_tokens: The most it may write, reasoning included.
        seed: Of the sampler; each sample of a problem has one of its own.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    temperature: float = 0.0
    max_new_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ConfigurationError(f"temperature must be 0 or more, got {self.temperature}.")
        if self.max_new_tokens < 1:
            raise ConfigurationError(
                f"max_new_tokens must be 1 or more, got {self.max_new_tokens}."
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A program that is to be written.

    Attributes:
        problem: What is asked.
        sample: Its number among the programs for this problem, from 0.
    """

    problem: Problem
    sample: int


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """A program that was not written, for no fault of the model's.

    Attributes:
        wanted: What was to be written.
        reason: A sentence for a human.
    """

    wanted: Wanted
    reason: str


class Writer(Protocol):
    """A model that writes programs."""

    def write(self, wanted: Iterable[Wanted]) -> Iterator[dict[str, Any] | Failed]:
        """Writes programs, and gives each as soon as it is there.

        Returns:
            Rows as `codegym grade` reads them, in any order: ``problem_id``, ``prompt`` and
            ``completion`` of an answer, or ``task_id`` and ``solution`` of a program; each with
            ``sample``.

        Raises:
            GenerationError: If going on is of no use.
        """
        ...
