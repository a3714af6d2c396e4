"""What the agent learns from: whole episodes as padded tensors with lengths.

A language model reads sequences, so sequences are stored, never single transitions. Every mask
comes from lengths: a padding id may equal a real token, so ``!= pad`` would be wrong.

Per-token tensors are aligned with the *token*: column ``t`` holds the log-probability of token
``t`` given the tokens before it, and the value of the state in which it was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from codegym.errors import ConfigurationError

__all__ = [
    "Sequences",
    "Tokens",
    "concatenate",
    "generated_mask",
    "length_buckets",
    "pad_tokens",
    "take",
    "token_groups",
]


class Tokens(NamedTuple):
    """What was written in ``B`` episodes, whatever it is worth; padded on the right.

    Attributes:
        input_ids: (B, T) int64: prompt, given code, generated tokens, padding.
        start_length: (B,) int64: tokens before the first generated one.
        length: (B,) int64: all tokens without padding.
    """

    input_ids: Tensor
    start_length: Tensor
    length: Tensor


class Sequences(NamedTuple):
    """``B`` finished episodes, padded on the right to ``T`` tokens.

    Attributes:
        input_ids: (B, T) int64: prompt, given code, generated tokens, padding.
        start_length: (B,) int64: tokens before the first generated one.
        length: (B,) int64: all tokens without padding.
        loss_mask: (B, T) bool: true on generated tokens that were executed.
        reward: (B,) float32: the return of the episode.
        outcome: (B,) float32: what of it the tests' outcome paid; the rest was paid for scores of
            lines.
        token_rewards: (B, T) float32: what of it was paid for each token; all of it for the last
            one, unless the reward is dense.
        solved: (B,) bool: all tests passed.
        truncated: (B,) bool: ended by the token budget.
        prompt_length: (B,) int64: tokens of the prompt, before given code.
        stage: (B,) int64: the start state's stage; 0 is the empty prefix.
        num_stages: (B,) int64.
        group: (B,) int64: episodes with the same number began with the same problem and start
            state, on purpose.
        error_line: (B,) int64: the 1-based line of the program in which it broke off, or in which
            it is no Python; 0: none is known.
        verdict: B words, such as ``"accepted"``.
        problem_id: B ids.
        difficulty: B words.
        program: B programs as they were judged; empty where an answer held none.
    """

    input_ids: Tensor
    start_length: Tensor
    length: Tensor
    loss_mask: Tensor
    reward: Tensor
    outcome: Tensor
    token_rewards: Tensor
    solved: Tensor
    truncated: Tensor
    prompt_length: Tensor
    stage: Tensor
    num_stages: Tensor
    group: Tensor
    error_line: Tensor
    verdict: tuple[str, ...]
    problem_id: tuple[str, ...]
    difficulty: tuple[str, ...]
    program: tuple[str, ...]


Batched = TypeVar("Batched", Tokens, Sequences)


def generated_mask(start_length: Tensor, length: Tensor, width: int) -> Tensor:
    """Which columns hold tokens that the policy chose.

    Args:
        start_length: (B,) first generated column.
        length: (B,) first padding column.
        width: T, number of columns.

    Returns:
        (B, T) bool, true for ``start_length <= t < length``.
    """
    columns = torch.arange(width, device=length.device)
    return (columns >= start_length[:, None]) & (columns < length[:, None])


def pad_tokens(rows: Sequence[Sequence[int]], *, pad_id: int) -> tuple[Tensor, Tensor]:
    """Token lists as one tensor, padded on the right.

    Args:
        rows: B token lists, at least one of them not empty.
        pad_id: Fills the unused part.

    Returns:
        (B, T) int64 tokens and (B,) int64 lengths.

    Raises:
        ConfigurationError: If there is no token at all.
    """
    width = max((len(row) for row in rows), default=0)
    if width == 0:
        raise ConfigurationError(f"Expected at least one token, got {len(rows)} empty rows.")
    padded = [[*row, *[pad_id] * (width - len(row))] for row in rows]
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    return torch.tensor(padded, dtype=torch.int64), lengths


def take(sequences: Batched, index: Tensor) -> Batched:
    """The episodes named by `index`, cut to the longest of them.

    Args:
        sequences: B episodes, or their tokens.
        index: (N,) int64 rows, in the order that is wanted.

    Returns:
        N episodes.
    """
    width = int(sequences.length[index].max())
    rows = [int(i) for i in index]

    def pick(field: Tensor | tuple[str, ...]) -> Tensor | tuple[str, ...]:
        if isinstance(field, tuple):
            return tuple(field[i] for i in rows)
        picked = field[index]
        return picked[:, :width] if picked.dim() == 2 else picked

    picked: Any = [pick(field) for field in sequences]  # by position
    return type(sequences)(*picked)


def concatenate(parts: Sequence[Batched]) -> Batched:
    """Several batches as one, padded to the longest.

    Args:
        parts: At least one.

    Returns:
        All episodes, in this order.
    """
    width = max(part.input_ids.shape[1] for part in parts)

    def join(fields: tuple[Any, ...]) -> Any:
        if isinstance(fields[0], tuple):
            return tuple(item for field in fields for item in field)
        if fields[0].dim() == 2:
            fields = tuple(
                torch.nn.functional.pad(field, (0, width - field.shape[1])) for field in fields
            )
        return torch.cat(fields)

    joined: Any = [join(fields) for fields in zip(*parts, strict=True)]  # by position
    return type(parts[0])(*joined)


def length_buckets(
    length: Tensor, index: Tensor, *, max_tokens: int, alike: Tensor | None = None
) -> Iterator[Tensor]:
    """Splits rows into groups of similar length, so that little padding is computed.

    Summing the groups' gradients gives the gradient of all rows at once, so this changes the cost
    of an update and not the update.

    Args:
        length: (B,) lengths of all rows.
        index: (N,) int64 rows to split.
        max_tokens: Largest rows x longest length of a group; a longer row is a group of its own.
        alike: (B,) int64: rows with the same number stay side by side, as if they were as long as
            the longest of them.

    Yields:
        (n,) int64 rows of one group, longest first.
    """
    if alike is not None:
        which = torch.unique(alike[index], return_inverse=True)[1]
        longest = torch.zeros_like(which).scatter_reduce(0, which, length[index], "amax")
        index = index[torch.argsort(which, stable=True)]
        length = length.clone()
        length[index] = longest[which.sort(stable=True).values]
    order = index[torch.argsort(length[index], descending=True, stable=True)]
    first = 0
    while first < len(order):
        rows = max(1, max_tokens // max(1, int(length[order[first]])))
        yield order[first : first + rows]
        first += rows


def token_groups(
    tokens: Tokens | Sequences, max_tokens: int, *, alike: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """All rows in groups of similar length, as the input of a model.

    Args:
        tokens: B episodes.
        max_tokens: See :func:`length_buckets`.
        alike: Likewise.

    Yields:
        (n,) rows, and their (n, W) tokens, (n,) start lengths and (n,) lengths.
    """
    everything = torch.arange(len(tokens.length), device=tokens.input_ids.device)
    for rows in length_buckets(tokens.length, everything, max_tokens=max_tokens, alike=alike):
        width = int(tokens.length[rows].max())
        yield rows, tokens.input_ids[rows, :width], tokens.start_length[rows], tokens.length[rows]
