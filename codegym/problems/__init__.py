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

__all__ = [
    "SOURCES",
    "BinaryTree",
    "CallTest",
    "CodeTest",
    "Comparison",
    "LinkedList",
    "LoadReport",
    "Problem",
    "ProblemSet",
    "SkippedRow",
    "StdinTest",
    "UnitTest",
    "flawed_solution",
    "load_mini",
    "load_problems",
]
