"""The steps of one episode of a process reward: found, scored, and paid for.

Every number that is paid comes from :meth:`ProcessReward.token_rewards`: what a step of the
environment pays is what that has grown by. So all that was paid for an episode is the sum of its
token rewards, whenever its scores came.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from codegym.envs.episode import Episode
from codegym.programs.program import Program
from codegym.programs.steps import Step, StepReader
from codegym.rewards.process import PROCESS, ProcessReward
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["NOTHING", "Paid", "Scored", "StepScores", "ask"]

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Scored:
    """What of an episode's scores can not be worked out again.

    Attributes:
        scores: Of the steps that were scored, in order.
        paid: Sum of what the steps of the environment have paid.
    """

    scores: tuple[float, ...] = ()
    paid: float = 0.0


NOTHING = Scored()
"""Nothing was scored or paid yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Paid:
    """What an episode is worth, as its last step tells.

    Attributes:
        reward: Of the last step: what was not paid before.
        terms: By name; they sum to what the whole episode was paid.
        token_rewards: (N,) float64 for the generated tokens, with the same sum; None without a
            process reward.
    """

    reward: float
    terms: dict[str, float]
    token_rewards: npt.NDArray[np.float64] | None = None

    @classmethod
    def at_the_end(cls, terms: Mapping[str, float]) -> Paid:
        """All is paid in the last step."""
        return cls(float(sum(terms.values())), dict(terms))


class StepScores:
    """Follows one episode.

    Args:
        reward: Says what is scored, and what scores are worth.
        tokenizer: Tells which bytes a token spells.
        episode: What reset drew.
        scored: What was scored and paid before, for an episode that goes on.
    """

    def __init__(
        self,
        reward: ProcessReward,
        tokenizer: Tokenizer,
        episode: Episode,
        scored: Scored = NOTHING,
    ) -> None:
        self.reward = reward
        self._tokenizer, self._episode = tokenizer, episode
        self._reader: StepReader | None = None  # made at the first line end: it reads given code
        self._steps: list[Step] = []
        self._scores, self._paid = list(scored.scores), scored.paid

    @property
    def scored(self) -> Scored:
        """What a snapshot of the episode holds."""
        return Scored(tuple(self._scores), self._paid)

    @property
    def is_complete(self) -> bool:
        """Whether all steps that were found are scored."""
        return len(self._steps) <= len(self._scores)

    def follow(self, tokens: IntArray) -> None:
        """Finds the steps that have ended.

        Args:
            tokens: (n,) all of the episode: prompt, given and generated.
        """
        reader = self._reader
        if reader is None:
            given = Program(self._episode.prompt.header + self._episode.start.prefix)
            self._reader = reader = StepReader(given.source, self.reward.neutral)
        new = tokens[self._episode.start_length + reader.num_tokens :].tolist()
        self._steps += reader.read(map(self._tokenizer.token_bytes, new))

    def finish(self, tokens: IntArray, program: Program) -> None:
        """Finds the steps of an episode that has ended: the last line is one as well.

        Args:
            tokens: (n,) all of the episode.
            program: Its program, without what a stop sequence cut off.
        """
        self.follow(tokens)
        if not self.reward.scores_the_end:
            last_token = len(tokens) - self._episode.start_length - 1
            self._keep([step for step in self._steps if step.token < last_token])
            return
        size = len(program.source)
        self._keep([step for step in self._steps if step.start < size])
        last = None if self._reader is None else self._reader.last(size)
        if last is not None:
            self._steps.append(last)

    def unscored(self, tokens: IntArray) -> list[IntArray]:
        """The tokens up to the end of each step that has no score: beginnings of one new array.

        Args:
            tokens: (n,) all of the episode.
        """
        missing = self._steps[len(self._scores) :]
        kept = tokens.copy() if missing else tokens
        return [kept[: self._episode.start_length + step.token + 1] for step in missing]

    def add(self, scores: Sequence[float]) -> None:
        """Takes the scores of all steps that had none."""
        self._scores += scores

    def pay(self, tokens: IntArray) -> float:
        """What is owed in an episode that goes on, and paid with this.

        Args:
            tokens: (n,) all of the episode.
        """
        count = len(tokens) - self._episode.start_length
        total = float(self._token_rewards(count, None).sum())
        owed, self._paid = total - self._paid, total
        return owed

    def settle(self, terms: Mapping[str, float], count: int, *, solved: bool) -> Paid:
        """What is owed at the end.

        Args:
            terms: Of the outcome.
            count: Number of generated tokens.
            solved: Whether all tests passed.
        """
        rewards = self._token_rewards(count, solved)
        named = {**terms, PROCESS: float(rewards.sum())}
        rewards[-1] += sum(terms.values())
        return Paid(sum(named.values()) - self._paid, named, rewards)

    def _keep(self, steps: list[Step]) -> None:
        """Forgets all steps but the first ones."""
        self._steps = steps
        del self._scores[len(steps) :]

    def _token_rewards(self, count: int, solved: bool | None) -> npt.NDArray[np.float64]:
        tokens = [step.token for step in self._steps]
        return self.reward.token_rewards(tokens, self._scores, count, solved=solved)


def ask(
    episodes: Sequence[tuple[StepScores, IntArray]], sub_envs: Sequence[int] | None = None
) -> None:
    """Scores all steps that have no score, in one call of the scorer; none if there is nothing.

    Args:
        episodes: Of one process reward, each with its tokens, (n,).
        sub_envs: The number of each, for messages.

    Raises:
        RewardError: If the scorer failed. Nothing has changed then.
    """
    unscored = [steps.unscored(tokens) for steps, tokens in episodes]
    sequences = [sequence for each in unscored for sequence in each]
    if not sequences:
        return
    owners = sub_envs and [i for i, each in zip(sub_envs, unscored, strict=True) for _ in each]
    scores = episodes[0][0].reward.score(sequences, owners).tolist()
    for (steps, _), each in zip(episodes, unscored, strict=True):
        steps.add(scores[: len(each)])
        del scores[: len(each)]
