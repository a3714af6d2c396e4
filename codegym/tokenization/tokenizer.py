"""What an action is: the protocol that every tokenizer of codegym fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from codegym.errors import TokenizationError

__all__ = ["Tokenizer", "end_ids", "shown_ids"]


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back, without loss.

    The contract, for every text ``t`` that is encoded: the bytes of its tokens concatenate to
    ``t.encode()``. No token is added (no begin or end token, no dummy space), so that
    ``encode(a) + encode(b)`` spells ``a + b``.

    Two more members are used where a tokenizer has them: ``end_ids``, all tokens that end a
    program if there are several, and ``encode_shown(text)``, the tokens of a text that is only
    shown and that it cannot spell exactly.
    """

    @property
    def vocab_size(self) -> int:
        """Number of actions; ids run from 0 to ``vocab_size - 1``."""
        ...

    @property
    def end_id(self) -> int:
        """The token that ends a program. It spells no bytes."""
        ...

    @property
    def pad_id(self) -> int:
        """Fills the unused right part of an observation. May equal `end_id`."""
        ...

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`.

        Raises:
            TokenizationError: If this tokenizer cannot spell the text exactly.
        """
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token spells: ``b""`` for special tokens."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens; bytes that are not UTF-8 become surrogate escapes (U+DC80-DCFF)."""
        ...


def end_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """All tokens that end a program. They spell no bytes.

    >>> from codegym.tokenization import ByteTokenizer
    >>> end_ids(ByteTokenizer())
    frozenset({256})
    """
    return frozenset({tokenizer.end_id, *getattr(tokenizer, "end_ids", ())})


def shown_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of a text that is only shown, and that nobody runs.

    They spell it to the byte where the tokenizer can, and as nearly as it can elsewhere (one that
    normalises Unicode, say). Halves of surrogate pairs are replaced.

    Raises:
        TokenizationError: If the tokenizer can spell exactly or not at all, and this not.
    """
    try:
        return tokenizer.encode(text)
    except TokenizationError:
        readable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        encode_shown = getattr(tokenizer, "encode_shown", tokenizer.encode)
        return [int(token) for token in encode_shown(readable)]
