"""WHAT HAS BEEN WRITTEN? Program text with exact byte, line and token positions, and its syntax."""

from codegym.programs.answer import ExtractedProgram, extract_program
from codegym.programs.executed import ExecutedLines
from codegym.programs.lines import NEUTRAL, neutral_lines
from codegym.programs.program import Program, token_spans
from codegym.programs.scored_lines import scored_line_ends
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
    "ExtractedProgram",
    "Program",
    "Statement",
    "comments",
    "conditional_starts",
    "extract_program",
    "neutral_lines",
    "scored_line_ends",
    "statements",
    "token_spans",
]
