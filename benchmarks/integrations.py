"""Runs the tests of one integration with the real trainer (or browser), and keeps what came of it.

``make test-integrations`` calls this in an environment of each trainer's own, which has pytest. The
result is ``benchmarks/results/integrations_NAME.json``. It is written only if a test ran and none
failed, so that what is committed is the last good run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

__all__ = ["main"]

ASKED = "CODEGYM_INTEGRATION"
"""The variable that names the integration: `make test` does without a browser that it finds."""
TESTS = Path("tests/integrations")
RESULTS = Path("benchmarks/results")


class Outcomes:
    """A plugin of pytest that remembers how each test ended."""

    def __init__(self) -> None:
        self.tests: dict[str, str] = {}
        self.measured: dict[str, object] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keeps the outcome of the call, or what came before or after it and was worse.

        What a test measures, it says with pytest's ``record_property``.
        """
        if report.when == "call" or report.outcome != "passed":
            self.tests[report.nodeid.partition("::")[2]] = report.outcome
            self.measured |= dict(report.user_properties)


def main(arguments: list[str] | None = None) -> int:
    """Runs the tests of the integration that is named; returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="such as trl: tests/integrations/test_NAME.py")
    parser.add_argument("packages", nargs="*", help="whose versions are kept, if installed")
    given = parser.parse_args(arguments)
    os.environ[ASKED] = given.name
    outcomes = Outcomes()
    path = TESTS / f"test_{given.name}.py"
    code = int(pytest.main(["-p", "no:cacheprovider", "-q", str(path)], plugins=[outcomes]))
    if code != 0 or "passed" not in outcomes.tests.values():
        print(f"{path}: not all well, so no result is kept", file=sys.stderr)
        return code or 1
    installed = {found.name: found.version for found in metadata.distributions()}
    result = {
        "command": " ".join(["python -m benchmarks.integrations", given.name, *given.packages]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "packages": {name: installed[name] for name in given.packages if name in installed},
        "tests": outcomes.tests,
    }
    if outcomes.measured:
        result["measured"] = outcomes.measured
    kept = RESULTS / f"integrations_{given.name}.json"
    kept.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
