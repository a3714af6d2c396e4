"""From a grade to the last step of an episode: reward, named terms, masks and info."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym.envs.episode import Episode
from codegym.envs.spelling import AnswerSpelling, SpellingCache
from codegym.grading.verdict import Grade
from codegym.masks.answer_mask import answer_mask
from codegym.masks.loss_mask import loss_mask, statement_coverage
from codegym.programs.program import Program
from codegym.rewards.process.ledger import Paid

__all__ = ["Outcome", "assess", "same_values"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the last step of an episode returns.

    Attributes:
        reward: Reward of the last step.
        info: All keys of the last step.
    """

    reward: float
    info: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome):
            return NotImplemented
        return self.reward == other.reward and same_values(self.info, other.info)


def same_values(one: object, other: object) -> bool:
    """Whether two values are equal, arrays and dicts that hold arrays among them."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_values(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)  # type: ignore[arg-type]  # takes anything
    return bool(one == other)


def assess(
    episode: Episode,
    program: Program | None,
    generated: npt.NDArray[np.int64],
    grade: Grade,
    *,
    paid: Paid,
    tokenizer: SpellingCache,
    context_length: int,
    curriculum: Mapping[str, float],
) -> Outcome:
    """Scores a graded program.

    Args:
        episode: What reset drew.
        program: The whole program; None if there is none in the answer.
        generated: (N,) int64 generated tokens.
        grade: The program's grade.
        paid: What the episode is worth.
        tokenizer: Tells which bytes a token spells.
        context_length: L.
        curriculum: State of the start distribution for this problem.
    """
    start = episode.start_length
    mask = np.zeros(context_length, dtype=np.int8)
    if grade.judged:  # or there is nothing to be learned
        mask[start : start + len(generated)] = _mask(
            episode, program, grade.executed_lines, tokenizer, generated.tolist()
        )
    prompt_mask = np.zeros(context_length, dtype=np.int8)
    prompt_mask[:start] = 1
    info: dict[str, Any] = {}
    if paid.token_rewards is not None:
        info["token_rewards"] = np.zeros(context_length, dtype=np.float32)
        info["token_rewards"][start : start + len(generated)] = paid.token_rewards
    return Outcome(
        reward=paid.reward,
        info={
            **episode.info(),
            "program": "" if program is None else program.text,
            "verdict": grade.verdict.value,
            "tests_passed": grade.tests_passed,
            "tests_total": grade.tests_total,
            "error_type": grade.error_type,
            "error_line": grade.error_line or 0,
            "executed_lines": tuple(sorted(grade.executed_lines)),
            "coverage": (
                0.0 if program is None else statement_coverage(program, grade.executed_lines)
            ),
            "loss_mask": mask,
            "prompt_mask": prompt_mask,
            "reward_terms": dict(paid.terms),
            "curriculum": dict(curriculum),
            **info,
        },
    )


def _mask(
    episode: Episode,
    program: Program | None,
    executed_lines: Collection[int],
    tokenizer: SpellingCache,
    token_ids: Sequence[int],
) -> npt.NDArray[np.int8]:
    """(N,) int8: the loss mask of the generated tokens."""
    asked = episode.prompt.answer
    if program is not None and asked is None:
        return loss_mask(program, executed_lines, tokenizer, token_ids, start=episode.written_from)
    spelling = AnswerSpelling(tokenizer)
    answer, found = episode.answer(b"".join(map(spelling.token_bytes, token_ids)))
    return answer_mask(
        answer,
        found,
        executed_lines,
        spelling,
        token_ids,
        start=episode.written_from,
        outside=1 if asked is None else asked.outside,
    )
