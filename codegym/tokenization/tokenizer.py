"""What an action is: the protocol that every tokenizer of codegym fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["Tokenizer"]


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back, without loss.

    The contract, for every text ``t`` that is encoded: the bytes of its tokens concatenate to
    ``t.encode()``. No token is added (no begin or end token, no dummy space), so that
    ``encode(a) + encode(b)`` spells ``a + b``.
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
            TokenizationError: If this tokenizer can not spell the text exactly.
        """
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token spells: ``b""`` for special tokens."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens; bytes that are not UTF-8 become surrogate escapes (U+DC80-DCFF)."""
        ...
