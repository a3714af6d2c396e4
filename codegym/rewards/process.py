"""A process reward: the lines that a policy writes are scored, and the scores are paid for.

The scores come from a *process reward model*, behind a protocol that knows nothing of it: what a
program was judged to be worth after each of its lines. This module says how scores become rewards
of tokens. Which tokens end a line that is scored, a *step*, is said by
:mod:`codegym.programs.steps`; when the scorer is asked and when a reward is paid, by the
environments.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from codegym.errors import ConfigurationError, RewardError, UnknownNameError
from codegym.grading.verdict import Grade
from codegym.programs.lines import NEUTRAL, LineReader
from codegym.rewards.registry import make_reward
from codegym.tokenization.registry import make_tokenizer
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["PROCESS", "ProcessReward", "StepScorer"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Mode = Literal["outcome", "online", "difference", "potential"]

PROCESS = "process"
"""The name of the reward's term."""
_SOLVED_WEIGHT = 0.025
_MODES = ("outcome", "online", "difference", "potential")
_SHOWN = 8


@runtime_checkable
class StepScorer(Protocol):
    """Says how good programs are that are being written, as a process reward model does.

    Two attributes are optional. An environment whose tokens are others than the scorer's is refused
    when it is made:

    - ``vocab_size``: number of tokens of the tokenizer that the scorer reads;
    - ``tokenizer``: that tokenizer, or what :func:`codegym.tokenization.make_tokenizer` makes it
      of. All its tokens must spell what the environment's do.
    """

    def __call__(self, sequences: Sequence[npt.NDArray[np.int64]]) -> npt.ArrayLike:
        """Scores programs after a line.

        A score must be a function of its sequence alone: not of the others, nor of their order.

        Args:
            sequences: B arrays of shape (n,), int64: the tokens of prompt, given code and
                generated code, up to and with the last token of a line. Those of one episode stand
                next to each other, each a beginning of the next and in the same memory: a causal
                model need read the longest only. Do not change them.

        Returns:
            (B,) finite numbers, such as an array, a list or a tensor on the CPU. What lies outside
            of [-1, 1] is clipped.
        """
        ...


class ProcessReward:
    r"""The outcome of the unit tests, and what the scores of the lines add to it.

    Notation: an episode has N generated tokens and T steps; step m ends with token t_m and has the
    score R_m, clipped to [-1, 1]. `w` is the weight. Rewards are those of tokens; a sum over no
    step is 0.

    - ``"outcome"``: ``w * R_m / T`` for token t_m, with `weight` as `w` if the program fails and
      `solved_weight` if it is solved (arXiv 2410.17621, Eq. 3 and section 4.1). Neither T nor the
      weight is known before the end, where all is paid.
    - ``"online"``: ``w * (mean(R_1..R_m) - mean(R_1..R_(m-1)))``, the first mean 0. Paid at each
      step; sums to ``w / T * sum(R_m)`` without knowing T.
    - ``"difference"``: ``w * (R_m - R_(m-1))`` with ``R_0 = 0``. Paid at each step; sums to
      ``w * R_T``, so that padding earns nothing (IRCoCo, arXiv 2401.16637; cf. the step advantages
      of arXiv 2410.08146).
    - ``"potential"``: ``gamma * Phi(s') - Phi(s)`` for each token, where Phi is ``w`` times the
      score of the last step that has ended, and 0 at the start and after the last token, whether
      the end is a termination or a truncation (Ng, Harada and Russell, ICML 1999). For a learner
      with the same discount per token, no policy gains or loses by it; with ``gamma=1`` it sums to
      0. The score of a step that ends with the last token, or of a last line without newline,
      is not asked for: it can not matter.

    What an episode is paid beyond its outcome is at most `weight`, upwards or downwards, in the
    first three modes. No failing program is paid more than a solved one, whatever the scorer, as
    long as ``weight + solved_weight`` (``"outcome"``) or ``2 * weight`` (``"online"``,
    ``"difference"``) is less than the gap between the outcome of a solved and that of the best
    failing program: 1 for ``"binary"``, so that weights below 0.5 are safe, 1.3 for
    ``"stepcoder"``. Others are refused for these two, and for any outcome that has an attribute
    ``margin``, the gap. ``"pass_ratio"`` and ``"rltf"`` have none: there, it is not checked. In
    ``"potential"`` with ``gamma=1`` any weight is safe.

    Neutral lines (comments, blank lines, docstrings, statements that do nothing, repeats; see
    :data:`codegym.programs.NEUTRAL`) are no steps: they are not scored, and not counted in T.

    Args:
        scorer: Scores the steps, see :class:`StepScorer`.
        outcome: The reward of the grade: a name or callable, see
            :func:`~codegym.rewards.make_reward`. Must have no term named ``"process"``.
        mode: One of the four above.
        weight: Of the scores; in the mode ``"outcome"``, of a program that fails.
        solved_weight: Of a program that is solved; 0.025 if None. Only for ``"outcome"``.
        gamma: Discount per token, 1 if None. Only for ``"potential"``; with another value than 1,
            every token is paid for and costs a look at all earlier ones.
        neutral: Which lines are neutral.

    Raises:
        ConfigurationError: If an argument has no meaning, or none in this mode, or if the weights
            let a failing program be paid more than a solved one.

    Example:
        >>> reward = ProcessReward(lambda sequences: [0.5] * len(sequences), mode="online")
        >>> reward.token_rewards([1, 3], [1.0, -0.5], 5).round(4).tolist()
        [0.0, 0.25, 0.0, -0.1875, 0.0]
    """

    def __init__(
        self,
        scorer: StepScorer | Callable[[Sequence[npt.NDArray[np.int64]]], npt.ArrayLike],
        outcome: str | Callable[[Grade], float | Mapping[str, float]] = "binary",
        *,
        mode: Mode = "outcome",
        weight: float = 0.25,
        solved_weight: float | None = None,
        gamma: float | None = None,
        neutral: Collection[str] = NEUTRAL,
    ) -> None:
        if not callable(scorer):
            raise ConfigurationError(
                "scorer must be callable with a list of token arrays, got "
                f"{type(scorer).__name__}. See codegym.rewards.StepScorer."
            )
        if mode not in _MODES:
            raise UnknownNameError("mode of a process reward", mode, _MODES)
        _check_only_in("outcome", mode, solved_weight=solved_weight)
        _check_only_in("potential", mode, gamma=gamma)
        if isinstance(neutral, str):
            raise ConfigurationError(f"neutral must be a collection of names, got {neutral!r}.")
        LineReader(neutral)
        self.scorer, self.mode, self.neutral = scorer, mode, tuple(neutral)
        self.outcome = make_reward(outcome)
        self.weight = _number("weight", weight)
        self.solved_weight = _number(
            "solved_weight", _SOLVED_WEIGHT if solved_weight is None else solved_weight
        )
        self.gamma = _number("gamma", 1.0 if gamma is None else gamma)
        if not 0 < self.gamma <= 1:
            raise ConfigurationError(f"gamma must be above 0 and at most 1, got {gamma!r}.")
        self._check_weights(getattr(self.outcome, "margin", getattr(outcome, "margin", None)))

    @property
    def pays_before_the_end(self) -> bool:
        """Whether steps are scored and paid for while the episode goes on."""
        return self.mode != "outcome"

    @property
    def pays_each_token(self) -> bool:
        """Whether tokens that end no step are paid for as well."""
        return self.mode == "potential" and self.gamma != 1

    @property
    def scores_the_end(self) -> bool:
        """Whether the score of a step that ends with the program matters."""
        return self.mode != "potential"

    def check_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Checks that the scorer reads the tokens of an environment, as far as it tells.

        Raises:
            ConfigurationError: If it does not.
        """
        name = type(self.scorer).__name__
        size = getattr(self.scorer, "vocab_size", None)
        if size is not None and size != tokenizer.vocab_size:
            raise ConfigurationError(
                f"The step scorer {name} reads {size} tokens, but the environment's "
                f"tokenizer has {tokenizer.vocab_size}. Use the tokenizer that the scorer was "
                "trained with."
            )
        spec = getattr(self.scorer, "tokenizer", None)
        other = tokenizer if spec is None else make_tokenizer(spec)
        token = None if other is tokenizer else _first_difference(tokenizer, other)
        if token is not None:
            raise ConfigurationError(
                f"The step scorer {name} reads other tokens than the environment's tokenizer "
                f"gives: they differ from token {token} on. Use the tokenizer that the scorer was "
                "trained with."
            )

    def score(
        self, sequences: Sequence[IntArray], sub_envs: Sequence[int] | None = None
    ) -> FloatArray:
        """Asks the scorer once.

        Args:
            sequences: B arrays of tokens, at least one.
            sub_envs: (B,) whose they are, for messages; None: there is only one environment.

        Returns:
            (B,) scores in [-1, 1].

        Raises:
            RewardError: If the scorer raises, or returns anything but B finite numbers.
        """
        name = type(self.scorer).__name__
        try:
            scores = np.asarray(self.scorer(sequences))
        except Exception as error:
            raise RewardError(
                f"The step scorer {name} raised {type(error).__name__}: {error}{_of(sub_envs)}"
            ) from error
        if scores.shape != (len(sequences),) or scores.dtype.kind not in "iuf":
            raise RewardError(
                f"A step scorer must return one number for each of the {len(sequences)} sequences; "
                f"{name} returned an array of shape {scores.shape} and dtype {scores.dtype}"
                f"{_of(sub_envs)}"
            )
        bad = np.flatnonzero(~np.isfinite(scores)).tolist()
        if bad:
            raise RewardError(
                f"A step scorer must return finite numbers; {name} returned {scores[bad[0]]} for "
                f"{len(bad)} of {len(sequences)} sequences, first for one of "
                f"{len(sequences[bad[0]])} tokens"
                f"{_of(sub_envs and [sub_envs[k] for k in bad])}"
            )
        clipped: FloatArray = np.clip(scores.astype(np.float64), -1.0, 1.0)
        return clipped

    def token_rewards(
        self,
        tokens: Sequence[int],
        scores: Sequence[float],
        count: int,
        *,
        solved: bool | None = None,
    ) -> FloatArray:
        """What generated tokens earn for the steps, the outcome aside.

        Args:
            tokens: (T,) the last token of each step, counted from the first generated one,
                ascending.
            scores: (T,) in [-1, 1].
            count: N, the number of generated tokens.
            solved: Whether all tests passed; None: the episode goes on.

        Returns:
            (N,) float64.
        """
        rewards = np.zeros(count)
        ends, values = np.array(tokens, dtype=np.int64), np.array(scores, dtype=np.float64)
        if self.mode == "potential":
            # State t is that after t tokens; a step is in force from the state after its last one.
            steps = np.searchsorted(ends, np.arange(count + 1), side="left")
            potential = self.weight * np.concatenate([[0.0], values])[steps]
            if solved is not None:
                potential[count] = 0.0
            rewards += self.gamma * potential[1:] - potential[:-1]
        elif self.mode == "difference":
            rewards[ends] = self.weight * np.diff(values, prepend=0.0)
        elif self.mode == "online":
            means = np.cumsum(values) / np.arange(1, len(values) + 1)
            rewards[ends] = self.weight * np.diff(means, prepend=0.0)
        elif solved is not None:
            weight = self.solved_weight if solved else self.weight
            rewards[ends] = weight * values / max(1, len(values))
        return rewards

    def _check_weights(self, margin: float | None) -> None:
        spread = {"outcome": self.weight + self.solved_weight, "potential": 0.0}
        widest = spread.get(self.mode, 2 * self.weight)
        if margin is not None and 0 < margin <= widest:
            weights = "weight + solved_weight" if self.mode == "outcome" else "2 * weight"
            raise ConfigurationError(
                f"{weights} is {widest:g}: with outcomes that are {margin:g} apart, a failing "
                f"program could be paid more than a solved one. Keep it below {margin:g}."
            )


def _check_only_in(mode: str, actual: str, **argument: Any) -> None:
    for name, value in argument.items():
        if value is not None and actual != mode:
            raise ConfigurationError(f"{name} has no meaning in the mode {actual!r}: leave it out.")


def _number(name: str, value: object) -> float:
    legal = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not legal or not math.isfinite(value) or value < 0:  # type: ignore[arg-type,operator]  # a Real
        raise ConfigurationError(f"{name} must be a finite number of at least 0, got {value!r}.")
    return float(value)  # type: ignore[arg-type]  # a Real


def _first_difference(one: Tokenizer, other: Tokenizer) -> int | None:
    """The first token that two tokenizers spell differently or end with; None if there is none."""
    for token in range(min(one.vocab_size, other.vocab_size)):
        if one.token_bytes(token) != other.token_bytes(token):
            return token
    sizes = one.vocab_size, other.vocab_size
    if sizes[0] != sizes[1]:
        return min(sizes)
    return min(end_ids(one) ^ end_ids(other), default=None)


def _of(sub_envs: Sequence[int] | None) -> str:
    """The end of a sentence that names sub-environments."""
    if not sub_envs:
        return "."
    told = list(dict.fromkeys(sub_envs))
    names = ", ".join(map(str, told[:_SHOWN])) + (", ..." if len(told) > _SHOWN else "")
    return f". It concerns the sub-environment{'s' if len(told) > 1 else ''} {names}."
