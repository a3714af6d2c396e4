"""LeetCode's `ListNode` and `TreeNode`: from plain values to objects and back.

The program's own classes are used where it defines them. A cyclic chain is not flattened.
"""

from __future__ import annotations

import collections
from typing import Any

MAX_NODES = 500_000


class ListNode:
    """A node of a singly linked list, as LeetCode defines it."""

    def __init__(self, val: Any = 0, next: Any = None) -> None:  # noqa: A002 (LeetCode's name)
        self.val = val
        self.next = next


class TreeNode:
    """A node of a binary tree, as LeetCode defines it."""

    def __init__(self, val: Any = 0, left: Any = None, right: Any = None) -> None:
        self.val = val
        self.left = left
        self.right = right


def _make(kind: Any, value: Any, links: tuple[str, ...]) -> Any:
    try:
        node = kind(value)
    except TypeError:
        node = kind.__new__(kind)
        node.val = value
    for link in links:
        setattr(node, link, None)
    return node


def build_list(values: list[Any], namespace: dict[str, Any]) -> Any:
    """The head of a chain of `namespace`'s ListNode; None for no values."""
    kind = namespace.get("ListNode", ListNode)
    head = None
    for value in reversed(values):
        node = _make(kind, value, ("next",))
        node.next = head
        head = node
    return head


def build_tree(values: list[Any], namespace: dict[str, Any]) -> Any:
    """The root of a tree of `namespace`'s TreeNode, from LeetCode's level order."""
    kind = namespace.get("TreeNode", TreeNode)
    if not values or values[0] is None:
        return None
    root = _make(kind, values[0], ("left", "right"))
    waiting = collections.deque([root])
    rest = iter(values[1:])
    while waiting:
        parent = waiting.popleft()
        for side in ("left", "right"):
            value = next(rest, None)
            if value is not None:
                node = _make(kind, value, ("left", "right"))
                setattr(parent, side, node)
                waiting.append(node)
    return root


def _has(value: Any, *names: str) -> bool:
    missing = object()
    return all(getattr(value, name, missing) is not missing for name in names)


def flatten(value: Any) -> tuple[str, list[Any]] | None:
    """`("L", values)` of a chain, `("T", values)` of a tree, or None for anything else."""
    if isinstance(value, type) or callable(value) or not _has(value, "val"):
        return None
    if _has(value, "left", "right"):
        return _flatten_tree(value)
    if _has(value, "next"):
        return _flatten_list(value)
    return None


def _flatten_list(node: Any) -> tuple[str, list[Any]] | None:
    values: list[Any] = []
    seen: set[int] = set()
    while node is not None:
        if id(node) in seen or len(values) > MAX_NODES or not _has(node, "val", "next"):
            return None
        seen.add(id(node))
        values.append(node.val)
        node = node.next
    return "L", values


def _flatten_tree(root: Any) -> tuple[str, list[Any]] | None:
    values: list[Any] = []
    seen: set[int] = set()
    waiting = collections.deque([root])
    while waiting:
        node = waiting.popleft()
        if node is None:
            values.append(None)
            continue
        if id(node) in seen or len(values) > MAX_NODES or not _has(node, "val", "left", "right"):
            return None
        seen.add(id(node))
        values.append(node.val)
        waiting.extend((node.left, node.right))
    while values and values[-1] is None:
        values.pop()
    return "T", values
