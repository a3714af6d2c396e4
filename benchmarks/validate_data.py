"""Validates the data sets: is each reference solution accepted, twice, and a stub rejected?

Usage::

    python benchmarks/validate_data.py --data FOLDER [--runs 2] [--only humaneval mbpp]

Looks in FOLDER (default: $CODEGYM_DATA) for the files in `SETS` and skips those that are not
there; the sample ships with the package and needs no folder. Prints a table and writes
``benchmarks/results/validation.json`` and ``validation.md``: counts, each exception with its cause,
and how each set's tests are judged (pairs, expressions, test code). Sets that are not validated
this time keep their rows if those were made with the same settings.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from codegym.execution import ExecutionLimits
from codegym.grading import Grader
from codegym.problems import CallTest, CodeTest, ProblemSet, load_problems, validate

SETS = {
    "humaneval": ("humaneval", "HumanEval.jsonl.gz"),
    "mbpp": ("mbpp", "sanitized-mbpp.json"),
    "leetcode-train": ("leetcode", "LeetCodeDataset-v0.2.0-train.jsonl.gz"),
    "leetcode-test": ("leetcode", "LeetCodeDataset-v0.2.0-test.jsonl.gz"),
    "leetcode-as-apps-plus": ("apps_plus", "leetcode_as_appsplus.json.gz"),
    "apps-sample": ("apps", "apps_sample.jsonl"),
    "apps-plus-sample": ("apps_plus", "sample"),
}
_PACKAGED = "sample"
"""What stands for a file where the set ships with the package."""
_ORDER = (
    "Every order of the ladders is right, the test accepts one, and the solution's depends on the "
    "order of a set of strings: it passes under some hash seeds (ours is fixed)."
)
CAUSES = {
    "word-ladder-ii": _ORDER,
    "126": _ORDER,
    "MBPP/123": "The solution tries every divisor of 9,999 numbers: about 5 s without tracing.",
}
"""What was found out by hand about reference solutions that are not accepted."""
RESULTS = Path(__file__).parent / "results"


def roads(problems: ProblemSet) -> dict[str, dict[str, int]]:
    """How many tests and problems are judged as pairs, expressions or test code."""
    tests: collections.Counter[str] = collections.Counter()
    by_problem: collections.Counter[str] = collections.Counter()
    for problem in problems:
        kinds = {_road(test) for test in problem.tests}
        tests.update(map(_road, problem.tests))
        by_problem["+".join(sorted(kinds))] += 1
    return {"tests": dict(sorted(tests.items())), "problems": dict(sorted(by_problem.items()))}


def _road(test: object) -> str:
    if isinstance(test, CodeTest):
        return "code"
    if isinstance(test, CallTest):
        return "pair" if test.expression is None else "expression"
    return "stdin"


def measure(name: str, folder: Path | None, runs: int) -> dict[str, Any]:
    """Loads and validates one set."""
    source, file = SETS[name]
    started = time.perf_counter()
    problems = load_problems(source, data=_data(name, folder), allow_sample=False)
    loaded = time.perf_counter()

    def progress(done: int, total: int) -> None:
        print(f"\r{name}: {done}/{total} ", end="", file=sys.stderr, flush=True)

    with Grader(cache_size=0) as grader:
        report = validate(problems, grader, runs=runs, check_stub=True, progress=progress)
    print(f"\r{report}", file=sys.stderr)
    return {
        "set": name,
        "source": source,
        "file": file,
        "rows": problems.report.read,
        "skipped": [str(row) for row in problems.report.skipped],
        "problems": report.checked,
        "accepted": report.accepted,
        "findings": [
            {**dataclasses.asdict(finding), "cause": CAUSES.get(finding.problem_id, "not known")}
            for finding in report.findings
        ],
        "roads": roads(problems),
        "load_seconds": round(loaded - started, 1),
        "validation_seconds": round(time.perf_counter() - loaded, 1),
    }


def _data(name: str, folder: Path | None) -> str | Path | None:
    """What ``data=`` is for a set; None if its file is not in the folder."""
    file = SETS[name][1]
    if file == _PACKAGED:
        return file
    path = None if folder is None else folder / file
    return path if path is not None and path.is_file() else None


def kept(settings: dict[str, Any], measured: list[str]) -> list[dict[str, Any]]:
    """Earlier results of other sets, if they were made with the same settings."""
    path = RESULTS / "validation.json"
    if not path.is_file():
        return []
    earlier = json.loads(path.read_text())
    if earlier["settings"] != settings:
        return []
    return [result for result in earlier["results"] if result["set"] not in measured]


def as_markdown(results: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    """The results as a page."""
    lines = [
        "# Validation of the data sets",
        "",
        f"`python benchmarks/validate_data.py --runs {settings['runs']}`: every reference "
        f"solution {settings['runs']} times, and a program that does nothing, once. "
        f"Python {settings['python']}, {settings['cpus']} CPUs, "
        f"{settings['cpu_seconds']:g} s of CPU time a test.",
        "",
        "| set | rows | skipped | accepted | pair | expression | code | stdin | load s | run s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        tests = r["roads"]["tests"]
        counts = " | ".join(str(tests.get(k, 0)) for k in ("pair", "expression", "code", "stdin"))
        lines.append(
            f"| {r['set']} | {r['rows']} | {len(r['skipped'])} | {r['accepted']} of "
            f"{r['problems']} | {counts} | {r['load_seconds']} | {r['validation_seconds']} |"
        )
    lines += ["", "Columns pair to stdin count tests. Exceptions:", ""]
    for r in results:
        lines += [f"- {r['set']}, {reason}" for reason in r["skipped"]]
        lines += [
            f"- {r['set']}, `{f['problem_id']}` {f['kind']}: {f['message']} Cause: {f['cause']}"
            for f in r["findings"]
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("CODEGYM_DATA"))
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=SETS, default=list(SETS))
    args = parser.parse_args()
    folder = None if args.data is None else Path(args.data)
    present = [name for name in args.only if _data(name, folder) is not None]
    for name in sorted(set(args.only) - set(present)):
        print(
            f"{name}: {SETS[name][1]} is not in --data or $CODEGYM_DATA, skipped", file=sys.stderr
        )
    settings = {
        "runs": args.runs,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "cpu_seconds": ExecutionLimits().cpu_seconds,
    }
    results = [measure(name, folder, args.runs) for name in present]
    results = sorted(kept(settings, present) + results, key=lambda r: list(SETS).index(r["set"]))
    RESULTS.mkdir(exist_ok=True)
    content = {"settings": settings, "results": results}
    (RESULTS / "validation.json").write_text(json.dumps(content, indent=1) + "\n")
    page = as_markdown(results, settings)
    (RESULTS / "validation.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
