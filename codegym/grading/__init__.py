"""IS IT RIGHT?

Compares what an executor saw with what a problem expects, on plain data: in this process what is
small, in a helper with limits what is large or strange.
"""

from __future__ import annotations

from codegym.grading.compare import same_output, same_value
from codegym.grading.failing_test import FailingTest, failing_test
from codegym.grading.grader import Grader
from codegym.grading.pass_rate import pass_at_k, wilson_interval
from codegym.grading.verdict import Grade, TestGrade, Verdict

__all__ = [
    "FailingTest",
    "Grade",
    "Grader",
    "TestGrade",
    "Verdict",
    "failing_test",
    "pass_at_k",
    "same_output",
    "same_value",
    "wilson_interval",
]
