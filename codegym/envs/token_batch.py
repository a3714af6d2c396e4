"""The tokens of all sub-environments, in arrays: what is observed, and where each one ends.

It knows tokens, budgets and stop sequences; nothing of problems, grades or resets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from codegym.envs.stop_sequences import Rows, StopAutomaton, StopTracker
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["Ends", "TokenBatch"]

_TOKENS_PER_CACHE_LINE = 8

IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Ends(NamedTuple):
    """Which programs ended, (R,) bool, and which of them by a token that says so, (R,) bool."""

    ended: Flags
    terminated: Flags


class TokenBatch:
    """Rows of prompt, given code, generated tokens and padding, that grow to the right.

    Takes 9 bytes for each token of context and sub-environment: an int64 id and an int8 mask.
    A step touches one token of each row, whatever the context.

    Each row is contiguous, and followed by a gap of at most 15 tokens: with rows at multiples of a
    large power of two, a step would write to a few places of the processor's caches only, and take
    up to twice as long.

    Args:
        num_envs: Number of rows, N.
        context_length: L.
        max_new_tokens: Budget of generated tokens.
        tokenizer: Tells the end tokens and the padding.

    Attributes:
        input_ids: (N, L) int64.
        attention_mask: (N, L) int8, 1 on tokens and 0 on padding.
    """

    def __init__(
        self, num_envs: int, context_length: int, max_new_tokens: int, tokenizer: Tokenizer
    ) -> None:
        self._context_length, self._max_new_tokens = context_length, max_new_tokens
        self._pad_id = tokenizer.pad_id
        self._ends = np.zeros(tokenizer.vocab_size, dtype=bool)  # by token
        self._ends[list(end_ids(tokenizer))] = True
        cache_lines = -(-context_length // _TOKENS_PER_CACHE_LINE) | 1  # an odd number
        stride = cache_lines * _TOKENS_PER_CACHE_LINE
        # Positions count through the whole batch: one index is cheaper than row and column.
        self._flat_ids = np.full(num_envs * stride, self._pad_id, dtype=np.int64)
        self._flat_mask = np.zeros(num_envs * stride, dtype=np.int8)
        self._see(num_envs)
        self._row = np.arange(num_envs, dtype=np.int64) * stride
        self._start = self._row.copy()  # (N,) the first generated token
        self._next = self._row.copy()  # (N,) where the next token goes
        self._limit = self._row.copy()  # (N,) where the budget or the context is used up
        self._stops = StopTracker(num_envs)

    def _see(self, num_envs: int) -> None:
        """Sets what is observed, which are views."""
        length = self._context_length
        self.input_ids = self._flat_ids.reshape(num_envs, -1)[:, :length]
        self.attention_mask = self._flat_mask.reshape(num_envs, -1)[:, :length]

    def __getstate__(self) -> dict[str, Any]:
        views = ("input_ids", "attention_mask")  # which would be copied as arrays of their own
        return {name: value for name, value in vars(self).items() if name not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._see(len(self._row))

    def begin(self, i: int, tokens: IntArray, stops: StopAutomaton | None) -> None:
        """Begins a row with the tokens of prompt and given code, fewer than L."""
        row, length = int(self._row[i]), len(tokens)
        used = int(self._next[i]) - row
        self.input_ids[i, :length] = tokens
        self.input_ids[i, length:used] = self._pad_id
        self.attention_mask[i, :length] = 1
        self.attention_mask[i, length:used] = 0
        self._start[i] = self._next[i] = row + length
        self._limit[i] = row + min(length + self._max_new_tokens, self._context_length)
        self._stops.begin(i, stops)

    def append(self, rows: Rows, tokens: IntArray) -> Ends:
        """Writes one token to each of R rows that have not ended.

        Args:
            rows: Their indices, or a slice.
            tokens: (R,) token ids.
        """
        place = self._next[rows]
        self._flat_ids[place] = tokens
        self._flat_mask[place] = 1
        self._next[rows] += 1
        terminated = self._ends[tokens]
        found = self._stops.advance(rows, tokens)
        if found is not None:
            terminated |= found
        return Ends(terminated | (self._next[rows] >= self._limit[rows]), terminated)

    def extend(self, i: int, tokens: IntArray) -> tuple[int, bool, bool]:
        """Writes tokens to one row that has not ended, up to its end.

        Returns:
            How many were written, whether the row ended, and whether by a token that says so.
        """
        place = int(self._next[i])
        tokens = tokens[: int(self._limit[i]) - place]
        ends = np.flatnonzero(self._ends[tokens])
        terminated = len(ends) > 0
        if terminated:
            tokens = tokens[: int(ends[0]) + 1]
        until_stop = self._stops.advance_one(i, tokens.tolist())
        if until_stop is not None:
            tokens, terminated = tokens[:until_stop], True
        after = place + len(tokens)
        self._flat_ids[place:after] = tokens
        self._flat_mask[place:after] = 1
        self._next[i] = after
        return len(tokens), terminated or after >= int(self._limit[i]), terminated

    def generated(self, i: int) -> IntArray:
        """The generated tokens of a row, a copy."""
        return self._flat_ids[self._start[i] : self._next[i]].copy()

    def tokens(self, i: int) -> IntArray:
        """All tokens of a row: the batch's own, not to be changed."""
        return self._flat_ids[self._row[i] : self._next[i]]

    def observation(self, *, copy: bool) -> dict[str, Any]:
        """All rows: new arrays, or the batch's own."""
        if copy:
            return {
                "input_ids": self.input_ids.copy(),
                "attention_mask": self.attention_mask.copy(),
            }
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}

    def row(self, i: int) -> dict[str, Any]:
        """One row as the observation of a single environment, in new arrays."""
        return {
            "input_ids": self.input_ids[i].copy(),
            "attention_mask": self.attention_mask[i].copy(),
        }
