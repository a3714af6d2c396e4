"""Which system calls honest programs make: the evidence for the list in `sandbox/fence/calls.py`.

Runs the honest programs of the conformance suite and a few that use numpy, pandas, scipy and
sortedcontainers (if an interpreter has them) under `strace` (Debian's package of that name), each
in a child that is closed in as ever, and counts what was called in there. Calls of the zygote and
of a child before it is closed in are counted apart: the same list lets them through.

    python -m benchmarks.system_calls --pythons PATH_OF_3.11 PATH_OF_3.12 PATH_OF_3.13

What is there of other versions of Python stays.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks import page
from benchmarks.system_calls_programs import PACKAGES, PROGRAMS
from codegym.execution import (
    ExecutionLimits,
    LocalExecutor,
    describe_isolation,
    installed_packages,
)
from codegym.execution.sandbox.fence import calls
from codegym.grading import Grader
from codegym.problems import Problem, StdinTest
from conformance.table import CASES

_ROOMY = ExecutionLimits(
    cpu_seconds=120.0, wall_seconds=600.0, memory_bytes=4 * 2**30, output_bytes=2**20
)
_IN_CHILD, _IN_ZYGOTE = "programs", "zygote"
# Calls that are allowed for some values of an argument: which argument, counted from 0.
_ARGUMENT = {"fcntl": 1, "ioctl": 1, "prctl": 0, "madvise": 2, "clone": 1, "socketpair": 1}
_LINE = re.compile(r"(\w+)\((.*)\) += (.*)$")
_BIRTH = re.compile(r"(?:clone|clone3|fork|vfork)\(.*\) += (\d+)$")


def run_all(python: str) -> None:
    """Runs every program on one interpreter; called under strace."""
    cases = [case for case in CASES if case.kind == "accept"]
    done = Problem("done", "", "", (StdinTest("", "done\n"),))
    with LocalExecutor(workers=1, python=python, packages=PACKAGES) as executor:
        for case in cases:
            limits = case.unhurried_limits
            if not Grader(executor, limits).grade(case.problem(), case.program).solved:
                print(f"{python}: not solved: {case.name}", file=sys.stderr)
        grader = Grader(executor, _ROOMY)
        for name, program in PROGRAMS.items():
            if name in PACKAGES and name not in executor.packages:
                print(f"{python}: has no {name}", file=sys.stderr)
                continue
            grade = grader.grade(done, program)
            if not grade.solved:
                print(f"{python}: not solved: {name}: {grade}", file=sys.stderr)


class Trace:
    """Counts of calls, by the part of the sandbox that made them.

    Args:
        folder: Where `strace -ff` wrote a file for each process and thread.
    """

    def __init__(self, folder: Path) -> None:
        self.made = {part: collections.Counter[str]() for part in (_IN_CHILD, _IN_ZYGOTE)}
        self.refused: collections.Counter[str] = collections.Counter()
        self._files = {int(path.suffix[1:]): path for path in folder.iterdir()}
        children: set[int] = set()
        for path in self._files.values():
            children.update(int(born[1]) for born in map(_BIRTH.match, path.open()) if born)
        for pid in self._files.keys() - children:
            self._read(pid, None)

    def _read(self, pid: int, part: str | None) -> None:
        """Counts what a process called, and all that come from it."""
        path = self._files.get(pid)
        inherited = part
        for line in path.open(errors="replace") if path else ():
            if (match := _LINE.match(line)) is None:
                continue
            name, arguments, answer = match.groups()
            if born := _BIRTH.match(line):
                self._read(int(born[1]), part)
            if part is not None:
                self.made[part][_named(name, arguments)] += 1
                if part == _IN_CHILD and answer.split()[1:2] in (["EPERM"], ["ENOSYS"]):
                    self.refused[_named(name, arguments)] += 1
            if name == "prctl" and arguments.startswith("PR_SET_SECCOMP") and answer == "0":
                part = _IN_CHILD if inherited else _IN_ZYGOTE


def _named(name: str, arguments: str) -> str:
    parts = arguments.split(", ")
    where = _ARGUMENT.get(name)
    return name if where is None or where >= len(parts) else f"{name} {parts[where]}"


def trace(python: str, folder: Path) -> Trace:
    """What was called when all programs ran on one interpreter."""
    command = ["strace", "-ff", "-qq", "-s", "0", "-e", "signal=none", "-o", str(folder / "calls")]
    command += [sys.executable, "-m", "benchmarks.system_calls", "--run", python]
    subprocess.run(command, check=True)
    return Trace(folder)


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page: what was called how often, and which allowed calls nobody made."""
    settings, interpreters = results["settings"], results["interpreters"]
    packages = (f"{v}: {', '.join(found['packages'])}" for v, found in interpreters.items())
    asked = (
        "Which system calls do honest programs make, so that a program may make them? "
        f"{settings['programs']} programs that are right, in children that are closed in, on "
        f"{settings['date']}, Linux {settings['kernel']}, {settings['machine']}. Packages: "
        f"{'; '.join(packages)}."
    )
    yield from page.head("System calls of honest programs", asked, results)
    yield from (
        f"A program may make {settings['allowed']} calls whatever their arguments are and "
        f"{settings['depends']} with some arguments; {settings['pretended']} succeed and do "
        f"nothing, {settings['refused']} are refused with EPERM and {settings['unsupported']} with "
        "EOPNOTSUPP; all others do not exist (ENOSYS).",
        "",
    )
    counts = [found["programs"] for found in interpreters.values()]
    yield from page.table(
        ("call", *interpreters, "is"),
        (
            [f"`{name}`", *(each.get(name, 0) for each in counts), _rule(name.partition(" ")[0])]
            for name in sorted({name for each in counts for name in each})
        ),
    )
    made = {name.partition(" ")[0] for each in counts for name in each}
    unseen = sorted((calls.ALLOWED.keys() | calls.DEPENDS.keys()) - made)
    yield from ("", f"Allowed as families, and made by none: {', '.join(unseen)}.", "")
    yield from ("What was refused to them:", "")
    for version, found in interpreters.items():
        yield f"- {version}: " + ", ".join(f"`{n}` {c}" for n, c in found["refused"].items())


def _rule(name: str) -> str:
    for table, said in (
        (calls.ALLOWED, "allowed"),
        (calls.DEPENDS, "depends on its arguments"),
        (calls.PRETENDED, "pretended"),
        (calls.REFUSED, "refused"),
        (calls.UNSUPPORTED, "unsupported"),
    ):
        if name in table:
            return said
    return "unknown"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Which system calls honest programs make."""

    pythons: tuple[str, ...] = (sys.executable,)
    """interpreters"""
    results: Path = page.RESULTS
    """folder to write to"""
    run: Annotated[str | None, tyro.conf.Suppress] = None
    """run all programs on this interpreter: what is called under strace"""


def main(args: Args) -> None:
    """Runs the benchmark."""
    if args.run:
        run_all(args.run)
        return
    if shutil.which("strace") is None:
        sys.exit("This needs strace: apt install strace")
    results = page.environment("system_calls")
    earlier = args.results / "system_calls.json"
    interpreters: dict[str, Any] = {}
    if earlier.is_file():  # of other versions: each may be traced on its own
        interpreters = json.loads(earlier.read_text())["interpreters"]
    for python in args.pythons:
        with tempfile.TemporaryDirectory() as folder:
            seen = trace(python, Path(folder))
        version = ".".join(map(str, describe_isolation(python).python))
        interpreters[version] = {
            "packages": sorted(installed_packages(PACKAGES, python)),
            "refused": dict(sorted(seen.refused.items())),
            **{part: dict(sorted(counts.items())) for part, counts in seen.made.items()},
        }
    results |= {
        "settings": {
            "date": datetime.date.today().isoformat(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "programs": len([case for case in CASES if case.kind == "accept"]) + len(PROGRAMS),
            "allowed": len(calls.ALLOWED),
            "depends": len(calls.DEPENDS),
            "pretended": len(calls.PRETENDED),
            "refused": len(calls.REFUSED),
            "unsupported": len(calls.UNSUPPORTED),
        },
        "interpreters": dict(sorted(interpreters.items())),
    }
    page.write(args.results / "system_calls", results, lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
