"""A tokenizer that spells each token once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegym.programs.answer import REASONING_TAGS
from codegym.tokenization.hugging_face import HuggingFaceTokenizer
from codegym.tokenization.spelling import bytes_to_text
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
        self.token_bytes: Callable[[int], bytes] = _Spellings(tokenizer).__getitem__
        in_answers = _AnswerSpellings(tokenizer)
        in_answers.update(_tags(tokenizer))
        self.answer_bytes: Callable[[int], bytes] = in_answers.__getitem__

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`."""
        return self._tokenizer.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens."""
        return self._tokenizer.decode(token_ids)


def _tags(tokenizer: Tokenizer) -> dict[int, bytes]:
    """The tokens that are a tag of reasoning and spell nothing, because they are special."""
    if not isinstance(tokenizer, HuggingFaceTokenizer):
        return {}
    names = tokenizer.transformers_tokenizer
    tokens = {tag: names.convert_tokens_to_ids(tag) for tag in REASONING_TAGS}
    return {
        token: tag.encode()
        for tag, token in tokens.items()
        if token is not None  # or it is the unknown token
        and names.convert_ids_to_tokens(token) == tag
        and token < tokenizer.vocab_size
        and not tokenizer.token_bytes(token)
    }


class _Spellings(dict[int, bytes]):
    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, token: int) -> bytes:
        spelling = self[token] = self._tokenizer.token_bytes(token)
        return spelling


class _AnswerSpellings(_Spellings):
    """A model may have more rows than its tokenizer has tokens, and write one that is none."""

    def __missing__(self, token: int) -> bytes:
        return b"" if token >= self._tokenizer.vocab_size else super().__missing__(token)


class AnswerSpelling:
    """A tokenizer as answers are read: the tags of reasoning are text, special tokens or not.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: SpellingCache) -> None:
        self.vocab_size, self.pad_id = tokenizer.vocab_size, tokenizer.pad_id
        self.end_id, self.end_ids = tokenizer.end_id, tokenizer.end_ids
        self.token_bytes = tokenizer.answer_bytes
        self.encode = tokenizer.encode

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens; bytes that are not UTF-8 become surrogate escapes."""
        return bytes_to_text(b"".join(map(self.token_bytes, token_ids)))
