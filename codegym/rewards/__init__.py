"""WHAT IS IT WORTH? Rewards: named terms of the grade, and what the lines of a program add."""

from codegym.rewards.outcome import (
    BinaryReward,
    PassRatioReward,
    RLTFReward,
    StepCoderReward,
)
from codegym.rewards.process import ProcessReward, StepScorer
from codegym.rewards.registry import make_reward
from codegym.rewards.reward import (
    FunctionReward,
    Reward,
    WeightedReward,
    checked_terms,
)

__all__ = [
    "BinaryReward",
    "FunctionReward",
    "PassRatioReward",
    "ProcessReward",
    "RLTFReward",
    "Reward",
    "StepCoderReward",
    "StepScorer",
    "WeightedReward",
    "checked_terms",
    "make_reward",
]
