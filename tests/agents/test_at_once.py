"""Two computations at the same time: results, errors, and calls within calls."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable

import pytest

from agents.at_once import all_at_once, at_once


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


def test_all_are_called_two_at_a_time_and_in_order() -> None:
    meet, called = threading.Barrier(2), []

    def call(number: int) -> None:
        called.append(number)
        meet.wait()

    all_at_once(functools.partial(call, number) for number in range(6))
    assert [sorted(called[i : i + 2]) for i in (0, 2, 4)] == [[0, 1], [2, 3], [4, 5]]


def test_after_an_error_nothing_is_begun() -> None:
    class Never:
        def __call__(self) -> None:
            begun.append(self)

    meet, forgotten = threading.Barrier(2), threading.Event()
    begun: list[Never] = []

    def fails() -> None:
        meet.wait()
        raise ValueError("first")

    def other() -> None:
        meet.wait()
        forgotten.wait()

    def calls() -> list[Callable[[], None]]:
        never = Never()
        weakref.finalize(never, forgotten.set)
        return [fails, other, never]

    with pytest.raises(ValueError, match="first"):
        all_at_once(iter(calls()))
    assert not begun
