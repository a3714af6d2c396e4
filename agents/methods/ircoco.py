"""IRCoCo (Li et al., arXiv 2401.16637): a token is paid for how much it raised what is expected.

An evaluator E reads a prefix of a program and foretells the score that the whole one will have. A
token's reward is what it changed, and there is nothing else to be learned from::

    E      = argmin  mean_t (E(y_<=t) - R)^2,  R the score of the whole program         (1)
    r_t    = E(y_<=t) - E(y_<t),  0 for the end token                                   (2)
    L      = -1/T sum_t r_t log pi(y_t)                                                 (3)

The rewards of a program add up to what the evaluator expects at its end less what it expected at
its beginning, so that padding earns nothing. If E were the true mean reward of a prefix, (3) would
have the gradient of the expected score.

What differs from the paper and its code (Libolun-star/IRCoCo):

1. The score is the reward of the tests, not BLEU or the edit similarity with a reference.
2. The evaluator begins as a copy of the policy and learns from the policy's own programs, in turns
   with it; there, once before and from programs of the policy after SFT. In the first
   ``warmup_updates`` iterations it learns alone.
3. An iteration's r_t are divided by their root mean square, so that the KL penalty weighs the same
   whatever the evaluator's scale is.
4. The ratio to the policy before the update is clipped as in PPO, with a KL penalty.

    python -m agents.methods ircoco --model runs/sft --out runs/ircoco
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.advantages import Advantages
from agents.command import refuse_outside
from agents.losses import masked_mean
from agents.methods.method import Method, MethodSettings
from agents.methods.token_reader import TokenReader
from agents.policy import CausalLMPolicy
from agents.running import train
from agents.scoring import Scored
from agents.sequences import Sequences
from agents.telemetry import RunLogger

__all__ = ["Args", "IRCoCo", "differences", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(MethodSettings):
    """IRCoCo on programs: an evaluator of prefixes pays each token at once; no value critic."""

    evaluator_rate: float = 1e-3
    """learning rate of the evaluator"""
    evaluator_steps: int = 4
    """steps of the evaluator on the programs of an iteration"""
    warmup_updates: int = 3
    """first iterations in which only the evaluator learns"""
    fgo: bool = False
    """whether the policy learns from executed tokens only"""
    out: Path = Path("runs/ircoco")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning."""
        refuse_outside(self, ("evaluator_rate", "warmup_updates"), low=0)
        refuse_outside(self, ("evaluator_steps",), low=1)
        super().__post_init__()


class IRCoCo(Method):
    """A run of IRCoCo."""

    name = "IRCoCo"

    def __init__(self, args: Args, *, policy: CausalLMPolicy, **parts: Any) -> None:
        policy = policy.to(args.device).eval()
        self.evaluator = TokenReader(policy, 1, learning_rate=args.evaluator_rate)
        super().__init__(args, policy=policy, **parts)

    def choose(self, played: Sequences) -> Sequences | None:
        """All episodes, but none while the evaluator warms up."""
        return None if self.iteration < self.args.warmup_updates else played

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Equation 2, over its root mean square; the evaluator has not seen these programs yet."""
        sequences = known.sequences
        # It reads the last token of the prompt as well: what is expected before the first one.
        before = sequences._replace(start_length=sequences.start_length - 1)
        expected = self.evaluator.read(before, self.args.microbatch_tokens)[..., 0]
        paid = differences(expected, known)
        scale = masked_mean(paid.square(), known.generated).sqrt()
        total = torch.where(known.generated, rewards, 0.0).sum(1, keepdim=True)
        return Advantages(paid / (scale + 1e-8), total * known.generated)

    def after(self, known: Scored) -> dict[str, float]:
        """The evaluator's turn: equation 1, and how wrong it was before."""
        sequences = known.sequences
        columns = torch.arange(known.generated.shape[1], device=known.generated.device)
        first = columns == sequences.start_length[:, None] - 1
        mask = (known.generated | first) & known.generated.any(1, keepdim=True)
        errors = []
        for _ in range(self.args.evaluator_steps):
            inputs = (sequences.input_ids, sequences.start_length - 1, sequences.length)
            error = self.evaluator(*inputs)[..., 0] - sequences.reward[:, None]
            loss = masked_mean(error.square(), mask)
            self.evaluator.step(loss)
            errors.append(float(loss.detach()))
        judged = sequences.reward[known.generated.any(1)]
        return {
            "ircoco/evaluator_error": errors[0],
            "ircoco/variance": float(judged.var(correction=0)),  # the error of the mean alone
        }

    def method_state(self) -> dict[str, Any]:
        """The evaluator."""
        return self.evaluator.saved()

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Restores it."""
        self.evaluator.restore(state)


def differences(expected: Tensor, known: Scored) -> Tensor:
    """(B, T) of equation 2, from (B, T) scores that are expected after each token."""
    sequences = known.sequences
    before = torch.nn.functional.pad(expected, (1, 0))[:, :-1]
    columns = torch.arange(expected.shape[1], device=expected.device)
    end = (columns == sequences.length[:, None] - 1) & ~sequences.truncated[:, None]
    return torch.where(known.generated & ~end, expected - before, 0.0)


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(IRCoCo.make, args, logger)
