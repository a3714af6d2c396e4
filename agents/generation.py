"""Whole continuations: what an engine is that writes programs in place of the loop over tokens.

A rollout writes token by token (:mod:`agents.decoding`), unless its policy has an engine. Then it
submits the beginnings of all programs of a wave and collects whole continuations, which it plays
into the environment token by token. What an engine need not know is what ends an episode: tokens
behind a stop sequence or behind the budget are not played.

Engines: :class:`agents.hf_generate.HFGenerate` and :class:`agents.vllm_engine.VLLM`. An engine
writes with the weights that its policy has when it is asked, and belongs to one process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Engine", "Request", "Sampling"]

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: 0 is greedy.
        top_p: Nucleus mass. PPO's log-probabilities are those of the whole distribution, so
            training with less than 1 is slightly off-policy.
    """

    temperature: float = 1.0
    top_p: float = 1.0


class Request(NamedTuple):
    """One sequence that is to be continued.

    Attributes:
        prompt: (T,) int64 token ids without padding, T at least 1.
        max_new_tokens: Longest continuation, at least 1.
    """

    prompt: IntArray
    max_new_tokens: int


class Engine(Protocol):
    """Continues sequences of token ids. Several waves may be submitted before one is collected."""

    def submit(
        self, requests: Sequence[Request], *, end_ids: Sequence[int], sampling: Sampling, seed: int
    ) -> int:
        """Takes the sequences of a wave.

        Args:
            requests: At least one.
            end_ids: The tokens that end a continuation, at least one. No other token does, whatever
                the checkpoint's own settings say.
            sampling: Temperature and nucleus; nothing else changes the distribution.
            seed: At least 0; with the same weights and requests it decides all tokens.

        Returns:
            A ticket for :meth:`collect`.

        Raises:
            ConfigurationError: If the engine cannot work here, or the sampling has no meaning.
        """
        ...

    def collect(self, ticket: int) -> list[IntArray]:
        """Waits for the continuations of a wave, which can be collected once.

        The policy's weights must be those that it had when the wave was submitted.

        Args:
            ticket: Of :meth:`submit`.

        Returns:
            (n,) int64 for each request, in their order, of ids below the policy's `vocab_size`. Its
            last token is its only end token; without one, n is `max_new_tokens`.

        Raises:
            EpisodeError: If there is no such wave, or it was collected already.
        """
        ...
