"""RoML (Greenberg et al., arXiv 2301.11147): problems are drawn where the returns are worst.

What is to be maximised is not the mean return over problems but that of the worst share alpha::

    CVaR_alpha = mean of the returns that are at most their alpha-quantile              (1)

The learner stays as it is, PPO here; only which problems come is changed, by a cross-entropy
sampler over what is known of a problem before it is tried. It draws a cell c of such features from
phi, and a problem of the cell. After a batch of episodes, with ``p0`` the cells' shares of the
problems::

    p   = keep p0 + (1 - keep) phi                 what the cells are drawn from         (2)
    w_i = p0(c_i) / p(c_i)                         weight of episode i                   (3)
    T   = the worst episodes: a share alpha of the weight, least_share of the episodes   (4)
    phi = smoothing phi + (1 - smoothing) (shares of the cells in the weight of T)       (5)

What differs from the paper and its code (ido90/RobustMetaRL, ido90/CEM):

1. A task is a problem, and phi a table of cells; there, parameters of a simulator and, for the most
   part, Beta distributions.
2. The learner is no meta-learner: it reads the problem and does not have to find out which it is.
3. An episode is a task's whole return; there, it is the mean of a few episodes.
4. Rewards of programs have few levels, so that episodes are as bad as each other: those at the
   level where T ends belong to it in part, by as much as is needed. There, all of them do, and with
   two levels phi would never move.
5. A share ``keep`` is drawn from p0 at random; there, it is the first of each batch.

    python -m agents.methods roml --model runs/sft --out runs/roml
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from agents import ppo
from agents.command import refuse_outside, refuse_unused
from agents.methods.cross_entropy import CrossEntropy, CrossEntropySampler
from agents.running import train
from agents.telemetry import RunLogger
from codegym.problems import ProblemSet
from codegym.rewards import make_reward

__all__ = ["Args", "RoML", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(ppo.Args):
    """PPO on the problems at which it is worst."""

    features: tuple[str, ...] = ("difficulty", "conditionals")
    """what tells problems apart: "difficulty", or keys of a problem's metadata"""
    alpha: float = 0.05
    """share of the returns that is to be raised"""
    least_share: float = 0.2
    """share of a batch that phi is made of, at least"""
    keep: float = 0.2
    """share of the problems that are drawn from the whole set"""
    smoothing: float = 0.5
    """share of the old phi in the new one"""
    batch: int = 128
    """episodes between changes of phi"""
    out: Path = Path("runs/roml")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect."""
        refuse_unused(self, ("sampler",), False, "a method that draws its problems otherwise")
        refuse_outside(self, ("alpha", "least_share", "keep"), above=0.0, high=1.0)
        refuse_outside(self, ("smoothing",), low=0.0, high=1.0)
        refuse_outside(self, ("batch",), low=1)
        super().__post_init__()


class RoML(ppo.PPO):
    """A run of RoML."""

    name = "RoML"

    def __init__(self, args: Args, *, problems: ProblemSet, **parts: Any) -> None:
        reward = make_reward(args.reward)
        names = [field.name for field in dataclasses.fields(CrossEntropy)]
        sampler = CrossEntropySampler(
            problems,
            CrossEntropy(**{name: getattr(args, name) for name in names}),
            lambda grade: sum(reward(grade).values()),
        )
        self.cross_entropy = sampler
        super().__init__(args, problems=problems, sampler=sampler, **parts)

    def iterate(self) -> dict[str, float]:
        """An iteration of PPO; tells the CVaR of the last batch as well."""
        return {**super().iterate(), **self.cross_entropy.metrics()}


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(RoML.make, args, logger)
