"""WHAT IS IT WORTH? Rewards: named terms that are functions of the grade."""

from codegym.rewards.outcome import (
    BinaryReward,
    PassRatioReward,
    RLTFReward,
    StepCoderReward,
)
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
    "RLTFReward",
    "Reward",
    "StepCoderReward",
    "WeightedReward",
    "checked_terms",
    "make_reward",
]
