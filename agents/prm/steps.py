"""Scores of lines as advantages: each token of line m has ``R_m - R_(m-1)`` for its own.

Setlur et al. (arXiv 2410.08146) measure a step by how much it changes the chance of success. Paid
as a *reward*, such differences add up to the last score, so that with lambda = 1 an early line is
told nothing of its own; as an *advantage*, each line hears of itself alone. The outcome's advantage
is that of any run of PPO, and the critic learns from the outcome only.

Before the first line nothing is lost yet, so ``R_0 = 1``. With 0, as the reward of the same form
has it, each first line had an advantage of 1 whatever it was, and once advantages are whitened all
other lines a negative one for being right.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from agents.advantages import Advantages, Estimator, whiten
from agents.prm.lines import lines_of
from agents.rewards import TokenReward
from agents.scoring import Scored
from codegym.envs import PromptFormat
from codegym.problems import Problem
from codegym.programs import NEUTRAL
from codegym.tokenization import Tokenizer

__all__ = ["StepCredit", "with_credit"]

_NOTHING_LOST = 1.0  # the score before the first line, which its own reward takes to be 0


class StepCredit:
    """What the environment paid at line ends, for every token of those lines.

    Args:
        paid: (B, T) of some episodes: what each line end was paid, as
            :class:`codegym.rewards.Difference` has it.
        unit: Its weight there.
        weight: What a score that falls from 1 to 0 takes from the advantages of that line's tokens.
        tokenizer: Spells the tokens.
        prompt_format: Renders the problems.
        problems: What is asked.
    """

    def __init__(
        self,
        paid: TokenReward,
        *,
        unit: float,
        weight: float,
        tokenizer: Tokenizer,
        prompt_format: PromptFormat,
        problems: Iterable[Problem],
    ) -> None:
        self._paid, self._unit, self._weight = paid, unit, weight
        self._tokenizer = tokenizer
        self._headers = {problem.id: prompt_format.render(problem).header for problem in problems}

    def __call__(self, scored: Scored) -> Tensor:
        """The advantages.

        Args:
            scored: B episodes.

        Returns:
            (B, T); 0 on neutral lines and behind the last line end.
        """
        sequences, paid = scored.sequences, self._paid(scored)
        credit = torch.zeros_like(paid)
        for row in range(len(paid)):
            ids = sequences.input_ids[row, : int(sequences.length[row])].tolist()
            begin = int(sequences.start_length[row])
            given = self._tokenizer.decode(ids[int(sequences.prompt_length[row]) : begin])
            header = self._headers[sequences.problem_id[row]]
            lines = lines_of(ids, begin, self._tokenizer, before=header + given, neutral=NEUTRAL)
            before = _NOTHING_LOST
            for last, neutral in zip(lines.ends, lines.neutral, strict=True):
                if not neutral:
                    change = paid[row, last] / self._unit - before
                    credit[row, begin : last + 1] = self._weight * change
                    before = 0.0  # what is paid for a later line is the change
                begin = last + 1
        return credit


def with_credit(estimate: Estimator, credit: TokenReward) -> Estimator:
    """An estimator whose advantages have more added, before they are whitened.

    Args:
        estimate: Estimates without whitening.
        credit: What is added to each generated token.

    Returns:
        An estimator; the returns, which the critic learns from, are those of `estimate`.
    """
    return partial(_with_credit, estimate=estimate, credit=credit)


def _with_credit(
    rewards: Tensor, scored: Scored, *, estimate: Estimator, credit: TokenReward
) -> Advantages:
    advantages, returns = estimate(rewards, scored)
    return Advantages(whiten(advantages + credit(scored), scored.generated), returns)
