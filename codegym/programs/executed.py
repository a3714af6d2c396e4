"""What of a program was executed: its lines and, where a line holds several statements, which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["ExecutedLines"]


class ExecutedLines(frozenset[int]):
    """1-based lines that were executed, at least in part.

    Args:
        lines: The lines.
        statements: Which of the statements that no line tells of were executed, those that begin
            in the middle of a line, as in ``if x: y``, and annotations without a value: line, and
            column in bytes of UTF-8, from 0, at which each starts.

    >>> executed = ExecutedLines({1, 2}, {(1, 6)})
    >>> executed == ExecutedLines({1, 2}), sorted(executed), executed.statements
    (False, [1, 2], frozenset({(1, 6)}))
    """

    statements: frozenset[tuple[int, int]]

    def __new__(
        cls, lines: Iterable[int] = (), statements: Iterable[tuple[int, int]] = ()
    ) -> ExecutedLines:
        """A set of lines that knows their statements."""
        made = super().__new__(cls, lines)
        made.statements = frozenset(statements)
        return made

    @classmethod
    def union_of(cls, seen: Iterable[frozenset[int]]) -> frozenset[int]:
        """What was executed in any of several runs.

        The statements are only known if they are of every run that executed anything.
        """
        ran = [lines for lines in seen if lines]
        lines = frozenset[int]().union(*ran)
        known = [one.statements for one in ran if isinstance(one, ExecutedLines)]
        return lines if len(known) < len(ran) else cls(lines, frozenset().union(*known))

    def __eq__(self, other: object) -> bool:
        """Equal sets of lines, and of statements if both know theirs."""
        mine = getattr(other, "statements", self.statements)
        return frozenset.__eq__(self, other) and mine == self.statements

    __hash__ = frozenset.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickling and copying."""
        return type(self), (tuple(self), self.statements)
