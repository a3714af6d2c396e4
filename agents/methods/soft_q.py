"""Soft Q-learning for text (Guo et al., arXiv 2106.07704): the logits are values of tokens.

A language model's logits are taken for Q values, so that it learns from anybody's programs::

    pi(a|s) = softmax(Q(s, .))[a],  V(s) = log sum_a exp Q(s, a),  A = Q - V = log pi   (1)

Where the policy is optimal, its entropy counted in, A is the reward and the change of V along any
program. With r_t the rewards over beta, V = 0 at the end, and a bar for a target network::

    L_single = mean_t (A_t - (r_t + Vbar_(t+1) - Vbar_t))^2                             (2)
    L_multi  = mean_t (sum_(l >= t) A_l - (sum_(l >= t) r_l - Vbar_t))^2                (3)
    L        = direct (L_single + L_multi) / 2 + (1 - direct) (the same of Abar and V)  (4)
    target   = (1 - target_rate) target + target_rate policy                            (5)

By (2) a reward at the end reaches the first token step by step, by (3) at once. A learns no level
of Q, as the gradient of log pi adds up to 0 over the actions; the second half of (4) learns it.

What differs from the paper and its code (HanGuo97/soft-Q-learning-for-text-generation):

1. There, the entropy of a text of some length outweighs its reward; here A and V are those of (1)
   less the reference's: the optimum is ``pi_ref exp(r + V' - V)``; or ``prior="uniform"``.
2. ``direct`` is 1 in the code unless both directions are asked for; here 1/2.
3. The code scales rewards to plus and minus 10 or 50; here they are divided by ``kl_coefficient``.
4. The code sums over an episode's tokens; here the mean of a minibatch's is taken, as in PPO.
5. The target follows once an iteration; there, after each step, and less.
6. Programs of others are those of the last iterations; there, texts of the data set.

    python -m agents.methods soft_q --model runs/sft --out runs/soft_q
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from agents.advantages import Advantages
from agents.command import refuse_outside, refuse_unused
from agents.losses import masked_mean
from agents.methods.buffer import EpisodeBuffer, Stored
from agents.methods.method import Method, MethodSettings, cutter
from agents.methods.path_consistency import SoftValues, errors, read, rest, soft_values
from agents.policy import CausalLMPolicy
from agents.running import train
from agents.scoring import Scored
from agents.sequences import Sequences, concatenate
from agents.telemetry import RunLogger

__all__ = ["Args", "SoftQ", "run"]

_PARTS = ("single", "multi", "reversed_single", "reversed_multi")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(MethodSettings):
    """Soft Q-learning on programs: logits are Q values, learned from old programs as well."""

    kl_coefficient: float = 0.1
    """beta: rewards are divided by it; the lower, the further the policy leaves the prior"""
    prior: Literal["reference", "uniform"] = "reference"
    """what the policy is where rewards say nothing"""
    direct: float = 0.5
    """share of the loss in which A is the policy's and V the target network's, not the reverse"""
    target_rate: float = 0.2
    """share of the policy's weights in the target network's new ones, once an iteration"""
    replayed: int = 128
    """older episodes that an iteration learns from besides its own"""
    most_age: int = 8
    """iterations for which episodes are kept"""
    fgo: bool = False
    """whether the consistency of executed tokens only is asked for"""
    out: Path = Path("runs/soft_q")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect."""
        refuse_unused(self, ("clip_range",), False, "a loss with a probability ratio")
        refuse_outside(self, ("kl_coefficient",), above=0.0)
        refuse_outside(self, ("direct",), low=0.0, high=1.0)
        refuse_outside(self, ("target_rate",), above=0.0, high=1.0)
        refuse_outside(self, ("replayed", "most_age"), low=0)
        super().__post_init__()


class SoftQ(Method):
    """A run of soft Q-learning."""

    name = "Soft Q"

    def __init__(self, args: Args, *, policy: CausalLMPolicy, **parts: Any) -> None:
        self._buffer = EpisodeBuffer(args.most_age)
        self.target = policy.to(args.device).copy().requires_grad_(False).eval()
        super().__init__(args, policy=policy, **parts)

    def choose(self, played: Sequences) -> Sequences:
        """The episodes just played, and some of the buffer; which then holds these as well."""
        older = self._buffer.draw(self.args.replayed, self.seed(2))
        self._buffer.add(self.iteration, Stored(played, torch.zeros_like(played.reward)))
        return played if older is None else concatenate([played, older.sequences])

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """What A is to become by equation 2; and all that an update leaves as it is."""
        args, episodes = self.args, known.sequences
        how = {"temperature": args.temperature, "microbatch_tokens": args.microbatch_tokens}
        self._rewards = torch.where(known.generated, rewards, 0.0) / args.kl_coefficient
        self._prior = SoftValues(*(torch.zeros_like(rewards) for _ in range(2)))
        if args.prior == "reference":
            self._prior = read(self.reference, episodes, **how)
        self._other = read(self.target, episodes, **how).less(self._prior)
        wanted = self._other.advantages - errors(self._other, self._other, self._rewards)[0]
        return Advantages(wanted * known.generated, rest(self._rewards) * known.generated)

    def group_loss(
        self, known: Scored, advantages: Tensor, mask: Tensor, rows: Tensor, counts: list[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 4."""
        start, length = known.sequences.start_length[rows], known.sequences.length[rows]
        cut, direct = cutter(rows, int(length.max())), self.args.direct
        ids, rewards = cut(known.sequences.input_ids), cut(self._rewards)
        prior, other = (SoftValues(*map(cut, found)) for found in (self._prior, self._other))
        heat: float = self.args.temperature
        own = soft_values(self.policy, ids, start, length, temperature=heat).less(prior)
        found = [*errors(own, other, rewards), *errors(other, own, rewards)]
        parts = [masked_mean(e.square(), cut(mask), normaliser=counts[0]) for e in found]
        loss = 0.5 * (direct * (parts[0] + parts[1]) + (1.0 - direct) * (parts[2] + parts[3]))
        return loss, {f"loss/{n}": p.detach() for n, p in zip(_PARTS, parts, strict=True)}

    def after(self, known: Scored) -> dict[str, float]:
        """Equation 5."""
        for old, new in zip(self.target.parameters(), self.policy.parameters(), strict=True):
            old.lerp_(new.detach(), self.args.target_rate)
        return {"soft_q/value": float(masked_mean(self._other.values, known.generated))}

    def method_state(self) -> dict[str, Any]:
        """The target network and the buffer."""
        return {"target": self.target.state_dict(), "buffer": self._buffer.state_dict()}

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Restores them."""
        self.target.load_state_dict(state["target"])
        self._buffer.load_state_dict(state["buffer"])


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(SoftQ.make, args, logger)
