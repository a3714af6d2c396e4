"""RLTF (Liu et al., arXiv 2307.04349): feedback of tests at three grains, from an online buffer.

::

    L = L_ce - 1/T sum_t A_t log pi(y_t)                                                (1)
    A_t = R + F_t - R(baseline program)                                                 (2)
    R   = 1, -0.6, -1 if the program passes, breaks off, is no Python, and
          -0.3 + 1.3 (share of passed tests) if it answers wrongly                      (3)
    F_t = -w T / |E|  for the tokens of the error E, else 0                             (4)

The coarse and adaptive reward (3) is the environment's ``reward="rltf"``. The fine one (4) looks at
where the program broke off. Of an error with a line, E is the tokens of that line; of one of the
whole program, such as a time limit, E is all tokens; other programs have none. The factor ``T /
|E|`` makes the penalty of a program w on average over its T tokens, however short the line is.
The baseline is a greedy program for the same start. The buffer holds what the policy wrote lately:
each iteration learns from its own episodes and from some of the last ``most_age`` iterations.

What differs from the paper and its code (Zyq-scut/RLTF):

1. The code's ``len(mask == 1)`` is the length of the mask, so that its factor ``T / |E|`` is
   always 1; here it is what was meant.
2. The code weighs each token by CodeRL's classifier; here by 1 (``agents.methods.coderl`` has it).
3. Errors are told by the verdict and the line of the grade, not by words of the message: of a
   recursion without end, E is the line where it was noticed.
4. The code forgets the oldest 6,400 programs, wherever they come from; here age is what counts.
5. The ratio to the policy before the update is clipped as in PPO, with a KL penalty. What is older
   has no importance weight in either.
6. L_ce imitates what SFT imitated, in each step; the code takes turns.

    python -m agents.methods rltf --model runs/sft --out runs/rltf
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.advantages import Advantages
from agents.command import refuse_outside
from agents.lines import LineNumbers
from agents.methods.buffer import EpisodeBuffer, Stored
from agents.methods.imitation import Imitation
from agents.methods.method import Method, MethodSettings
from agents.running import train
from agents.scoring import Scored
from agents.sequences import Sequences, concatenate
from agents.telemetry import RunLogger

__all__ = ["RLTF", "Args", "fine_feedback", "run"]

_WHOLE = ("time_limit", "memory_limit", "output_limit")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(MethodSettings):
    """RLTF on programs: tokens of the line that broke off are blamed; no critic."""

    fine_weight: float = 0.3
    """w: of the penalty for the tokens of an error"""
    replayed: int = 64
    """older episodes that an iteration learns from besides its own"""
    most_age: int = 4
    """iterations for which episodes are kept"""
    imitation: float = 0.1
    """weight of the cross entropy on programs that SFT imitates"""
    reward: str = "rltf"
    """name of a codegym reward"""
    fgo: bool = False
    """whether the policy learns from executed tokens only"""
    out: Path = Path("runs/rltf")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning."""
        refuse_outside(self, ("fine_weight", "imitation"), low=0.0)
        refuse_outside(self, ("replayed", "most_age"), low=0)
        super().__post_init__()


class RLTF(Method):
    """A run of RLTF."""

    name = "RLTF"

    def __init__(self, args: Args, **parts: Any) -> None:
        self._buffer = EpisodeBuffer(args.most_age)
        super().__init__(args, **parts)
        self._lines = LineNumbers(args, self.problems)
        self._imitation = Imitation(args, self.problems)

    def choose(self, played: Sequences) -> Sequences:
        """The episodes just played, and some of the buffer; which then holds these as well."""
        stored = Stored(played, self.greedy(played))
        older = self._buffer.draw(self.args.replayed, self.seed(2))
        self._buffer.add(self.iteration, stored)
        chosen = [stored] if older is None else [stored, older]
        self._baseline = torch.cat([part.baseline for part in chosen])
        return concatenate([part.sequences for part in chosen])

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Equation 2."""
        total = torch.where(known.generated, rewards, 0.0).sum(1)
        fine = fine_feedback(self._lines(known.sequences), known, self.args.fine_weight)
        advantages = (total - self._baseline)[:, None] + fine
        return Advantages(advantages * known.generated, total[:, None] * known.generated)

    def anchor(self, episodes: int, generator: torch.Generator) -> Tensor | None:
        """L_ce on as many programs as there are episodes."""
        weight: float = self.args.imitation
        return self._imitation.loss(self.policy, episodes, generator) * weight if weight else None

    def method_state(self) -> dict[str, Any]:
        """The buffer."""
        return self._buffer.state_dict()

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Restores it."""
        self._buffer.load_state_dict(state)


def fine_feedback(lines: Tensor, known: Scored, weight: float) -> Tensor:
    """(B, T) of equation 4, from (B, T) line numbers of the tokens."""
    sequences, generated = known.sequences, known.generated
    whole = torch.tensor([v in _WHOLE for v in sequences.verdict], device=lines.device)
    here = (lines == sequences.error_line[:, None]) & (sequences.error_line > 0)[:, None]
    error = generated & (here | whole[:, None])
    share = generated.sum(1) / error.sum(1).clamp(min=1)
    return -weight * share[:, None] * error


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(RLTF.make, args, logger)
