"""What a chat model is asked, for those that render the chat template themselves."""

from __future__ import annotations

from codegym.envs.prompt_format import ChatFormat
from codegym.problems.problem import Problem

__all__ = ["ask", "chat"]


def chat(problem: Problem, system: str = "") -> list[dict[str, str]]:
    """The messages of a chat up to the answer, as the environment's format ``"chat"`` has them.

    Args:
        problem: What is asked.
        system: A system message, or empty.
    """
    return ChatFormat(tokenizer=None, system=system).messages(problem)


def ask(problem: Problem) -> str:
    """The text of the user's message: the problem, and that one Python program is wanted.

    The program in the answer is found by the rules of :mod:`codegym.programs.answer`.
    """
    return chat(problem)[-1]["content"]
