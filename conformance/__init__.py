"""The conformance suite: named programs that a grader must accept or reject, as data.

`table.CASES` is the suite. `tests/execution` runs it on codegym, `benchmarks/conformance.py`
runs it on codegym and on other people's graders.
"""
