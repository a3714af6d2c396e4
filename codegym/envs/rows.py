"""The rules of a row of tokens: how it grows, and what ends it.

A row is one program that is being written: prompt, given code, generated tokens, padding. This
module knows tokens; nothing of problems, grades or resets.

- A row **terminates** with an end token, or with the token that completes a stop sequence.
- Otherwise it is **truncated** when its budget of generated tokens or the context is used up.

The rules are the same for one token in one row (:meth:`TokenRows.append`), one token in each of
many rows (:meth:`TokenRows.append_each`), and many tokens in one row (:meth:`TokenRows.extend`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym.envs.stop_sequences import FOUND, ROOT, StopAutomaton
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["TokenRows"]

_TOKENS_PER_CACHE_LINE = 8
_MANY_AUTOMATA = 64

IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Rows = slice | IntArray


class TokenRows:
    """N rows of at most L tokens, in arrays.

    Takes 9 bytes for each token of context and row: an int64 id and an int8 mask. A step touches
    one token of each row, whatever the context.

    Each row is contiguous, and followed by a gap of at most 15 tokens: with rows at multiples of a
    large power of two, a step would write to a few places of the processor's caches only, and take
    up to twice as long.

    Args:
        num_rows: N.
        context_length: L.
        tokenizer: Tells the end tokens and the padding.

    Attributes:
        input_ids: (N, L) int64.
        attention_mask: (N, L) int8, 1 on tokens and 0 on padding.
        first_row: The first row of both, (L,) each: what a single environment observes.
    """

    def __init__(self, num_rows: int, context_length: int, tokenizer: Tokenizer) -> None:
        self._context_length, self._pad_id = context_length, tokenizer.pad_id
        self._end_ids = end_ids(tokenizer)
        self._is_end = np.zeros(tokenizer.vocab_size, dtype=bool)  # by token
        self._is_end[list(self._end_ids)] = True
        cache_lines = -(-context_length // _TOKENS_PER_CACHE_LINE) | 1  # an odd number
        stride = cache_lines * _TOKENS_PER_CACHE_LINE
        # Positions count through all rows: one index is cheaper than row and column.
        self._flat_ids = np.full(num_rows * stride, self._pad_id, dtype=np.int64)
        self._flat_mask = np.zeros(num_rows * stride, dtype=np.int8)
        self._row = [i * stride for i in range(num_rows)]
        self._start = list(self._row)  # the first generated token
        self._next = np.array(self._row, dtype=np.int64)  # where the next token goes
        self._limit = self._next.copy()  # where the budget or the context is used up
        self._automata: list[StopAutomaton] = []
        self._automaton_of = np.full(num_rows, -1, dtype=np.int64)  # -1: no stop sequences
        self._state = np.full(num_rows, ROOT, dtype=np.int64)  # of the automaton
        self._make_views()

    def _make_views(self) -> None:
        shape = len(self._row), -1
        self.input_ids = self._flat_ids.reshape(shape)[:, : self._context_length]
        self.attention_mask = self._flat_mask.reshape(shape)[:, : self._context_length]
        self.first_row = self.input_ids[0], self.attention_mask[0]
        # Single elements of a memoryview are twice as fast as those of an array.
        self._one_id, self._one_mask = self._flat_ids.data, self._flat_mask.data
        self._one_next, self._one_limit = self._next.data, self._limit.data

    def __getstate__(self) -> dict[str, Any]:
        views = (
            "input_ids",
            "attention_mask",
            "first_row",
        )  # would be copied as arrays of their own
        singles = ("_one_id", "_one_mask", "_one_next", "_one_limit")
        return {name: value for name, value in vars(self).items() if name not in views + singles}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._make_views()

    def begin(
        self,
        i: int,
        tokens: IntArray,
        *,
        budget: int,
        start_length: int | None = None,
        stops: StopAutomaton | None = None,
    ) -> None:
        """Begins a row, or goes on with one that was begun elsewhere.

        Args:
            i: The row.
            tokens: (n,) int64, n at most L: prompt, given code, and what was generated already.
            budget: How many tokens may be generated.
            start_length: How many of the tokens were not generated; None: all of them.
            stops: Finds the stop sequences; None if there are none.
        """
        row, length = self._row[i], len(tokens)
        start = length if start_length is None else start_length
        used = self._one_next[i] - row
        self.input_ids[i, :length] = tokens
        self.input_ids[i, length:used] = self._pad_id
        self.attention_mask[i, :length] = 1
        self.attention_mask[i, length:used] = 0
        self._start[i] = row + start
        self._one_next[i] = row + length
        self._one_limit[i] = row + min(start + budget, self._context_length)
        self._state[i] = ROOT
        self._automaton_of[i] = -1 if stops is None else self._number(stops)
        if stops is not None:
            self._until_stop(i, tokens[start:].tolist())

    def append(self, i: int, token: int) -> tuple[bool, bool]:
        """Writes one token to a row that has not ended.

        Returns:
            Whether the row terminated, and whether it was truncated. Never both.
        """
        place = self._one_next[i]
        self._one_id[place] = token
        self._one_mask[place] = 1
        self._one_next[i] = place = place + 1
        terminated = token in self._end_ids
        if self._automata and not terminated:
            terminated = self._until_stop(i, (token,)) is not None
        return terminated, not terminated and place >= self._one_limit[i]

    def append_each(self, rows: Rows, tokens: IntArray) -> tuple[Flags, Flags]:
        """Writes one token to each of R rows that have not ended.

        Args:
            rows: Their indices, or a slice.
            tokens: (R,) token ids.

        Returns:
            (R,) bool each: which rows terminated, and which were truncated. Never both.
        """
        place = self._next[rows]
        self._flat_ids[place] = tokens
        self._flat_mask[place] = 1
        place += 1
        self._next[rows] = place
        terminated = self._is_end[tokens]
        if self._automata:
            terminated |= self._complete_stop(rows, tokens)
        return terminated, (place >= self._limit[rows]) & ~terminated

    def extend(self, i: int, tokens: IntArray) -> tuple[int, bool, bool]:
        """Writes tokens to a row that has not ended, up to its end.

        Returns:
            How many were written, whether the row terminated, and whether it was truncated.
        """
        place, limit = self._one_next[i], self._one_limit[i]
        tokens = tokens[: limit - place]
        ends = np.flatnonzero(self._is_end[tokens])
        terminated = len(ends) > 0
        if terminated:
            tokens = tokens[: int(ends[0]) + 1]
        until_stop = self._until_stop(i, tokens.tolist())
        if until_stop is not None:
            tokens, terminated = tokens[:until_stop], True
        after = place + len(tokens)
        self._flat_ids[place:after] = tokens
        self._flat_mask[place:after] = 1
        self._one_next[i] = after
        return len(tokens), terminated, not terminated and after >= limit

    def tokens(self, i: int) -> IntArray:
        """All tokens of a row, (n,) int64: a view, not to be changed."""
        return self._flat_ids[self._row[i] : self._one_next[i]]

    def generated(self, i: int) -> IntArray:
        """The generated tokens of a row, (n,) int64: a copy."""
        return self._flat_ids[self._start[i] : self._one_next[i]].copy()

    def observation(self, *, copy: bool) -> dict[str, Any]:
        """All rows, (N, L): new arrays, or those that are written to."""
        if copy:
            return {
                "input_ids": self.input_ids.copy(),
                "attention_mask": self.attention_mask.copy(),
            }
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}

    def row(self, i: int) -> dict[str, Any]:
        """One row as the observation of a single environment, (L,): new arrays."""
        return {
            "input_ids": self.input_ids[i].copy(),
            "attention_mask": self.attention_mask[i].copy(),
        }

    def _until_stop(self, i: int, tokens: Sequence[int]) -> int | None:
        """How many of some tokens it takes to complete a stop sequence; None if they do not."""
        number = self._automaton_of.item(i)
        if number < 0:
            return None
        automaton, state, count = self._automata[number], self._state.item(i), 0
        while state != FOUND and count < len(tokens):
            state = automaton.advance(state, tokens[count])
            count += 1
        self._state[i] = state
        return count if state == FOUND else None

    def _complete_stop(self, rows: Rows, tokens: IntArray) -> Flags:
        """Which of R rows complete a stop sequence with one more token each."""
        number_of, states = self._automaton_of[rows], self._state[rows].copy()
        for number, automaton in enumerate(self._automata):
            chosen = np.flatnonzero(number_of == number)
            if len(chosen):
                states[chosen] = automaton.advance_many(states[chosen], tokens[chosen])
        self._state[rows] = states
        found: Flags = states == FOUND
        return found

    def _number(self, automaton: StopAutomaton) -> int:
        if automaton not in self._automata:
            if len(self._automata) >= _MANY_AUTOMATA:
                self._drop_unused_automata()
            self._automata.append(automaton)
        return self._automata.index(automaton)

    def _drop_unused_automata(self) -> None:
        used = np.unique(self._automaton_of[self._automaton_of >= 0])
        self._automata = [self._automata[number] for number in used.tolist()]
        has_one = self._automaton_of >= 0
        self._automaton_of[has_one] = np.searchsorted(used, self._automaton_of[has_one])
