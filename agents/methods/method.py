"""One iteration of a method without a value critic, with a part for each thing that papers change.

An iteration collects episodes, chooses those to learn from, pays their tokens, estimates the
tokens' advantages, and takes optimiser steps on a loss over a token mask. A method is a subclass
that overrides what its paper changes; what it leaves alone is PPO's: one episode a start state, the
tests' reward, StepCoder's mask, the clipped loss with a KL penalty. Only the advantages have no
default.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from agents import masks
from agents.advantages import Advantages
from agents.command import refuse_outside
from agents.completions import Completions, prefix_of
from agents.gradients import add_gradient, halves
from agents.guard import DivergedError
from agents.losses import LossInput, approximate_kl, clipped_loss
from agents.policy import CausalLMPolicy
from agents.rewards import TokenReward, token_rewards, total_reward
from agents.rollout import Rollout, Sampling, play, rollout_metrics
from agents.run_settings import RunSettings
from agents.scoring import Scored, score, scored
from agents.sequences import Sequences, length_buckets
from agents.trainer import Trainer
from codegym.errors import ConfigurationError

__all__ = ["GroupSettings", "Method", "MethodSettings", "cutter"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodSettings(RunSettings):
    """What all of these methods can be told; each has settings of its own besides."""

    episodes: int = 128
    """per iteration"""
    learning_rate: float = 6e-4
    """of the policy"""
    epochs: int = 1
    """passes over the episodes of an iteration"""
    minibatches: int = 8
    """optimiser steps per epoch"""
    clip_range: float = 0.2
    """of the probability ratio"""
    kl_coefficient: float = 0.02
    """weight of the penalty for leaving the reference"""
    fgo: bool = True
    """whether the policy learns from executed tokens only, as StepCoder's does"""
    max_grad_norm: float = 1.0
    """of the policy's gradient"""
    temperature: float = 1.0
    """of the policy, in rollouts and losses"""
    microbatch_tokens: int = 2048
    """rows x columns of one forward pass; changes memory and speed, not the update"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect, NaN included."""
        for name in ("episodes", "epochs", "minibatches", "num_envs", "microbatch_tokens"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        refuse_outside(self, ("learning_rate", "kl_coefficient"), low=0.0)
        refuse_outside(self, ("clip_range", "max_grad_norm", "temperature"), above=0.0)
        self.refuse_meaningless_run()


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupSettings(MethodSettings):
    """Of methods that compare programs of the same problem and start state with each other.

    A group begins where its first program was told to, and of that a curriculum learns nothing, so
    episodes begin with the empty program unless another start is named.
    """

    group: int = 8
    """programs of the same problem and start state; must divide num_envs and episodes"""
    start: str = "empty"
    """where episodes begin: "empty", "uniform", or another start distribution of codegym; one that
    learns from outcomes, such as "cccs", stands still"""
    whole_groups: bool = False
    """whether a minibatch is a random set of groups instead of episodes; a model that is at least
    128 wide then reads each group's prompt once, which may halve the update's time"""

    def __post_init__(self) -> None:
        """Refuses groups without others, groups that are cut, and what every method refuses."""
        if self.group < 2:
            raise ConfigurationError(f"A group needs others to compare with, got {self.group}.")
        for name in ("num_envs", "episodes"):
            if getattr(self, name) % self.group:
                raise ConfigurationError(
                    f"group must divide {name}, got {self.group} and {getattr(self, name)}."
                )
        super().__post_init__()


class Method(Trainer):
    """A run of a method; the arguments are those of :class:`agents.trainer.Trainer`.

    Attributes:
        rewards: Named terms of what a token is paid.
        group_size: Episodes of the same problem and start state: 1, but with
            :class:`GroupSettings`.
    """

    def __init__(self, args: Any, *, policy: CausalLMPolicy, **parts: Any) -> None:
        self.args = args
        self.group_size = args.group if isinstance(args, GroupSettings) else 1
        self.rewards: dict[str, TokenReward] = token_rewards(parts.get("reward") or args.reward)
        policy = policy.to(args.device).eval()
        optimizer = self.make_optimizer(policy)
        super().__init__(args, policy=policy, critic=None, optimizer=optimizer, **parts)

    def make_optimizer(self, policy: CausalLMPolicy) -> torch.optim.Optimizer:
        """AdamW without weight decay, as PPO has it."""
        learned = [p for p in policy.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            learned, lr=self.args.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )

    def collect(self) -> Rollout:
        """Plays the episodes of an iteration."""
        return self.play(0)

    def play(self, part: int) -> Rollout:
        """Plays as many episodes as an iteration has, with the randomness of this part."""
        return play(
            self.policy,
            self.envs,
            episodes=self.args.episodes,
            seed=self.seed(part),
            sampling=Sampling(self.args.temperature),
            group_size=self.group_size,
        )

    def greedy(self, played: Sequences) -> Tensor:
        """(B,) reward of the greedy program from where each episode began, a baseline for it."""
        starts = [prefix_of(played, i, int(t)) for i, t in enumerate(played.start_length)]
        each = list(dict.fromkeys(starts))
        source = Completions(self.policy, self.envs, sampling=Sampling(0.0), seed=self.seed(3))
        reward = {s: c.reward for s, c in zip(each, source.judge(each, 1), strict=True)}
        return torch.tensor([reward[start] for start in starts], device=played.reward.device)

    def choose(self, played: Sequences) -> Sequences | None:
        """The episodes that are learned from; None: this iteration teaches nothing."""
        return played

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Advantages of (B, T) token rewards, an :data:`~agents.advantages.Estimator`."""
        raise NotImplementedError

    def mask(self, known: Scored) -> Tensor:
        """(B, T) bool: the tokens that are learned from."""
        return masks.executed(known) if self.args.fgo else masks.generated(known)

    def loss(self, group: LossInput) -> tuple[Tensor, dict[str, Tensor]]:
        """A group's part of a minibatch's loss, a :data:`~agents.losses.Loss`."""
        args = self.args
        return clipped_loss(clip_range=args.clip_range, kl_coefficient=args.kl_coefficient)(group)

    def anchor(self, episodes: int, generator: torch.Generator) -> Tensor | None:
        """A further loss of an optimiser step that learns from so many episodes, or None.

        Randomness comes from the generator alone, which is the iteration's.
        """
        return None

    def after(self, known: Scored) -> dict[str, float]:
        """What happens after the update; returns named scalars."""
        return {}

    def iterate(self) -> dict[str, float]:
        """One iteration.

        Returns:
            Named scalars.

        Raises:
            DivergedError: If a loss is not finite. The iteration counts.
        """
        args = self.args
        for group in self.optimizer.param_groups:
            group["lr"] = args.learning_rate * self.rate_factor
        rollout = self.collect()
        chosen = self.choose(rollout.sequences)
        learned = rollout.sequences if chosen is None else chosen
        scores = score(
            self.policy,
            None,
            self.reference,
            learned,
            temperature=args.temperature,
            microbatch_tokens=args.microbatch_tokens,
        )
        known = scored(learned, scores.logprobs, reference_logprobs=scores.reference_logprobs)
        paid = total_reward(self.rewards, known)
        advantages = self.estimate(paid.total, known).advantages
        shuffle = torch.Generator().manual_seed(self.seed(1))
        self.iteration += 1
        self.episodes += len(rollout.sequences.reward)
        columns = {
            "loss_mask": self.mask(known),
            "rewards": paid.total,
            "advantages": advantages,
            "logprobs": known.logprobs,
            "reference_logprobs": known.reference_logprobs,
        }
        self.keep_rollouts(learned, columns, temperature=args.temperature)
        stats = {} if chosen is None else self.update(known, advantages, shuffle)
        distance = approximate_kl(known.logprobs, known.reference_logprobs, known.generated)
        return {
            **rollout_metrics(rollout),
            **{f"reward/{name}": mean for name, mean in paid.means.items()},
            "kl/reference_k1": float(distance.k1),
            "kl/reference_k3": float(distance.k3),
            **stats,
            **self.after(known),
            "time/episodes": float(self.episodes),
        }

    def update(
        self, known: Scored, advantages: Tensor, generator: torch.Generator
    ) -> dict[str, float]:
        """Epochs of minibatches: random sets of episodes, or of groups with ``whole_groups``.

        They are computed in parts of similar length.

        Args:
            known: B episodes.
            advantages: (B, T).
            generator: Shuffles the episodes; on the CPU.

        Returns:
            Named scalars, each the mean over the minibatches.

        Raises:
            DivergedError: If a loss or a gradient is not finite. The policy is left as before that
                step.
        """
        args, mask = self.args, self.mask(known)
        totals, steps = dict[str, float](), 0
        for _ in range(args.epochs):
            for rows in self._minibatches(known, generator):
                self.optimizer.zero_grad(set_to_none=True)
                stats = self._backward(known, advantages, mask, rows)
                further = self.anchor(len(rows), generator)
                if further is not None:
                    further.backward()  # type: ignore[no-untyped-call]
                    stats["loss/anchor"] = float(further.detach())
                parameters = self.optimizer.param_groups[0]["params"]
                norm = torch.nn.utils.clip_grad_norm_(parameters, args.max_grad_norm)
                stats["update/policy_gradient_norm"] = float(norm)
                if not all(map(math.isfinite, stats.values())):
                    self.optimizer.zero_grad(set_to_none=True)
                    raise DivergedError(
                        f"Expected finite losses and gradients, got {stats}. Lower the learning "
                        "rate or raise the KL coefficient, and resume from the last checkpoint."
                    )
                self.optimizer.step()
                steps += 1
                _add(totals, stats)
        self.optimizer.zero_grad(set_to_none=True)
        return {name: total / steps for name, total in totals.items()}

    def _minibatches(self, known: Scored, generator: torch.Generator) -> Iterator[Tensor]:
        """The rows of each minibatch of an epoch."""
        group, count = known.sequences.group, self.args.minibatches
        if not (isinstance(self.args, GroupSettings) and self.args.whole_groups):
            order = torch.randperm(len(group), generator=generator)
            yield from order.to(group.device).chunk(count)
            return
        different = torch.unique(group)
        order = torch.randperm(len(different), generator=generator).to(group.device)
        for some in order.chunk(count):
            yield torch.isin(group, different[some]).nonzero().squeeze(1)

    def group_loss(
        self, known: Scored, advantages: Tensor, mask: Tensor, rows: Tensor, counts: list[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """A group's part of a minibatch's loss, from what the policy says of its episodes now.

        Args:
            known: B episodes.
            advantages: (B, T).
            mask: (B, T) bool: the tokens that are learned from.
            rows: Of the group.
            counts: () tokens of the whole minibatch in `mask`, and tokens that were written.

        Returns:
            () loss with a gradient, and named () scalars that add up as the loss does.
        """
        length = known.sequences.length
        cut = cutter(rows, int(length[rows].max()))
        fresh = self.policy.score(
            cut(known.sequences.input_ids),
            known.sequences.start_length[rows],
            length[rows],
            temperature=self.args.temperature,
        )
        return self.loss(
            LossInput(
                logprobs=fresh,
                old_logprobs=cut(known.logprobs),
                reference_logprobs=cut(known.reference_logprobs),
                advantages=cut(advantages),
                mask=cut(mask),
                generated=cut(known.generated),
                mask_count=counts[0],
                generated_count=counts[1],
            )
        )

    def _backward(
        self, known: Scored, advantages: Tensor, mask: Tensor, index: Tensor
    ) -> dict[str, float]:
        """The gradient of one minibatch, the sum of its groups'; returns the losses."""
        length, totals = known.sequences.length, dict[str, float]()
        counts = [tensor[index].sum().clamp(min=1) for tensor in (mask, known.generated)]
        alike = known.sequences.group if self.policy.shares_prompts else None
        most = self.args.microbatch_tokens

        def losses(index: Tensor) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
            for rows in length_buckets(length, index, max_tokens=most, alike=alike):
                yield self.group_loss(known, advantages, mask, rows, counts)

        parameters = self.optimizer.param_groups[0]["params"]
        for stats in add_gradient(losses, parameters, halves(length, index, alike=alike)):
            _add(totals, {name: float(value) for name, value in stats.items()})
        return totals


def cutter(rows: Tensor, width: int) -> Callable[[Tensor], Tensor]:
    """Of (B, T), the rows of a group up to the longest of them."""
    return lambda tensor: tensor[rows, :width]


def _add(totals: dict[str, float], stats: dict[str, float]) -> None:
    for name, value in stats.items():
        totals[name] = totals.get(name, 0.0) + value
