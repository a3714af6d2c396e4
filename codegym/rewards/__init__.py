"""WHAT IS IT WORTH? Rewards: named terms of the grade, and what the lines of a program add."""

from codegym.rewards.outcome import (
    BinaryReward,
    PassRatioReward,
    RLTFReward,
    StepCoderReward,
)
from codegym.rewards.process.forms import (
    Difference,
    OutcomeWeighted,
    Potential,
    ProcessForm,
    RunningMean,
    make_process_form,
)
from codegym.rewards.process.reward import ProcessReward
from codegym.rewards.process.scorer import LineScorer
from codegym.rewards.registry import make_reward
from codegym.rewards.reward import (
    FunctionReward,
    Reward,
    WeightedReward,
    checked_terms,
)

__all__ = [
    "BinaryReward",
    "Difference",
    "FunctionReward",
    "LineScorer",
    "OutcomeWeighted",
    "PassRatioReward",
    "Potential",
    "ProcessForm",
    "ProcessReward",
    "RLTFReward",
    "Reward",
    "RunningMean",
    "StepCoderReward",
    "WeightedReward",
    "checked_terms",
    "make_process_form",
    "make_reward",
]
