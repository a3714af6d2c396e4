"""Adapts a tokenizer of ``transformers`` without importing it: the object is handed in.

What each token spells is read from the vocabulary, not from ``decode``, which cleans up spaces and
drops them at the start. Three spellings are known: the byte alphabet of GPT-2, the ``▁`` of
SentencePiece with ``<0xNN>`` for bytes, and plain text. Every encoding is checked: it spells the
text to the byte, or an error says that it does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from codegym.errors import TokenizationError
from codegym.tokenization.ends import ends_of_turn, generation_ends
from codegym.tokenization.spelling import BYTE_OF_CHARACTER, bytes_to_text, text_to_bytes

__all__ = ["HuggingFaceTokenizer", "is_hugging_face"]

_PROBE = '# Give x.\ndef f(x):\n    if x > 10:\n        return [x, "a"]\n'
# Put before a text to keep a tokenizer's dummy space away from it.
_SENTINELS = ("\n", ".", "a", "(")
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def is_hugging_face(spec: object) -> bool:
    """Whether an object has the methods of a tokenizer of ``transformers``."""
    methods = ("convert_ids_to_tokens", "get_vocab", "encode")
    return hasattr(spec, "eos_token_id") and all(
        callable(getattr(spec, name, None)) for name in methods
    )


class HuggingFaceTokenizer:
    """Any tokenizer object of ``transformers``, fast or slow, that can spell code exactly.

    Args:
        tokenizer: The object. It is used as it is and never changed.
        end_ids: Tokens that end a program as well, beside the end-of-sequence token, the token
            with which its chat template ends a turn, and those of a generation config in the
            folder that it was loaded from. Only added tokens are taken.

    Raises:
        TokenizationError: If no token ends a program, or it does not spell a line of code exactly
            (it lowers case, joins spaces, ...).
    """

    def __init__(self, tokenizer: Any, end_ids: Collection[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._name = str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)
        self._bytes = _spellings(tokenizer)
        eos = tokenizer.eos_token_id
        added = {*getattr(tokenizer, "added_tokens_decoder", {}), *tokenizer.all_special_ids}
        self._turn_ends = frozenset(ends_of_turn(tokenizer) & added)
        ends = self._turn_ends | ((generation_ends(self._name) | set(end_ids)) & added)
        if eos is None and not ends:
            raise TokenizationError(
                f"Tokenizer {self._name!r} has no end-of-sequence token, so a program could not "
                "end. Set tokenizer.eos_token first."
            )
        self._end_id = int(min(ends) if eos is None else eos)
        self._end_ids = frozenset({self._end_id, *ends})
        for token in self._end_ids:
            self._bytes[token] = b""
        pad = tokenizer.pad_token_id
        self._pad_id = self._end_id if pad is None else int(pad)
        self._direct = True
        self._direct = self._spell_exactly(_PROBE, self._raw(_PROBE))
        self.encode(_PROBE)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, added ones included. A model may have more rows."""
        return len(self._bytes)

    @property
    def end_id(self) -> int:
        """The end-of-sequence token."""
        return self._end_id

    @property
    def end_ids(self) -> frozenset[int]:
        """All tokens that end a program: ``end_id``, and those that end a turn of a chat."""
        return self._end_ids

    @property
    def turn_ends(self) -> frozenset[int]:
        """The token with which the chat template ends a turn; empty if it is none, or unknown."""
        return self._turn_ends

    @property
    def transformers_tokenizer(self) -> Any:
        """The object that was handed in."""
        return self._tokenizer

    @property
    def pad_id(self) -> int:
        """The padding token, or the end token if there is none."""
        return self._pad_id

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without special tokens and without a dummy space.

        Raises:
            TokenizationError: If these tokens cannot spell the text exactly.
        """
        if not text:
            return []
        if self._direct:
            ids = self._raw(text)
            if self._spell_exactly(text, ids):
                return ids
        for sentinel in _SENTINELS:
            ids = self._raw(sentinel + text)
            start = self._length_of_prefix(sentinel.encode(), ids)
            if start is not None and self._spell_exactly(text, ids[start:]):
                return ids[start:]
        raise TokenizationError(self._complaint(text))

    def encode_shown(self, text: str) -> list[int]:
        """Token ids of a text that is only shown: as near to it as this tokenizer can spell it."""
        return self._raw(text)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token spells; ``b""`` for special tokens.

        Raises:
            TokenizationError: If there is no such token.
        """
        if not 0 <= token_id < len(self._bytes):
            raise TokenizationError(
                f"Tokens of {self._name!r} run from 0 to {len(self._bytes) - 1}, got {token_id!r}."
            )
        return self._bytes[token_id]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens; bytes that are not UTF-8 become surrogate escapes."""
        return bytes_to_text(b"".join(map(self.token_bytes, token_ids)))

    def _raw(self, text: str) -> list[int]:
        text_to_bytes(text)
        try:
            ids = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        except (UnicodeError, TypeError) as error:
            raise TokenizationError(
                f"Tokenizer {self._name!r} does not accept the text {text[:60]!r}: {error}"
            ) from error
        return [int(token) for token in ids]

    def _spell_exactly(self, text: str, ids: Sequence[int]) -> bool:
        return b"".join(self._bytes[token] for token in ids) == text_to_bytes(text)

    def _length_of_prefix(self, sentinel: bytes, ids: Sequence[int]) -> int | None:
        """How many tokens spell the sentinel, with or without a dummy space before it."""
        spelled = b""
        for position, token in enumerate(ids):
            spelled += self._bytes[token]
            if spelled in (sentinel, b" " + sentinel):
                return position + 1
            if len(spelled) > len(sentinel):
                return None
        return None

    def _complaint(self, text: str) -> str:
        spelled = bytes_to_text(b"".join(self._bytes[token] for token in self._raw(text)))
        if not self._direct and not text.startswith(" "):
            spelled = spelled.removeprefix(" ")
        place = next(
            (i for i, (a, b) in enumerate(zip(text, spelled, strict=False)) if a != b),
            min(len(text), len(spelled)),
        )
        return (
            f"Tokenizer {self._name!r} cannot spell this text exactly. Near position {place} the "
            f"text is {text[place : place + 20]!r}, its tokens spell "
            f"{spelled[place : place + 20]!r}. Use a tokenizer that keeps every byte (byte-level "
            "BPE, or SentencePiece with byte fallback and without normalisation)."
        )


def _spellings(tokenizer: Any) -> list[bytes]:
    """The bytes of each token, by id."""
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    spell = _speller(tokenizer, vocabulary)
    size = max(len(tokenizer), 1 + max(vocabulary.values()))
    spellings = [b""] * size
    for token, token_id in vocabulary.items():
        spellings[token_id] = spell(token)
    for token_id, added in getattr(tokenizer, "added_tokens_decoder", {}).items():
        spellings[token_id] = b"" if added.special else added.content.encode()
    for token_id in tokenizer.all_special_ids:
        spellings[token_id] = b""
    return spellings


def _speller(tokenizer: Any, vocabulary: dict[str, int]) -> Callable[[str], bytes]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        parts = set(_types(json.loads(backend.to_str())))
        byte_level = "ByteLevel" in parts
    else:
        byte_level = "Ġ" in vocabulary and "Ċ" in vocabulary
    if byte_level:
        return _spell_byte_level
    if any("▁" in token for token in vocabulary):
        return _spell_sentencepiece
    return _spell_plain


def _types(node: object) -> list[str]:
    """The types of all parts of a serialised tokenizer but its model."""
    if isinstance(node, dict):
        own = [node["type"]] if isinstance(node.get("type"), str) else []
        return own + [name for key, part in node.items() if key != "model" for name in _types(part)]
    if isinstance(node, list):
        return [name for part in node for name in _types(part)]
    return []


def _spell_byte_level(token: str) -> bytes:
    if all(char in BYTE_OF_CHARACTER for char in token):
        return bytes(BYTE_OF_CHARACTER[char] for char in token)
    return token.encode()


def _spell_sentencepiece(token: str) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token)
    if byte:
        return bytes((int(byte[1], 16),))
    return token.replace("▁", " ").encode()


def _spell_plain(token: str) -> bytes:
    return token.encode()
