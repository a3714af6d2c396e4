"""Scores of lines that the reward model's are compared with."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from agents.prm.report import area_under_curve
from codegym.problems import ProblemSet
from codegym.rewards import LineScorer
from codegym.tokenization import Tokenizer

__all__ = ["Compared", "RandomScorer", "Recorder", "ReferenceScorer", "ScoresOfOthers", "compare"]

IntArray = npt.NDArray[np.int64]


class RandomScorer:
    """Scores that say nothing: uniform in [-1, 1], the same for the same tokens."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(8, "big")

    def __call__(self, tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> list[float]:
        """One score for each end."""
        found = []
        for sequence in _lines(tokens, ends):
            digest = hashlib.blake2b(sequence.tobytes(), key=self._key, digest_size=8).digest()
            found.append(2.0 * int.from_bytes(digest, "big") / (2**64 - 1) - 1.0)
        return found


class ScoresOfOthers:
    """A model's scores of another program: their size and course, and no word on this program.

    What random scores lack: those of a model go one way in a program, so that their mean is large.
    Which program that is depends on those before, which a run that was cut off does not remember.

    Args:
        scorer: The model's.
        seed: Decides which program that is.
        remembered: How many of the last programs it can be.
    """

    def __init__(self, scorer: LineScorer, seed: int, *, remembered: int = 512) -> None:
        self._scorer, self._rng = scorer, np.random.default_rng(seed)
        self._known: deque[npt.NDArray[np.float64]] = deque(maxlen=remembered)

    def __call__(self, tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> list[float]:
        """One score for each end; those of a program with another number of lines are spread."""
        lines = [len(each) for each in ends]
        scores = np.asarray(self._scorer(tokens, ends), np.float64)
        mine = np.split(scores, np.cumsum(lines)[:-1])
        self._known.extend(each for each in mine if len(each))
        found: list[float] = []
        for own, number in zip(mine, lines, strict=True):
            if number:
                others = [each for each in self._known if each is not own] or [own]
                other = others[int(self._rng.integers(len(others)))]
                found += other[np.arange(number) * len(other) // number].tolist()
        return found


class ReferenceScorer:
    """1 as long as a program is written as the canonical one is, -1 from the first other line on.

    Mini's prompts tell the program statement by statement, so that few other programs are right.

    Args:
        problems: Whose prompts may come.
        tokenizer: Of the environment.
    """

    def __init__(self, problems: ProblemSet, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._right = {
            "\n".join(lines[: i + 1])
            for lines in (problem.canonical_solution.rstrip().split("\n") for problem in problems)
            for i in range(len(lines))
        }

    def __call__(self, tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> list[float]:
        """One score for each end."""
        texts = (self._tokenizer.decode(line.tolist()) for line in _lines(tokens, ends))
        return [1.0 if text.rstrip("\n") in self._right else -1.0 for text in texts]


class Recorder:
    """Remembers the programs whose lines are to be scored, so that several scorers can be asked.

    Attributes:
        tokens: P token sequences from the prompt to the end of a program's last scored line.
        ends: P arrays: after how many tokens each of its scored lines ends.
    """

    def __init__(self) -> None:
        self.tokens: list[IntArray] = []
        self.ends: list[IntArray] = []

    def __call__(self, tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> list[float]:
        """Zeros."""
        self.tokens += [np.array(each) for each in tokens]
        self.ends += [np.array(each) for each in ends]
        return [0.0] * sum(map(len, ends))


class Compared(NamedTuple):
    """What scores tell of the canonical programs.

    Attributes:
        programs: In which some line is the canonical program's and a later one is not.
        lines: Of all programs.
        right: Share of them up to which the program is the canonical one.
        auc: Chance that such a line is scored above another one; NaN if there is one kind only.
        fall: Mean of what the score falls by at the first other line, 2 if it is perfect; NaN
            without such a line.
        falls_share: How often it falls at all.
        error: Standard error of `fall`, over programs; NaN for fewer than two.
    """

    programs: int
    lines: int
    right: float
    auc: float
    fall: float
    falls_share: float
    error: float


def compare(
    scores: npt.ArrayLike,
    reference: ReferenceScorer,
    tokens: Sequence[IntArray],
    ends: Sequence[IntArray],
) -> Compared:
    """Compares scores with what the canonical programs say.

    Args:
        scores: (sum of lines,) program by program.
        reference: Says what is right.
        tokens: P programs.
        ends: P arrays, one number a line.
    """
    given = np.asarray(scores, np.float64)
    right = np.array(reference(tokens, ends)) > 0
    program = np.repeat(np.arange(len(ends)), [len(each) for each in ends])
    first_wrong = (program[1:] == program[:-1]) & right[:-1] & ~right[1:]
    falls = (given[:-1] - given[1:])[first_wrong]
    return Compared(
        programs=len(falls),
        lines=len(given),
        right=float(right.mean()) if len(right) else math.nan,
        auc=area_under_curve(given, right),
        fall=float(falls.mean()) if len(falls) else math.nan,
        falls_share=float((falls > 0).mean()) if len(falls) else math.nan,
        error=float(stats.sem(falls)) if len(falls) > 1 else math.nan,
    )


def _lines(tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> list[IntArray]:
    """The tokens up to each end."""
    return [each[:end] for each, some in zip(tokens, ends, strict=True) for end in some.tolist()]
