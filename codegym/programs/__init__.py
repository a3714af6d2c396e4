"""WHAT HAS BEEN WRITTEN? Program text with exact byte, line and token positions, and its syntax."""

from codegym.programs.program import Program, token_spans
from codegym.programs.syntax import (
    CONDITIONALS,
    Statement,
    comments,
    conditional_starts,
    statements,
)

__all__ = [
    "CONDITIONALS",
    "Program",
    "Statement",
    "comments",
    "conditional_starts",
    "statements",
    "token_spans",
]
