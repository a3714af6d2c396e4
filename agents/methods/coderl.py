"""CodeRL (Le et al., arXiv 2207.01780): a classifier of outcomes weighs the tokens of a program.

::

    L    = L_ce + L_rl                                                                  (1)
    L_rl = -1/T sum_t q_t (R - R(baseline program)) log pi(y_t)                         (2)
    q_t  = softmax(z_t)[u],  u the true outcome of the program                          (3)
    L_critic = -log softmax(max_t z_t)[u]                                               (4)

R is 1, -0.3, -0.6, -1 if the program passes, answers wrongly, breaks off, or is no Python. The
classifier (the paper's critic) says four numbers z_t after each token; taken together by their
maximum they foretell the outcome (4), and each alone says how sure it is of it already (3), so that
tokens in which the outcome shows are weighed most. The baseline is the greedy program for the same
start. L_ce imitates solutions: without it, says the paper, the policy collapses. What the
classifier is good for at inference is in :mod:`agents.methods.critic_sampling`.

What differs from the paper and its code (salesforce/CodeRL):

1. Policy and classifier learn in turns from the policy's own programs; there, from programs that
   were written once before.
2. z_t has read token t; in the code, whose decoder reads tokens shifted by one, those before it.
3. L_ce imitates what SFT imitated, with a weight; there, the canonical solutions, with weight 1.
4. The ratio to the policy before the update is clipped as in PPO, with a KL penalty.

    python -m agents.methods coderl --model runs/sft --out runs/coderl
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.advantages import Advantages
from agents.command import refuse_outside
from agents.methods.imitation import Imitation
from agents.methods.method import Method, MethodSettings
from agents.methods.token_reader import TokenReader
from agents.policy import CausalLMPolicy
from agents.running import train
from agents.scoring import Scored
from agents.sequences import Sequences
from agents.telemetry import RunLogger

__all__ = ["PASS", "Args", "CodeRL", "outcome_logits", "outcomes", "run", "token_weights"]

PASS = 3
"""The outcome of a program that passes."""
_LEVELS = {"compile_error": 0, "wrong_answer": 2, "accepted": PASS}  # all others: 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(MethodSettings):
    """CodeRL on programs: tokens are weighed by a classifier of outcomes; no value critic."""

    classifier_rate: float = 1e-3
    """learning rate of the classifier"""
    imitation: float = 0.1
    """weight of the cross entropy on programs that SFT imitates; 0: the paper's warning applies"""
    fgo: bool = False
    """whether the policy learns from executed tokens only"""
    out: Path = Path("runs/coderl")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning."""
        refuse_outside(self, ("classifier_rate", "imitation"), low=0.0)
        super().__post_init__()


class CodeRL(Method):
    """A run of CodeRL."""

    name = "CodeRL"

    def __init__(self, args: Args, *, policy: CausalLMPolicy, **parts: Any) -> None:
        policy = policy.to(args.device).eval()
        self.classifier = TokenReader(policy, 4, learning_rate=args.classifier_rate)
        super().__init__(args, policy=policy, **parts)
        self._imitation = Imitation(args, self.problems)

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Equations 2 and 3; the classifier has not seen these programs yet."""
        logits = self.classifier.read(known.sequences, self.args.microbatch_tokens)
        total = torch.where(known.generated, rewards, 0.0).sum(1)
        relative = total - self.greedy(known.sequences)
        weights = token_weights(logits, outcomes(known.sequences)) * known.generated
        return Advantages(relative[:, None] * weights, total[:, None] * known.generated)

    def anchor(self, episodes: int, generator: torch.Generator) -> Tensor | None:
        """L_ce on as many programs as there are episodes."""
        weight: float = self.args.imitation
        return self._imitation.loss(self.policy, episodes, generator) * weight if weight else None

    def after(self, known: Scored) -> dict[str, float]:
        """The classifier's turn, after it was asked what it foretells of these programs."""
        sequences, mask = known.sequences, known.generated
        judged = mask.any(1)
        true = outcomes(sequences)[judged]
        said = self.classifier(sequences.input_ids, sequences.start_length, sequences.length)
        pooled = outcome_logits(said, mask)[judged]
        loss = torch.nn.functional.cross_entropy(pooled, true)
        self.classifier.step(loss)
        most = true.bincount().max()
        return {
            "coderl/classifier_loss": float(loss.detach()),
            "coderl/classifier_accuracy": float((pooled.argmax(1) == true).float().mean()),
            "coderl/most_frequent": float(most / len(true)),  # the accuracy of no classifier
        }

    def method_state(self) -> dict[str, Any]:
        """The classifier."""
        return self.classifier.saved()

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Restores it."""
        self.classifier.restore(state)


def outcomes(sequences: Sequences) -> Tensor:
    """(B,) int64: 0 no Python, 1 broke off, 2 wrong answer, 3 passed."""
    levels = [_LEVELS.get(verdict, 1) for verdict in sequences.verdict]
    return torch.tensor(levels, device=sequences.input_ids.device)


def outcome_logits(logits: Tensor, generated: Tensor) -> Tensor:
    """(B, 4) of (B, T, 4): the maximum over the generated tokens, in equation 4."""
    return logits.masked_fill(~generated[..., None], -1e9).amax(1)


def token_weights(logits: Tensor, true: Tensor) -> Tensor:
    """(B, T) of equation 3, from (B, T, 4) logits and (B,) outcomes."""
    chosen = true[:, None, None].expand(*logits.shape[:2], 1)
    return logits.softmax(-1).gather(-1, chosen).squeeze(-1)


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(CodeRL.make, args, logger)
