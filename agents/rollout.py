"""Plays episodes: the policy writes programs in a vector env, and the env judges them.

Episodes are played in waves. All sub-envs are reset, the policy writes until every one has ended
(autoreset is off, so a finished sub-env waits), and what comes back are whole sequences.

The policy writes a token for all of them at a time, or, if it has an engine
(:mod:`agents.generation`), whole continuations that are then played token by token. In the first
way, rows that have ended leave the key-value cache when that saves more than it costs.

With asynchronous judging, programs that ended are run while others are still being written. When
the last one is written, some grades are still out. :func:`write` returns at that moment, with all
tokens, so that the trainer computes log-probabilities in the meantime; :meth:`Written.finish` waits
for what is left. The order of grades decides nothing: a rollout is a function of its seed.

The log-probabilities seen while sampling are thrown away: PPO's old log-probabilities come from the
trainer's own forward pass, so that the first ratio is exactly 1.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from agents.decoding import Decoder, sample_tokens
from agents.environments import task_of
from agents.generation import Engine, IntArray, Request, Sampling
from agents.policy import CausalLMPolicy
from agents.sequences import Sequences, Tokens, concatenate, take
from codegym.errors import ConfigurationError, EpisodeError
from codegym.tokenization import end_ids

__all__ = [
    "Rollout",
    "RolloutCost",
    "Sampling",
    "Written",
    "joined",
    "play",
    "rollout_metrics",
    "write",
]

# Rows leave the cache when at least this share of them has ended: copying the cache costs about as
# much as two steps of generation.
_COMPACT_SHARE = 0.25


@dataclasses.dataclass(frozen=True, slots=True)
class RolloutCost:
    """What a rollout took.

    Attributes:
        generate_seconds: Model and sampling.
        environment_seconds: Environment while programs were written; with synchronous judging,
            execution and grading are in it.
        waiting_seconds: Nothing was left to write, and grades were still to come.
        tokens: Generated tokens.
        steps: Steps of the vector env.
    """

    generate_seconds: float = 0.0
    environment_seconds: float = 0.0
    waiting_seconds: float = 0.0
    tokens: int = 0
    steps: int = 0

    @property
    def seconds(self) -> float:
        """Wall time of the rollout."""
        return self.generate_seconds + self.environment_seconds + self.waiting_seconds


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
    sampling: Sampling = Sampling(),  # noqa: B008  # frozen
    options: Sequence[Mapping[str, Any]] | None = None,
    group_size: int = 1,
) -> Rollout:
    """Writes programs and waits for their grades: :func:`write`, then :meth:`Written.finish`.

    Args:
        policy: Writes the tokens, with its engine if it has one.
        envs: A vector env of codegym without autoreset.
        episodes: How many episodes are wanted.
        seed: At least 0.
        sampling: Temperature and nucleus.
        options: Reset options of each wave; None resets without options.
        group_size: Episodes of the same problem and start state, see :func:`write`.

    Returns:
        `episodes` sequences on the policy's device, wave by wave in the order of the sub-envs.

    Raises:
        EpisodeError: If the env ends an episode without saying what became of it.
    """
    return write(
        policy,
        envs,
        episodes=episodes,
        seed=seed,
        sampling=sampling,
        options=options,
        group_size=group_size,
    ).finish()


def write(
    policy: CausalLMPolicy,
    envs: VectorEnv[Any, Any, Any],
    *,
    episodes: int,
    seed: int,
    sampling: Sampling = Sampling(),  # noqa: B008  # frozen
    options: Sequence[Mapping[str, Any]] | None = None,
    group_size: int = 1,
) -> Written:
    """Writes programs; with asynchronous judging, the last wave's grades may still be out.

    Randomness is a function of `seed` alone: the environments and the sampler are seeded anew for
    each wave, so a rollout can be repeated without saving a generator.

    Args:
        policy: Writes the tokens, with its engine if it has one.
        envs: A vector env of codegym without autoreset. Until :meth:`Written.finish` it belongs to
            this rollout.
        episodes: How many episodes are wanted; the last wave may play a few more, which are
            dropped.
        seed: At least 0.
        sampling: Temperature and nucleus.
        options: Reset options of each wave; None resets without options.
        group_size: So many episodes in a row begin with the same problem and start state, which the
            environment draws. It must divide the number of sub-environments.

    Returns:
        The tokens, and the way to the grades.

    Raises:
        ConfigurationError: If groups do not fit into a wave.
        EpisodeError: If the env ends an episode without saying what became of it, or an engine
            stops before the episode ends.
    """
    if group_size < 1 or envs.num_envs % group_size:
        raise ConfigurationError(
            f"Groups of group_size={group_size} episodes must fill the {envs.num_envs} "
            "sub-environments: choose a group_size that divides them."
        )
    clock = _Clock()
    waves: list[_Wave] = []
    for number in range(-(-episodes // envs.num_envs)):
        if waves:  # the start distribution knows all outcomes before the next wave begins
            waves[-1].await_grades(clock)
        wave_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        wave_options = None if options is None else options[number]
        wave = _Wave(envs, wave_seed, wave_options, number, group_size)
        wave.write(policy, sampling, wave_seed, clock)
        waves.append(wave)
    return Written(waves, episodes, clock)


class Written:
    """Programs that are written, of which some may still be judged. Made by :func:`write`.

    Attributes:
        tokens: What was written.
    """

    def __init__(self, waves: Sequence[_Wave], episodes: int, clock: _Clock) -> None:
        self._waves = waves
        self._episodes = episodes
        self._clock = clock
        self.tokens: Tokens = self._join([wave.tokens for wave in waves])

    def finish(self) -> Rollout:
        """Waits for the grades that are still out.

        Returns:
            The episodes, rows and columns as in :attr:`tokens`.

        Raises:
            EpisodeError: If the env ends an episode without saying what became of it.
        """
        self._clock.lap(None)
        self._waves[-1].await_grades(self._clock)
        sequences: Sequences = self._join([wave.sequences() for wave in self._waves])
        return Rollout(sequences, self._clock.cost())

    def _join(self, waves: Sequence[Any]) -> Any:
        joined = concatenate(waves)
        if len(joined.length) > self._episodes:
            joined = take(joined, torch.arange(self._episodes, device=joined.length.device))
        return joined


class _Clock:
    """Adds up wall time by what it was spent on."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._seconds = {"generate": 0.0, "environment": 0.0, "waiting": 0.0}
        self.tokens = self.steps = 0

    def lap(self, name: str | None) -> None:
        """Books the time since the last lap; None: it was not the rollout's."""
        now = time.perf_counter()
        if name is not None:
            self._seconds[name] += now - self._last
        self._last = now

    def cost(self) -> RolloutCost:
        seconds = self._seconds
        return RolloutCost(
            generate_seconds=seconds["generate"],
            environment_seconds=seconds["environment"],
            waiting_seconds=seconds["waiting"],
            tokens=self.tokens,
            steps=self.steps,
        )


class _Wave:
    """One episode in every sub-env, from its reset to its grade.

    Attributes:
        tokens: What was written, cut to the longest episode; only after :meth:`write`.
    """

    tokens: Tokens

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any],
        seed: int,
        options: Mapping[str, Any] | None,
        number: int,
        group_size: int,
    ) -> None:
        self._envs = envs
        first = np.arange(envs.num_envs) // group_size * group_size
        given = dict(options or {})
        if group_size > 1:  # the others' problems need not be drawn, and perhaps made
            given["reset_mask"] = first == np.arange(envs.num_envs)
        obs, infos = envs.reset(seed=seed, options=given or None)
        # Of this reset, because a literal prefix has no stage.
        stages = {key: np.array(infos[key])[first] for key in ("stage", "num_stages")}
        if group_size > 1:
            obs, infos = envs.reset(seed=seed, options=_same_start(obs, infos, first))
        n, width = np.asarray(obs["input_ids"]).shape
        self._obs = obs
        self._ended = np.zeros(n, dtype=bool)
        self._truncated = np.zeros(n, dtype=bool)
        self._reward = np.zeros(n, dtype=np.float32)
        self._outcome = np.zeros(n, dtype=np.float32)
        self._token_rewards = np.zeros((n, width), dtype=np.float32)
        self._loss_mask = np.zeros((n, width), dtype=bool)
        self._error_line = np.zeros(n, dtype=np.int64)
        self._verdict = [""] * n
        self._program = [""] * n
        self._start = {
            key: np.array(infos[key])
            for key in ("prompt_length", "start_length", "problem_id", "difficulty")
        }
        self._start |= stages
        self._group = (number * n + first) // group_size

    def write(self, policy: CausalLMPolicy, sampling: Sampling, seed: int, clock: _Clock) -> None:
        """Steps until no sub-env writes any more."""
        if policy.engine is None:
            self._write_tokens(policy, sampling, seed, clock)
        else:
            self._play_continuations(self._continue(policy.engine, sampling, seed, clock), clock)
        self.tokens = self._tokens(policy.device)
        clock.lap("environment")

    def _continue(
        self, engine: Engine, sampling: Sampling, seed: int, clock: _Clock
    ) -> list[IntArray]:
        """A continuation for each sub-env, as long as its episode can become."""
        task = task_of(self._envs)
        input_ids, width = np.asarray(self._obs["input_ids"]), task.context_length
        requests = [
            Request(row[:length].copy(), min(task.max_new_tokens, width - length))
            for row, length in zip(input_ids, self._length().tolist(), strict=True)
        ]
        clock.lap("environment")
        ticket = engine.submit(
            requests, end_ids=sorted(end_ids(task.tokenizer)), sampling=sampling, seed=seed
        )
        continuations = engine.collect(ticket)
        clock.lap("generate")
        return continuations

    def _play_continuations(self, continuations: Sequence[IntArray], clock: _Clock) -> None:
        """Steps with tokens that are written; those behind an episode's end are left out."""
        n = self._envs.num_envs
        length = np.array([len(tokens) for tokens in continuations])
        written = np.zeros((n, int(length.max())), dtype=np.int64)
        for row, tokens in zip(written, continuations, strict=True):
            row[: len(tokens)] = tokens
        writing = np.ones(n, dtype=bool)  # by sub-env
        for column in itertools.count():
            if not writing.any():
                break
            ran_out = np.flatnonzero(writing & (length <= column)).tolist()
            if ran_out:
                raise EpisodeError(
                    "Expected a continuation up to the end of its episode, but the engine stopped "
                    f"after {column} tokens in the sub-envs {ran_out}, whose episodes go on. An "
                    "engine may stop with one of the end tokens that it was given, or after "
                    "max_new_tokens."
                )
            clock.steps += 1
            clock.tokens += int(writing.sum())
            infos = self._step(written[:, column])
            writing = ~(self._ended | _judging(infos, n))

    def _write_tokens(
        self, policy: CausalLMPolicy, sampling: Sampling, seed: int, clock: _Clock
    ) -> None:
        """Writes a token to each row and steps, in turns."""
        n = self._envs.num_envs
        generator = torch.Generator(policy.device).manual_seed(seed)
        clock.lap("environment")
        rows = np.arange(n)  # the sub-env of each row of the decoder
        input_ids = torch.as_tensor(np.asarray(self._obs["input_ids"]), device=policy.device)
        length = torch.as_tensor(self._length(), device=policy.device)
        decoder = Decoder(policy, input_ids, length, reserve=input_ids.shape[1])
        actions = np.zeros(n, dtype=np.int64)
        writing = np.ones(n, dtype=bool)  # by sub-env
        while True:
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
            infos = self._step(actions)
            writing = ~(self._ended | _judging(infos, n))
            clock.lap("environment")
            if not writing.any():
                break
            decoder.append(tokens)
            alive = writing[rows]
            if alive.mean() <= 1.0 - _COMPACT_SHARE:
                kept = np.flatnonzero(alive)
                decoder.keep(torch.as_tensor(kept, device=policy.device))
                rows = rows[kept]
            clock.lap("generate")

    def await_grades(self, clock: _Clock) -> None:
        """Steps until every sub-env has ended; a step waits for one grade at least."""
        actions = np.zeros(self._envs.num_envs, dtype=np.int64)  # ignored
        while not self._ended.all():
            clock.steps += 1
            self._step(actions)
        clock.lap("waiting")

    def _tokens(self, device: torch.device) -> Tokens:
        length = self._length()
        # A copy: the env may write its next episodes into the same array.
        input_ids = np.array(self._obs["input_ids"][:, : int(length.max())])
        return Tokens(
            input_ids=torch.as_tensor(input_ids, device=device),
            start_length=torch.as_tensor(
                self._start["start_length"].astype(np.int64), device=device
            ),
            length=torch.as_tensor(length, device=device),
        )

    def sequences(self) -> Sequences:
        """All episodes; only after :meth:`await_grades`."""
        tokens = self.tokens
        device, width = tokens.input_ids.device, tokens.input_ids.shape[1]
        solved = np.array([verdict == "accepted" for verdict in self._verdict])

        def tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
            return torch.as_tensor(array, device=device)

        return Sequences(
            *tokens,
            loss_mask=tensor(self._loss_mask[:, :width]),
            reward=tensor(self._reward),
            outcome=tensor(self._outcome),
            token_rewards=tensor(self._token_rewards[:, :width]),
            solved=tensor(solved),
            truncated=tensor(self._truncated),
            prompt_length=tensor(self._start["prompt_length"].astype(np.int64)),
            stage=tensor(self._start["stage"].astype(np.int64)),
            num_stages=tensor(self._start["num_stages"].astype(np.int64)),
            group=tensor(self._group),
            error_line=tensor(self._error_line),
            verdict=tuple(self._verdict),
            problem_id=tuple(map(str, self._start["problem_id"])),
            difficulty=tuple(map(str, self._start["difficulty"])),
            program=tuple(self._program),
        )

    def _length(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(n,) real tokens of each row."""
        mask = np.asarray(self._obs["attention_mask"])
        return cast("np.ndarray[Any, np.dtype[np.int64]]", mask.sum(1, dtype=np.int64))

    def _step(self, actions: np.ndarray[Any, Any]) -> Mapping[str, Any]:
        """Steps the env; of episodes that ended in it, takes over what became of them."""
        self._obs, reward, terminated, truncated, infos = self._envs.step(actions)
        self._reward += np.where(self._ended, 0.0, reward).astype(np.float32)
        new = (terminated | truncated) & ~self._ended
        if not new.any():
            return infos
        if "verdict" not in infos or not infos["_verdict"][new].all():
            raise EpisodeError(
                "Expected info['verdict'] for every episode that ended in this step, got none for "
                f"the sub-envs {np.flatnonzero(new).tolist()}. Is this a vector env of codegym?"
            )
        self._ended |= new
        self._truncated[new] = truncated[new]
        self._loss_mask[new] = infos["loss_mask"][new].astype(bool)
        if "token_rewards" in infos:
            self._token_rewards[new] = infos["token_rewards"][new]
            self._outcome[new] = _outcome(infos.get("reward_terms", {}), len(new))[new]
        else:
            self._outcome[new] = self._reward[new]
            self._token_rewards[new, self._length()[new] - 1] = self._reward[new]
        if "error_line" in infos:
            self._error_line[new] = infos["error_line"][new]
        for i in np.flatnonzero(new):
            self._verdict[i] = str(infos["verdict"][i])
            self._program[i] = str(infos["program"][i])
        return infos


def _same_start(
    obs: Mapping[str, Any], infos: Mapping[str, Any], first: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Reset options that begin each sub-env like the first one of its group."""
    ids = np.asarray(obs["input_ids"])
    given = [
        tuple(ids[i, int(infos["prompt_length"][i]) : int(infos["start_length"][i])].tolist())
        for i in first.tolist()
    ]
    problem_ids = [str(infos["problem_id"][i]) for i in first.tolist()]
    return {"problem_id": problem_ids, "prefix": given, "check_prefix": False}


def _outcome(terms: Mapping[str, Any], n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(n,) sum of the terms of the tests' outcome, which "process" does not belong to.

    There are none where no episode that ended has a verdict.
    """
    total = np.zeros(n, dtype=np.float64)
    for name, paid in terms.items():
        if name != "process" and not name.startswith("_"):
            total += paid
    return total


def _judging(infos: Mapping[str, Any], n: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Sub-envs that wait for their grade (only where judging is asynchronous)."""
    judging = infos.get("judging")
    if judging is None:
        return np.zeros(n, dtype=bool)
    return cast("np.ndarray[Any, np.dtype[np.bool_]]", judging.astype(bool))


def joined(rollouts: Sequence[Rollout]) -> Rollout:
    """Several rollouts as one, with what all of them cost.

    Args:
        rollouts: At least one; their groups have numbers of their own.

    Returns:
        All episodes, in this order.
    """
    costs = [dataclasses.astuple(rollout.cost) for rollout in rollouts]
    cost = RolloutCost(*map(sum, zip(*costs, strict=True)))
    return Rollout(concatenate([rollout.sequences for rollout in rollouts]), cost)


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """What a rollout brought and what it cost, as named scalars.

    Args:
        rollout: At least one episode.

    Returns:
        ``rollout/...``, ``verdict/...`` and ``time/...``.
    """
    sequences, cost = rollout
    tokens = (sequences.length - sequences.start_length).float()
    metrics = {
        "rollout/reward": float(sequences.reward.mean()),
        "rollout/solved": float(sequences.solved.float().mean()),
        "rollout/truncated": float(sequences.truncated.float().mean()),
        "rollout/tokens": float(tokens.mean()),
        "time/generate": cost.generate_seconds,
        "time/environment": cost.environment_seconds,
        "time/waiting": cost.waiting_seconds,
        "time/waiting_share": cost.waiting_seconds / cost.seconds,
    }
    at_stage_0 = (sequences.stage == 0).tolist()
    solved = sequences.solved.tolist()
    from_empty = [s for s, empty in zip(solved, at_stage_0, strict=True) if empty]
    if from_empty:
        metrics["rollout/solved_from_empty"] = float(np.mean(from_empty))
    for level in set(sequences.difficulty):
        rows = [s for s, d in zip(solved, sequences.difficulty, strict=True) if d == level]
        metrics[f"rollout/solved_{level}"] = float(np.mean(rows))
    for verdict in set(sequences.verdict):
        share = sequences.verdict.count(verdict) / len(solved)
        metrics[f"verdict/{verdict}"] = share
    return metrics
