"""Plays episodes: the policy writes programs in a vector env, and the env judges them.

Episodes are played in waves. All sub-envs are reset, the policy writes until every one has ended
(autoreset is off, so a finished sub-env waits), and what comes back are whole sequences. Rows that
have ended leave the key-value cache when that saves more than it costs.

The log-probabilities seen while sampling are thrown away: PPO's old log-probabilities come from the
trainer's own forward pass, so that the first ratio is exactly 1.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from agents.decoding import Decoder, sample_tokens
from agents.policy import CausalLMPolicy
from agents.sequences import Sequences, take
from codegym.errors import EpisodeError

__all__ = ["Rollout", "RolloutCost", "Sampling", "play", "play_wave"]

# Rows leave the cache when at least this share of them has ended: copying the cache costs about as
# much as two steps of generation.
_COMPACT_SHARE = 0.25


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


@dataclasses.dataclass(frozen=True, slots=True)
class RolloutCost:
    """What a rollout took.

    Attributes:
        generate_seconds: Model and sampling.
        environment_seconds: Environment, with execution and judging.
        tokens: Generated tokens.
        steps: Steps of the vector env.
    """

    generate_seconds: float = 0.0
    environment_seconds: float = 0.0
    tokens: int = 0
    steps: int = 0

    def __add__(self, other: RolloutCost) -> RolloutCost:
        return RolloutCost(
            *(
                a + b
                for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
            )
        )


class Rollout(NamedTuple):
    """Finished episodes and what they cost."""

    sequences: Sequences
    cost: RolloutCost


def play(
    policy: CausalLMPolicy,
    envs: VectorEnv[Any, Any, Any],
    *,
    episodes: int,
    seed: int,
    sampling: Sampling = Sampling(),  # frozen
    options: Sequence[Mapping[str, Any]] | None = None,
) -> Rollout:
    """Plays as many waves as give `episodes` episodes.

    Randomness is a function of `seed` alone: the environments and the sampler are seeded anew for
    each wave, so a rollout can be repeated without saving a generator.

    Args:
        policy: Writes the tokens.
        envs: A vector env of codegym without autoreset.
        episodes: How many episodes are wanted; the last wave may play a few more, which are
            dropped.
        seed: At least 0.
        sampling: Temperature and nucleus.
        options: Reset options of each wave; None resets without options.

    Returns:
        `episodes` sequences on the policy's device, wave by wave in the order of the sub-envs.
    """
    waves: list[Sequences] = []
    cost = RolloutCost()
    for wave in range(-(-episodes // envs.num_envs)):
        wave_seed = int(np.random.SeedSequence([seed, wave]).generate_state(1)[0])
        wave_options = None if options is None else options[wave]
        rollout = play_wave(policy, envs, seed=wave_seed, sampling=sampling, options=wave_options)
        waves.append(rollout.sequences)
        cost += rollout.cost
    sequences = _concatenate(waves)
    if len(sequences.reward) > episodes:
        sequences = take(sequences, torch.arange(episodes, device=policy.device))
    return Rollout(sequences, cost)


def play_wave(
    policy: CausalLMPolicy,
    envs: VectorEnv[Any, Any, Any],
    *,
    seed: int,
    sampling: Sampling = Sampling(),  # frozen
    options: Mapping[str, Any] | None = None,
) -> Rollout:
    """Plays one episode in every sub-env.

    Args:
        policy: Writes the tokens.
        envs: A vector env of codegym without autoreset.
        seed: Of the environments and the sampler.
        sampling: Temperature and nucleus.
        options: Reset options.

    Returns:
        ``envs.num_envs`` sequences.

    Raises:
        EpisodeError: If the env ends an episode without saying what became of it.
    """
    clock = _Clock()
    generator = torch.Generator(policy.device).manual_seed(seed)
    obs, infos = envs.reset(seed=seed, options=None if options is None else dict(options))
    wave = _Wave(obs, infos)
    clock.lap("environment")
    rows = np.arange(envs.num_envs)  # the sub-env of each row of the decoder
    writing = np.ones(envs.num_envs, dtype=bool)  # by sub-env
    input_ids = torch.as_tensor(np.asarray(obs["input_ids"]), device=policy.device)
    length = torch.as_tensor(wave.length(obs), device=policy.device)
    decoder = Decoder(policy, input_ids, length, reserve=input_ids.shape[1])
    actions = np.zeros(envs.num_envs, dtype=np.int64)
    while not wave.ended.all():
        if writing.any():
            tokens = sample_tokens(
                decoder.logits,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                generator=generator,
            )
            actions[rows] = tokens.cpu().numpy()
        clock.lap("generate")
        clock.steps += 1
        clock.tokens += int(writing.sum())
        obs, reward, terminated, truncated, infos = envs.step(actions)
        wave.record(obs, reward, terminated, truncated, infos)
        writing = ~(wave.ended | _judging(infos, envs.num_envs))
        clock.lap("environment")
        if writing.any():
            decoder.append(tokens)
            alive = writing[rows]
            if alive.mean() <= 1.0 - _COMPACT_SHARE:
                kept = np.flatnonzero(alive)
                decoder.keep(torch.as_tensor(kept, device=policy.device))
                rows = rows[kept]
        clock.lap("generate")
    return Rollout(wave.sequences(policy.device), clock.cost())


class _Clock:
    """Adds up wall time by what it was spent on."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._seconds = {"generate": 0.0, "environment": 0.0}
        self.tokens = self.steps = 0

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] += now - self._last
        self._last = now

    def cost(self) -> RolloutCost:
        seconds = self._seconds
        return RolloutCost(seconds["generate"], seconds["environment"], self.tokens, self.steps)


class _Wave:
    """Collects each sub-env's episode from the arrays of its reset and of its last step."""

    def __init__(self, obs: Mapping[str, Any], infos: Mapping[str, Any]) -> None:
        n, width = np.asarray(obs["input_ids"]).shape
        self.ended = np.zeros(n, dtype=bool)
        self._truncated = np.zeros(n, dtype=bool)
        self._reward = np.zeros(n, dtype=np.float32)
        self._input_ids = np.zeros((n, width), dtype=np.int64)
        self._length = np.zeros(n, dtype=np.int64)
        self._loss_mask = np.zeros((n, width), dtype=bool)
        self._verdict = [""] * n
        self._start = {
            key: np.array(infos[key])
            for key in ("start_length", "stage", "num_stages", "problem_id", "difficulty")
        }

    @staticmethod
    def length(obs: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(n,) real tokens of each row."""
        return cast(
            "np.ndarray[Any, np.dtype[np.int64]]",
            np.asarray(obs["attention_mask"]).sum(1, dtype=np.int64),
        )

    def record(
        self,
        obs: Mapping[str, Any],
        reward: np.ndarray[Any, Any],
        terminated: np.ndarray[Any, Any],
        truncated: np.ndarray[Any, Any],
        infos: Mapping[str, Any],
    ) -> None:
        """Takes over what a step paid and, of episodes that ended in it, what became of them."""
        self._reward += np.where(self.ended, 0.0, reward).astype(np.float32)
        new = (terminated | truncated) & ~self.ended
        if not new.any():
            return
        if "verdict" not in infos or not infos["_verdict"][new].all():
            raise EpisodeError(
                "Expected info['verdict'] for every episode that ended in this step, got none for "
                f"the sub-envs {np.flatnonzero(new).tolist()}. Is this a vector env of codegym?"
            )
        self.ended |= new
        self._truncated[new] = truncated[new]
        self._input_ids[new] = np.asarray(obs["input_ids"])[new]
        self._length[new] = self.length(obs)[new]
        self._loss_mask[new] = infos["loss_mask"][new].astype(bool)
        for i in np.flatnonzero(new):
            self._verdict[i] = str(infos["verdict"][i])

    def sequences(self, device: torch.device) -> Sequences:
        """All episodes, cut to the longest."""
        width = int(self._length.max())
        solved = np.array([verdict == "accepted" for verdict in self._verdict])

        def tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
            return torch.as_tensor(array, device=device)

        return Sequences(
            input_ids=tensor(self._input_ids[:, :width]),
            start_length=tensor(self._start["start_length"].astype(np.int64)),
            length=tensor(self._length),
            loss_mask=tensor(self._loss_mask[:, :width]),
            reward=tensor(self._reward),
            solved=tensor(solved),
            truncated=tensor(self._truncated),
            stage=tensor(self._start["stage"].astype(np.int64)),
            num_stages=tensor(self._start["num_stages"].astype(np.int64)),
            verdict=tuple(self._verdict),
            problem_id=tuple(map(str, self._start["problem_id"])),
            difficulty=tuple(map(str, self._start["difficulty"])),
        )


def _judging(infos: Mapping[str, Any], n: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Sub-envs that wait for their grade (only where judging is asynchronous)."""
    judging = infos.get("judging")
    if judging is None:
        return np.zeros(n, dtype=bool)
    return cast("np.ndarray[Any, np.dtype[np.bool_]]", judging.astype(bool))


def _concatenate(waves: Sequence[Sequences]) -> Sequences:
    """Several waves as one batch, padded to the longest."""
    width = max(wave.input_ids.shape[1] for wave in waves)

    def join(parts: tuple[Any, ...]) -> Any:
        if isinstance(parts[0], tuple):
            return tuple(item for part in parts for item in part)
        if parts[0].dim() == 2:
            parts = tuple(
                torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in parts
            )
        return torch.cat(parts)

    return Sequences(*(join(parts) for parts in zip(*waves, strict=True)))
