"""Scores of lines that the reward model's are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agents.prm.report import area_under_curve
from codegym.problems import ProblemSet
from codegym.rewards import LineScorer
from codegym.tokenization import Tokenizer

__all__ = ["ComparedScorer", "RandomScorer", "ReferenceScorer"]

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


class ComparedScorer:
    """The reward model's scores, beside those of the canonical programs.

    Args:
        model: The reward model.
        reference: Says what is right.
    """

    def __init__(self, model: LineScorer, reference: ReferenceScorer) -> None:
        self._model = model
        self._reference = reference
        self._scores: list[float] = []
        self._right: list[bool] = []
        self._falls: list[float] = []

    def __call__(self, tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> list[float]:
        """The reward model's."""
        scores = [float(score) for score in np.asarray(self._model(tokens, ends))]
        right = [score > 0 for score in self._reference(tokens, ends)]
        self._scores += scores
        self._right += right
        program = np.repeat(np.arange(len(ends)), [len(each) for each in ends])
        for i in range(1, len(scores)):
            if program[i] == program[i - 1] and right[i - 1] and not right[i]:
                self._falls.append(scores[i - 1] - scores[i])
        return scores

    def found(self) -> dict[str, float]:
        """What the scores tell of the canonical programs.

        Returns:
            ``"lines"``; ``"right"``, the share of lines up to which the program is the canonical
            one; ``"auc"``, the chance that such a line is scored above another one; ``"falls"``,
            the mean of what the score falls by at the first other line, and ``"falls_share"``, how
            often it falls at all.
        """
        scores, right = np.array(self._scores), np.array(self._right)
        falls = np.array(self._falls)
        return {
            "lines": len(scores),
            "right": float(right.mean()),
            "auc": area_under_curve(scores, right),
            "falls": float(falls.mean()),
            "falls_share": float((falls > 0).mean()),
        }


def _lines(tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> list[IntArray]:
    """The tokens up to each end."""
    return [each[:end] for each, some in zip(tokens, ends, strict=True) for end in some.tolist()]
