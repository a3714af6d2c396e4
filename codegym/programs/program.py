r"""Program text, and where its bytes, lines and tokens lie.

All positions are byte offsets into the UTF-8 source, because bytes are what tokens spell. Lines
are counted as CPython counts them: ``\n``, ``\r\n`` and ``\r`` each end one.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["NEWLINE", "Program", "token_spans"]

NEWLINE = re.compile(rb"\r\n|\n|\r")
"""What ends a line."""


@dataclasses.dataclass(frozen=True)
class Program:
    r"""One program as text. Bytes that are not UTF-8 are kept as surrogate escapes.

    >>> program = Program("a = 1\nif a:\n    a = 2\n")
    >>> program.num_lines, program.line_start(2), program.line_at(7)
    (3, 6, 2)
    """

    text: str

    @functools.cached_property
    def source(self) -> bytes:
        """The bytes of the program."""
        return self.text.encode("utf-8", "surrogateescape")

    @functools.cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Byte offset at which each line starts."""
        starts = [0, *(match.end() for match in NEWLINE.finditer(self.source))]
        if len(starts) > 1 and starts[-1] == len(self.source):
            starts.pop()  # a final newline ends a line, it does not begin one
        return tuple(starts)

    @property
    def num_lines(self) -> int:
        """Number of lines; the empty program has one."""
        return len(self.line_starts)

    def line_start(self, line: int) -> int:
        """Byte offset of a 1-based line."""
        return self.line_starts[line - 1]

    def line_end(self, line: int) -> int:
        """Byte offset just after a 1-based line, its newline included."""
        return self.line_start(line + 1) if line < self.num_lines else len(self.source)

    def line_at(self, offset: int) -> int:
        """1-based line that holds the byte at `offset`."""
        return bisect.bisect_right(self.line_starts, offset)


def token_spans(
    tokenizer: Tokenizer, token_ids: Sequence[int], start: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Byte spans of consecutive tokens.

    Args:
        tokenizer: Tells which bytes a token spells.
        token_ids: (N,) the tokens, in order.
        start: Byte offset of the first one.

    Returns:
        First byte and one past the last byte of each token, two (N,) int64 arrays. A token that
        spells nothing has an empty span.
    """
    spellings = map(tokenizer.token_bytes, map(int, token_ids))
    lengths = np.fromiter(map(len, spellings), dtype=np.int64, count=len(token_ids))
    ends = start + np.cumsum(lengths)
    return ends - lengths, ends
