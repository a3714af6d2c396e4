"""WHAT HAS BEEN WRITTEN? Program text with exact byte, line and token positions, and its syntax."""

from codegym.programs.executed import ExecutedLines
from codegym.programs.lines import NEUTRAL, neutral_lines
from codegym.programs.program import Program, token_spans
from codegym.programs.steps import step_tokens
from codegym.programs.syntax import (
    CONDITIONALS,
    Statement,
    comments,
    conditional_starts,
    statements,
)

__all__ = [
    "CONDITIONALS",
    "NEUTRAL",
    "ExecutedLines",
    "Program",
    "Statement",
    "comments",
    "conditional_starts",
    "neutral_lines",
    "statements",
    "step_tokens",
    "token_spans",
]
