"""`codegym data validate`: do reference solutions pass (gold), and does a stub fail (noop)?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from codegym.commands.console import Console
from codegym.commands.options import Judging
from codegym.commands.results import refuse_inputs
from codegym.commands.samples.files import OURS
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.grading import Grader
from codegym.problems import (
    SOURCES,
    Finding,
    FindingKind,
    Problem,
    ProblemSet,
    load_problems,
    validate,
)

__all__ = ["Args", "run"]

_AT_ONCE = 64
_LISTED = 20
_NOT_OF_THE_SOLUTION = (
    FindingKind.STUB_PASSES,
    FindingKind.CHECKER_FAILS,
    FindingKind.CHECKER_ACCEPTS,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(Judging):
    """Checks that problems are sound, with the words of verifiers.

    gold: the reference solution passes, in each of its runs. noop: a program that does nothing does
    not pass. Writes a result for each problem. The exit status is 0 if all problems are sound, and
    1 if not, or if rows of the data could not be used.
    """

    target: Annotated[str, tyro.conf.Positional]
    """name of a source, or a file of problems; "sample" with --source apps_plus"""
    source: str | None = None
    """how the file is read; default: custom"""
    split: str | None = None
    """split of the source; default: all"""
    runs: int = 2
    """how often each reference solution is run"""
    limit: int | None = None
    """only so many problems"""
    out: Path | None = None
    """file of the results; default: NAME.codegym.validation.jsonl in this folder"""
    overwrite: bool = False
    """replace results that are there already"""


def run(args: Args, console: Console) -> int:
    """The command.

    Args:
        args: The command line.
        console: Where it prints.

    Returns:
        0 if all problems are sound, else 1.

    Raises:
        UnknownNameError: If there is neither such a source nor such a file.
        ConfigurationError: If results are in the way, or an argument has no meaning.
        CodegymError: If the problems cannot be read, or this machine cannot run programs.
    """
    problems = _problems(args)
    out = args.out or Path(f"{_name(args.target)}{OURS}validation.jsonl")
    if out.exists() and not args.overwrite:
        raise ConfigurationError(
            f"{out} is there already. Replace it with --overwrite, or name another file with --out."
        )
    if Path(args.target).exists():
        refuse_inputs([out], [Path(args.target)])
    rows: list[dict[str, Any]] = []
    with (
        args.executor() as executor,
        args.grader(executor, cache_size=0) as grader,
        out.open("w", encoding="utf-8") as file,
        console.progress("validating", len(problems)) as progress,
    ):
        for start in range(0, len(problems), _AT_ONCE):
            batch = list(problems[start : start + _AT_ONCE])
            found = _validated(batch, grader, args.runs)
            file.writelines(json.dumps(row) + "\n" for row in found)
            file.flush()
            rows += found
            progress(len(rows))
    skipped = [str(row) for row in problems.report.skipped]
    summary = {
        "source": problems.report.source,
        "problems": len(rows),
        "sound": sum(row["sound"] for row in rows),
        "gold": sum(row["gold"] == "pass" for row in rows),
        "noop": sum(row["noop"] == "pass" for row in rows),
        "skipped_rows": skipped,
        "unsound": [row for row in rows if not row["sound"]],
        "results": str(out),
    }
    _show(console, summary)
    console.json(summary)
    return 0 if summary["sound"] == len(rows) and not skipped else 1


def _problems(args: Args) -> ProblemSet:
    is_source = args.target in SOURCES
    if is_source and args.source is not None:
        raise ConfigurationError(
            f"{args.target!r} is a source, so --source {args.source} has no effect. Leave it out, "
            f"or write ./{args.target} if a file is meant."
        )
    if is_source:
        problems = load_problems(args.target, split=args.split, allow_sample=False)
    elif Path(args.target).exists() or (args.target == "sample" and args.source is not None):
        problems = load_problems(args.source or "custom", data=args.target, split=args.split)
    else:
        raise UnknownNameError("source, and there is no such file,", args.target, SOURCES)
    # All rows have been read by then, so that those which cannot be used are known.
    return problems if args.limit is None else problems.take(args.limit)


def _name(target: str) -> str:
    return Path(target).name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")


def _validated(batch: Sequence[Problem], grader: Grader, runs: int) -> list[dict[str, Any]]:
    report = validate(batch, grader, runs=runs, check_stub=True)
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.problem_id, []).append(finding)
    return [_row(problem, found.get(problem.id, []), runs) for problem in batch]


def _row(problem: Problem, findings: Sequence[Finding], runs: int) -> dict[str, Any]:
    stub = [f for f in findings if f.kind is FindingKind.STUB_PASSES]
    gold = [f for f in findings if f.kind not in _NOT_OF_THE_SOLUTION]
    if not gold:
        verdict, verdicts = "pass", ["accepted"] * runs
    else:
        missing = gold[0].kind is FindingKind.NO_SOLUTION
        verdict, verdicts = "missing" if missing else "fail", list(gold[0].verdicts)
    return {
        "problem_id": problem.id,
        "sound": not findings,
        "gold": verdict,
        "gold_verdicts": verdicts,
        "noop": "fail" if stub else "pass",
        "reason": "; ".join(f"{f.kind}: {f.message}" for f in findings),
    }


def _show(console: Console, summary: dict[str, Any]) -> None:
    console.table(
        f"validation of {summary['source']}",
        ("problems", "sound", "gold passes", "noop is rejected", "rows skipped"),
        [
            [summary[name] for name in ("problems", "sound", "gold", "noop")]
            + [len(summary["skipped_rows"])]
        ],
        right=5,
    )
    unsound = summary["unsound"]
    if unsound:
        shown = unsound[:_LISTED]
        console.table(
            f"the first {len(shown)} of {len(unsound)} problems that are not sound",
            ("problem", "gold", "noop", "reason"),
            ((r["problem_id"], r["gold"], r["noop"], r["reason"]) for r in shown),
        )
    for row in summary["skipped_rows"][:_LISTED]:
        console.print(f"skipped: {row}")
    console.print(f"results: {summary['results']}")
