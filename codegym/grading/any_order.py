"""Whether two lists hold the same items, in whatever order, where "same" may mean "near enough".

Items that must be equal are found by their keys, in linear time. The others, such as floats within
a tolerance, are sorted by their numbers and compared in that order; only where this fails, which
near ties can bring about, is a perfect matching looked for, in quadratic time.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable, Sequence
from typing import Any

__all__ = ["same_items"]


def same_items(
    actual: Sequence[Any],
    expected: Sequence[Any],
    *,
    same: Callable[[Any, Any], bool],
    key: Callable[[Any], Hashable],
    is_near: Callable[[Any], bool],
    numbers: Callable[[Any], list[float]],
) -> bool:
    """Whether the items of two lists can be paired so that those of each pair are the same.

    Args:
        actual: The items of one list.
        expected: The items of the other.
        same: Whether an actual item is an expected one.
        key: Two items are equal if and only if their keys are.
        is_near: Whether an expected item is met by others than those that are equal to it.
        numbers: The numbers in an item, none of them nan, by which items are sorted.
    """
    if len(actual) != len(expected):
        return False
    places: dict[Hashable, list[int]] = {}
    near = [item for item in expected if is_near(item)]
    if len(near) < len(expected):
        for index, item in enumerate(actual):
            places.setdefault(key(item), []).append(index)
    taken: set[int] = set()
    for item in expected:
        if not is_near(item):
            indices = places.get(key(item))
            if not indices:
                return False
            taken.add(indices.pop())
    rest = [item for index, item in enumerate(actual) if index not in taken]
    rest.sort(key=numbers)
    near.sort(key=numbers)
    return all(map(same, rest, near)) or _can_be_paired(rest, near, same)


def _can_be_paired(
    actual: list[Any], expected: list[Any], same: Callable[[Any, Any], bool]
) -> bool:
    """Whether there is a perfect matching; the method of augmenting paths."""
    partners = [
        [index for index, item in enumerate(actual) if same(item, wanted)] for wanted in expected
    ]
    if not all(partners):
        return False
    owners: list[int | None] = [None] * len(actual)
    chosen: list[int | None] = [None] * len(expected)
    for first in range(len(expected)):
        reached: dict[int, int] = {}  # an actual item, and the expected one that it is same as
        waiting = collections.deque([first])
        free: int | None = None
        while waiting and free is None:
            wanted = waiting.popleft()
            for index in partners[wanted]:
                if index in reached:
                    continue
                reached[index] = wanted
                owner = owners[index]
                if owner is None:
                    free = index
                    break
                waiting.append(owner)
        if free is None:
            return False
        while free is not None:  # each on the path moves on to the item that it was reached by
            wanted = reached[free]
            before = chosen[wanted]
            owners[free], chosen[wanted] = wanted, free
            free = before
    return True
