r"""The lines that process supervision scores: generated and not neutral. They are known by tokens.

A scored line ends with the token that spells its newline, or, for a last line that no newline ends,
its last byte. A token ends at most one: one that ends several lines (``"\n\n"``,
``":\n    pass\n"``) ends all of them that are not neutral as one scored line, and none if there is
none. The line in which generation begins is generated, those before it are not.

Scored lines are found while tokens come, and are the same as those found afterwards.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from codegym.programs.lines import NEUTRAL, LineReader
from codegym.programs.program import Program
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["ScoredLine", "ScoredLineReader", "scored_line_ends"]


class ScoredLine(NamedTuple):
    """A scored line.

    Attributes:
        token: Its last token, counted from the first generated one.
        start: Byte offset in the program of the first byte that was generated of its first line.
    """

    token: int
    start: int


class ScoredLineReader:
    """Follows a program that is being generated from scored line to scored line.

    Args:
        before: The bytes of the program that were not generated.
        kinds: What counts as neutral: names of :data:`~codegym.programs.NEUTRAL`.

    Raises:
        UnknownNameError: If a kind is not one of these.
    """

    def __init__(self, before: bytes = b"", kinds: Collection[str] = NEUTRAL) -> None:
        self._lines = LineReader(kinds)
        self._lines.read(before)
        self._written_from = len(before)
        self._end = len(before)  # byte offset after the last token
        self._ends: list[int] = []  # and after each generated one
        self._last = -1  # the token of the last one

    @property
    def num_tokens(self) -> int:
        """How many tokens were read."""
        return len(self._ends)

    def read(self, spellings: Iterable[bytes]) -> list[ScoredLine]:
        """The scored lines that end with some more generated tokens.

        Args:
            spellings: The bytes of each token.
        """
        found = []
        for spelling in spellings:
            starts = [line.start for line in self._lines.read(spelling) if line.neutral is None]
            if starts:
                self._last = len(self._ends)
                found.append(ScoredLine(self._last, max(starts[0], self._written_from)))
            self._end += len(spelling)
            self._ends.append(self._end)
        return found

    def last(self, size: int) -> ScoredLine | None:
        """The scored line of a last line without newline, if the program ends here.

        Args:
            size: Bytes of the program; what was read beyond them is not part of it.
        """
        line = self._lines.unfinished(size)
        if line is None or line.neutral is not None or size <= self._written_from:
            return None
        token = bisect.bisect_left(self._ends, size)
        return (
            None if token == self._last else ScoredLine(token, max(line.start, self._written_from))
        )


def scored_line_ends(
    tokenizer: Tokenizer,
    token_ids: Sequence[int],
    *,
    before: str = "",
    kinds: Collection[str] = NEUTRAL,
) -> list[int]:
    r"""Which of the generated tokens of a program end a scored line.

    Args:
        tokenizer: Tells which bytes a token spells.
        token_ids: (N,) the generated tokens, with or without an end token.
        before: The program's text before them: header and given code.
        kinds: What counts as neutral: names of :data:`~codegym.programs.NEUTRAL`.

    Returns:
        Indices of tokens, ascending.

    Raises:
        UnknownNameError: If a kind is not one of these.

    >>> from codegym.tokenization import MiniTokenizer
    >>> tokenizer = MiniTokenizer()
    >>> tokens = tokenizer.encode("    # Twice.\n    return 2 * x\n")
    >>> [tokenizer.decode(tokens[: k + 1]) for k in scored_line_ends(tokenizer, tokens)]
    ['    # Twice.\n    return 2 * x\n']
    """
    given = Program(before).source
    reader = ScoredLineReader(given, kinds)
    spellings = [tokenizer.token_bytes(int(token)) for token in token_ids]
    found = reader.read(spellings)
    last = reader.last(len(given) + sum(map(len, spellings)))
    return [one.token for one in (*found, *([] if last is None else [last]))]
