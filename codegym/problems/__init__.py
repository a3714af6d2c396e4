"""WHAT IS ASKED?

Frozen problems, lazy sets of them, and one loader for every source.
"""

from codegym.problems.dataset import LoadReport, ProblemSet, SkippedRow
from codegym.problems.load import SOURCES, load_problems
from codegym.problems.mini import flawed_solution, load_mini
from codegym.problems.problem import (
    BinaryTree,
    CallTest,
    CodeTest,
    Comparison,
    LinkedList,
    Problem,
    StdinTest,
    UnitTest,
)
from codegym.problems.validation import Finding, FindingKind, ValidationReport, validate

__all__ = [
    "SOURCES",
    "BinaryTree",
    "CallTest",
    "CodeTest",
    "Comparison",
    "Finding",
    "FindingKind",
    "LinkedList",
    "LoadReport",
    "Problem",
    "ProblemSet",
    "SkippedRow",
    "StdinTest",
    "UnitTest",
    "ValidationReport",
    "flawed_solution",
    "load_mini",
    "load_problems",
    "validate",
]
