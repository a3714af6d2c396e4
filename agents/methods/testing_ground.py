r"""A testing ground: programs so small that an estimator's signal and noise are counted, not drawn.

A prompt of four digits is to be copied by four clauses, each a digit and a line end::

    prompt 1 2 2 1      program  1 \n 2 \n 2 \n 1 \n

Clause t is right with probability ``p_t = sigmoid(theta_t)``, whatever stands before it, and the
line end is certain. The program stops at its first wrong clause, so later ones are not executed;
the reward is 1 if all four are right, else -0.3. There are 16 programs, and ``16^n`` groups of n,
each with a known probability. So these have no sampling error: the mean of the gradient estimate
``g = sum_t m_t A_t grad log pi_t`` of an episode, its variance, and the signal-to-noise ratio

    ``SNR = |E g|^2 / tr Cov(g)``  of one episode; a batch of N has N times that.

A method is tested on it in seconds and without training. The table of all estimators::

    python -m agents.methods.testing_ground
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from agents import masks
from agents.advantages import Estimator, gae, group_baseline, state_values
from agents.masks import TokenMask
from agents.rewards import outcome_reward
from agents.scoring import Scored, scored
from agents.sequences import Sequences

__all__ = ["Outcomes", "Signal", "TestingGround"]

_PROMPT, _LINE_END = (1, 2, 2, 1), 3
_CLAUSES, _START, _WIDTH = 4, 4, 12


class Signal(NamedTuple):
    """What is known of an estimator's gradient.

    Attributes:
        gradient: (4,) float64: its mean.
        noise: Trace of its covariance, for one episode.
        snr: Signal-to-noise ratio of one episode.
        cosine: Of the mean with the true gradient.
    """

    gradient: Tensor
    noise: float
    snr: float
    cosine: float


class Outcomes(NamedTuple):
    """All that can happen.

    Attributes:
        weight: (G,) float64: probability of each group of episodes.
        known: G x n episodes, group after group.
        passed: (G x n, 4) int64: of the completions that begin before each clause, how many pass;
            all 0 if none are drawn.
    """

    weight: Tensor
    known: Scored
    passed: Tensor


@dataclasses.dataclass(frozen=True)
class TestingGround:
    """The task at a fixed policy.

    Attributes:
        right: Probability that each clause is right.
        failure: Reward of a program with a wrong clause.
    """

    __test__ = False  # not a test class of pytest

    right: tuple[float, float, float, float] = (0.5, 0.6, 0.7, 0.8)
    failure: float = -0.3

    @property
    def gradient(self) -> Tensor:
        """(4,) float64: of the expected reward, ``(1 - failure) prod p (1 - p_t)``."""
        passed = (1.0 - self.failure) * math.prod(self.right)
        return torch.tensor([passed * (1.0 - p) for p in self.right]).double()

    def pass_rate(self, clauses: Sequence[bool]) -> float:
        """By dynamic programming, how often the program passes after these clauses."""
        if len(clauses) == _CLAUSES or not all(clauses):
            return float(all(clauses))
        p = self.right[len(clauses)]
        return p * self.pass_rate([*clauses, True]) + (1.0 - p) * self.pass_rate([*clauses, False])

    def reward(self, pass_rate: Tensor) -> Tensor:
        """Mean reward where this share of the programs passes."""
        return pass_rate + self.failure * (1.0 - pass_rate)

    def outcomes(self, *, group_size: int = 1, completions: int = 0) -> Outcomes:
        """Everything that can happen, with its probability.

        Args:
            group_size: Programs of a group, which are independent.
            completions: K completions are drawn before each clause, independently; 0: none.
                Only where `group_size` is 1.

        Returns:
            Groups whose weights add up to 1.
        """
        programs = list(itertools.product((True, False), repeat=_CLAUSES))
        chance = torch.tensor([self._chance(program) for program in programs]).double()
        if not completions:
            rows = torch.cartesian_prod(*[torch.arange(len(programs))] * group_size)
            rows = rows.view(-1, group_size)
            known = self._scored(torch.tensor(programs)[rows.flatten()], group_size)
            passed = torch.zeros(rows.numel(), _CLAUSES, dtype=torch.int64)
            return Outcomes(chance[rows].prod(1), known, passed)
        drawn = [
            (row, passes, float(chance[row]) * probability)
            for row, program in enumerate(programs)
            for passes, probability in self._passes(completions, program)
        ]
        rows, passed, weight = (torch.tensor(column) for column in zip(*drawn, strict=True))
        return Outcomes(weight.double(), self._scored(torch.tensor(programs)[rows], 1), passed)

    def signal(
        self, outcomes: Outcomes, estimate: Estimator, mask: TokenMask = masks.generated
    ) -> Signal:
        """Signal and noise of an estimator.

        Args:
            outcomes: Of :meth:`outcomes`.
            estimate: From the outcome's reward on the last token.
            mask: The tokens that are learned from.
        """
        weight, known, _ = outcomes
        advantages = estimate(outcome_reward()(known), known).advantages
        learned = torch.where(mask(known), advantages, torch.zeros_like(advantages)).double()
        digits = known.sequences.input_ids[:, _START:_WIDTH:2]
        right = digits == torch.tensor(_PROMPT)
        slope = right.double() - torch.tensor(self.right).double()  # d log pi / d theta
        size = len(right) // len(weight)
        gradient = (learned[:, _START:_WIDTH:2] * slope).view(-1, size, _CLAUSES).mean(1)
        mean = weight @ gradient
        noise = float(size * (weight @ (gradient - mean).square()).sum())
        cosine = torch.nn.functional.cosine_similarity(mean, self.gradient, dim=0)
        return Signal(mean, noise, float(mean @ mean) / noise, float(cosine))

    def clause_values(self, outcomes: Outcomes, completions: int = 0) -> Tensor:
        """(B, T) values before each clause's first token, NaN elsewhere.

        Args:
            outcomes: Of :meth:`outcomes`.
            completions: As there: values are means of K completions; 0: they are exact.
        """
        values = torch.full(outcomes.known.generated.shape, float("nan"))
        exact = outcomes.known.values[:, _START:_WIDTH:2]
        drawn = self.reward(outcomes.passed / completions) if completions else exact
        values[:, _START:_WIDTH:2] = drawn
        return values

    def _chance(self, program: Sequence[bool]) -> float:
        return math.prod(p if ok else 1 - p for p, ok in zip(self.right, program, strict=True))

    def _passes(self, count: int, program: Sequence[bool]) -> list[tuple[tuple[int, ...], float]]:
        """Numbers of passing completions before each clause, and their probability."""
        chances = []
        for t in range(_CLAUSES):
            v = self.pass_rate(program[:t])
            each = [math.comb(count, k) * v**k * (1 - v) ** (count - k) for k in range(count + 1)]
            chances.append([(k, chance) for k, chance in enumerate(each) if chance > 0.0])
        return [
            (tuple(k for k, _ in draw), math.prod(chance for _, chance in draw))
            for draw in itertools.product(*chances)
        ]

    def _scored(self, programs: Tensor, group_size: int) -> Scored:
        """The episodes of (B, 4) right and wrong clauses, with the exact value of every state."""
        rows = len(programs)
        prompt = torch.tensor(_PROMPT)
        digits = torch.where(programs, prompt, 3 - prompt)
        program = torch.stack([digits, torch.full_like(digits, _LINE_END)], dim=2).flatten(1)
        before = torch.cat([torch.ones(rows, 1).bool(), programs.cumprod(1).bool()], dim=1)
        rates = torch.tensor([self.pass_rate([True] * t) for t in range(_CLAUSES + 1)])
        worth = self.reward(before * rates)  # (B, 5): after t clauses
        # Before the digit of clause t the state is t's, before its line end it is t + 1's.
        values = torch.stack([worth[:, :-1], worth[:, 1:]], dim=2).flatten(1)
        solved, nothing = before[:, -1], torch.zeros(rows, dtype=torch.int64)
        reward = worth[:, -1]
        executed = before[:, :-1].repeat_interleave(2, dim=1)
        sequences = Sequences(
            input_ids=torch.cat([prompt.expand(rows, -1), program], dim=1),
            start_length=nothing + _START,
            length=nothing + _WIDTH,
            loss_mask=_behind_prompt(executed),
            reward=reward,
            outcome=reward,
            token_rewards=torch.nn.functional.pad(reward[:, None], (_WIDTH - 1, 0)),
            solved=solved,
            truncated=nothing.bool(),
            prompt_length=nothing + _START,
            stage=nothing,
            num_stages=nothing + 1,
            group=torch.arange(rows) // group_size,
            error_line=nothing,
            verdict=tuple("accepted" if ok else "wrong_answer" for ok in solved.tolist()),
            problem_id=("clauses",) * rows,
            difficulty=("introductory",) * rows,
            program=("",) * rows,
        )
        return scored(sequences, torch.zeros(rows, _WIDTH), values=_behind_prompt(values))


def _behind_prompt(tokens: Tensor) -> Tensor:
    """(B, 12) of (B, 8): nothing is said of the prompt."""
    return torch.nn.functional.pad(tokens, (_START, 0))


def _table() -> str:
    """Signal and noise of the estimators, one a line."""
    ground, lines = TestingGround(), []
    one, four = ground.outcomes(), ground.outcomes(group_size=4)
    unknown = one.known._replace(values=torch.zeros_like(one.known.values))
    zero = one._replace(known=unknown)
    found = {
        "reward alone": ground.signal(zero, gae(whitened=False)),
        "reward alone, executed tokens": ground.signal(zero, gae(whitened=False), masks.executed),
        "mean of a group of 4": ground.signal(four, group_baseline(scale=False)),
        "mean of a group of 4, scaled (GRPO)": ground.signal(four, group_baseline()),
        "exact critic, lambda = 1": ground.signal(one, gae(whitened=False)),
        "exact critic, lambda = 0": ground.signal(one, gae(lam=0.0, whitened=False)),
    }
    for count in (1, 2, 4, 9):
        outcomes = ground.outcomes(completions=count)
        estimate = state_values(ground.clause_values(outcomes, count))
        found[f"{count} completions of each line (VinePPO)"] = ground.signal(outcomes, estimate)
    for name, signal in found.items():
        lines.append(f"{name:38} SNR {signal.snr:.4f}  cosine {signal.cosine:.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(_table())
