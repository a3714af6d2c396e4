"""evalplus, its `untrusted_check` unmodified, as its own evaluation calls it (`fast_check`).

It takes functions and pairs of arguments and expected value, compares in the process that runs
the program, and stops at the first failure. Its time limit is one for each test.
"""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.grading_peers import serving


def main() -> None:
    """Serves."""
    # Not an import statement: the package is in a throw-away environment, not in ours.
    check = importlib.import_module("evalplus.eval").untrusted_check
    known: dict[int, tuple[list[Any], list[Any]]] = {}

    def supports(job: dict[str, Any]) -> bool:
        if job["pairs"] is None or not str(job["entry_point"]).isidentifier():
            return False
        pairs = eval(job["pairs"])
        known[id(job)] = [list(args) for args, _ in pairs], [value for _, value in pairs]
        return True

    def judge(job: dict[str, Any], limit: float) -> bool:
        inputs, expected = known[id(job)]
        status, _ = check(
            "humaneval",
            job["prelude"] + job["program"],
            inputs,
            job["entry_point"],
            expected,
            0,
            [0.0] * len(inputs),
            fast_check=True,
            min_time_limit=limit,
        )
        return bool(status == "pass")

    serving.serve(judge, supports)
