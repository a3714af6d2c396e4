"""PPO with CCCS start states and FGO loss masks (StepCoder, arXiv 2402.01391).

Every iteration: rollout, scoring, token rewards, advantages, update, log; the loop around it, with
the guard that sends a run back to its last good state, is in :mod:`agents.trainer`. The environment
owns the start states and the loss masks; this file only passes them on.

What differs from the paper:

1. Its clip of 0.8 is taken for one of the *reward* (``reward_clip``, off); the ratio clip is 0.2.
2. gamma, lambda, epochs and batch size are not told there; here 1, 1, 1 and 128.
3. Sampling is at temperature 1 without nucleus, so that the sampler is the policy that is learned.
4. Value loss, KL and advantages are not masked by FGO.
5. The first updates change only the critic, which has a trunk of its own.
6. The KL penalty is a term of the loss (``kl="loss"``), not of the reward.

What keeps an update from running away: the critic's gradient does not reach the policy's trunk; the
KL penalty is a term of the loss, so that returns stay as bounded as rewards are; the policy's part
of an update ends when its own KL passes a target; the two gradients are clipped each for itself.

    python -m agents.ppo --model runs/sft --iterations 120 --out runs/ppo
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

import codegym
from agents import critic as critics
from agents import masks
from agents.advantages import Estimator, gae
from agents.at_once import at_once
from agents.command import main, refuse_outside, refuse_unused
from agents.critic import Critic, CriticKind, HeadCritic, TrunkCritic
from agents.guard import DivergedError
from agents.losses import (
    Loss,
    LossInput,
    approximate_kl,
    clipped_loss,
    masked_mean,
    value_loss,
)
from agents.models import uses_checkpointing
from agents.parallel import ALONE, Processes, joined
from agents.policy import CausalLMPolicy
from agents.rewards import TokenReward, TokenRewards, token_rewards, total_reward
from agents.rollout import Sampling, rollout_metrics, write
from agents.run_settings import RunSettings
from agents.running import command, train
from agents.scoring import Scored, Scores, score, scored
from agents.sequences import Sequences, length_buckets
from agents.stages import stage_metrics
from agents.telemetry import RunLogger
from agents.trainer import Trainer
from codegym.envs import ProblemSampler
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet
from codegym.start_states import StartStates

__all__ = [
    "PPO",
    "Args",
    "Batch",
    "command",
    "make_optimizer",
    "prepare",
    "run",
    "update",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(RunSettings):
    """PPO on programs."""

    episodes: int = 128
    """per iteration, of all processes together"""
    learning_rate: float = 6e-4
    """of the policy; ten times SFT's is too much for a small model"""
    critic: CriticKind = "policy"
    """a trunk of its own that begins as the policy's (or as the saved policy's critic, if it has
    one); a head on the policy's trunk, where its gradient stops ("head") or does not ("shared":
    this one runs away, and is there to show it); or "none" """
    critic_learning_rate: float = 1e-3
    """of the critic"""
    epochs: int = 1
    """passes over the episodes of an iteration"""
    minibatches: int = 8
    """optimiser steps per epoch"""
    clip_range: float = 0.2
    """of the probability *ratio*"""
    reward_clip: float | None = None
    """the reward for the tests' outcome is clipped to plus and minus this (StepCoder's 0.8); None:
    not"""
    kl_coefficient: float = 0.02
    """beta: weight of the token-level penalty for leaving the reference"""
    kl: Literal["loss", "reward"] = "loss"
    """where that penalty stands: a term of the loss; or part of the reward, as in StepCoder's
    equation, where returns grow with it"""
    target_kl: float | None = 0.05
    """the update of an iteration ends early when its own KL to the policy that wrote the programs
    passes this; nats per token, None: never"""
    gamma: float = 1.0
    """discount per token"""
    gae_lambda: float = 1.0
    """1: Monte-Carlo returns; less trusts the critic more"""
    fgo: bool = True
    """Fine-Grained Optimization: the policy learns from executed tokens only"""
    warmup_updates: int = 3
    """first iterations in which only the critic learns; without a critic there are none"""
    max_grad_norm: float = 1.0
    """of the policy's gradient, and of the critic's, each for itself"""
    temperature: float = 1.0
    """of the policy, in rollouts and losses"""
    microbatch_tokens: int = 2048
    """rows x columns of one forward pass; changes memory and speed, not the update. A tiny model on
    a CPU is fastest with 500-2,000, which stay in the cache; a GPU wants more"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect, NaN included."""
        for name in ("episodes", "epochs", "minibatches", "num_envs"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        if self.warmup_updates < 0:
            raise ConfigurationError(
                f"warmup_updates must be 0 or more, got {self.warmup_updates}."
            )
        rates = ("learning_rate", "critic_learning_rate")
        refuse_outside(self, (*rates, "kl_coefficient"), low=0.0)
        positive = ("clip_range", "max_grad_norm", "temperature", "microbatch_tokens")
        refuse_outside(self, positive, above=0.0)
        refuse_outside(self, ("reward_clip", "target_kl"), above=0.0, optional=True)
        refuse_outside(self, ("gamma", "gae_lambda"), low=0.0, high=1.0)
        self.refuse_meaningless_run()
        of_critic = ("critic_learning_rate", *(["warmup_updates"] if self.warmup_updates else []))
        refuse_unused(self, of_critic, self.critic != "none", "a critic")
        refuse_unused(self, ("kl",), self.kl_coefficient > 0.0, "kl_coefficient > 0")


class PPO(Trainer):
    """A run of PPO.

    Args:
        args: The command line.
        policy: Is changed. Its copy at this moment is the reference.
        problems: What is trained on.
        grader: Judges; shared, not closed here.
        logger: Keeps the scalars.
        screen: Shows progress and tables, if not `logger` does.
        reward: Of the environment, in place of the one that the command line names.
        make_critic: Makes the critic, or returns None for the one that the command line names.
        sampler: Draws the problems, in place of the one that the command line names.
        start_states: Where episodes begin, in place of what the command line names.
        processes: Those that train this policy together.

    Attributes:
        rewards: Named terms of what a token is paid; may be changed before the first iteration.
        estimate: Of advantages and returns; likewise.

    Raises:
        ConfigurationError: If the run to resume was made with other settings or by another number
            of processes, or processes cannot share the episodes evenly.
    """

    for_several_processes = True

    def __init__(
        self,
        args: Args,
        *,
        policy: CausalLMPolicy,
        problems: ProblemSet,
        grader: codegym.Grader,
        logger: RunLogger,
        screen: RunLogger | None = None,
        reward: Any = None,
        make_critic: Callable[[CausalLMPolicy], Critic | None] | None = None,
        sampler: ProblemSampler | None = None,
        start_states: StartStates | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.args = args
        self._episodes_here = processes.share("episodes", args.episodes)
        self.rewards = token_rewards(
            reward or args.reward,
            clip=args.reward_clip,
            kl_coefficient=args.kl_coefficient if args.kl == "reward" else 0.0,
        )
        self.estimate = gae(gamma=args.gamma, lam=args.gae_lambda)
        policy = policy.to(args.device).eval()
        critic = make_critic(policy) if make_critic else None
        if critic is None:
            critic = critics.make_critic(args.critic, policy, args.model)
        super().__init__(
            args,
            policy=policy,
            critic=critic,
            optimizer=make_optimizer(policy, critic, args),
            problems=problems,
            grader=grader,
            logger=logger,
            screen=screen,
            reward=reward,
            sampler=sampler,
            start_states=start_states,
            processes=processes,
        )

    def iterate(self) -> dict[str, float]:
        """One iteration.

        Returns:
            Named scalars.

        Raises:
            DivergedError: If a loss is not finite. The iteration counts.
        """
        args = self.args
        rates = (args.learning_rate, args.critic_learning_rate)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * self.rate_factor

        # Rollout: the policy writes programs from the start states that the environment draws.
        written = write(
            self.policy,
            self.envs,
            episodes=self._episodes_here,
            seed=self.seed(0, process=self.processes.index),
            sampling=Sampling(args.temperature),
        )

        # Scoring, while the last programs are judged.
        began = time.perf_counter()
        scores = score(
            self.policy,
            self.critic,
            self.reference,
            written.tokens,
            temperature=args.temperature,
            microbatch_tokens=args.microbatch_tokens,
        )
        score_seconds = time.perf_counter() - began
        rollout = written.finish()
        # From here each process has the episodes of all, so that one batch is the same everywhere.
        sequences, scores = self.processes.all_episodes(rollout.sequences, scores)
        rollout = rollout._replace(sequences=sequences)
        self.share_outcomes()

        # Token rewards, advantages, and the tokens that are learned from.
        batch = prepare(scores, sequences, self.rewards, self.estimate, args)

        # Update.
        began = time.perf_counter()
        shuffle = torch.Generator().manual_seed(self.seed(1))
        self.iteration += 1
        self.episodes += len(sequences.reward)
        columns = {
            "loss_mask": batch.policy_mask,
            "rewards": batch.rewards,
            "advantages": batch.advantages,
            "logprobs": batch.logprobs,
            "reference_logprobs": batch.reference_logprobs,
        }
        if self.critic is not None:
            columns["values"] = batch.values
        self.keep_rollouts(batch.sequences, columns, temperature=args.temperature)
        stats = update(
            self.policy,
            self.critic,
            self.optimizer,
            batch,
            args,
            shuffle,
            value_only=self.critic is not None and self.iteration <= args.warmup_updates,
            processes=self.processes,
        )
        update_seconds = time.perf_counter() - began

        # Log.
        return {
            **rollout_metrics(rollout),
            **stage_metrics(self.start_states, self.envs, self.problems),
            **batch.metrics,
            **stats,
            "time/logprobs": score_seconds,
            "time/update": update_seconds,
            "time/episodes": float(self.episodes),
        }


class Batch(NamedTuple):
    """What an iteration learns from. All (B, T) tensors are aligned with the tokens.

    Attributes:
        sequences: The episodes.
        generated: (B, T) bool: tokens the policy chose.
        policy_mask: (B, T) bool: those that the policy learns from.
        rewards: (B, T) paid for each token.
        logprobs: (B, T) before the update.
        values: (B, T) before the update.
        reference_logprobs: (B, T) of the frozen reference.
        advantages: (B, T).
        returns: (B, T).
        metrics: Named scalars of the rollout.
    """

    sequences: Sequences
    generated: Tensor
    policy_mask: Tensor
    rewards: Tensor
    logprobs: Tensor
    values: Tensor
    reference_logprobs: Tensor
    advantages: Tensor
    returns: Tensor
    metrics: Mapping[str, float]


def prepare(
    scores: Scores,
    sequences: Sequences,
    rewards: Mapping[str, TokenReward],
    estimate: Estimator,
    args: Args,
) -> Batch:
    """Token rewards, advantages, returns and mask.

    Args:
        scores: Of the sequences' tokens.
        sequences: The episodes.
        rewards: Named terms, whose sum is learned from.
        estimate: Of advantages and returns.
        args: FGO.

    Returns:
        A batch for :func:`update`.
    """
    known = scored(
        sequences,
        scores.logprobs,
        values=scores.values,
        reference_logprobs=scores.reference_logprobs,
    )
    paid = total_reward(rewards, known)
    advantages, returns = estimate(paid.total, known)
    mask = masks.executed if args.fgo else masks.generated
    return Batch(
        sequences=sequences,
        generated=known.generated,
        policy_mask=mask(known),
        rewards=paid.total,
        logprobs=known.logprobs,
        values=known.values,
        reference_logprobs=known.reference_logprobs,
        advantages=advantages,
        returns=returns,
        metrics=_metrics(known, paid, returns),
    )


def _metrics(known: Scored, paid: TokenRewards, returns: Tensor) -> dict[str, float]:
    """Rewards, distances, entropy, and how well the critic foretells the returns."""
    _, generated, logprobs, values, reference_logprobs = known
    variance = returns[generated].var(correction=0)
    residual = (returns - values)[generated].var(correction=0)
    distance = approximate_kl(logprobs, reference_logprobs, generated)
    return {
        **{f"reward/{name}": mean for name, mean in paid.means.items()},
        "kl/reference_k1": float(distance.k1),
        "kl/reference_k3": float(distance.k3),
        "policy/entropy_estimate": float(-masked_mean(logprobs, generated)),
        "policy/executed_share": float(masks.executed(known).sum() / generated.sum()),
        # Undefined where all returns are equal; a scalar that is not finite is not logged.
        "value/explained_variance": float(1.0 - residual / variance)
        if variance > 1e-6
        else math.nan,
        "value/mean_return": float(masked_mean(returns, generated)),
    }


def make_optimizer(policy: CausalLMPolicy, critic: Critic | None, args: Args) -> torch.optim.AdamW:
    """AdamW without weight decay, with a learning rate each for policy and critic.

    Args:
        policy: Parameters that need no gradient are left out.
        critic: The same; None where there is none.
        args: The two learning rates.

    Returns:
        An optimiser whose first group is the policy, the second the critic.
    """
    models: list[nn.Module] = [policy, nn.Module() if critic is None else critic]
    rates = (args.learning_rate, args.critic_learning_rate)
    groups = [
        {"params": [p for p in model.parameters() if p.requires_grad], "lr": rate}
        for model, rate in zip(models, rates, strict=True)
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.0)


def update(
    policy: CausalLMPolicy,
    critic: Critic | None,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    args: Args,
    generator: torch.Generator,
    *,
    value_only: bool = False,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """Epochs of minibatches on one batch.

    A minibatch is a random set of episodes. It is computed in groups of similar length whose
    gradients add up to the minibatch's.

    Args:
        policy: Changed in place.
        critic: Changed in place; None where there is none.
        optimizer: Of :func:`make_optimizer`.
        batch: Of :func:`prepare`.
        args: The knobs.
        generator: Shuffles the episodes; on the CPU.
        value_only: Only the critic learns. The policy gets no gradient.
        processes: All have the same batch, and each computes its share of a minibatch.

    Returns:
        Named scalars, each the mean over the minibatches; ``first_ratio_error`` is the largest
        distance of a ratio from 1 in the first minibatch, which should be rounding error;
        ``policy_steps`` is the share of the minibatches in which the policy moved.

    Raises:
        DivergedError: If a loss or a gradient is not finite. The policy is left as before that
            step.
    """
    loss = clipped_loss(
        clip_range=args.clip_range,
        kl_coefficient=args.kl_coefficient if args.kl == "loss" else 0.0,
    )
    # Checkpointing works in training mode only; elsewhere dropout stays off, as in the rollout.
    trained = [policy] if critic is None else [policy, critic]
    for model in trained:
        nn.Module.train(model, uses_checkpointing(model))
    totals: dict[str, float] = {}
    steps = policy_steps = 0
    first_ratio_error = 0.0
    for _ in range(args.epochs):
        order = torch.randperm(len(batch.sequences.reward), generator=generator)
        for rows in order.chunk(args.minibatches):
            optimizer.zero_grad(set_to_none=True)
            minibatch = _Minibatch(batch, rows.to(batch.logprobs.device), args, processes)
            stats = minibatch.backward(policy, critic, loss, value_only=value_only)
            stats = processes.sum_scalars(stats, largest="largest")
            error = stats.pop("largest")
            if steps == 0:
                first_ratio_error = error
            if args.target_kl is not None and stats["kl/update_k3"] > args.target_kl:
                value_only = True  # from here on; of this minibatch the policy takes nothing
            if value_only:
                for parameter in optimizer.param_groups[0]["params"]:
                    parameter.grad = None
            processes.sum_gradients(p for group in optimizer.param_groups for p in group["params"])
            names = ("update/policy_gradient_norm", "update/critic_gradient_norm")
            for name, group in zip(names, optimizer.param_groups, strict=True):
                norm = torch.nn.utils.clip_grad_norm_(group["params"], args.max_grad_norm)
                stats[name] = float(norm)
            if not all(math.isfinite(value) for value in stats.values()):
                optimizer.zero_grad(set_to_none=True)
                raise DivergedError(
                    f"Expected finite losses and gradients, got {stats}. Lower the learning rate "
                    "or raise the KL coefficient, and resume from the last checkpoint."
                )
            optimizer.step()
            steps += 1
            policy_steps += not value_only
            for name, value in stats.items():
                totals[name] = totals.get(name, 0.0) + value
    optimizer.zero_grad(set_to_none=True)
    for model in trained:
        nn.Module.train(model, False)
    means = {name: total / steps for name, total in totals.items()}
    return {
        **means,
        "update/first_ratio_error": first_ratio_error,
        "update/policy_steps": policy_steps / steps,
    }


class _Minibatch:
    """One minibatch's gradient: of this process's rows, in groups of similar length, added up."""

    def __init__(self, batch: Batch, index: Tensor, args: Args, processes: Processes) -> None:
        self._batch, self._args = batch, args
        length = batch.sequences.length
        mine = processes.rows(index, length)
        self._groups = list(length_buckets(length, mine, max_tokens=args.microbatch_tokens))
        # Of the rows of all processes. At least 1: no episode of a minibatch may have a verdict.
        self._policy_count = batch.policy_mask[index].sum().clamp(min=1)
        self._generated_count = batch.generated[index].sum().clamp(min=1)

    def backward(
        self, policy: CausalLMPolicy, critic: Critic | None, loss: Loss, *, value_only: bool
    ) -> dict[str, float]:
        """Adds both gradients; returns the losses, and the largest |ratio - 1|."""
        stats = {
            "loss/policy": 0.0,
            "loss/value": 0.0,
            "policy/clip_fraction": 0.0,
            "kl/update_k3": 0.0,
            "largest": 0.0,
        }
        if value_only:
            return stats if critic is None else stats | self._critic(critic)
        if not isinstance(critic, TrunkCritic):
            return stats | self._actor(policy, loss, critic)
        actor, value = at_once(lambda: self._actor(policy, loss), lambda: self._critic(critic))
        return stats | actor | value

    def _actor(
        self, policy: CausalLMPolicy, loss: Loss, critic: HeadCritic | None = None
    ) -> dict[str, float]:
        """The policy's gradient, and that of a critic on the same trunk, in one pass."""
        batch, totals, largest = self._batch, dict[str, float](), 0.0
        scorer = policy if critic is None else critic
        for rows in self._groups:
            said = scorer.score(*self._inputs(rows), temperature=self._args.temperature)
            fresh, values = said if isinstance(said, tuple) else (said, None)
            old_logprobs = self._cut(batch.logprobs, rows)
            part, stats = loss(
                LossInput(
                    logprobs=fresh,
                    old_logprobs=old_logprobs,
                    reference_logprobs=self._cut(batch.reference_logprobs, rows),
                    advantages=self._cut(batch.advantages, rows),
                    mask=self._cut(batch.policy_mask, rows),
                    generated=self._cut(batch.generated, rows),
                    mask_count=self._policy_count,
                    generated_count=self._generated_count,
                )
            )
            if values is not None:
                of_values = self._value_loss(values, rows)
                part, stats = part + of_values, {**stats, "loss/value": of_values.detach()}
            part.backward()  # type: ignore[no-untyped-call]
            for name, value in stats.items():
                totals[name] = totals.get(name, 0.0) + float(value)
            shift = (fresh.detach() - old_logprobs).exp() - 1.0
            largest = max(largest, float(shift.abs().max()))
        return {**totals, "largest": largest}

    def _critic(self, critic: Critic) -> dict[str, float]:
        total = 0.0
        for rows in self._groups:
            loss = self._value_loss(critic.values(*self._inputs(rows)), rows)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return {"loss/value": total}

    def _value_loss(self, values: Tensor, rows: Tensor) -> Tensor:
        batch = self._batch
        targets, generated = self._cut(batch.returns, rows), self._cut(batch.generated, rows)
        return value_loss(values, targets, generated, normaliser=self._generated_count)

    def _inputs(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sequences = self._batch.sequences
        ids = self._cut(sequences.input_ids, rows)
        return ids, sequences.start_length[rows], sequences.length[rows]

    def _cut(self, tensor: Tensor, rows: Tensor) -> Tensor:
        """Of (B, T), the rows of a group up to the longest of them."""
        return tensor[rows, : int(self._batch.sequences.length[rows].max())]


def run(
    args: Args,
    logger: RunLogger,
    *,
    screen: RunLogger | None = None,
    grader: codegym.Grader | None = None,
    processes: Processes = ALONE,
) -> PPO:
    """The command: :func:`agents.running.train` of this method."""
    return train(PPO.make, args, logger, screen=screen, grader=grader, processes=processes)


def _main() -> None:
    with joined() as processes:
        command(Args, functools.partial(run, processes=processes), processes)


if __name__ == "__main__":
    main(_main, several=True)
