"""TP-GRPO (He et al., arXiv 2507.23317): GRPO with a reward for each thought of a program.

A process reward model says of each line whether it is right. Contiguous right or wrong lines are
one *thought*, and a thought is rewarded once, so that nothing is gained by writing more lines, or
split ones. How much these rewards count depends on how capable the policy is of the problem::

    s_j  = 1 or -1, as the lines of thought j are right or wrong                        (1)
    r_j  = (s_j - mean(s)) / std(s)  over all thoughts of the group's programs          (2)
    w    = dense_weight (1 - share of the group's programs that pass)                   (3)
    A_it = (R_i - mean(R)) / std(R) + w r_j,  token t in thought j of program i         (4)

The paper's formulas are not known to us. Thoughts out of contiguous right or wrong steps, one
reward for each, and a weight that adapts to capability are the paper's; (2), (3) and (4) are ours.

What differs from the paper besides:

1. Its reward model is a language model that judges solutions in words; here the discriminative one
   of :mod:`agents.prm`, whose score of a line's last token is right from ``threshold`` on.
2. A step is a line of the program.
3. Its algorithm is called off-policy; here programs are learned from once, by the policy that wrote
   them, with PPO's clip and KL penalty.
4. Only executed tokens are learned from (``fgo``), as in PPO here.

    python -m agents.methods tp_grpo --model runs/sft --reward-model runs/prm/model
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.advantages import Advantages, group_baseline, group_means
from agents.command import refuse_outside
from agents.environments import make_tokenizer
from agents.lines import LineNumbers
from agents.methods.method import GroupSettings, Method
from agents.prm.lines import vocabulary_hash
from agents.prm.model import ProcessRewardModel
from agents.running import train
from agents.scoring import Scored
from agents.sequences import token_groups
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError

__all__ = ["TPGRPO", "Args", "line_signs", "run", "thought_advantages", "thought_starts"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(GroupSettings):
    """GRPO with a reward for each run of right or wrong lines: no value critic."""

    reward_model: Path | None = None
    """folder of the process reward model (train one with `python -m agents.prm`)"""
    threshold: float = 0.0
    """score from which on a line is right"""
    dense_weight: float = 0.5
    """weight of the thoughts' rewards where no program of the group passes"""
    out: Path = Path("runs/tp_grpo")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning."""
        refuse_outside(self, ("dense_weight",), low=0.0)
        refuse_outside(self, ("threshold",))
        super().__post_init__()


class TPGRPO(Method):
    """A run of TP-GRPO."""

    name = "TP-GRPO"

    def __init__(self, args: Args, **parts: Any) -> None:
        if args.reward_model is None:
            raise ConfigurationError("TP-GRPO needs a process reward model: reward_model=FOLDER.")
        vocabulary = vocabulary_hash(make_tokenizer(args.tokenizer, args.prompt_format))
        model = ProcessRewardModel.from_pretrained(args.reward_model, vocabulary=vocabulary)
        self._judge = model.to(args.device)
        super().__init__(args, **parts)
        self._lines = LineNumbers(args, self.problems)

    @torch.no_grad()
    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Equation 4."""
        scores = torch.zeros_like(rewards)
        for rows, ids, _, _ in token_groups(known.sequences, self.args.microbatch_tokens):
            scores[rows, : ids.shape[1]] = self._judge(ids)
        lines = self._lines(known.sequences)
        signs = line_signs(lines, scores - self.args.threshold, known)
        self._thoughts = float(thought_starts(signs).sum(1).float().mean())
        outcome, returns = group_baseline()(rewards, known)
        return Advantages(
            outcome + thought_advantages(signs, known, self.args.dense_weight), returns
        )

    def after(self, known: Scored) -> dict[str, float]:
        """How many thoughts a program has."""
        return {"tp_grpo/thoughts": self._thoughts}


def line_signs(lines: Tensor, scores: Tensor, known: Scored) -> Tensor:
    """(B, T): 1 on the tokens of right lines, -1 on those of wrong ones, 0 elsewhere.

    A line is judged behind its last token; the end token, which spells nothing, goes with the last
    line.
    """
    sequences, columns = known.sequences, torch.arange(lines.shape[1], device=lines.device)
    end = (columns == sequences.length[:, None] - 1) & ~sequences.truncated[:, None]
    spelled = known.generated & ~end
    following = torch.nn.functional.pad(torch.where(spelled, lines, 0), (0, 1))[:, 1:]
    last = spelled & (lines != following)
    signs, running = torch.zeros_like(scores), torch.zeros_like(scores[:, 0])
    for t in range(lines.shape[1] - 1, -1, -1):
        running = torch.where(last[:, t], (scores[:, t] >= 0.0) * 2.0 - 1.0, running)
        signs[:, t] = running * spelled[:, t]
    before = torch.nn.functional.pad(signs, (1, 0))[:, :-1]
    return torch.where(end & known.generated, before, signs)


def thought_starts(signs: Tensor) -> Tensor:
    """(B, T) bool: the first token of each thought."""
    return (signs != 0.0) & (signs != torch.nn.functional.pad(signs, (1, 0))[:, :-1])


def thought_advantages(signs: Tensor, known: Scored, weight: float) -> Tensor:
    """(B, T) of ``w r_j``, equations 2 and 3."""
    group, starts = known.sequences.group, thought_starts(signs)
    count = group_means(starts.sum(1).float(), group).clamp(min=1e-6)
    mean = group_means((signs * starts).sum(1), group) / count
    # s is 1 or -1, so its mean square is 1.
    scale = (1.0 - mean.square()).clamp(min=0.0).sqrt()
    relative = (signs - mean[:, None]) / (scale[:, None] + 1e-6) * (signs != 0.0)
    share = group_means(known.sequences.solved.float(), group)
    return weight * (1.0 - share)[:, None] * relative


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(TPGRPO.make, args, logger)
