"""An answer's score: its grade, the reward's terms, and what trainers log beside it.

Integrations that are called once for each answer, from one event loop or many threads, share
their graders here: one for each set of limits in a process.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from codegym.execution.limits import ExecutionLimits
from codegym.grading.grader import Grader
from codegym.grading.limits import make_limits
from codegym.grading.verdict import Grade
from codegym.integrations.completions import CompletionGrade, grade_completion_async
from codegym.problems.problem import Problem
from codegym.rewards.registry import make_reward
from codegym.rewards.reward import checked_terms

__all__ = ["RewardSpec", "Score", "score_completion", "shared_grader"]

RewardSpec = str | Callable[[Grade], float | Mapping[str, float]]
"""A reward's name (``"stepcoder"``, ``"binary"``, ``"pass_ratio"``, ``"rltf"``) or a function."""


@dataclasses.dataclass(frozen=True, slots=True)
class Score:
    """What an answer is worth.

    Attributes:
        reward: The sum of the reward's terms.
        terms: The terms, by name.
        grade: The grade that they were made of.
    """

    reward: float
    terms: Mapping[str, float]
    grade: CompletionGrade


async def score_completion(
    completion: str | Sequence[Mapping[str, Any]],
    problem: Problem,
    *,
    reward: RewardSpec = "binary",
    grader: Grader | None = None,
) -> Score:
    """Grades an answer and says what it is worth, without holding up the event loop.

    Args:
        completion: The answer, as a text or as chat messages.
        problem: What was asked.
        reward: Makes the reward of the grade (see :func:`codegym.rewards.make_reward`).
        grader: Runs and judges the program; default: one that all calls in this process share.

    Raises:
        ConfigurationError: If an argument has no meaning.
        RewardError: If the reward is no finite number.
        ExecutionError: If codegym could not run the program. That is never a score.
        JudgeError: If the problem's checker failed on the answer. Nor is that.
    """
    make = make_reward(reward)
    grade = await grade_completion_async(completion, problem, grader=grader)
    terms = checked_terms(make, grade)
    return Score(sum(terms.values()), terms, grade)


def shared_grader(limits: ExecutionLimits | Mapping[str, float] | None = None) -> Grader | None:
    """The grader that all of this process share which want these limits.

    Args:
        limits: What one test may use, as an object or a mapping of its fields.

    Returns:
        A grader, or None for that of :func:`~codegym.integrations.grade_completion`, if no limits
        are given.

    Raises:
        UnknownNameError: If the mapping names a limit that does not exist.
        ConfigurationError: If a limit is out of range.
    """
    return None if limits is None else _grader_with(make_limits(limits))


@functools.cache
def _grader_with(limits: ExecutionLimits) -> Grader:
    return Grader(limits=limits)
