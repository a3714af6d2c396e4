"""HOW DO OTHERS TRAIN ON IT? The seams of other people's trainers.

Everything here rests on two functions: :func:`grade_completion` finds the program in an answer and
grades it, :func:`mask_for` says which of the answer's tokens the grade depends on. Who has the
tokens of an answer makes them a text with :func:`decode_answer`. A module of its own serves each
trainer, and imports it only where it is used.
"""

from codegym.integrations.completions import (
    CompletionGrade,
    answer_text,
    decode_answer,
    grade_completion,
    grade_completion_async,
    mask_for,
)

__all__ = [
    "CompletionGrade",
    "answer_text",
    "decode_answer",
    "grade_completion",
    "grade_completion_async",
    "mask_for",
]
