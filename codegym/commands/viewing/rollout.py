"""What the viewer shows, whatever file it came from: rollouts, and what each of their tokens has.

What a source does not tell is None, or a column that is not there: never zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "COLUMNS",
    "LARGEST_WHOLE",
    "Chart",
    "Column",
    "FloatArray",
    "Rollout",
    "Series",
    "View",
    "as_floats",
    "probabilities",
]

FloatArray = npt.NDArray[np.float32]
_ROUNDING = 1e-3  # half precision may put the logarithm of 1 a little above 0
LARGEST_WHOLE = 2**53
"""Beyond it, a browser's numbers are no longer exact."""


def as_floats(values: Sequence[Any]) -> FloatArray:
    """Numbers as an array; one that is too large for it becomes infinite, which is not shown.

    Raises:
        TypeError: If a value is no number.
        ValueError: If a value is a text that is no number.
        OverflowError: If a value is an integer beyond what a float can be.
    """
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float32)


def probabilities(logprobs: FloatArray) -> FloatArray:
    """What log-probabilities stand for; NaN, which is not shown, where one is above zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(logprobs <= _ROUNDING, np.exp(np.minimum(logprobs, 0)), np.nan)


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """Something that every token may have.

    Attributes:
        name: In :attr:`Rollout.columns`.
        title: For humans.
        kind: A yes or no; a number above or below zero; or a share in [0, 1].
        meaning: A sentence for a human.
    """

    name: str
    title: str
    kind: Literal["flag", "signed", "share"]
    meaning: str


COLUMNS = (
    Column(
        "executed",
        "executed",
        "flag",
        "Whether a test ran the line that the token is on; of a program that never ran, all count.",
    ),
    Column("loss_mask", "loss mask", "flag", "Whether the policy learned from the token."),
    Column("reward", "reward", "signed", "What was paid for the token."),
    Column("advantage", "advantage", "signed", "How much better than expected things went."),
    Column("value", "value", "signed", "What the critic expected before the token was written."),
    Column("probability", "probability", "share", "What the policy gave the token."),
    Column(
        "change",
        "change of probability",
        "signed",
        "The token's probability minus what the policy of the last checkpoint gives it.",
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One program and how it came about.

    Attributes:
        where: Its place in the source, for humans.
        pieces: The text in pieces: tokens, or the prompt and the rest where tokens are not known.
        prompt: How many pieces are the prompt.
        start: How many pieces were there before the first one that was written.
        tokens: Whether pieces are tokens.
        columns: Name to a number for each piece from `start` on, NaN where there is none.
        problem_id: The problem's id.
        verdict: The grader's.
        reward: Of the whole rollout.
        stage: Of its start state; 0 is the empty prefix.
        step: Iteration of the training.
        error: First and last piece, that excluded, of the line of the error.
        facts: Label and text of what else is known: the failing test, the error.
    """

    where: str
    pieces: Sequence[str]
    prompt: int
    start: int
    tokens: bool
    columns: Mapping[str, FloatArray] = dataclasses.field(default_factory=dict)
    problem_id: str | None = None
    verdict: str | None = None
    reward: float | None = None
    stage: int | None = None
    step: int | None = None
    error: tuple[int, int] | None = None
    facts: Sequence[tuple[str, str]] = ()

    @property
    def length(self) -> int:
        """Tokens that were written; characters, where tokens are not known."""
        written = self.pieces[self.start :]
        return len(written) if self.tokens else sum(map(len, written))


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart.

    Attributes:
        name: For the legend.
        points: x and y, by x.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines, or shares that are stacked to 100 %, over the iterations of a run.

    Attributes:
        title: What it shows.
        expected: A sentence on what it should look like.
        x: Name and unit of the horizontal axis.
        y: Name and unit of the vertical axis.
        series: At least one.
        stacked: Whether series are shares of a whole, stacked on each other.
        low: Where the vertical axis begins at the latest; None: where the data do.
        high: Where it ends at the earliest.
    """

    title: str
    expected: str
    x: str
    y: str
    series: Sequence[Series]
    stacked: bool = False
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that a page shows.

    Attributes:
        title: Of the page.
        source: What was read, in a few words.
        rollouts: In the order of the source.
        charts: Curves of the run.
        total: How many rollouts the source has.
        reward: What the rewards of the rollouts are called in the source.
        notes: Sentences on what is missing and why.
        opens: What the page shows first.
    """

    title: str
    source: str
    rollouts: Sequence[Rollout]
    charts: Sequence[Chart]
    total: int
    reward: str = "reward"
    notes: Sequence[str] = ()
    opens: Literal["curves", "rollouts"] = "rollouts"
