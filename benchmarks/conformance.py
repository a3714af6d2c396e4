"""Runs the conformance suite on codegym's grader and on other people's.

Usage, from the repository::

    python -m benchmarks.conformance [--graders FOLDER] [--only codegym verl ...] [--resume]

Without FOLDER, codegym alone is asked. FOLDER holds one checkout for each other grader, under the
name of its adapter (`git clone https://github.com/openai/human-eval FOLDER/human-eval`, and so on;
`--list` prints all), and `FOLDER/env`, a virtual environment with `numpy pandas psutil pydantic`.
What is not there is left out.

Every case is run in containment of its own (see `graders/contain.py`), codegym's too; where this
machine cannot contain them, nothing is run. The table goes to
``benchmarks/results/conformance.json`` and ``conformance.md``. It takes about an hour on two CPUs;
a run that was interrupted goes on with `--resume`.

An outcome is `ok`; `false reject` of an honest program; `false accept` of another; `host effect`,
if the program changed something outside, left a process, connected, ate more than 1 GiB or read
what it should not; `crash`, if the grader died or gave no verdict in 60 s; `n/a`, if the grader's
interface cannot express the case. An honest program that is not accepted is run a second time.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.graders.adapters.table import ADAPTERS
from benchmarks.graders.contain import Containment, ContainmentError
from benchmarks.graders.report import OUTCOMES, as_markdown
from benchmarks.graders.task import Adapter, Road, Task
from codegym.problems import CallTest, CodeTest, StdinTest, UnitTest
from conformance.case import SECRET, SECRET_VARIABLE, Case
from conformance.table import CASES

ROOT = Path(__file__).parents[1]
_WRITE_EVERY = 50
_LIMITS = (1.0, 3.0, 2**28)
RESULTS = Path(__file__).parent / "results"


def task_of(case: Case, *, calls: bool) -> Task:
    """The case as a task; `calls` asks for its variant with calls, if it has one."""
    tests: tuple[UnitTest, ...] = case.calls if calls and case.calls else case.tests
    limits = case.limits
    return Task(
        road="lines" if not tests else _road(tests[0]),
        program=case.program,
        tests=tuple(map(_words, tests)),
        entry_point="f" if calls and case.calls else case.entry_point,
        limits=(limits.cpu_seconds, limits.wall_seconds, limits.memory_bytes),
    )


def _road(test: UnitTest) -> Road:
    if isinstance(test, StdinTest):
        return "lines"
    return "calls" if isinstance(test, CallTest) else "code"


def _words(test: UnitTest) -> tuple[str, str]:
    if isinstance(test, StdinTest):
        return test.stdin, test.stdout
    if isinstance(test, CodeTest):
        return test.source, test.name
    return repr(test.args), repr(test.expected)


def outcome(case: Case, adapter: Adapter, report: dict[str, Any]) -> str:
    """Which of `OUTCOMES` a report is."""
    if "accepted" not in report and not adapter.remote:
        return "crash"
    accepted = report.get("accepted", False)
    if not adapter.remote and (report["effects"] or (case.leak and accepted)):
        return "host effect"
    if accepted is (case.kind == "accept"):
        return "ok"
    return "false reject" if case.kind == "accept" else "false accept"


def ask(
    case: Case, adapter: Adapter, containment: Containment, python: Path, sources: Path
) -> dict[str, Any]:
    """Runs one case on one grader."""
    task = task_of(case, calls="lines" not in adapter.roads)
    pointless = (case.ours and adapter.name != "codegym") or (case.leak and adapter.remote)
    pointless |= case.lenient and adapter.exact
    if pointless or not adapter.can_ask(task):
        return {"outcome": "n/a"}
    for _ in range(2):  # a busy machine may have been too slow for an honest program
        report = containment.run(adapter.name, task, python, sources)
        kind = outcome(case, adapter, report)
        if kind == "ok" or case.kind == "reject":
            break
    words = report.get("words") or report.get("killed") or report.get("error") or "no verdict"
    if "exit" in report and "accepted" not in report and "error" not in report:
        words = f"no verdict, exit code {report['exit']}"
    entry = {"outcome": kind, "said": words[-300:], "seconds": report.get("seconds")}
    if report.get("effects"):
        entry["effects"] = report["effects"]
    entry = {name: _without_folders(said) for name, said in entry.items()}
    if adapter.name == "codegym" and not _as_expected(case, words):
        entry["unexpected"] = f"expected one of {[str(v) for v in case.verdicts]}"
    return entry


def _without_folders(said: Any) -> Any:
    """Paths of this machine, in what graders say, without the folders."""
    if isinstance(said, list):
        return [_without_folders(each) for each in said]
    return re.sub(r"(?:/[\w.+-]+)+/", ".../", said) if isinstance(said, str) else said


def _as_expected(case: Case, words: str) -> bool:
    return any(words.startswith(str(verdict)) for verdict in case.verdicts)


def control(adapter: Adapter, containment: Containment, python: Path, sources: Path) -> str:
    """Why this grader cannot be asked: it fails on a right or on a wrong program of one line."""
    lines = "lines" in adapter.roads
    body = "print({} * int(input()))" if lines else "def f(x): return {} * x"
    tests = (("3\n", "6\n"),) if lines else (("(3,)", "6"),)
    for factor, right in ((2, True), (3, False)):
        entry_point = None if lines else "f"
        task = Task("lines" if lines else "calls", body.format(factor), tests, entry_point, _LIMITS)
        report = containment.run(adapter.name, task, python, sources)
        if report.get("accepted") is not right:
            return f"is not in order: {report.get('error') or report}"
    return ""


def version_of(sources: Path) -> str:
    """The commit and its date."""
    command = ["git", "-C", str(sources), "log", "-1", "--format=%h of %cs"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown version"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--graders", type=Path, help="folder of checkouts and of env/")
    parser.add_argument("--only", nargs="*", choices=ADAPTERS, default=list(ADAPTERS))
    parser.add_argument("--cases", default="", help="only cases whose name contains this")
    parser.add_argument("--groups", nargs="*", help="only cases of these groups")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th case")
    parser.add_argument("--jobs", type=int, default=2, help="cases that run side by side")
    parser.add_argument("--list", action="store_true", help="list the graders and end")
    parser.add_argument("--resume", action="store_true", help="ask only what was not asked before")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    return parser.parse_args()


def places(args: argparse.Namespace) -> dict[str, tuple[Path, Path]]:
    """Interpreter and sources of each grader that is here."""
    found = {"codegym": (Path(sys.executable), ROOT)} if "codegym" in args.only else {}
    if args.graders is not None:
        folder = args.graders.absolute()
        for name in args.only:
            if name != "codegym" and (folder / name).is_dir():
                found[name] = (folder / "env" / "bin" / "python", folder / name)
    for name in args.only:
        if name not in found:
            print(f"{name}: not in the folder, left out", file=sys.stderr)
    return found


def earlier(folder: Path, versions: dict[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Entries of the last run, by what was asked and grader, of graders that have not changed."""
    path = folder / "conformance.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text())
    same = {n for n, grader in content["graders"].items() if versions.get(n) == grader["version"]}
    return {
        (entry["asked"], name): entry
        for case in content["cases"]
        for name, entry in case["said"].items()
        if name in same and "asked" in entry
    }


def fingerprint(case: Case) -> str:
    """Changes with anything that decides what is asked."""
    asked = "".join(task_of(case, calls=calls).to_json() for calls in (False, True))
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def write(
    folder: Path, command: str, versions: dict[str, str], rows: dict[str, dict[str, Any]]
) -> str:
    """Writes both files; returns the page. Cases that were not put to all graders are left out."""
    content = {
        "settings": {
            "date": datetime.date.today().isoformat(),
            "command": command,
            "python": platform.python_version(),
            "kernel": platform.release(),
            "cpus": os.cpu_count(),
        },
        "graders": {
            name: {
                "version": version,
                "function": ADAPTERS[name].function,
                "source": ADAPTERS[name].source,
                "remark": ADAPTERS[name].remark,
            }
            for name, version in versions.items()
        },
        "cases": [
            {"name": c.name, "kind": c.kind, "group": c.group, "tries": c.tries}
            | {"said": {name: rows[c.name][name] for name in versions}}
            for c in CASES
            if rows[c.name].keys() >= versions.keys()
        ],
    }
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "conformance.json").write_text(json.dumps(content, indent=1) + "\n")
    page = as_markdown(content)
    (folder / "conformance.md").write_text(page)
    return page


def main() -> None:
    """Runs the benchmark from the command line."""
    args = _arguments()
    if args.list:
        for adapter in ADAPTERS.values():
            print(f"{adapter.name:15}{adapter.source:50}{adapter.function}")
        return
    containment = Containment((SECRET_VARIABLE, SECRET))
    try:
        containment.check()
    except ContainmentError as error:
        sys.exit(f"Nothing was run: {error}")
    graders = places(args)
    for name in list(graders):
        if complaint := control(ADAPTERS[name], containment, *graders[name]):
            print(f"{name} {complaint}; left out", file=sys.stderr)
            del graders[name]
    versions = {name: version_of(place[1]) for name, place in graders.items()}
    groups = args.groups or {case.group for case in CASES}
    cases = [case for case in CASES if args.cases in case.name and case.group in groups]
    cases = cases[:: args.every]
    known = earlier(args.results, versions) if args.resume else {}
    rows: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    command = f"python -m benchmarks.conformance --graders FOLDER --jobs {args.jobs}"
    command += f" --every {args.every}" if args.every > 1 else ""
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as threads:
        futures = {}
        for case in cases:
            asked = fingerprint(case)
            for name, place in graders.items():
                if (asked, name) in known:
                    rows[case.name][name] = known[asked, name]
                else:
                    future = threads.submit(ask, case, ADAPTERS[name], containment, *place)
                    futures[future] = (case, name, asked)
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            case, name, asked = futures[future]
            rows[case.name][name] = entry = future.result() | {"asked": asked}
            if "unexpected" in entry or (name == "codegym" and entry["outcome"] != "ok"):
                print(f"\r{case.name}: {entry}", file=sys.stderr)
            print(f"\r{done}/{len(futures)} ", end="", file=sys.stderr, flush=True)
            if done % _WRITE_EVERY == 0:
                write(args.results, command, versions, rows)
    page = write(args.results, command, versions, rows)
    print("\n" + page.partition("\n## ")[0], f"\nOutcomes: {', '.join(OUTCOMES)}")


if __name__ == "__main__":
    main()
