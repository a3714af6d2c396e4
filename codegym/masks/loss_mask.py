"""Fine-Grained Optimization: from executed lines to a mask over tokens.

    executed lines -> whole statements -> bytes -> tokens that touch them

StepCoder (arXiv 2402.01391) masks tokens that no unit test executed out of the policy loss, since
the reward cannot depend on them. What the paper leaves open is decided here:

- A statement over several lines is one; the header of a compound statement is a statement of its
  own. A statement owns the indentation before it and the line break after it.
- A statement that begins a line was executed if one of its lines was. What comes after it on a
  line (``if x: y``, ``x; y``) counts by itself.
- ``else:``, ``finally:``, ``try:``, ``case _:`` have no code; they count as executed when
  their body is. ``global``, ``nonlocal`` and annotations without a value (``x: int``) count when
  their block is.
- Comments, blank lines and docstrings never count.
- When nothing ran, because the program does not compile, all generated tokens count: they are
  what the reward punishes.

This module knows nothing of prompts, rewards or losses.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from codegym.programs.executed import ExecutedLines
from codegym.programs.program import Program, token_spans
from codegym.programs.syntax import Statement, comments, statements
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["executed_bytes", "loss_mask", "statement_coverage"]


def loss_mask(
    program: Program,
    executed_lines: Collection[int],
    tokenizer: Tokenizer,
    token_ids: Sequence[int],
    *,
    start: int = 0,
) -> npt.NDArray[np.int8]:
    """The FGO mask of generated tokens.

    Args:
        program: The whole program, given code included.
        executed_lines: 1-based lines that were executed, union over the tests that ran. Empty
            if nothing ran. If they are no :class:`~codegym.programs.ExecutedLines`, all that
            stands on an executed line was executed.
        tokenizer: Tells which bytes a token spells.
        token_ids: (N,) the generated tokens, the end token included if there is one.
        start: Byte offset in the program at which the first of them begins.

    Returns:
        (N,) int8. 1 for tokens that touch an executed statement, for an end token, and for
        tokens that reach past the end of the program (a stop sequence: the decision to end).
    """
    ids = [int(token) for token in token_ids]
    if not executed_lines:
        return np.ones(len(ids), dtype=np.int8)
    first, last = token_spans(tokenizer, ids, start)
    size = len(program.source)
    # Number of executed bytes before each offset: a span holds one iff the count rises over it.
    count = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(executed_bytes(program, executed_lines), out=count[1:])
    touches = count[np.minimum(last, size)] > count[np.minimum(first, size)]
    ends = np.fromiter(map(end_ids(tokenizer).__contains__, ids), dtype=bool, count=len(ids))
    mask: npt.NDArray[np.int8] = (touches | ends | (last > size)).astype(np.int8)
    return mask


def executed_bytes(program: Program, executed_lines: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which bytes of a program belong to statements that were executed, (num_bytes,) bool."""
    mask = np.zeros(len(program.source), dtype=bool)
    for statement, ran in zip(*_executed(program, executed_lines), strict=True):
        if ran:
            start, end = _owned(program, statement)
            mask[start:end] = True
    for start, end in comments(program):
        mask[start:end] = False
    return mask


def statement_coverage(program: Program, executed_lines: Collection[int]) -> float:
    """Share of the program's statements that were executed, in [0, 1]; 0 without statements."""
    found, ran = _executed(program, executed_lines)
    return sum(ran) / len(found) if found else 0.0


def _executed(
    program: Program, executed_lines: Collection[int]
) -> tuple[tuple[Statement, ...], list[bool]]:
    """All statements, and which of them were executed."""
    found = statements(program)
    lines = executed_lines if isinstance(executed_lines, frozenset) else frozenset(executed_lines)
    ran = [_ran(statement, lines) for statement in found]
    count = [0, *itertools.accumulate(ran)]
    starts = [statement.start for statement in found]
    for number, statement in enumerate(found):
        if statement.evidence is not None:
            first, end = (bisect.bisect_left(starts, place) for place in statement.evidence)
            ran[number] = ran[number] or count[end] > count[first]
    return found, ran


def _ran(statement: Statement, lines: frozenset[int]) -> bool:
    """Whether a statement has code that was executed."""
    first = statement.first_line
    if isinstance(lines, ExecutedLines):
        if (first, statement.column) in lines.statements:
            return True
        if not statement.begins_line:
            first += 1  # on its first line something else may have run
    return not lines.isdisjoint(range(first, statement.last_line + 1))


def _owned(program: Program, statement: Statement) -> tuple[int, int]:
    """The statement's bytes with its indentation and, if it ends the line, the line break."""
    source = program.source
    start, end = statement.start, statement.end
    line_start = program.line_start(statement.first_line)
    if not source[line_start:start].strip():
        start = line_start
    line_end = program.line_end(statement.last_line)
    rest = source[end:line_end]
    code = rest.lstrip(b" \t\f;")
    # A comment in between is taken out again by executed_bytes.
    ends_line = not code.strip() or code.startswith(b"#")
    return start, line_end if ends_line else line_end - len(code)
