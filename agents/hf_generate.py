"""An engine that is the ``generate`` of transformers, on the policy's own model.

``generate`` does the loop, the key-value cache and the padding (on the left) in its way. The token
is drawn by :func:`agents.decoding.sample_tokens`, as in the loop over tokens: from the policy's
vocabulary, with a generator of its own, so that no global generator is read or changed. The
generation config that came with the checkpoint (temperature, top_k, penalties) has no effect.

Rows that have ended are computed until the last one ends: ``generate`` drops none.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from agents.decoding import sample_tokens
from agents.generation import IntArray, Request, Sampling
from agents.policy import CausalLMPolicy
from codegym.errors import ConfigurationError, EpisodeError

__all__ = ["HFGenerate"]


class HFGenerate:
    """An :class:`~agents.generation.Engine` on the policy's model, adapter included.

    Args:
        policy: Writes; wherever its weights are.

    Raises:
        ConfigurationError: If ``generate`` cannot be called on the policy's model.
    """

    def __init__(self, policy: CausalLMPolicy) -> None:
        if not policy.trunk.can_generate():
            raise ConfigurationError(
                f'engine="generate" needs a model that has generate(), but '
                f'{type(policy.trunk).__name__} has none. Use engine="tokens".'
            )
        self._policy = policy
        self._tickets = itertools.count()
        self._submitted: dict[int, Callable[[], list[IntArray]]] = {}

    def submit(
        self, requests: Sequence[Request], *, end_ids: Sequence[int], sampling: Sampling, seed: int
    ) -> int:
        """Notes a wave, which :meth:`collect` writes."""
        ticket = next(self._tickets)
        self._submitted[ticket] = functools.partial(
            self._generate, tuple(requests), tuple(end_ids), sampling, seed
        )
        return ticket

    def collect(self, ticket: int) -> list[IntArray]:
        """Writes a wave."""
        if ticket not in self._submitted:
            raise EpisodeError(
                f"There is no wave {ticket} to collect, or it was collected already."
            )
        return self._submitted.pop(ticket)()

    def _generate(
        self, requests: Sequence[Request], end_ids: Sequence[int], sampling: Sampling, seed: int
    ) -> list[IntArray]:
        policy = self._policy
        device = policy.device
        width = max(len(request.prompt) for request in requests)
        input_ids = torch.full((len(requests), width), end_ids[0])
        mask = torch.zeros_like(input_ids)
        for row, (prompt, _) in enumerate(requests):
            input_ids[row, width - len(prompt) :] = torch.as_tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        limits = torch.tensor([request.max_new_tokens for request in requests], device=device)
        # The same modules and weights, with a generation config that says nothing: what a call
        # leaves open is taken from the model's. The policy's own model keeps its config.
        trunk = copy.copy(policy.trunk)
        trunk.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        generator = torch.Generator(device).manual_seed(seed)
        output = trunk.generate(  # type: ignore[operator]
            input_ids=input_ids.to(device),
            attention_mask=mask.to(device),
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                do_sample=False,  # _Draw has drawn; the greedy choice takes what it left
                num_beams=1,
                max_new_tokens=int(limits.max()),
                eos_token_id=list(end_ids),
                pad_token_id=end_ids[0],
                use_cache=True,
            ),
            logits_processor=LogitsProcessorList([_Draw(policy.vocab_size, sampling, generator)]),
            stopping_criteria=StoppingCriteriaList([_OwnLimits(width + limits)]),
        )
        written = output[:, width:].cpu().numpy()
        return [
            _until_end(row[: request.max_new_tokens], end_ids)
            for row, request in zip(written, requests, strict=True)
        ]


class _Draw(LogitsProcessor):
    """Draws each row's token, and leaves it as the only one that can be chosen."""

    def __init__(self, vocab_size: int, sampling: Sampling, generator: torch.Generator) -> None:
        self._vocab_size, self._sampling, self._generator = vocab_size, sampling, generator

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(B, V) of (B, V) logits: 0 for the token that was drawn, minus infinity for others."""
        tokens = sample_tokens(
            scores[:, : self._vocab_size],
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
            generator=self._generator,
        )
        return torch.full_like(scores, float("-inf")).scatter(1, tokens[:, None], 0.0)


class _OwnLimits(StoppingCriteria):
    """Each row ends at a length of its own, padding included."""

    def __init__(self, lengths: Tensor) -> None:
        self._lengths = lengths

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        """(B,) bool: which rows have ended."""
        return self._lengths <= input_ids.shape[1]


def _until_end(tokens: IntArray, end_ids: Sequence[int]) -> IntArray:
    """Tokens up to the first end token, which is kept: padding stands behind it."""
    ends = np.flatnonzero(np.isin(tokens, end_ids))
    return tokens[: int(ends[0]) + 1] if len(ends) else tokens
