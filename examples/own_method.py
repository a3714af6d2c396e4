"""A method of one's own on the parts that PPO uses: RLOO, REINFORCE with a leave-one-out baseline.

RLOO (Ahmadian et al., arXiv 2402.14740): k programs of one problem and start state, each weighed
by how much better it did than the others. The loop around it is `agents.trainer`'s.

    python examples/own_method.py --model runs/sft --out runs/rloo
"""

import dataclasses
from typing import Any

import torch

from agents import masks
from agents.advantages import group_baseline
from agents.command import main
from agents.losses import approximate_kl, kl_penalty, masked_mean
from agents.policy import CausalLMPolicy
from agents.rewards import token_rewards, total_reward
from agents.rollout import play, rollout_metrics
from agents.run_settings import RunSettings
from agents.running import command, train
from agents.scoring import score_tokens, scored
from agents.telemetry import RunLogger
from agents.trainer import Trainer
from codegym.errors import ConfigurationError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(RunSettings):
    """RLOO on programs."""

    group: int = 8
    """programs of the same problem and start state; must divide num_envs"""
    start: str = "empty"
    """where episodes begin; of groups a curriculum learns nothing"""
    learning_rate: float = 6e-4
    """of Adam"""
    kl_coefficient: float = 0.02
    """weight of the penalty for leaving the reference"""

    def __post_init__(self) -> None:
        """Refuses a group without others, and what every run refuses."""
        if self.group < 2:
            raise ConfigurationError(f"A group needs others to compare with, got {self.group}.")
        self.refuse_meaningless_run()


class RLOO(Trainer):
    """A run of RLOO."""

    name = "RLOO"

    def __init__(self, args: Args, *, policy: CausalLMPolicy, **parts: Any) -> None:
        self.args, self.rewards = args, token_rewards(args.reward)
        adam = torch.optim.Adam(policy.to(args.device).eval().parameters(), lr=args.learning_rate)
        super().__init__(args, policy=policy, critic=None, optimizer=adam, **parts)

    def iterate(self) -> dict[str, float]:
        """Play in groups, compare within each group, one step."""
        args, envs = self.args, self.envs
        self.optimizer.param_groups[0]["lr"] = args.learning_rate * self.rate_factor
        rollout = play(
            self.policy, envs, episodes=envs.num_envs, seed=self.seed(0), group_size=args.group
        )
        sequences = rollout.sequences
        before = score_tokens(self.reference, sequences)
        known = scored(sequences, before, reference_logprobs=before)
        reward = total_reward(self.rewards, known)
        # R - mean of the others = k / (k - 1) (R - mean of the group).
        advantages = group_baseline(scale=False)(reward.total, known).advantages
        advantages = advantages * args.group / (args.group - 1)

        fresh = self.policy.score(sequences.input_ids, sequences.start_length, sequences.length)
        learned = masks.executed(known)
        loss = -masked_mean(advantages * fresh, learned)
        loss = loss + args.kl_coefficient * kl_penalty(fresh, before, known.generated)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()
        self.iteration += 1
        self.episodes += len(sequences.reward)
        self.keep_rollouts(sequences, {"loss_mask": learned, "advantages": advantages})
        distance = approximate_kl(fresh.detach(), before, known.generated)
        return {**rollout_metrics(rollout), "kl/reference_k1": float(distance.k1)}


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(RLOO.make, args, logger)


if __name__ == "__main__":
    main(lambda: command(Args, run))
