"""One program that somebody's model wrote, as it stands in a file."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Form", "Sample", "Unreadable", "Written"]


class Form(enum.StrEnum):
    """What the text of a sample is."""

    PROGRAM = "program"  #: A whole program.
    COMPLETION = "completion"  #: What follows the prompt, which is the problem's starter code.
    ANSWER = "answer"  #: The answer of a chat model, which holds a program somewhere.


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """The tokens of a sample, prompt and all, where a file has them.

    Attributes:
        token_ids: In the model's tokenizer, which the file does not name.
        start: How many there were before the first one that the model wrote.
        loss_mask: For each from `start` on, whether it may be learned from.
        numbers: Name to a number for each from `start` on, None where there is none:
            ``"logprobs"``, ``"advantages"``.
    """

    token_ids: Sequence[int]
    start: int
    loss_mask: Sequence[bool]
    numbers: Mapping[str, Sequence[float | None]]


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One program of a file.

    Attributes:
        where: Its place, unique in what is read, for humans as well: ``"line 3"``,
            ``"row 3, program 2"``, ``"7.jsonl line 3"``, ``"HumanEval_0/1.py"``.
        text: The text that the model wrote.
        form: What the text is.
        problem_id: The problem's id, as the file spells it; None if the file has none.
        position: The problem's position in its source, from 0, where that is all the file tells.
        prompt: What the model was shown, if the file has it.
        continues: Whether the prompt is all text that the text follows, such as a chat template
            makes of messages; else it is a message of the user.
        tests: The tests that the file has, such as verl's ground truth; else None.
        scores: What other graders said, by the name of their column: 1.0 and 0.0 for passed and
            failed, None where a grader said nothing.
        step: The step of the training, if the file has it.
        verdict: The verdict that codegym's own rewards logged, if the file has it.
        advantage: What the trainer made of the score, if the file has it.
        written: Its tokens, if the file has them.
    """

    where: str
    text: str
    form: Form
    problem_id: str | None = None
    position: int | None = None
    prompt: str | None = None
    continues: bool = False
    tests: Any = None
    scores: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    step: int | None = None
    verdict: str | None = None
    advantage: float | None = None
    written: Written | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """A row of a file that holds no sample.

    Attributes:
        where: Its place, as of a sample.
        reason: A sentence for a human.
    """

    where: str
    reason: str
