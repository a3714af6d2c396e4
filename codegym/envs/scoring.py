"""The steps of all sub-environments on their way to a score.

They are found while tokens come, asked for in one call, and paid for at the end of the step. It
knows tokens and scores; nothing of grades. What an episode is worth in the end is told by
:class:`~codegym.envs.step_scores.StepScores`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codegym.envs.episode import Episode
from codegym.envs.step_scores import StepScores, ask
from codegym.envs.token_batch import TokenBatch
from codegym.errors import RewardError
from codegym.programs.program import Program
from codegym.rewards.process import ProcessReward
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["ScoringLane", "paying_tokens"]

IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def paying_tokens(reward: ProcessReward | None, tokenizer: Tokenizer) -> Flags | None:
    r"""The tokens after which something may be paid while an episode goes on, (vocab_size,) bool.

    None if there is none: without a process reward, and with one that is paid at the end.

    >>> from codegym.tokenization import ByteTokenizer
    >>> online = ProcessReward(lambda sequences: [0.0] * len(sequences), mode="online")
    >>> paying_tokens(online, ByteTokenizer()).nonzero()[0].tolist() == [ord("\n"), ord("\r")]
    True
    """
    if reward is None or not reward.pays_before_the_end:
        return None
    if reward.pays_each_token:
        return np.ones(tokenizer.vocab_size, dtype=bool)
    spellings = map(tokenizer.token_bytes, range(tokenizer.vocab_size))
    return np.array([b"\n" in spelling or b"\r" in spelling for spelling in spellings])


class ScoringLane:
    """Follows the steps of all sub-environments.

    A scorer that fails fails like a program that could not be run: in the step that asked, nothing
    is paid for the steps that have no score, and no episode ends that has one. The next step asks
    again before anything else.

    Args:
        reward: Has the scorer.
        tokenizer: Of the tokens.
        batch: Holds the tokens.
    """

    def __init__(self, reward: ProcessReward, tokenizer: Tokenizer, batch: TokenBatch) -> None:
        self._reward, self._tokenizer, self._batch = reward, tokenizer, batch
        self._pays = paying_tokens(reward, tokenizer)
        self._of: dict[int, StepScores] = {}
        self._touched: set[int] = set()  # where something may have to be scored or paid
        self._asks_again = False

    def __getitem__(self, i: int) -> StepScores:
        """The steps of a sub-environment that was reset."""
        return self._of[i]

    def begin(self, i: int, episode: Episode) -> None:
        """Begins an episode; what the one before it is owed is forgotten."""
        self._of[i] = StepScores(self._reward, self._tokenizer, episode)

    def append(self, tokens: IntArray, writing: Flags) -> None:
        """One token was written to each sub-environment, and some go on writing.

        Args:
            tokens: (num_envs,) token ids.
            writing: (num_envs,) those that go on; the tokens of others do not matter.
        """
        if self._pays is not None:
            rows = np.flatnonzero(writing)
            for i in rows[self._pays[tokens[rows]]].tolist():
                self.extend(i)

    def extend(self, i: int) -> None:
        """Something was written to a sub-environment that goes on writing."""
        if self._pays is not None:
            self[i].follow(self._batch.tokens(i))
            self._touched.add(i)

    def end(self, i: int, program: Program) -> None:
        """The program of a sub-environment has ended."""
        self[i].finish(self._batch.tokens(i), program)
        self._touched.add(i)

    def ask_again(self) -> None:
        """Asks for the scores that a call before this one failed to bring, if there are any.

        Raises:
            RewardError: If it fails again. Nothing has changed then.
        """
        if self._asks_again:
            self._ask()

    def ask(self) -> None:
        """Asks for all scores that are missing, in one call; a failure is told by the next step."""
        try:
            self._ask()
        except RewardError:
            return

    def pay(self, rewards: npt.NDArray[np.float64], writing: Flags) -> None:
        """Adds what is owed to those that go on writing; the others are paid at their end.

        Args:
            rewards: (num_envs,) of this step.
            writing: (num_envs,) those that go on.
        """
        for i in [i for i in sorted(self._touched) if self[i].is_complete]:
            self._touched.discard(i)
            if writing[i]:
                rewards[i] += self[i].pay(self._batch.tokens(i))

    def _ask(self) -> None:
        rows = [i for i in sorted(self._touched) if not self[i].is_complete]
        self._asks_again = bool(rows)  # also if the call is interrupted
        ask([(self[i], self._batch.tokens(i)) for i in rows], rows)
        self._asks_again = False
