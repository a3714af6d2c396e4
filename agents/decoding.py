"""Writing tokens: a batch of sequences that grow by one token at a time, and how one is drawn.

The keys and values of earlier tokens are kept. Prompts differ in length, so inside the cache they
are padded on the *left*, with position ids counted from each row's own first token: a new token is
then the same column for all rows.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from agents.at_once import at_once
from agents.policy import CausalLMPolicy
from agents.prompts import (
    cache_name,
    can_read_after,
    has_plain_cache,
    pad_left,
    shared_prompts,
)
from codegym.errors import ConfigurationError

__all__ = ["Decoder", "sample_tokens"]

_ROOM = 64
"""Tokens that are made room for at a time."""


class Decoder:
    """Next-token logits of a growing batch.

    Args:
        policy: The model.
        input_ids: (B, T) int64, padded on the right.
        length: (B,) int64, each at least 1.
        reserve: How many tokens will be appended at most.

    Attributes:
        logits: (B, vocab_size) float32 of the next token.
    """

    def __init__(
        self, policy: CausalLMPolicy, input_ids: Tensor, length: Tensor, *, reserve: int
    ) -> None:
        self._policy = policy
        self._width = width = int(length.max())
        self._length = length.clone()
        self._mask = torch.ones(
            (len(length), width + reserve), dtype=torch.int64, device=length.device
        )
        self._mask[:, :width] = pad_left(input_ids, length)[2]
        self._cache = _new_cache(policy)
        self._cache_name = cache_name(policy.trunk)
        self._bias: Tensor | None = None
        plain = all(type(layer) is _RoomyLayer for layer in self._cache.layers)
        shared = None
        if can_read_after(policy.trunk):
            shared = shared_prompts(input_ids, length, length)
        if shared is not None:
            first, of_row = shared
            input_ids, length = input_ids[first], length[first]
        if plain and length.device.type == "cpu" and len(length) > 1:
            self.logits = self._read_halves(input_ids, length)
        else:
            self.logits = self._read(self._cache, input_ids, length)
        if shared is not None:
            self._cache.batch_select_indices(of_row)
            self.logits = self.logits[of_row]
        if plain and policy.trunk.config._attn_implementation == "sdpa":
            hidden = self._mask[:, None, None, :] == 0
            self._bias = torch.zeros(
                hidden.shape, dtype=policy.trunk.dtype, device=hidden.device
            ).masked_fill(hidden, float("-inf"))

    def append(self, tokens: Tensor) -> None:
        """Appends one token to each row and updates :attr:`logits`.

        Args:
            tokens: (B,) int64.
        """
        self._width += 1
        # A mask that is there already: transformers would make one anew for each token.
        mask = self._mask if self._bias is None else self._bias
        self.logits = self._forward(
            self._cache, tokens[:, None], self._length[:, None], mask[..., : self._width]
        )
        self._length += 1

    def keep(self, rows: Tensor) -> None:
        """Forgets all rows but these.

        Args:
            rows: (n,) int64 indices, in the order that is wanted.
        """
        self._cache.batch_select_indices(rows)
        self._mask, self._length = self._mask[rows], self._length[rows]
        if self._bias is not None:
            self._bias = self._bias[rows]
        self.logits = self.logits[rows]

    def _read_halves(self, input_ids: Tensor, length: Tensor) -> Tensor:
        """What :meth:`_read` does: the shorter half of the rows and the longer half at once."""
        halves = length.argsort(stable=True).chunk(2)
        caches = [_new_cache(self._policy) for _ in halves]
        read = at_once(
            *(
                functools.partial(self._read, cache, input_ids[rows], length[rows])
                for cache, rows in zip(caches, halves, strict=True)
            )
        )
        for layer, *parts in zip(*(c.layers for c in (self._cache, *caches)), strict=True):
            layer.update(
                _put_together(halves, [part.keys for part in parts], self._width),
                _put_together(halves, [part.values for part in parts], self._width),
            )
        return torch.cat(read)[torch.cat(halves).argsort()]

    def _read(self, cache: DynamicCache, input_ids: Tensor, length: Tensor) -> Tensor:
        """Reads what is given into a cache; logits of the next tokens."""
        return self._forward(cache, *pad_left(input_ids, length))

    @torch.inference_mode()
    def _forward(
        self, cache: DynamicCache, input_ids: Tensor, positions: Tensor, mask: Tensor
    ) -> Tensor:
        output = self._policy.trunk(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
            **{self._cache_name: cache},
        )
        logits: Tensor = output.logits[:, -1, : self._policy.vocab_size].float()
        return logits


def _put_together(rows: Sequence[Tensor], parts: Sequence[Tensor], width: int) -> Tensor:
    """(B, H, width, D): parts of a batch, each (n, H, n_width, D), padded on the left."""
    _, heads, _, size = parts[0].shape
    whole = parts[0].new_zeros((sum(map(len, rows)), heads, width, size))
    for some, part in zip(rows, parts, strict=True):
        whole[some, :, width - part.shape[2] :] = part
    return whole


def _new_cache(policy: CausalLMPolicy) -> DynamicCache:
    """An empty cache, with room to grow where its layers are of the plain kind."""
    cache = DynamicCache(config=policy.trunk.config)
    if has_plain_cache(policy.trunk):
        cache.layers = [_RoomyLayer() for _ in cache.layers]  # type: ignore[no-untyped-call]
    return cache


class _RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Has room for the next tokens, where `DynamicLayer` copies all keys and values for each."""

    _room: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Appends keys and values (B, H, n, D); returns all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.get_seq_length()
        size = used + key_states.shape[-2]
        if self._room is None or size > self._room[0].shape[-2]:
            self._room = _with_room(key_states, size), _with_room(value_states, size)
            if self.keys is not None and self.values is not None and used:
                self._room[0][..., :used, :] = self.keys
                self._room[1][..., :used, :] = self.values
        keys, values = self._room
        keys[..., used:size, :] = key_states
        values[..., used:size, :] = value_states
        self.keys, self.values = keys[..., :size, :], values[..., :size, :]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps some rows."""
        super().batch_select_indices(indices)
        self._room = None


def _with_room(like: Tensor, size: int) -> Tensor:
    return like.new_empty((*like.shape[:-2], size + _ROOM, like.shape[-1]))


def sample_tokens(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draws one token a row.

    Args:
        logits: (B, V).
        temperature: 0 takes the most probable token.
        top_p: Nucleus: only the most probable tokens that together reach this mass can be drawn.
        generator: The only source of randomness; None uses torch's global one.

    Returns:
        (B,) int64.

    Raises:
        ConfigurationError: If the temperature is negative or `top_p` is not in (0, 1].
    """
    if temperature < 0.0 or not 0.0 < top_p <= 1.0:
        raise ConfigurationError(
            "Expected temperature >= 0 and 0 < top_p <= 1, got "
            f"temperature={temperature}, top_p={top_p}."
        )
    if temperature == 0.0:
        return logits.argmax(-1)
    probabilities = (logits / temperature).softmax(-1)
    if top_p < 1.0:
        ordered, index = probabilities.sort(-1, descending=True)
        # The token that crosses the threshold stays in, so at least one always does.
        before = ordered.cumsum(-1) - ordered
        ordered = ordered.masked_fill(before >= top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, index, ordered)
    # Inverse transform sampling: on a CPU ten times as fast as torch.multinomial, which draws a
    # number for each token of the vocabulary.
    reached = probabilities.cumsum(-1, dtype=torch.float64)
    point = torch.rand(
        len(logits), 1, generator=generator, dtype=torch.float64, device=logits.device
    )
    drawn = torch.searchsorted(reached, point * reached[:, -1:], right=True).squeeze(-1)
    return drawn.clamp(max=logits.shape[-1] - 1)
