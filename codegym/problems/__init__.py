"""WHAT IS ASKED?

Frozen problems, lazy sets of them, and one loader for every source. A data set of your own is a
:class:`Source` or a :class:`GeneratedSource`, made known by :func:`register_source`.
"""

from codegym.problems.checker import Checker
from codegym.problems.load import SOURCES, load_problems, register_source
from codegym.problems.mini.generator import flawed_solution
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
from codegym.problems.problem_set import LoadReport, ProblemSet, SkippedRow, Summary
from codegym.problems.reading.asserts import read_asserts, read_check
from codegym.problems.source import (
    GeneratedSource,
    Generator,
    RemoteFile,
    Row,
    Source,
    WeakCoder,
    hash_split,
)
from codegym.problems.sources.mini import load_mini
from codegym.problems.validation import Finding, FindingKind, ValidationReport, validate

__all__ = [
    "SOURCES",
    "BinaryTree",
    "CallTest",
    "Checker",
    "CodeTest",
    "Comparison",
    "Finding",
    "FindingKind",
    "GeneratedSource",
    "Generator",
    "LinkedList",
    "LoadReport",
    "Problem",
    "ProblemSet",
    "RemoteFile",
    "Row",
    "SkippedRow",
    "Source",
    "StdinTest",
    "Summary",
    "UnitTest",
    "ValidationReport",
    "WeakCoder",
    "flawed_solution",
    "hash_split",
    "load_mini",
    "load_problems",
    "read_asserts",
    "read_check",
    "register_source",
    "validate",
]
