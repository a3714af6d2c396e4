"""IS IT RIGHT?

Compares what an executor saw with what a problem expects, in the parent, on plain data.
"""

from __future__ import annotations

from codegym.grading.compare import same_output, same_value
from codegym.grading.grader import Grader
from codegym.grading.verdict import Grade, TestGrade, Verdict

__all__ = ["Grade", "Grader", "TestGrade", "Verdict", "same_output", "same_value"]
