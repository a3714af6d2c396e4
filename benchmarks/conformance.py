"""Runs the conformance suite on codegym's grader and on other people's.

    python -m benchmarks.conformance [--graders FOLDER] [--only codegym verl ...] [--resume]

Without FOLDER, codegym alone is asked. FOLDER holds one checkout for each other grader, under the
name of its adapter (`git clone https://github.com/openai/human-eval FOLDER/human-eval`, and so on;
`--list` prints all), and `FOLDER/env`, a virtual environment with `numpy pandas psutil pydantic
click`. What is not there is left out.

Every case is run in containment of its own (see `peers/contain.py`), codegym's too; where this
machine cannot contain them, nothing is run. It takes about an hour on two CPUs; a run that was
interrupted goes on with `--resume`.

An outcome is `ok`; `false reject` of an honest program; `false accept` of another; `host effect`,
if the program changed something outside, left a process, connected, ate more than 1 GiB or read
what it should not; `crash`, if the grader died or gave no verdict in 60 s; `n/a`, if the grader's
interface cannot express the case. An honest program that is not accepted is run a second time.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import datetime
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks import page
from benchmarks.conformance_report import OUTCOMES, lines
from benchmarks.peers.adapters import ADAPTERS, Adapter
from benchmarks.peers.contain import ROOT, Containment, ContainmentError
from benchmarks.peers.task import Road, Task
from codegym.problems import CallTest, CodeTest, StdinTest, UnitTest
from conformance.case import SECRET, SECRET_VARIABLE, Case
from conformance.table import CASES

_WRITE_EVERY = 50
_LIMITS = (1.0, 3.0, 2**28)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """The conformance suite on codegym's grader and on other people's."""

    graders: Path | None = None
    """folder of checkouts and of env/"""
    only: tuple[str, ...] = tuple(ADAPTERS)
    """graders to ask"""
    cases: str = ""
    """only cases whose name contains this"""
    groups: tuple[str, ...] = ()
    """only cases of these groups; none: of all"""
    every: int = 1
    """only every so many-th case"""
    jobs: int = 2
    """cases that run side by side"""
    listed: Annotated[bool, tyro.conf.arg(name="list")] = False
    """list the graders and end"""
    resume: bool = False
    """ask only what was not asked before"""
    results: Path = page.RESULTS
    """folder to write to"""


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


class Asker:
    """Puts cases to the graders that are here and in order, each time in containment.

    Attributes:
        versions: By name, the commit of each and its date.

    Raises:
        ContainmentError: If this machine cannot contain them.
    """

    def __init__(self, args: Args) -> None:
        self._containment = Containment((SECRET_VARIABLE, SECRET))
        self._containment.check()
        self._places: dict[str, tuple[Path, Path]] = {}
        self.versions: dict[str, str] = {}
        for name in args.only:
            if name == "codegym":
                place = Path(sys.executable), ROOT
            elif args.graders is not None and (args.graders / name).is_dir():
                folder = args.graders.absolute()
                place = folder / "env" / "bin" / "python", folder / name
            else:
                print(f"{name}: not in the folder, left out", file=sys.stderr)
                continue
            if complaint := self._control(ADAPTERS[name], *place):
                print(f"{name} {complaint}; left out", file=sys.stderr)
                continue
            self._places[name], self.versions[name] = place, _version_of(place[1])

    def _control(self, adapter: Adapter, python: Path, sources: Path) -> str:
        """Why a grader cannot be asked: it fails on a right or a wrong program of one line."""
        road: Road = "lines" if "lines" in adapter.roads else "calls"
        body = {"lines": "print({} * int(input()))", "calls": "def f(x): return {} * x"}[road]
        tests = {"lines": (("3\n", "6\n"),), "calls": (("(3,)", "6"),)}[road]
        for factor, right in ((2, True), (3, False)):
            entry_point = None if road == "lines" else "f"
            task = Task(road, body.format(factor), tests, entry_point, _LIMITS)
            report = self._containment.run(adapter.name, task, python, sources)
            if report.get("accepted") is not right:
                return f"is not in order: {report.get('error') or report}"
        return ""

    def place(self, name: str) -> tuple[Path, Path]:
        """A grader's interpreter and the folder of its sources."""
        return self._places[name]

    def report(self, task: Task, name: str) -> dict[str, Any]:
        """What the harness reports of a grader that was asked once, in containment."""
        return self._containment.run(name, task, *self._places[name])

    def ask(self, case: Case, name: str) -> dict[str, Any]:
        """What a grader says of a case, as an entry of the results."""
        adapter = ADAPTERS[name]
        task = task_of(case, calls="lines" not in adapter.roads)
        pointless = (case.ours and name != "codegym") or (case.leak and adapter.remote)
        if pointless or (case.lenient and adapter.exact) or not adapter.can_ask(task):
            return {"outcome": "n/a"}
        for _ in range(2):  # a busy machine may have been too slow for an honest program
            report = self.report(task, name)
            kind = outcome(case, adapter, report)
            if kind == "ok" or case.kind == "reject":
                break
        words = report.get("words") or report.get("killed") or report.get("error") or "no verdict"
        if "exit" in report and "accepted" not in report and "error" not in report:
            words = f"no verdict, exit code {report['exit']}"
        entry = {"outcome": kind, "said": words[-300:], "seconds": report.get("seconds")}
        if report.get("effects"):
            entry["effects"] = report["effects"]
        entry = {key: without_folders(said) for key, said in entry.items()}
        if name == "codegym" and not any(words.startswith(str(v)) for v in case.verdicts):
            entry["unexpected"] = f"expected one of {[str(v) for v in case.verdicts]}"
        return entry


def without_folders(said: Any) -> Any:
    """What a grader says, with paths of this machine without their folders."""
    if isinstance(said, list):
        return [without_folders(each) for each in said]
    return re.sub(r"(?:/[\w.+-]+)+/", ".../", said) if isinstance(said, str) else said


def _version_of(sources: Path) -> str:
    command = ["git", "-C", str(sources), "log", "-1", "--format=%h of %cs"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown version"


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


def _write(
    args: Args,
    about: dict[str, Any],
    versions: dict[str, str],
    rows: dict[str, dict[str, Any]],
) -> None:
    """Writes the results; cases that were not put to all graders are left out."""
    graders = {
        name: {
            "version": version,
            "function": ADAPTERS[name].function,
            "source": ADAPTERS[name].source,
            "remark": ADAPTERS[name].remark,
        }
        for name, version in versions.items()
    }
    cases = [
        {"name": c.name, "kind": c.kind, "group": c.group, "tries": c.tries}
        | {"said": {name: rows[c.name][name] for name in versions}}
        for c in CASES
        if rows[c.name].keys() >= versions.keys()
    ]
    date = datetime.date.today().isoformat()
    results = about | {"date": date, "graders": graders, "cases": cases}
    page.write(args.results / "conformance", results, lines, quiet=True)


def main(args: Args) -> None:
    """Runs the benchmark."""
    if args.listed:
        for adapter in ADAPTERS.values():
            print(f"{adapter.name:15}{adapter.source:50}{adapter.function}")
        return
    if unknown := set(args.only) - set(ADAPTERS):
        sys.exit(f"--only takes some of {', '.join(ADAPTERS)}; got {', '.join(sorted(unknown))}.")
    about = page.environment("conformance")
    try:
        asker = Asker(args)
    except ContainmentError as error:
        sys.exit(f"Nothing was run: {error}")
    groups = args.groups or {case.group for case in CASES}
    cases = [case for case in CASES if args.cases in case.name and case.group in groups]
    known = earlier(args.results, asker.versions) if args.resume else {}
    rows: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as threads:
        futures = {}
        for case in cases[:: args.every]:
            asked = fingerprint(case)
            for name in asker.versions:
                if (asked, name) in known:
                    rows[case.name][name] = known[asked, name]
                else:
                    futures[threads.submit(asker.ask, case, name)] = (case, name, asked)
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            case, name, asked = futures[future]
            rows[case.name][name] = entry = future.result() | {"asked": asked}
            if "unexpected" in entry or (name == "codegym" and entry["outcome"] != "ok"):
                print(f"\r{case.name}: {entry}", file=sys.stderr)
            print(f"\r{done}/{len(futures)} ", end="", file=sys.stderr, flush=True)
            if done % _WRITE_EVERY == 0:
                _write(args, about, asker.versions, rows)
    _write(args, about, asker.versions, rows)
    text = (args.results / "conformance.md").read_text()
    print("\n" + text.partition("\n## ")[0], f"\nOutcomes: {', '.join(OUTCOMES)}")


if __name__ == "__main__":
    main(tyro.cli(Args))
