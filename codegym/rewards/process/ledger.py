"""What is owed for the scored lines of episodes, which are found while tokens come.

Every number that is paid comes from :meth:`ProcessForm.token_rewards`: what a step of the
environment pays is what that has grown by. So all that was paid for an episode is the sum of its
token rewards, whenever its scores came. It knows tokens and scores; nothing of grades.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from codegym.errors import RewardError
from codegym.programs.program import Program
from codegym.programs.scored_lines import ScoredLine, ScoredLineReader
from codegym.rewards.process.reward import PROCESS, ProcessReward
from codegym.rewards.process.scorer import ask_scorer
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["NOTHING", "Ledger", "Paid", "Scored"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Scored:
    """What of an episode's scores cannot be worked out again.

    Attributes:
        scores: Scores of the lines that were scored, in order.
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
        reward: Reward of the last step: what was not paid before.
        terms: Numbers by name; they sum to what the whole episode was paid.
        token_rewards: (N,) float64 for the generated tokens, with the same sum; None without a
            process reward.
    """

    reward: float
    terms: dict[str, float]
    token_rewards: FloatArray | None = None

    @classmethod
    def at_the_end(cls, terms: Mapping[str, float]) -> Paid:
        """All is paid in the last step."""
        return cls(float(sum(terms.values())), dict(terms))


class Ledger:
    """The accounts of all episodes of an environment, single or vector.

    A scorer that fails fails like a program that could not be run: nothing is paid for the lines
    that have no score, and no episode ends that has one. The next call asks again.

    Args:
        reward: Says what is scored, and what scores are worth.
        tokenizer: Tells which bytes a token spells.
        tokens_of: Tells all tokens of a row, (n,) int64: prompt, given and generated.
        names_rows: Whether messages name rows, as the sub-environments that they are.
    """

    def __init__(
        self,
        reward: ProcessReward,
        tokenizer: Tokenizer,
        tokens_of: Callable[[int], IntArray],
        *,
        names_rows: bool,
    ) -> None:
        self._reward, self._tokenizer = reward, tokenizer
        self._tokens_of, self._names_rows = tokens_of, names_rows
        self._pays = _paying_tokens(reward, tokenizer)
        self._one_pays = None if self._pays is None else self._pays.tobytes()  # cheap to index
        self._accounts: dict[int, _Account] = {}
        self._touched: set[int] = set()  # rows where something may have to be scored or paid
        self._asks_again = False

    def begin(self, i: int, given: bytes, start_length: int, scored: Scored = NOTHING) -> None:
        """Opens the account of an episode; what the one before it is owed is forgotten.

        Args:
            i: The row.
            given: The bytes of the program that are not generated.
            start_length: Number of tokens that are not generated.
            scored: What was scored and paid before, for an episode that goes on.
        """
        self._accounts[i] = _Account(self._reward, self._tokenizer, given, start_length, scored)
        self._touched.discard(i)

    def scored(self, i: int) -> Scored:
        """What a snapshot of a row's episode holds."""
        return self._accounts[i].scored

    def is_complete(self, i: int) -> bool:
        """Whether all lines of a row that were found are scored."""
        return self._accounts[i].is_complete

    def pay_after(self, token: int) -> float:
        """What the only row, which goes on, is paid for the token that was just written to it.

        Raises:
            RewardError: If the scorer failed. It is asked again with the next line.
        """
        if self._one_pays is None or not self._one_pays[token]:
            return 0.0
        self.wrote(0)
        self.ask()
        return self._pay(0)

    def wrote_each(self, tokens: IntArray, writing: Flags) -> None:
        """One token was written to each row, and some rows go on.

        Args:
            tokens: (num_rows,) token ids.
            writing: (num_rows,) rows that go on; the tokens of others do not matter.
        """
        if self._pays is not None:
            rows = np.flatnonzero(writing)
            for i in rows[self._pays[tokens[rows]]].tolist():
                self.wrote(i)

    def wrote(self, i: int) -> None:
        """Something was written to a row that goes on."""
        if self._pays is not None:
            self._accounts[i].follow(self._tokens_of(i))
            self._touched.add(i)

    def end(self, i: int, program: Program) -> None:
        """The program of a row has ended."""
        self._accounts[i].finish(self._tokens_of(i), program)
        self._touched.add(i)

    def ask(self) -> None:
        """Asks for all scores that are missing, in one call of the scorer; none if there are none.

        Raises:
            RewardError: If the scorer failed. Nothing has changed then.
        """
        rows = [i for i in sorted(self._touched) if not self._accounts[i].is_complete]
        self._asks_again = bool(rows)  # also if the call is interrupted
        if rows:
            ends = [self._accounts[i].unscored() for i in rows]
            tokens = [
                self._tokens_of(i)[: each[-1]].copy() for i, each in zip(rows, ends, strict=True)
            ]
            named = rows if self._names_rows else None
            scores = ask_scorer(self._reward.scorer, tokens, ends, named).tolist()
            for i, each in zip(rows, ends, strict=True):
                self._accounts[i].add(scores[: len(each)])
                del scores[: len(each)]
        self._asks_again = False

    def try_to_ask(self) -> None:
        """Like :meth:`ask`, but leaves a failure to :meth:`ask_again`."""
        try:
            self.ask()
        except RewardError:
            return

    def ask_again(self) -> None:
        """Asks for the scores that a call before this one failed to bring, if there are any.

        Raises:
            RewardError: If it fails again. Nothing has changed then.
        """
        if self._asks_again:
            self.ask()

    def pay_each(self, rewards: FloatArray, writing: Flags) -> None:
        """Adds what is owed to rows that go on; the others are paid at their end.

        Args:
            rewards: (num_rows,) rewards of this step.
            writing: (num_rows,) rows that go on.
        """
        for i in [i for i in sorted(self._touched) if self._accounts[i].is_complete]:
            self._touched.discard(i)
            if writing[i]:
                rewards[i] += self._pay(i)

    def settle(self, i: int, terms: Mapping[str, float], count: int, *, solved: bool) -> Paid:
        """What a row is owed at its end; all its lines are scored.

        Args:
            i: The row.
            terms: Terms of the outcome.
            count: Number of generated tokens.
            solved: Whether all tests passed.
        """
        return self._accounts[i].settle(terms, count, solved=solved)

    def _pay(self, i: int) -> float:
        """What a row that goes on is owed, and paid with this; all its lines are scored."""
        self._touched.discard(i)
        return self._accounts[i].pay(len(self._tokens_of(i)))


class _Account:
    """The scored lines of one episode, their scores, and what was paid for them."""

    def __init__(
        self,
        reward: ProcessReward,
        tokenizer: Tokenizer,
        given: bytes,
        start_length: int,
        scored: Scored,
    ) -> None:
        self._reward, self._tokenizer = reward, tokenizer
        self._given, self._start_length = given, start_length
        self._reader: ScoredLineReader | None = (
            None  # made at the first line end: it reads given code
        )
        self._lines: list[ScoredLine] = []
        self._scores, self._paid = list(scored.scores), scored.paid

    @property
    def scored(self) -> Scored:
        return Scored(tuple(self._scores), self._paid)

    @property
    def is_complete(self) -> bool:
        return len(self._lines) <= len(self._scores)

    def follow(self, tokens: IntArray) -> None:
        """Finds the lines that have ended."""
        reader = self._reader
        if reader is None:
            self._reader = reader = ScoredLineReader(self._given, self._reward.neutral)
            self._given = b""  # is kept by the reader, as far as it is needed
        new = tokens[self._start_length + reader.num_tokens :].tolist()
        self._lines += reader.read(map(self._tokenizer.token_bytes, new))

    def finish(self, tokens: IntArray, program: Program) -> None:
        """Finds the lines of an episode that has ended: the last line is one as well.

        Args:
            tokens: (n,) all of the episode.
            program: The episode's program, without what a stop sequence cut off.
        """
        self.follow(tokens)
        if not self._reward.form.scores_the_end:
            last_token = len(tokens) - self._start_length - 1
            self._keep([line for line in self._lines if line.token < last_token])
            return
        size = len(program.source)
        self._keep([line for line in self._lines if line.start < size])
        last = None if self._reader is None else self._reader.last(size)
        if last is not None:
            self._lines.append(last)

    def unscored(self) -> IntArray:
        """After how many tokens each line ends that has no score, (k,)."""
        missing = self._lines[len(self._scores) :]
        return np.array([self._start_length + line.token + 1 for line in missing], dtype=np.int64)

    def add(self, scores: Sequence[float]) -> None:
        self._scores += scores

    def pay(self, num_tokens: int) -> float:
        total = float(self._token_rewards(num_tokens - self._start_length, None).sum())
        owed, self._paid = total - self._paid, total
        return owed

    def settle(self, terms: Mapping[str, float], count: int, *, solved: bool) -> Paid:
        rewards = self._token_rewards(count, solved)
        named = {**terms, PROCESS: float(rewards.sum())}
        rewards[-1] += sum(terms.values())
        return Paid(sum(named.values()) - self._paid, named, rewards)

    def _keep(self, lines: list[ScoredLine]) -> None:
        """Forgets all lines but the first ones."""
        self._lines = lines
        del self._scores[len(lines) :]

    def _token_rewards(self, count: int, solved: bool | None) -> FloatArray:
        ends = [line.token for line in self._lines]
        return self._reward.form.token_rewards(ends, self._scores, count, solved=solved)


def _paying_tokens(reward: ProcessReward, tokenizer: Tokenizer) -> Flags | None:
    """The tokens after which something may be paid while an episode goes on, (vocab_size,) bool.

    None if there is none, as with a form that pays at the end.
    """
    pays = reward.form.pays
    if pays == "at the end":
        return None
    if pays == "at each token":
        return np.ones(tokenizer.vocab_size, dtype=bool)
    spellings = map(tokenizer.token_bytes, range(tokenizer.vocab_size))
    return np.array([b"\n" in spelling or b"\r" in spelling for spelling in spellings])
