"""Line labels of a program: +1 as long as the policy can still finish it, -1 after that.

Dai et al. (arXiv 2410.17621, section 3.1 and algorithm 1): a prefix is *recoverable* if any of K
completions that the policy writes from it passes all tests. Recoverability is taken to fall and
never to rise along a program, so the last recoverable prefix is found by binary search, with at
most ``ceil(log2(T))`` questions for T lines. For finite K that is only nearly so:
:func:`search_all` asks for every prefix, and :func:`is_monotone` tells.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Literal

from codegym.errors import ConfigurationError

__all__ = [
    "EVEN",
    "Kind",
    "Search",
    "is_monotone",
    "kind_of",
    "labels_of",
    "labels_of_rates",
    "search_all",
    "search_binary",
]

Kind = Literal["correct", "revised", "wrong"]
"""Passes; fails, but some prefix of at least one line can be completed; fails, and none can."""
EVEN = 1e-6
"""The label of a prefix of which one half of the completions pass."""


@dataclasses.dataclass(slots=True)
class Search:
    """Where a binary search over the prefixes of one failed program stands.

    The whole program is known to fail, and the empty prefix is never asked about: 0 lines are
    taken to be recoverable.

    Attributes:
        lines: T, at least 1.
        known: The last prefix, in lines, that is known (or taken) to be recoverable.
        lost: The first that is known not to be.
    """

    lines: int
    known: int = 0
    lost: int = -1

    def __post_init__(self) -> None:
        if self.lines < 1:
            raise ConfigurationError(
                f"A search needs a program of at least one line, got {self.lines}."
            )
        if self.lost < 0:
            self.lost = self.lines

    @property
    def done(self) -> bool:
        """Whether :attr:`known` is the answer."""
        return self.lost - self.known <= 1

    @property
    def question(self) -> int:
        """The prefix, in lines, whose recoverability is to be asked."""
        return (self.known + self.lost) // 2

    def answer(self, *, recoverable: bool) -> None:
        """Takes the answer to :attr:`question`."""
        if recoverable:
            self.known = self.question
        else:
            self.lost = self.question


def search_binary(lines: int, recoverable: Callable[[int], bool]) -> int:
    """The last recoverable prefix of a failed program, in lines, by binary search.

    Args:
        lines: T.
        recoverable: Answers for a prefix of 1 to T - 1 lines.

    Returns:
        From 0 to T - 1.
    """
    search = Search(lines)
    while not search.done:
        search.answer(recoverable=recoverable(search.question))
    return search.known


def search_all(lines: int, recoverable: Callable[[int], bool]) -> int:
    """The same by asking for every prefix: the longest that is recoverable.

    Args:
        lines: T.
        recoverable: Answers for a prefix of 1 to T - 1 lines.

    Returns:
        From 0 to T - 1.
    """
    return max((m for m in range(1, lines) if recoverable(m)), default=0)


def is_monotone(recoverable: Sequence[bool]) -> bool:
    """Whether recoverability never comes back along the prefixes of 1, 2, ... lines."""
    return all(a or not b for a, b in itertools.pairwise(recoverable))


def labels_of(
    neutral: Sequence[bool], *, solved: bool, recoverable_lines: int = 0
) -> tuple[int, ...]:
    """The label of each line.

    Args:
        neutral: (T,) whether the line is a comment or another line that does nothing.
        solved: Whether the program passes; then all its lines are good.
        recoverable_lines: Of a failed program, the result of the search.

    Returns:
        (T,): 0 on neutral lines, +1 on the other lines up to the last recoverable prefix, -1
        behind it.
    """
    good = len(neutral) if solved else recoverable_lines
    return tuple(0 if skip else 1 if i < good else -1 for i, skip in enumerate(neutral))


def labels_of_rates(neutral: Sequence[bool], rates: Sequence[float]) -> tuple[float, ...]:
    """The label of each line, from how often its prefix was completed.

    Args:
        neutral: (T,) whether the line is a comment or another line that does nothing.
        rates: (T,) in [0, 1], the share of completions of the first 1, 2, ..., T lines that pass.

    Returns:
        (T,): 0 on neutral lines, twice the rate less 1 on the others. A rate of exactly one half
        is :data:`EVEN`, since a label of 0 says that the line is neutral.
    """
    pairs = zip(neutral, rates, strict=True)
    return tuple(0.0 if skip else 2.0 * rate - 1.0 or EVEN for skip, rate in pairs)


def kind_of(*, solved: bool, recoverable_lines: int) -> Kind:
    """The class of a response, which decides whether a model is trained on it."""
    if solved:
        return "correct"
    return "revised" if recoverable_lines > 0 else "wrong"
