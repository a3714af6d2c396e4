"""The job that every trainer is given, and what is measured of an iteration."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from agents import ppo
from codegym.problems import ProblemSet

__all__ = ["Iteration", "Job"]


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """Same weights, problems, lengths and batch for all.

    Attributes:
        args: Episodes an iteration, epochs, minibatches, lengths, learning rate, KL coefficient,
            reward.
        policy: Folder of the policy that each block begins with.
        problems: What is asked, all from the empty prefix.
        iterations: Measured in a block, after one that warms up.
    """

    args: ppo.Args
    policy: Path
    problems: ProblemSet
    iterations: int


@dataclasses.dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration: programs are written, judged, and learned from.

    Attributes:
        tokens: Generated tokens. Each is sampled once and trained on once an epoch.
        seconds: Wall time.
        generate: Seconds of it in which tokens were written (environment steps included).
        judge: Seconds of it in which nothing was done but wait for grades.
        solved: Share of programs that passed.
    """

    tokens: int
    seconds: float
    generate: float
    judge: float
    solved: float
