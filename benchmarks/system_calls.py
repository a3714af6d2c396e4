"""Which system calls honest programs make: the evidence for the list in `sandbox/fence/calls.py`.

Runs the honest programs of the conformance suite and a few that use numpy, pandas, scipy and
sortedcontainers (if an interpreter has them) under `strace` (Debian's package of that name), each
in a child that is closed in as ever, and counts what was called in there. Calls of the zygote and
of a child before it is closed in are counted apart: the same list lets them through.

    python -m benchmarks.system_calls --pythons PATH_OF_3.11 PATH_OF_3.12 PATH_OF_3.13

writes `results/system_calls.json` and `.md`; what is there of other versions of Python stays.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.command import shown
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

RESULTS = Path(__file__).parent / "results"
_ROOMY = ExecutionLimits(
    cpu_seconds=120.0, wall_seconds=600.0, memory_bytes=4 * 2**30, output_bytes=2**20
)
_IN_CHILD, _IN_ZYGOTE = "programs", "zygote"
# Calls that are allowed for some values of an argument: which argument, counted from 0.
_ARGUMENT = {"fcntl": 1, "ioctl": 1, "prctl": 0, "madvise": 2, "clone": 1, "socketpair": 1}
_LINE = re.compile(r"(\w+)\((.*)\) += (.*)$")
_BIRTH = re.compile(r"(?:clone|clone3|fork|vfork)\(.*\) += (\d+)$")

PACKAGES = ("numpy", "pandas", "scipy", "sortedcontainers")
PROGRAMS = {
    "numpy": """
import numpy as np
a = np.random.default_rng(0).random((300, 300))
assert np.allclose(a @ np.linalg.inv(a), np.eye(300)) and np.linalg.svd(a)[1].size == 300
assert np.sort(a, axis=None)[0] >= 0 and abs(np.fft.fft(a)).shape == a.shape
np.save("a.npy", a)
assert (np.load("a.npy", mmap_mode="r") == a).all()
np.savetxt("a.txt", a[:3])
assert np.loadtxt("a.txt").shape == (3, 300)
big = np.zeros(40_000_000, dtype=np.uint8)
big[::4096] = 1
print("done")
""",
    "pandas": """
import io
import pandas as pd
table = pd.read_csv(io.StringIO("day,key,value\\n2020-01-01,a,1\\n2020-01-02,b,2\\n2020-01-03,a,3"))
table["day"] = pd.to_datetime(table["day"]).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
assert table.groupby("key")["value"].sum()["a"] == 4
assert len(table.merge(table, on="key")) == 5
table.to_csv("t.csv")
table.to_json("t.json")
assert len(pd.read_csv("t.csv").pivot_table(index="key", values="value")) == 2
assert table.set_index("day")["value"].rolling(2).mean().iloc[-1] == 2.5
print("done")
""",
    "scipy": """
import numpy as np
from scipy import fft, integrate, interpolate, linalg, optimize, signal, sparse, spatial, special
from scipy import stats
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve
assert abs(optimize.brentq(lambda x: x * x - 2, 0, 2) - 2**0.5) < 1e-9
assert optimize.linprog([1, 1], bounds=[(1, 2), (1, 2)]).success
assert optimize.minimize(lambda x: (x**2).sum(), np.ones(3)).success
assert abs(integrate.quad(np.sin, 0, np.pi)[0] - 2) < 1e-9
assert spsolve(sparse.eye(50).tocsc(), np.ones(50)).sum() == 50
assert csgraph.shortest_path(sparse.csr_matrix([[0, 1], [1, 0]]))[0, 1] == 1
assert len(spatial.ConvexHull(np.random.default_rng(0).random((30, 2))).vertices) > 2
assert linalg.expm(np.zeros((3, 3))).trace() == 3 and special.gamma(5) == 24
assert fft.dct(np.ones(8)).size == 8 and len(signal.find_peaks([0, 1, 0])[0]) == 1
assert 0 < stats.norm.cdf(0) < 1 and interpolate.interp1d([0, 1], [0, 1])(0.5) == 0.5
print("done")
""",
    "sortedcontainers": """
from sortedcontainers import SortedDict, SortedList, SortedSet
assert list(SortedList([3, 1, 2])) == [1, 2, 3] and list(SortedSet("ba")) == ["a", "b"]
assert SortedDict(b=1, a=2).peekitem(0) == ("a", 2)
print("done")
""",
    "standard library": """
import asyncio, concurrent.futures, ctypes, decimal, mmap, os, pathlib, select, shutil, signal
import socket, sqlite3, tempfile, threading, time, zoneinfo, selectors, locale, subprocess, logging
import multiprocessing.dummy, queue, glob, zipfile, tarfile, gzip, bz2, lzma, resource, fcntl

async def main():
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(5)))
    await loop.run_in_executor(None, time.sleep, 0.01)
    reader, writer = await asyncio.open_connection(sock=pair[0])
    writer.write(b"x" * 100)
    await writer.drain()
    pair[1].send(b"answer")
    assert await reader.read(6) == b"answer"
    await asyncio.to_thread(time.sleep, 0)

pair = socket.socketpair()
asyncio.run(main())
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(int, "12345")) == 15
with tempfile.TemporaryDirectory(dir=".") as folder:
    path = pathlib.Path(folder, "a")
    path.write_text("text")
    path.rename(path.with_name("b"))
    shutil.copyfile(f"{folder}/b", f"{folder}/c")
    with zipfile.ZipFile(f"{folder}/z", "w") as z: z.write(f"{folder}/c")
    with tarfile.open(f"{folder}/t", "w") as t: t.add(f"{folder}/c")
    os.link(f"{folder}/b", f"{folder}/d"); os.symlink("b", f"{folder}/e")
    os.readlink(f"{folder}/e"); os.truncate(f"{folder}/b", 2); os.statvfs(folder)
    with open(f"{folder}/b", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)
        file.flush(); os.fsync(file.fileno()); os.posix_fallocate(file.fileno(), 0, 100)
        with mmap.mmap(file.fileno(), 0) as mapped: mapped[:2] = b"ab"; mapped.flush()
    glob.glob(f"{folder}/*"); list(os.walk(folder)); os.access(folder, os.W_OK)
with sqlite3.connect("a.db") as base:
    base.execute("create table t (x)"); base.execute("insert into t values (1)")
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()
signal.raise_signal(signal.SIGALRM); os.kill(os.getpid(), signal.SIGALRM)
signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
r, w = os.pipe(); os.write(w, b"x"); select.select([r], [], [], 1); select.poll().poll(0)
with selectors.DefaultSelector() as s: s.register(r, selectors.EVENT_READ); s.select(1)
os.eventfd(0); os.isatty(0)
resource.getrusage(resource.RUSAGE_SELF); resource.getrlimit(resource.RLIMIT_AS)
os.sched_getaffinity(0); os.cpu_count(); os.uname(); os.times(); os.getrandom(8); os.umask(0o22)
os.sched_yield(); time.process_time(); time.thread_time(); time.sleep(0.001); os.getgroups()
os.sendfile(os.open("copy", os.O_CREAT | os.O_RDWR), os.open("a.db", 0), 0, 10)
print("done")
""",
}


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


def as_markdown(content: dict[str, Any]) -> str:
    """The page: what was called how often, and which allowed calls nobody made."""
    settings, versions = content["settings"], list(content["interpreters"])
    lines = [
        "# System calls of honest programs",
        "",
        f"`{settings['command']}` on {settings['date']}, Linux {settings['kernel']},"
        f" {settings['machine']}. Programs: {settings['programs']} that are right, in children that"
        " are closed in. Packages: "
        + "; ".join(f"{v}: {', '.join(i['packages'])}" for v, i in content["interpreters"].items())
        + ".",
        "",
        f"A program may make {settings['allowed']} calls whatever their arguments are and"
        f" {settings['depends']} with some arguments; {settings['pretended']} succeed and do"
        f" nothing, {settings['refused']} are refused with EPERM and {settings['unsupported']} with"
        " EOPNOTSUPP; all others do not exist (ENOSYS).",
        "",
        f"| call | {' | '.join(versions)} | is |",
        f"|---|{'---:|' * len(versions)}---|",
    ]
    counts = [content["interpreters"][version]["programs"] for version in versions]
    for name in sorted({name for each in counts for name in each}):
        numbers = " | ".join(str(each.get(name, 0)) for each in counts)
        shown_name = name.replace("|", "\\|")
        lines.append(f"| `{shown_name}` | {numbers} | {_rule(name.partition(' ')[0])} |")
    made = {name.partition(" ")[0] for each in counts for name in each}
    unseen = sorted((calls.ALLOWED.keys() | calls.DEPENDS.keys()) - made)
    lines += ["", f"Allowed as families, and made by none: {', '.join(unseen)}.", ""]
    lines += ["What was refused to them:", ""]
    for version in versions:
        refused = content["interpreters"][version]["refused"]
        lines.append(f"- {version}: " + ", ".join(f"`{n}` {c}" for n, c in refused.items()))
    return "\n".join([*lines, ""])


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


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pythons", nargs="+", default=[sys.executable], help="interpreters")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run_all(args.run)
        return
    if shutil.which("strace") is None:
        sys.exit("This needs strace: apt install strace")
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
    content = {
        "settings": {
            "date": datetime.date.today().isoformat(),
            "command": shown("system_calls"),
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
    (args.results / "system_calls.json").write_text(json.dumps(content, indent=1) + "\n")
    page = as_markdown(content)
    (args.results / "system_calls.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
