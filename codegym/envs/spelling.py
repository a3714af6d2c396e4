"""A tokenizer that spells each token once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegym.programs.answer import REASONING_TAGS
from codegym.tokenization.hugging_face import HuggingFaceTokenizer
from codegym.tokenization.tokenizer import Tokenizer, end_ids

__all__ = ["AnswerSpelling", "SpellingCache"]


class SpellingCache:
    """Stands for a tokenizer where the same tokens are spelled again and again.

    Args:
        tokenizer: Asked once for each token.

    Attributes:
        token_bytes: The bytes that a token spells.
        answer_bytes: The same in an answer, where the special tokens that reasoning begins and ends
            with are seen as well.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.vocab_size, self.pad_id = tokenizer.vocab_size, tokenizer.pad_id
        self.end_id, self.end_ids = tokenizer.end_id, end_ids(tokenizer)
        spellings = _Spellings(tokenizer)
        tags = {token: tag for token, tag in _tags(tokenizer).items() if not spellings[token]}
        self.token_bytes: Callable[[int], bytes] = spellings.__getitem__
        self.answer_bytes: Callable[[int], bytes] = _Tagged(spellings, tags).__getitem__

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`."""
        return self._tokenizer.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens."""
        return self._tokenizer.decode(token_ids)


def _tags(tokenizer: Tokenizer) -> dict[int, bytes]:
    """The tokens that are a tag of reasoning as a whole."""
    if not isinstance(tokenizer, HuggingFaceTokenizer):
        return {}
    known = tokenizer.transformers_tokenizer.get_vocab()
    return {
        known[tag]: tag.encode()
        for tag in REASONING_TAGS
        if tag in known and known[tag] < tokenizer.vocab_size
    }


class _Tagged:
    def __init__(self, spellings: _Spellings, tags: dict[int, bytes]) -> None:
        self._spellings, self._tags = spellings, tags

    def __getitem__(self, token: int) -> bytes:
        return self._tags.get(token) or self._spellings[token]


class _Spellings(dict[int, bytes]):
    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, token: int) -> bytes:
        spelling = self[token] = self._tokenizer.token_bytes(token)
        return spelling


class AnswerSpelling:
    """A tokenizer as answers are read: the tags of reasoning are text, special tokens or not.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: SpellingCache) -> None:
        self.vocab_size, self.pad_id = tokenizer.vocab_size, tokenizer.pad_id
        self.end_id, self.end_ids = tokenizer.end_id, tokenizer.end_ids
        self.token_bytes = tokenizer.answer_bytes
        self.encode, self.decode = tokenizer.encode, tokenizer.decode
