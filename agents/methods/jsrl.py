"""JSRL (Uchendu et al., arXiv 2204.02372): a guide begins each program, the learner goes on.

The guide acts for the first h steps, the learner for the rest; what the guide wrote is a part of
the start state, so nothing is learned on its tokens. Here a step is a line, and h a share of the
guide's program, which takes ``horizons`` values from all of it down to nothing::

    curriculum: h falls by one value when the success of a window of episodes at the present h is
                at least best - tolerance * best, the best average so far                       (1)
    random:     h is drawn uniformly for each episode                                           (2)

The learner is PPO, as everywhere here. The guides: the canonical solution; a checkpoint, such as a
weaker policy, which writes the program that it takes for the likeliest; and an n-gram table, which
does not know what is asked and is there to be compared with.

What differs from the paper:

1. Success is that of the training episodes, not of evaluations between them.
2. The paper compares with the best moving average; here windows do not overlap.
3. h is a share of the program and not a number of steps, because programs differ in length.
4. The learner does not begin with the guide's value function.

With the canonical solution as guide, this is CCCS with one h for all problems and without regard
for syntax.

    python -m agents.methods jsrl --model runs/sft --guide checkpoint --guide-model runs/ppo/last
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from agents import ppo
from agents.command import refuse_unused
from agents.methods.guides import Guide, ngram_guide, policy_guide
from agents.policy import CausalLMPolicy
from agents.running import train
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet
from codegym.start_states import JumpStart

__all__ = ["JSRL", "Args", "jump_start", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(ppo.Args):
    """PPO from where a guide stopped writing."""

    guide: Literal["canonical", "checkpoint", "ngram"] = "canonical"
    """who begins the programs"""
    guide_model: str = ""
    """folder of the policy that guides, with guide="checkpoint" """
    ngram: int = 4
    """tokens that the table counts together, with guide="ngram" """
    horizons: int = 10
    """values of h, from the guide's whole program to none of it"""
    window: int = 256
    """episodes whose success is averaged before h may fall"""
    tolerance: float = 0.1
    """how far below the best average, as a share of it, success may be for h to fall"""
    random_horizon: bool = False
    """whether h is drawn for each episode instead"""
    start: str = "jsrl"
    """cannot be another one: the guide decides"""
    out: Path = Path("runs/jsrl")
    """as PPO's"""

    def __post_init__(self) -> None:
        """Refuses a guide that is not there, and settings without effect."""
        refuse_unused(self, ("start",), False, "a method that draws its start states otherwise")
        checkpoint, curriculum = self.guide == "checkpoint", not self.random_horizon
        refuse_unused(self, ("guide_model",), checkpoint, 'guide="checkpoint"')
        refuse_unused(self, ("ngram",), self.guide == "ngram", 'guide="ngram"')
        refuse_unused(self, ("window", "tolerance"), curriculum, "random_horizon=False")
        if checkpoint and not self.guide_model:
            raise ConfigurationError(
                'guide="checkpoint" needs the folder of a policy: guide_model=.'
            )
        if self.ngram < 1:
            raise ConfigurationError(f"ngram must be 1 or more, got {self.ngram}.")
        super().__post_init__()


class JSRL(ppo.PPO):
    """A run of JSRL."""

    name = "JSRL"

    args: Args

    def __init__(self, args: Args, *, problems: ProblemSet, **parts: Any) -> None:
        start_states = jump_start(args, problems)
        super().__init__(args, problems=problems, start_states=start_states, **parts)

    def iterate(self) -> dict[str, float]:
        """An iteration of PPO; tells which share of its program the guide writes, too."""
        metrics = super().iterate()
        if not self.args.random_horizon:
            horizon = float(self.start_states.state_dict()["horizon"])
            metrics["jsrl/horizon"] = horizon / (self.args.horizons - 1)
        return metrics


def jump_start(args: Args, problems: ProblemSet) -> JumpStart:
    """The start states of the settings, with the guide that they name."""
    guides: dict[str, Guide] = {}
    if args.guide == "checkpoint":
        policy = CausalLMPolicy.from_pretrained(args.guide_model).to(args.device).eval()
        guides["guide"] = policy_guide(policy, args, problems)
    elif args.guide == "ngram":
        guides["guide"] = ngram_guide(args, problems, order=args.ngram, seed=args.seed)
    return JumpStart(
        **guides,
        horizons=args.horizons,
        window=args.window,
        tolerance=args.tolerance,
        random=args.random_horizon,
    )


def run(args: Args, logger: RunLogger) -> None:
    """The command."""
    train(JSRL.make, args, logger)
