"""From a grade to the last step of an episode: reward, named terms, masks and info."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym.grading.verdict import Grade
from codegym.masks.loss_mask import loss_mask, statement_coverage
from codegym.programs.program import Program
from codegym.rewards.reward import Reward, checked_terms
from codegym.tokenization.tokenizer import Tokenizer

__all__ = ["Outcome", "assess"]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the last step of an episode returns.

    Attributes:
        reward: Sum of the reward's terms.
        info: All keys of the last step.
    """

    reward: float
    info: dict[str, Any]


def assess(
    program: Program,
    grade: Grade,
    *,
    reward: Reward,
    tokenizer: Tokenizer,
    generated: npt.NDArray[np.int64],
    written_from: int,
    start_length: int,
    context_length: int,
    info: Mapping[str, Any],
    curriculum: Mapping[str, float],
) -> Outcome:
    """Scores a graded program.

    Args:
        program: The whole program.
        grade: Its grade.
        reward: Values the grade.
        tokenizer: Tells which bytes a token spells.
        generated: (N,) int64 generated tokens.
        written_from: Byte offset in the program at which they begin.
        start_length: Number of tokens before them.
        context_length: L.
        info: What reset told of the episode.
        curriculum: State of the start distribution for this problem.

    Raises:
        RewardError: If the reward returned something that is no reward.
    """
    terms = checked_terms(reward, grade)
    mask = np.zeros(context_length, dtype=np.int8)
    mask[start_length : start_length + len(generated)] = loss_mask(
        program, grade.executed_lines, tokenizer, generated.tolist(), start=written_from
    )
    prompt_mask = np.zeros(context_length, dtype=np.int8)
    prompt_mask[:start_length] = 1
    return Outcome(
        reward=float(sum(terms.values())),
        info={
            **info,
            "program": program.text,
            "verdict": grade.verdict.value,
            "tests_passed": grade.tests_passed,
            "tests_total": grade.tests_total,
            "error_type": grade.error_type,
            "executed_lines": tuple(sorted(grade.executed_lines)),
            "coverage": statement_coverage(program, grade.executed_lines),
            "loss_mask": mask,
            "prompt_mask": prompt_mask,
            "reward_terms": terms,
            "curriculum": dict(curriculum),
        },
    )
