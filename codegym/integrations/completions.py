"""Grades the answers of chat models, and says which of their tokens a grade depends on.

How the program is found in an answer is said in :mod:`codegym.programs.answer`. A failure of
codegym's own is raised, as everywhere: it is never a grade.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from codegym.envs.spelling import AnswerSpelling, SpellingCache
from codegym.errors import ConfigurationError, JudgeError, TokenizationError
from codegym.grading.grader import Grader
from codegym.grading.judge import NO_PROGRAM, grade_without_program
from codegym.grading.verdict import Grade
from codegym.masks.answer_mask import answer_mask
from codegym.problems.problem import Problem
from codegym.programs.answer import ExtractedProgram, extract_program
from codegym.tokenization.registry import make_tokenizer
from codegym.tokenization.spelling import text_to_bytes
from codegym.tokenization.tokenizer import Tokenizer

__all__ = [
    "CompletionGrade",
    "answer_text",
    "decode_answer",
    "grade_completion",
    "grade_completion_async",
    "mask_for",
]

Completion = str | Sequence[Mapping[str, Any]]
"""What a model answered: its text, or the messages of a chat that it wrote."""


@dataclasses.dataclass(frozen=True, slots=True)
class CompletionGrade(Grade):
    """The verdict on the program in an answer.

    An answer without a program is a compile error on every test; nothing ran.

    Attributes:
        program: The program that was found, and where it is; None if there is none.
        given: What the prompt had already begun of the answer.
    """

    program: ExtractedProgram | None = None
    given: str = ""


def grade_completion(
    completion: Completion, problem: Problem, *, grader: Grader | None = None, given: str = ""
) -> CompletionGrade:
    r"""Finds the program in an answer and grades it.

    Args:
        completion: The answer, as a text or as chat messages (see :func:`answer_text`).
        problem: What was asked.
        grader: Runs and judges the program; default: one that all calls in this process share.
        given: What the prompt had already begun of the answer: an opening tag of reasoning, a
            fence, or a fence and the beginning of the program, which is then a part of it.

    Raises:
        ConfigurationError: If an argument is no such thing.
        ClosedError: If the grader was closed.
        ExecutionError: If codegym could not run the program; never the program's fault.
        JudgeError: If the problem's checker failed on the answer.

    Example:
        >>> from codegym.problems import CallTest, Problem
        >>> double = Problem("double", "Double x.", "", (CallTest((3,), 6),), entry_point="f")
        >>> answer = "Add it to itself:\n```python\ndef f(x):\n    return x + x\n```\n"
        >>> with Grader() as grader:
        ...     grade = grade_completion(answer, double, grader=grader)
        >>> grade.verdict.value, grade.program.text
        ('accepted', 'def f(x):\n    return x + x\n')
    """
    program = _find(completion, problem, given)
    if program is None:
        return _with_place(grade_without_program(problem, NO_PROGRAM), None, given)
    grader = _shared_grader() if grader is None else grader
    return _with_place(_judged(grader.grade(problem, program.text), problem), program, given)


async def grade_completion_async(
    completion: Completion, problem: Problem, *, grader: Grader | None = None, given: str = ""
) -> CompletionGrade:
    """What :func:`grade_completion` does, without holding up the event loop.

    If it is cancelled, a program that was not begun and that nobody else waits for is not run.
    """
    program = _find(completion, problem, given)
    if program is None:
        return _with_place(grade_without_program(problem, NO_PROGRAM), None, given)
    grader = _shared_grader() if grader is None else grader
    grade = await asyncio.wrap_future(grader.submit(problem, program.text))
    return _with_place(_judged(grade, problem), program, given)


def _judged(grade: Grade, problem: Problem) -> Grade:
    if not grade.judged:
        raise JudgeError(
            f"The checker of problem {problem.id!r} failed on an answer, so there is no verdict "
            f"and no reward: {grade.error_message} Find out with codegym.problems.validate()."
        )
    return grade


def answer_text(completion: Completion) -> str:
    """The text of an answer: as it is, or the content of the last message of the assistant.

    A content may be a text, a list of parts of which those of the type ``"text"`` count, or None
    (a message that only calls tools). Reasoning that stands in a field of its own is left out.

    Raises:
        ConfigurationError: If it is neither a text nor such messages.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Sequence):
        for message in reversed(completion):
            if not isinstance(message, Mapping):
                break
            if message.get("role") == "assistant":
                return _content(message.get("content"))
    raise ConfigurationError(
        "A completion is a str, or a list of chat messages such as "
        '{"role": "assistant", "content": "..."} of which at least one is the assistant\'s, got '
        f"{completion!r:.120}."
    )


def decode_answer(completion_ids: Sequence[int], tokenizer: Any) -> str:
    """The text of an answer's tokens, as it is to be graded.

    The tags of reasoning are in it also where they are special tokens of a model, which a decoder
    that skips those would lose: a draft within the reasoning could then be taken for the answer.
    Other special tokens are not. Bytes that are not UTF-8 become replacement characters.

    Args:
        completion_ids: (N,) the tokens of the answer.
        tokenizer: Whose tokens they are: one of codegym's, or a tokenizer object of
            ``transformers``.

    Raises:
        ConfigurationError: If the object is not a tokenizer.
        TokenizationError: If the tokenizer cannot spell code exactly.
    """
    return _readable(_wrapped(tokenizer).decode([int(token) for token in completion_ids]))


def mask_for(
    completion_ids: Sequence[int],
    tokenizer: Any,
    grade: CompletionGrade,
    *,
    outside: int = 1,
) -> list[int]:
    """Which tokens of an answer may be learned: FGO for answers, exact to the byte.

    Args:
        completion_ids: (N,) the tokens of the answer that was graded, end token included or not.
        tokenizer: Whose tokens they are: one of codegym's, or a tokenizer object of
            ``transformers``.
        grade: What :func:`grade_completion` said of the answer.
        outside: What prose, reasoning and fences get, 0 or 1. With 0, reasoning is not learned.

    Returns:
        N values of 0 and 1 (see :func:`codegym.masks.answer_mask`): 0 for the tokens of the program
        that belong to no executed statement. All 1 where no program was found.

    Raises:
        ConfigurationError: If the grade is no :class:`CompletionGrade` or `outside` no such value.
        TokenizationError: If the graded program is not in the text that the tokens spell.
    """
    if not isinstance(grade, CompletionGrade):
        raise ConfigurationError(
            "mask_for() needs the grade that grade_completion() returned, which says where the "
            f"program is; got {type(grade).__name__}."
        )
    wrapped = _wrapped(tokenizer)
    ids = [int(token) for token in completion_ids]
    answer = wrapped.decode(ids)
    mask: list[int] = answer_mask(
        grade.given + answer,
        None if grade.program is None else _place_in(answer, grade.program, grade.given),
        grade.executed_lines,
        wrapped,
        ids,
        start=len(text_to_bytes(grade.given)),
        outside=outside,
        judged=None if grade.program is None else grade.program.text,
    ).tolist()
    return mask


def _place_in(answer: str, graded: ExtractedProgram, given: str) -> ExtractedProgram:
    """Where the graded program is in what the tokens spell.

    That may be another text than the graded one: a trainer takes special tokens and reasoning out
    of it, and puts a replacement character for bytes that are not UTF-8.
    """
    found = extract_program(answer, given)
    if found is not None and graded.text in (found.text, _readable(found.text)):
        return found
    place = (given + answer).rfind(graded.text)
    if place >= 0:
        return ExtractedProgram(graded.text, ((place, place + len(graded.text)),))
    raise TokenizationError(
        "The graded program is not in the text that completion_ids spell, so there is no exact "
        f"mask. It begins with {graded.text[:60]!r}; the tokens end with {answer[-60:]!r}. Give "
        "the tokens of the answer that was graded, and grade the text that they spell: a decoder "
        "that cleans up spaces (clean_up_tokenization_spaces) changes programs."
    )


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _find(completion: Completion, problem: Problem, given: str) -> ExtractedProgram | None:
    if not isinstance(problem, Problem):
        raise ConfigurationError(
            f"Expected a codegym.Problem, got {type(problem).__name__}. Take one from a set, such "
            "as load_problems(...).by_id(...)."
        )
    return extract_program(answer_text(completion), given)


def _with_place(grade: Grade, program: ExtractedProgram | None, given: str) -> CompletionGrade:
    told = {field.name: getattr(grade, field.name) for field in dataclasses.fields(Grade)}
    return CompletionGrade(**told, program=program, given=given)


def _content(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, Sequence) and all(isinstance(part, Mapping) for part in content):
        return "".join(
            str(part.get("text") or "") for part in content if part.get("type") == "text"
        )
    raise ConfigurationError(
        f"The content of a message is a str, a list of parts or None, got {content!r:.120}."
    )


@functools.lru_cache(maxsize=4)
def _wrapped(tokenizer: Any) -> Tokenizer:
    # Reading a vocabulary takes longer than making a mask.
    return AnswerSpelling(SpellingCache(make_tokenizer(tokenizer)))


@functools.cache
def _shared_grader() -> Grader:
    return Grader()
