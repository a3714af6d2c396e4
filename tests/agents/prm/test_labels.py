from __future__ import annotations

import math

import numpy as np
import pytest

from agents.prm.labels import (
    EVEN,
    Search,
    is_monotone,
    kind_of,
    labels_of,
    labels_of_rates,
    search_all,
    search_binary,
)
from codegym.errors import ConfigurationError


def test_binary_search_is_the_exhaustive_one_on_20000_monotone_oracles() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20_000):
        lines = int(rng.integers(1, 61))
        last = int(rng.integers(0, lines))  # the whole program fails
        asked: list[int] = []

        def recoverable(m: int, last: int = last, asked: list[int] = asked) -> bool:
            asked.append(m)
            return m <= last

        assert search_binary(lines, recoverable) == last
        assert len(asked) <= math.ceil(math.log2(lines))
        assert all(1 <= m < lines for m in asked)
        assert search_all(lines, recoverable) == last


def test_an_oracle_that_comes_back_is_told() -> None:
    assert is_monotone([True, True, False])
    assert is_monotone([])
    assert not is_monotone([True, False, True, False])
    # What binary search finds there is a prefix that is recoverable, not the longest one.
    answers = {1: True, 2: False, 3: True}
    assert search_all(4, answers.__getitem__) == 3
    assert search_binary(4, answers.__getitem__) == 1


def test_the_answer_decides_which_half_goes_on() -> None:
    search = Search(9)
    assert search.question == 4
    search.answer(recoverable=True)
    assert search.question == 6
    search.answer(recoverable=False)
    assert search.question == 5
    search.answer(recoverable=True)
    assert search.done
    assert search.known == 5


def test_one_line_needs_no_question() -> None:
    assert Search(1).done
    assert search_binary(1, lambda m: pytest.fail(f"asked for {m}")) == 0


def test_no_line_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="at least one line"):
        Search(0)


def test_labels_turn_at_the_last_recoverable_line_and_skip_neutral_ones() -> None:
    neutral = [False, True, False, False, True]
    assert labels_of(neutral, solved=False, recoverable_lines=3) == (1, 0, 1, -1, 0)
    assert labels_of(neutral, solved=False, recoverable_lines=0) == (-1, 0, -1, -1, 0)
    assert labels_of(neutral, solved=True) == (1, 0, 1, 1, 0)


def test_kinds() -> None:
    assert kind_of(solved=True, recoverable_lines=0) == "correct"
    assert kind_of(solved=False, recoverable_lines=2) == "revised"
    assert kind_of(solved=False, recoverable_lines=0) == "wrong"


def test_a_rate_of_one_half_is_no_neutral_line() -> None:
    labels = labels_of_rates([False, True, False, False], [1.0, 1.0, 0.5, 0.0])
    assert labels == (1.0, 0.0, EVEN, -1.0)
    assert 0 < EVEN < 1e-5
