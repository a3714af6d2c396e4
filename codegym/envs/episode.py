"""What reset drew: a value that stays the same until the episode ends."""

from __future__ import annotations

import dataclasses
from typing import Any

from codegym.envs.prompt_format import Prompt
from codegym.problems.problem import Problem
from codegym.programs.answer import ExtractedProgram, extract_program
from codegym.start_states.start_state import Reference, StartState

__all__ = ["LITERAL", "Episode", "program_bytes"]

_ESCAPES = "".join(map(chr, range(0xDC80, 0xDD00)))
LITERAL = -1
"""The stage of an episode whose given code was a literal `prefix` option."""


@dataclasses.dataclass(frozen=True, slots=True)
class Episode:
    """What reset drew; constant until the end.

    Attributes:
        problem: What is asked.
        prompt: How it is shown.
        reference: The canonical program, seen from where the prompt ends.
        start: The given code and its stage; stage -1 if it was a literal prefix.
        problem_drawn: Whether the sampler chose the problem, and so learns from its grade.
        start_drawn: Whether the start distribution chose the start, and so learns from it.
        start_length: Number of tokens of prompt and given code.
        prompt_length: Number of prompt tokens.
        written_from: Byte offset in the program at which generated code begins; in the answer
            where the program is found in one.
    """

    problem: Problem
    prompt: Prompt
    reference: Reference
    start: StartState
    problem_drawn: bool
    start_drawn: bool
    start_length: int
    prompt_length: int
    written_from: int

    @property
    def given(self) -> bytes:
        """Bytes of the program that are not generated: header and given code."""
        return program_bytes(self.prompt.header + self.start.prefix)

    def answer(self, written: bytes) -> tuple[str, ExtractedProgram | None]:
        """The whole answer where the program is found in one, and the program if there is any.

        Args:
            written: What was generated of it.
        """
        begun = self.prompt.answer.begun if self.prompt.answer else ""
        given = program_bytes(begun + self.start.prefix)
        text = (given + written).decode("utf-8", "surrogateescape")
        # A prefix of tokens may end within a character, which then is written.
        size = len(given.decode("utf-8", "surrogateescape").rstrip(_ESCAPES))
        return text, extract_program(text[size:], text[:size])

    def info(self) -> dict[str, Any]:
        """What ``reset`` tells of it."""
        return {
            "problem_id": self.problem.id,
            "source": self.problem.source,
            "difficulty": self.problem.difficulty,
            "stage": self.start.stage,
            "num_stages": self.start.num_stages,
            "prompt_length": self.prompt_length,
            "start_length": self.start_length,
        }


def program_bytes(text: str) -> bytes:
    """The bytes of program text; surrogate escapes stand for bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape")
