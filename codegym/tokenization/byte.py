"""A tokenizer without a vocabulary: each byte of the text is a token."""

from __future__ import annotations

from collections.abc import Sequence

from codegym.errors import TokenizationError
from codegym.tokenization.spelling import bytes_to_text, text_to_bytes

__all__ = ["ByteTokenizer"]

_END, _PAD, _SIZE = 256, 257, 258


class ByteTokenizer:
    """Ids 0-255 are the bytes, 256 ends a program, 257 pads.

    Example:
        >>> tokenizer = ByteTokenizer()
        >>> tokenizer.encode("if é"), tokenizer.decode([105, 102, 256])
        ([105, 102, 32, 195, 169], 'if')
    """

    @property
    def vocab_size(self) -> int:
        """Number of tokens: 258."""
        return _SIZE

    @property
    def end_id(self) -> int:
        """The token that ends a program: 256."""
        return _END

    @property
    def pad_id(self) -> int:
        """The token that fills observations: 257."""
        return _PAD

    def encode(self, text: str) -> list[int]:
        """The bytes of `text`.

        Raises:
            TokenizationError: If the text holds half a surrogate pair, which has no bytes.
        """
        return list(text_to_bytes(text))

    def token_bytes(self, token_id: int) -> bytes:
        """The byte that a token spells; ``b""`` for 256 and 257.

        Raises:
            TokenizationError: If there is no such token.
        """
        if not 0 <= token_id < _SIZE:
            raise TokenizationError(f"Byte tokens run from 0 to {_SIZE - 1}, got {token_id!r}.")
        return bytes((token_id,)) if token_id < _END else b""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens; bytes that are not UTF-8 become surrogate escapes."""
        return bytes_to_text(b"".join(map(self.token_bytes, token_ids)))
