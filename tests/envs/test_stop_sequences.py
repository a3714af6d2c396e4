"""Stop sequences found token by token are those found in the whole text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegym.envs.rows import TokenRows
from codegym.envs.stop_sequences import FOUND, ROOT, StopAutomaton, find_stop
from codegym.errors import ConfigurationError

PIECES = (b"", b"a", b"b", b"ab", b"ba", b"aab", b"\n", b"\xc3", b"\xa9", b"bb\n")


class Pieces:
    """A tokenizer whose tokens spell these pieces."""

    vocab_size = len(PIECES) + 1
    end_id = pad_id = len(PIECES)

    def token_bytes(self, token_id: int) -> bytes:
        return PIECES[token_id]

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def decode(self, token_ids: Sequence[int]) -> str:
        raise NotImplementedError


STOPS = st.lists(st.text("ab\né", min_size=1, max_size=4), min_size=1, max_size=3)
TOKENS = st.lists(st.integers(0, len(PIECES) - 1), max_size=30)


def first_end(tokens: Sequence[int], stop: Sequence[str]) -> int | None:
    """After how many tokens a stop sequence stands in the text."""
    for count in range(1, len(tokens) + 1):
        if find_stop(b"".join(PIECES[token] for token in tokens[:count]), stop) is not None:
            return count
    return None


@settings(max_examples=300, deadline=None)
@given(STOPS, TOKENS)
def test_one_program(stop: list[str], tokens: list[int]) -> None:
    automaton = StopAutomaton(Pieces(), stop)
    state, found = ROOT, None
    for count, token in enumerate(tokens, 1):
        state = automaton.advance(state, token)
        if state == FOUND and found is None:
            found = count
    assert found == first_end(tokens, stop)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.none() | STOPS, min_size=3, max_size=3), st.lists(TOKENS, min_size=3, max_size=3)
)
def test_a_batch_with_several_sets(
    stops: list[list[str] | None], programs: list[list[int]]
) -> None:
    automata = [None if stop is None else StopAutomaton(Pieces(), stop) for stop in stops]

    def rows() -> TokenRows:
        fresh = TokenRows(3, 99, Pieces())
        for i, automaton in enumerate(automata):
            fresh.begin(i, np.zeros(1, np.int64), budget=90, stops=automaton)
        return fresh

    expected = [
        None if s is None else first_end(p, s) for s, p in zip(stops, programs, strict=True)
    ]
    together, alone, at_once = rows(), rows(), rows()
    found: list[int | None] = [None] * 3
    for t in range(max(map(len, programs))):
        some = [i for i in range(3) if t < len(programs[i]) and found[i] is None]
        tokens = np.array([programs[i][t] for i in some], dtype=np.int64)
        ends, truncated = together.append_each(np.array(some, dtype=np.int64), tokens)
        assert not truncated.any()
        for i, token, ended in zip(some, tokens.tolist(), ends.tolist(), strict=True):
            assert alone.append(i, token) == (ended, False)
            found[i] = t + 1 if ended else None
    assert found == expected
    for i, program in enumerate(programs):
        count, terminated, _ = at_once.extend(i, np.array(program, dtype=np.int64))
        assert (count if terminated else None) == expected[i]
        assert at_once.generated(i).tolist() == alone.generated(i).tolist()


def test_sets_that_no_program_has_any_more_are_forgotten() -> None:
    rows, given = TokenRows(2, 9, Pieces()), np.zeros(1, np.int64)
    rows.begin(0, given, budget=9, stops=StopAutomaton(Pieces(), ["ab"]))
    for k in range(200):
        rows.begin(1, given, budget=9, stops=StopAutomaton(Pieces(), ["b" * (1 + k % 3)]))
    assert len(rows._automata) <= 65
    assert rows.extend(0, np.array([1, 2, 2])) == (2, True, False)


def test_an_empty_stop_sequence_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        StopAutomaton(Pieces(), ["\n", ""])
