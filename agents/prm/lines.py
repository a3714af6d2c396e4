"""The lines of a response as tokens, and a name for a tokenizer's vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from codegym.programs import scored_line_ends
from codegym.tokenization import Tokenizer

__all__ = ["Lines", "lines_of", "vocabulary_hash"]


class Lines(NamedTuple):
    """The T lines of a response.

    Attributes:
        ends: (T,) column of each line's last token.
        neutral: (T,) whether the line is labelled 0.
    """

    ends: tuple[int, ...]
    neutral: tuple[bool, ...]


def lines_of(
    input_ids: Sequence[int],
    start_length: int,
    tokenizer: Tokenizer,
    *,
    before: str,
    neutral: Collection[str],
) -> Lines:
    """Finds the generated lines.

    Args:
        input_ids: Prompt and generated tokens.
        start_length: First generated column.
        tokenizer: Spells the tokens.
        before: The program's text before the generated tokens.
        neutral: Kinds of lines that are labelled 0, names of ``codegym.programs.NEUTRAL``.

    Returns:
        Their ends, and which are neutral.
    """
    generated = input_ids[start_length:]
    every = scored_line_ends(tokenizer, generated, before=before, kinds=())
    scored = set(scored_line_ends(tokenizer, generated, before=before, kinds=neutral))
    return Lines(
        ends=tuple(start_length + token for token in every),
        neutral=tuple(token not in scored for token in every),
    )


def vocabulary_hash(tokenizer: Tokenizer) -> str:
    """A hash of what each token id spells; equal for tokenizers that may share a model."""
    digest = hashlib.sha256()
    for token in range(tokenizer.vocab_size):
        spelling = tokenizer.token_bytes(token)
        digest.update(len(spelling).to_bytes(4, "big") + spelling)
    return digest.hexdigest()
