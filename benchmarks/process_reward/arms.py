"""The arms of `benchmarks/prm.py`: what lines are paid, and what the critic begins as."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import codegym
from agents.environments import make_tokenizer
from agents.models import make_policy
from agents.prm import reinforce as prm
from agents.telemetry import RunLogger
from benchmarks.process_reward.scorers import RandomScorer, ReferenceScorer, ScoresOfOthers
from benchmarks.token_budget import PPOToBudget
from codegym.problems import ProblemSet
from codegym.rewards import ProcessReward

__all__ = [
    "ACCOUNT",
    "ARMS",
    "BASE",
    "BOTH",
    "CORE",
    "LONGER",
    "Arm",
    "make_trainer",
    "model_folders",
]

BASE, LONGER, BOTH = "tests only", "tests only, longer", "dense + value init"


class Arm(NamedTuple):
    """What distinguishes the runs of an arm.

    Attributes:
        settings: Of :class:`agents.prm.reinforce.Args`.
        scores: In place of a reward model's: random or perfect ones, or the model's of others.
        of_perfect_labels: Whether its reward model is the one that is fitted to perfect labels.
        longer: Whether its budget has the programs in it that the labels took.
    """

    settings: Mapping[str, Any]
    scores: Literal["", "random", "perfect", "of others"] = ""
    of_perfect_labels: bool = False
    longer: bool = False

    @property
    def needs_labels(self) -> bool:
        """Whether it could not be run without the labels that completions gave."""
        return not self.of_perfect_labels and bool({"dense", "value_init"} & self.settings.keys())


ARMS = {
    BASE: Arm({}),
    "value init": Arm({"value_init": "affine"}),
    "dense": Arm({"dense": "outcome"}),
    "step": Arm({"dense": "step"}),
    BOTH: Arm({"dense": "outcome", "value_init": "affine"}),
    "random scores": Arm({}, scores="random"),
    "perfect scores": Arm({}, scores="perfect"),
    "pass ratio": Arm({"reward": "pass_ratio"}),
    LONGER: Arm({}, longer=True),
    "dense, perfect labels": Arm({"dense": "outcome"}, of_perfect_labels=True),
    "scores of others": Arm({"dense": "outcome"}, scores="of others"),
    "tests only, lambda 1": Arm({"gae_lambda": 1.0}),
    "dense, lambda 1": Arm({"gae_lambda": 1.0, "dense": "outcome"}),
}
CORE = tuple(ARMS)[:9]
"""The arms that come first."""
_FEW = ("step", "random scores", "pass ratio", LONGER)
ACCOUNT = tuple(arm for arm in ARMS if arm not in _FEW)
"""The arms that are compared over more seeds."""


def model_folders(arm: Arm, reward_model: Path, value_model: Path) -> dict[str, Path]:
    """Those of the models that an arm uses, as settings."""
    used = {}
    if "dense" in arm.settings:
        used["reward_model"] = reward_model
    if "value_init" in arm.settings:
        used["value_model"] = value_model
    return used


def make_trainer(
    arm: Arm,
    settings: prm.Args,
    problems: ProblemSet,
    grader: codegym.Grader,
    logger: RunLogger,
) -> PPOToBudget:
    """PPO with the reward and the critic of an arm.

    Args:
        arm: One of :data:`ARMS`.
        settings: With the arm's own in them.
        problems: What is trained on.
        grader: Judges; shared.
        logger: Keeps the scalars.
    """
    tokenizer = make_tokenizer(settings.tokenizer)
    model = prm.load_reward_model(settings, tokenizer, device=settings.device)
    reward: Any = prm.make_dense_reward(settings, settings.reward, model)
    if arm.scores == "random":
        reward = ProcessReward(RandomScorer(settings.seed), outcome=settings.reward)
    elif arm.scores == "perfect":
        reward = ProcessReward(ReferenceScorer(problems, tokenizer), outcome=settings.reward)
    elif arm.scores == "of others":
        assert model is not None  # the arm is dense
        others = ScoresOfOthers(prm.ModelScorer(model), settings.seed)
        reward = ProcessReward(others, outcome=settings.reward)
    trainer = PPOToBudget(
        settings,
        policy=make_policy(settings, vocab_size=tokenizer.vocab_size, seed=settings.seed),
        problems=problems,
        grader=grader,
        logger=logger,
        reward=reward,
        make_critic=lambda policy: prm.make_value_init(policy, settings, model),
    )
    prm.add_step_credit(trainer, settings)
    return trainer
