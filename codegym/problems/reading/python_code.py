"""Python source of unknown quality to syntax trees. Nothing is compiled or run."""

from __future__ import annotations

import ast
import re
import warnings

from codegym.errors import ProblemError

__all__ = ["parse_expression", "parse_python", "without_fence"]

_FENCE = re.compile(r"\s*```(?:python|py)?[ \t]*\n(.*?\n?)[ \t]*```\s*", re.DOTALL)


def parse_python(code: str, *, what: str = "the code") -> ast.Module:
    """The syntax tree of a program, without warnings for its style.

    Args:
        code: Python source.
        what: What it is, for the error message.

    Raises:
        ProblemError: If it is not Python of this interpreter's version.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a string is no reason to refuse a row
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ProblemError(f"{what} is not Python: {error}") from error


def parse_expression(code: str) -> ast.expr | None:
    """The syntax tree of one expression, or None if it is none."""
    try:
        body = parse_python(code.strip()).body
    except ProblemError:
        return None
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None


def without_fence(text: str) -> str:
    """The program in a text that is one code fence of Markdown; another text as it is."""
    match = _FENCE.fullmatch(text)
    return match[1] if match and "```" not in match[1] else text
