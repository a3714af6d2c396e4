"""What scores the lines of programs, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from codegym.errors import ConfigurationError, RewardError
from codegym.tokenization.registry import make_tokenizer
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["AnyScorer", "LineScorer", "ask_scorer", "check_scorer"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

AnyScorer = Callable[[Sequence[IntArray], Sequence[IntArray]], npt.ArrayLike]
"""A :class:`LineScorer`, or a function with the same arguments."""

_NAMED = 8


@runtime_checkable
class LineScorer(Protocol):
    """Says how good programs are that are being written, as a process reward model does.

    Two attributes are optional. An environment whose tokens are others than the scorer's is refused
    when it is made:

    - ``vocab_size``: number of tokens of the tokenizer that the scorer reads;
    - ``tokenizer``: that tokenizer, or what :func:`codegym.tokenization.make_tokenizer` makes it
      of. All its tokens must spell what the environment's do.
    """

    def __call__(self, tokens: Sequence[IntArray], ends: Sequence[IntArray]) -> npt.ArrayLike:
        """Scores some lines of some programs, each line with what comes before it.

        A score must be a function of its program's tokens up to the line's end alone: not of what
        comes after it, of other programs, or of their order.

        Args:
            tokens: P arrays of shape (n,), int64, one for each program: prompt, given code and
                generated code, up to the end of the last line that is asked for. The scorer may
                keep them.
            ends: P arrays of shape (k,), int64, ascending, k at least 1: line j of program p ends
                after ``ends[p][j]`` tokens, so that it is scored with
                ``tokens[p][: ends[p][j]]``.

        Returns:
            (B,) finite numbers, such as an array, a list or a tensor on the CPU: one for each end
            of the first program, then of the second, and so on. What lies outside of [-1, 1] is
            clipped.
        """
        ...


def ask_scorer(
    scorer: AnyScorer,
    tokens: Sequence[IntArray],
    ends: Sequence[IntArray],
    sub_envs: Sequence[int] | None = None,
) -> FloatArray:
    """Asks the scorer once.

    Args:
        scorer: Is asked.
        tokens: P arrays of tokens, at least one.
        ends: P arrays of ends.
        sub_envs: (P,) whose they are, for messages; None: there is only one environment.

    Returns:
        (B,) scores in [-1, 1], B being the number of ends.

    Raises:
        RewardError: If the scorer raises, or returns anything but B finite numbers.
    """
    name = type(scorer).__name__
    try:
        scores = np.asarray(scorer(tokens, ends))
    except Exception as error:
        raise RewardError(
            f"The line scorer {name} raised {type(error).__name__}: {error}{_of(sub_envs)}"
        ) from error
    lengths = np.concatenate(ends)
    if scores.shape != lengths.shape or scores.dtype.kind not in "iuf":
        raise RewardError(
            f"A line scorer must return one number for each of the {len(lengths)} ends; {name} "
            f"returned an array of shape {scores.shape} and dtype {scores.dtype}{_of(sub_envs)}"
        )
    bad = np.flatnonzero(~np.isfinite(scores)).tolist()
    if bad:
        owners = sub_envs and np.repeat(sub_envs, [len(each) for each in ends])[bad].tolist()
        raise RewardError(
            f"A line scorer must return finite numbers; {name} returned {scores[bad[0]]} for "
            f"{len(bad)} of {len(lengths)} ends, first for one after {lengths[bad[0]]} tokens"
            f"{_of(owners)}"
        )
    clipped: FloatArray = np.clip(scores.astype(np.float64), -1.0, 1.0)
    return clipped


def check_scorer(scorer: object, tokenizer: Tokenizer) -> None:
    """Checks that a scorer reads the tokens of an environment, as far as it tells.

    Raises:
        ConfigurationError: If it does not.
    """
    name = type(scorer).__name__
    size = getattr(scorer, "vocab_size", None)
    if size is not None and size != tokenizer.vocab_size:
        raise ConfigurationError(
            f"The line scorer {name} reads {size} tokens, but the environment's tokenizer has "
            f"{tokenizer.vocab_size}. Use the tokenizer that the scorer was trained with."
        )
    spec = getattr(scorer, "tokenizer", None)
    other = tokenizer if spec is None else make_tokenizer(spec)
    token = None if other is tokenizer else _first_difference(tokenizer, other)
    if token is not None:
        raise ConfigurationError(
            f"The line scorer {name} reads other tokens than the environment's tokenizer gives: "
            f"they differ from token {token} on. Use the tokenizer that the scorer was trained "
            "with."
        )


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
    different = list(dict.fromkeys(sub_envs))
    names = ", ".join(map(str, different[:_NAMED])) + (", ..." if len(different) > _NAMED else "")
    return f". It concerns the sub-environment{'s' if len(different) > 1 else ''} {names}."
