"""Two computations at the same time: results, errors, and calls within calls."""

from __future__ import annotations

import threading

import pytest

from agents.at_once import at_once


def test_both_are_done_at_the_same_time() -> None:
    meet = threading.Barrier(2)
    assert sorted(at_once(meet.wait, meet.wait)) == [0, 1]


def test_calls_may_stand_in_one_another_however_deep() -> None:
    def tree(depth: int) -> int:
        if depth == 0:
            return 1
        return sum(at_once(lambda: tree(depth - 1), lambda: tree(depth - 1)))

    assert tree(6) == 64


def test_an_error_is_raised_when_both_have_ended() -> None:
    begun, free = threading.Event(), threading.Event()
    ended = []

    def fails() -> None:
        begun.wait()
        free.set()
        raise ValueError("first")

    def other() -> None:
        begun.set()
        free.wait()
        ended.append(1)

    with pytest.raises(ValueError, match="first"):
        at_once(fails, other)
    assert ended == [1]
    with pytest.raises(ZeroDivisionError):
        at_once(lambda: 1, lambda: 1 // 0)
