"""A tokenizer that spells each token once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["SpellingCache"]


class SpellingCache:
    """Stands for a tokenizer where the same tokens are spelled again and again.

    Args:
        tokenizer: Asked once for each token.

    Attributes:
        token_bytes: The bytes that a token spells.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.vocab_size, self.pad_id = tokenizer.vocab_size, tokenizer.pad_id
        self.end_id, self.end_ids = tokenizer.end_id, end_ids(tokenizer)
        self.token_bytes: Callable[[int], bytes] = _Spellings(tokenizer).__getitem__

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`."""
        return self._tokenizer.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens."""
        return self._tokenizer.decode(token_ids)


class _Spellings(dict[int, bytes]):
    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, token: int) -> bytes:
        spelling = self[token] = self._tokenizer.token_bytes(token)
        return spelling
