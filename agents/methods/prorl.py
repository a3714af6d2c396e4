"""ProRL (Liu et al., arXiv 2507.12507): GRPO for long runs, with a reference that is renewed.

Several programs of the same problem are compared with each other (GRPO, arXiv 2402.03300)::

    A_i = (R_i - mean(R)) / std(R)  over the group of program i                         (1)

    L = -1/|tokens| sum_i sum_t min(r_it A_i, clip(r_it, 1 - low, 1 + high) A_i)        (2)
        + beta KL(pi || reference)

*Decoupled clip*: ``high > low`` leaves unlikely tokens more room to become likely. *Dynamic
sampling*: groups whose programs were all rewarded alike, from which (1) learns nothing, are left
out and replaced. Both are DAPO's (arXiv 2503.14476). *Reset*: now and then the policy as it is
becomes the reference and the optimiser begins anew, so that the penalty does not hold back a policy
that has long been better.

What differs from the paper; other people's accounts of it were read, and there is no code of it:

1. The paper resets by hand, when success on held-out problems stalls or falls; here by a rule.
2. Clip 0.2 and 0.4 are as others report them; groups of 8 for 16, temperature 1 for 1.2.
3. Dynamic sampling tries ``most_rounds`` times. An iteration that finds too few groups learns from
   fewer, and from none if there is none; it counts all the same.
4. The KL penalty is this repository's (Schulman's k2), over the same groups.
5. Only executed tokens are learned from (``fgo``), as in PPO here.

    python -m agents.methods prorl --model runs/sft --out runs/prorl
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents import masks
from agents.advantages import Advantages, group_baseline
from agents.command import refuse_outside
from agents.losses import LossInput, approximate_kl, clipped_loss
from agents.methods.method import GroupSettings, Method
from agents.rollout import Rollout, joined
from agents.running import train
from agents.scoring import Scored, scored
from agents.sequences import Sequences, take
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError

__all__ = ["Args", "ProRL", "informative_rows", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(GroupSettings):
    """GRPO with decoupled clip, dynamic sampling and reference resets: no critic."""

    clip_range: float = 0.2
    """of the probability ratio, below 1"""
    clip_high: float = 0.4
    """the same above 1"""
    most_rounds: int = 3
    """times that as many episodes are played, at most, until enough groups have a difference"""
    reset_every: int = 40
    """iterations between resets of the reference and the optimiser; 0: none by number"""
    reset_kl: float | None = 0.2
    """a KL to the reference, in nats per token, at which it is reset earlier; None: never"""
    out: Path = Path("runs/prorl")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning."""
        if self.most_rounds < 1 or self.reset_every < 0:
            raise ConfigurationError(
                "most_rounds must be 1 or more and reset_every 0 or more, got "
                f"{self.most_rounds} and {self.reset_every}."
            )
        refuse_outside(self, ("clip_high",), above=0.0)
        refuse_outside(self, ("reset_kl",), above=0.0, optional=True)
        super().__post_init__()


class ProRL(Method):
    """A run of ProRL."""

    name = "ProRL"

    def __init__(self, args: Args, **parts: Any) -> None:
        self._since, self._resets = 0, 0
        super().__init__(args, **parts)

    def collect(self) -> Rollout:
        """Plays until enough groups have a difference, or rounds are used up."""
        args, played = self.args, list[Rollout]()
        while len(played) < args.most_rounds:
            more = self.play(10 + len(played))
            first = len(played) * (args.episodes // args.group)
            sequences = more.sequences._replace(group=more.sequences.group + first)
            played.append(more._replace(sequences=sequences))
            found = sum(len(informative_rows(rollout.sequences)) for rollout in played)
            if found >= args.episodes:
                break
        return joined(played)

    def choose(self, played: Sequences) -> Sequences | None:
        """The first groups with a difference, as many as an iteration has."""
        rows = informative_rows(played)[: self.args.episodes]
        return take(played, rows) if len(rows) else None

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Equation 1."""
        return group_baseline()(rewards, known)

    def loss(self, group: LossInput) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 2."""
        args = self.args
        low, high, beta = args.clip_range, args.clip_high, args.kl_coefficient
        return clipped_loss(clip_range=low, clip_high=high, kl_coefficient=beta)(group)

    def after(self, known: Scored) -> dict[str, float]:
        """Resets reference and optimiser when it is time."""
        args = self.args
        self._since += 1
        distance = approximate_kl(known.logprobs, known.reference_logprobs, known.generated)
        far = args.reset_kl is not None and float(distance.k1) > args.reset_kl
        if far or self._since == args.reset_every:
            self.reference.load_state_dict(self.policy.state_dict())
            self.optimizer = self.make_optimizer(self.policy)
            self._since, self._resets = 0, self._resets + 1
        return {"prorl/resets": float(self._resets)}

    def method_state(self) -> dict[str, Any]:
        """When the reference was reset."""
        return {"since": self._since, "resets": self._resets}

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Restores it."""
        self._since, self._resets = int(state["since"]), int(state["resets"])


def informative_rows(played: Sequences) -> Tensor:
    """The episodes of groups whose rewards differ; whole groups, in their order."""
    known = scored(played, torch.zeros_like(played.token_rewards))
    return masks.informative(known).any(1).nonzero().squeeze(1)


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(ProRL.make, args, logger)
