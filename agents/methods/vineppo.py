"""VinePPO (Kazemnejad et al., arXiv 2410.01679): Monte-Carlo values of lines in place of a critic.

From the state before each line, K completions are written and judged; their mean reward is the
state's value, and a line's advantage is by how much it changed the value::

    V(s_m) = 1/K sum_k R(completion k of s_m)                                           (1)
    A_m    = r_m + V(s_(m+1)) - V(s_m),  for each token of line m                       (2)

where r_m is what the environment pays for the line, all of it for the last one, and the value after
the last line is 0. The estimate is unbiased for any K, and its variance falls as 1/K.

What differs from the paper and its code (McGill-NLP/VinePPO):

1. A step is a line of the program, not a step of a solution in prose.
2. Equal prefixes of two episodes are completed for each of them; the code does it once for both.
3. A completion has the token budget of a whole episode.
4. Only executed tokens are learned from (``fgo``), as in PPO here; the values see all.
5. PPO's learning rate, batch, epochs and KL penalty of this repository, not those of the paper.

Where a program has more than ``most_lines`` lines, the code takes the episode's own reward for the
value of the rest, whose tokens so have the advantage 0; so does this.

    python -m agents.methods vineppo --model runs/sft --out runs/vineppo
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.advantages import Advantages, state_values, whiten
from agents.completions import Completions
from agents.completions import state_values as completed_values
from agents.lines import LineNumbers
from agents.methods.method import Method, MethodSettings
from agents.rollout import Sampling
from agents.running import train
from agents.scoring import Scored
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError

__all__ = ["Args", "VinePPO", "line_advantages", "line_starts", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(MethodSettings):
    """VinePPO on programs: no critic; each line is valued by finishing the program from there."""

    completions: int = 9
    """K: programs that are finished from the start of each line"""
    most_lines: int = 20
    """lines of a program that are valued; those behind them are not learned from"""
    whitened: bool = True
    """whether advantages have zero mean and unit variance"""
    out: Path = Path("runs/vineppo")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses numbers of completions and lines that are no such number."""
        for name in ("completions", "most_lines"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        super().__post_init__()


class VinePPO(Method):
    """A run of VinePPO."""

    name = "VinePPO"

    def __init__(self, args: Args, **parts: Any) -> None:
        self._completed = 0
        super().__init__(args, **parts)
        self._lines = LineNumbers(args, self.problems)

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Completes from each line; the policy has not changed since it wrote the episodes."""
        sampling = Sampling(self.args.temperature)
        completions = Completions(self.policy, self.envs, sampling=sampling, seed=self.seed(2))
        lines = self._lines(known.sequences)
        found = line_advantages(
            completions, lines, rewards, known, self.args.completions, self.args.most_lines
        )
        self._completed += completions.completed
        if not self.args.whitened:
            return found
        return found._replace(advantages=whiten(found.advantages, known.generated))

    def after(self, known: Scored) -> dict[str, float]:
        """How many programs were completed so far: they cost what episodes cost."""
        return {"vineppo/completions": float(self._completed)}

    def method_state(self) -> dict[str, Any]:
        """The number of completions."""
        return {"completed": self._completed}

    def load_method_state(self, state: dict[str, Any]) -> None:
        """Restores it."""
        self._completed = int(state["completed"])


def line_starts(lines: Tensor, generated: Tensor) -> Tensor:
    """(B, T) bool: the first generated token, and each that begins another line."""
    before = torch.nn.functional.pad(torch.where(generated, lines, 0), (1, 0))[:, :-1]
    return generated & (lines != before)


def line_advantages(
    completions: Completions,
    lines: Tensor,
    rewards: Tensor,
    known: Scored,
    count: int,
    most_lines: int,
) -> Advantages:
    """The advantages of the module's docstring, before they are whitened.

    Args:
        completions: Continue prefixes with the policy that wrote the episodes.
        lines: (B, T) line numbers of the tokens.
        rewards: (B, T) paid for the tokens.
        known: B episodes.
        count: K.
        most_lines: Lines that are valued; the value behind them is what was paid from there on.

    Returns:
        Advantages, and the returns that they were estimated with.
    """
    starts = line_starts(lines, known.generated)
    number = starts.cumsum(1)
    values = completed_values(completions, known.sequences, starts & (number <= most_lines), count)
    rest = torch.where(known.generated, rewards, 0.0).flip(1).cumsum(1).flip(1)
    values = torch.where(starts & (number == most_lines + 1), rest, values)
    return state_values(values)(rewards, known)


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(VinePPO.make, args, logger)
