"""The tokenizer of Mini: a byte-level BPE of 512 tokens that needs no package.

The vocabulary (``mini_bpe.json``, in the format of the ``tokenizers`` library) was trained on
Mini's training split by :mod:`codegym.tokenization.train_mini_bpe`. A line end is always the last
byte of its token and nothing looks ahead, so that a text cut after a line end has the tokens of
its two parts: the tokens of given code are those that a policy would have written.
"""

from __future__ import annotations

import functools
import importlib.resources
import itertools
import json
import re
from collections.abc import Sequence

from codegym.errors import TokenizationError
from codegym.tokenization.spelling import BYTE_OF_CHARACTER, bytes_to_text, text_to_bytes

__all__ = ["PIECES", "MiniTokenizer"]

PIECES = r"\n|(?: {4})+|#(?: [A-Z][a-z]+)?| ?[A-Za-z]+| ?[0-9]| ?[^A-Za-z0-9 \n]+\n?| "
"""Tokens never cross these pieces: indentation, a word, a digit, punctuation to the line's end."""

_CACHED_PIECES = 65_536


class MiniTokenizer:
    r"""Spells any text; on Mini's programs a token is about a word.

    Example:
        >>> tokenizer = MiniTokenizer()
        >>> tokens = tokenizer.encode("    if x > 3:\n")
        >>> [tokenizer.token_bytes(token) for token in tokens]
        [b'    ', b'if', b' x', b' >', b' 3', b':\n']
        >>> tokenizer.vocab_size, tokenizer.decode([*tokens, tokenizer.end_id])
        (512, '    if x > 3:\n')
    """

    def __init__(self) -> None:
        file = importlib.resources.files("codegym.tokenization") / "mini_bpe.json"
        model = json.loads(file.read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = model["model"]["vocab"]
        special: list[str] = [token["content"] for token in model["added_tokens"]]
        self._end_id, self._pad_id = (vocabulary[name] for name in special)
        self._bytes: list[bytes] = [b""] * len(vocabulary)
        for token, token_id in vocabulary.items():
            if token not in special:
                self._bytes[token_id] = bytes(BYTE_OF_CHARACTER[char] for char in token)
        self._byte_ids = [0] * 256
        for character, byte in BYTE_OF_CHARACTER.items():
            self._byte_ids[byte] = vocabulary[character]
        # (left, right) -> (rank, merged): the lowest rank is merged first.
        self._merges = {
            (vocabulary[left], vocabulary[right]): (rank, vocabulary[left + right])
            for rank, (left, right) in enumerate(model["model"]["merges"])
        }
        self._pieces = re.compile(PIECES)
        self._piece_ids = functools.lru_cache(maxsize=_CACHED_PIECES)(self._encode_piece)

    @property
    def vocab_size(self) -> int:
        """Number of tokens: 512."""
        return len(self._bytes)

    @property
    def end_id(self) -> int:
        """The token that ends a program."""
        return self._end_id

    @property
    def pad_id(self) -> int:
        """The token that fills observations; no program contains it."""
        return self._pad_id

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`.

        Raises:
            TokenizationError: If the text holds half a surrogate pair, which has no bytes.
        """
        text_to_bytes(text)
        ids: list[int] = []
        for piece in self._pieces.findall(text):
            ids += self._piece_ids(piece)
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token spells; ``b""`` for the two special ones.

        Raises:
            TokenizationError: If there is no such token.
        """
        if not 0 <= token_id < len(self._bytes):
            raise TokenizationError(
                f"Tokens of Mini run from 0 to {len(self._bytes) - 1}, got {token_id!r}."
            )
        return self._bytes[token_id]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of some tokens; bytes that are not UTF-8 become surrogate escapes."""
        return bytes_to_text(b"".join(map(self.token_bytes, token_ids)))

    def __reduce__(self) -> tuple[type[MiniTokenizer], tuple[()]]:
        return MiniTokenizer, ()  # the vocabulary is read again; the cache stays behind

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        ids = [self._byte_ids[byte] for byte in text_to_bytes(piece)]
        while len(ids) > 1:
            pairs = itertools.pairwise(ids)
            ranked = [(self._merges[pair], pair) for pair in pairs if pair in self._merges]
            if not ranked:
                break
            (_, merged), pair = min(ranked)
            ids = _merge(ids, pair, merged)
        return tuple(ids)


def _merge(ids: Sequence[int], pair: tuple[int, int], merged: int) -> list[int]:
    result: list[int] = []
    position = 0
    while position < len(ids):
        if tuple(ids[position : position + 2]) == pair:
            result.append(merged)
            position += 2
        else:
            result.append(ids[position])
            position += 1
    return result
