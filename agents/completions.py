"""Completions: prefixes of programs are continued by a policy, and the programs are judged.

What Monte-Carlo values (VinePPO), labels of a process reward model, and tree search are made of. A
wave fills the sub-environments with continuations of as many prefixes as there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from agents.policy import CausalLMPolicy
from agents.rollout import Sampling, play
from agents.sequences import Sequences

__all__ = ["Completed", "Completions", "Prefix", "prefix_of", "state_values"]


class Prefix(NamedTuple):
    """The beginning of a program, as tokens behind the prompt."""

    problem_id: str
    tokens: tuple[int, ...]


class Completed(NamedTuple):
    """What became of the completions of a prefix.

    Attributes:
        tried: Completions that were written and run.
        passed: Those of them that passed all tests.
        reward: Their rewards, added up.
    """

    tried: int
    passed: int
    reward: float


class Completions:
    """Continues prefixes and has the programs judged.

    Args:
        policy: Writes the completions.
        envs: A vector env of codegym without autoreset, with the problems asked about.
        sampling: Temperature and nucleus of the completions.
        seed: Decides all completions, together with the order of the waves.

    Attributes:
        completed: Programs that were written and run so far.
    """

    def __init__(
        self,
        policy: CausalLMPolicy,
        envs: VectorEnv[Any, Any, Any],
        *,
        sampling: Sampling,
        seed: int,
    ) -> None:
        self._policy, self._envs, self._sampling = policy, envs, sampling
        self._seed, self._waves = seed, itertools.count()
        self.size = envs.num_envs
        self.completed = 0

    def judge(self, prefixes: Sequence[Prefix], count: int) -> list[Completed]:
        """Completes each prefix `count` times.

        Args:
            prefixes: Each of a problem of the environment.
            count: K, at least 1.

        Returns:
            One result for each prefix.
        """
        places = [k for k in range(len(prefixes)) for _ in range(count)]
        solved, rewards = np.zeros(len(prefixes), dtype=int), np.zeros(len(prefixes))
        for first in range(0, len(places), self.size):
            part = places[first : first + self.size]
            outcomes = self.wave([prefixes[k] for k in part])
            for k, (passed, reward) in zip(part, outcomes, strict=True):
                solved[k] += passed
                rewards[k] += reward
        return [
            Completed(count, int(passed), float(reward))
            for passed, reward in zip(solved, rewards, strict=True)
        ]

    def wave(self, prefixes: Sequence[Prefix]) -> list[tuple[bool, float]]:
        """Completes each prefix once, all at the same time.

        Args:
            prefixes: From one to as many as there are sub-environments.

        Returns:
            For each, whether the program passed, and its reward.
        """
        # An episode for each sub-env: those without a prefix repeat one and are not looked at.
        rows = [*prefixes, *[prefixes[0]] * (self.size - len(prefixes))]
        options = {
            "problem_id": [prefix.problem_id for prefix in rows],
            "prefix": [prefix.tokens for prefix in rows],
            "check_prefix": False,
        }
        sequences = play(
            self._policy,
            self._envs,
            episodes=self.size,
            seed=int(np.random.SeedSequence([self._seed, next(self._waves)]).generate_state(1)[0]),
            sampling=self._sampling,
            options=[options],
        ).sequences
        self.completed += len(prefixes)
        outcomes = zip(sequences.solved.tolist(), sequences.reward.tolist(), strict=True)
        return list(itertools.islice(outcomes, len(prefixes)))


def prefix_of(sequences: Sequences, row: int, column: int) -> Prefix:
    """The program of an episode before one of its tokens.

    Args:
        sequences: The episodes.
        row: Which one.
        column: Of the token; all before it belong to the prefix.

    Returns:
        A prefix that :class:`Completions` can continue.
    """
    tokens = sequences.input_ids[row, int(sequences.prompt_length[row]) : column]
    return Prefix(sequences.problem_id[row], tuple(tokens.tolist()))


def state_values(
    completions: Completions, sequences: Sequences, where: Tensor, count: int
) -> Tensor:
    """Monte-Carlo values of states (VinePPO, arXiv 2410.01679, eq. 6), for their estimator.

    Args:
        completions: Continue the prefixes.
        sequences: B episodes of T columns.
        where: (B, T) bool: the tokens before which the state is valued.
        count: K completions of each state.

    Returns:
        (B, T) float32: mean reward of the completions before token t; NaN elsewhere.
    """
    places = where.nonzero().tolist()
    found = completions.judge([prefix_of(sequences, row, t) for row, t in places], count)
    values = torch.full(where.shape, float("nan"), device=where.device)
    for (row, t), completed in zip(places, found, strict=True):
        values[row, t] = completed.reward / completed.tried
    return values
