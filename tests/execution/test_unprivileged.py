"""The same promises to a user without any privilege, and on kernels that offer less."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegym.execution import describe_isolation
from tests.python import PYTHON

ROOT = Path(__file__).parents[2]
STRANGER = 54_321
"""A user id that no `/etc/passwd` is expected to hold."""
SUITE = "test_adversarial.py"
SLOW = (
    "compile or recursion or endless or huge or numpy or regular or sleeps or waits or burn or "
    "flood or pieces or loops or every or stops or alarm or limit or lock or slow or long"
)
CHOICE = f"(attack and not ({SLOW} or (memory and threads))) or environment or directory or counted"
WHOLE = bool(os.environ.get("CODEGYM_WHOLE_SUITE"))
"""Set: all tests of the suite, which takes minutes, in place of those chosen."""
NEEDED = sorted({str(ROOT), sys.prefix, sys.base_prefix})
LESSER_KERNEL = Path(__file__).with_name("lesser_kernel.py")

ENFORCED = describe_isolation()
needs_everything = pytest.mark.skipif(
    bool(ENFORCED.missing), reason="this kernel offers little as it is: no seccomp or no Landlock"
)


def closed_ancestor(folder: str) -> Path | None:
    """The first folder on the way that strangers may not enter."""
    path = Path(folder)
    ways = [*reversed(path.parents), path]
    return next((way for way in ways if not way.stat().st_mode & 0o001), None)


def way_in(scratch: Path) -> str:
    """A shell script that, in mount namespaces of its own, opens the way to what is needed."""
    lines = ["set -e", "mount --make-rprivate /"]
    closed: dict[Path, list[str]] = {}
    for folder in NEEDED:
        ancestor = closed_ancestor(folder)
        if ancestor == Path(folder):
            pytest.skip(f"strangers may not read {folder}, which the tests need")
        if ancestor is not None:
            closed.setdefault(ancestor, []).append(folder)
    for ancestor, folders in closed.items():
        for number, folder in enumerate(folders):
            held = scratch / f"{len(lines)}-{number}"
            held.mkdir(mode=0o755)
            lines.append(f"mount --bind {shlex.quote(folder)} {held}")
        first = len(lines) - len(folders)
        lines.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(str(ancestor))}")
        for line, folder in zip(lines[first:-1], folders, strict=True):
            lines.append(f"mkdir -p {shlex.quote(folder)}")
            lines.append(f"mount --move {line.split()[-1]} {shlex.quote(folder)}")
    return "\n".join([*lines, 'exec "$@"'])


@pytest.fixture
def as_stranger() -> Iterator[list[str]]:
    """The beginning of a command that is run without privileges; its last word is a folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; this whole run is unprivileged anyway")
    for tool in ("unshare", "setpriv"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} (of util-linux) is not installed")
    with tempfile.TemporaryDirectory(prefix="codegym-test-", dir="/tmp") as folder:
        home, scratch = Path(folder) / "home", Path(folder) / "scratch"
        for path in (home, scratch):
            path.mkdir()
        os.chmod(folder, 0o755)
        os.chown(home, STRANGER, STRANGER)
        become = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
        become += ["--inh-caps=-all", "--bounding-set=-all"]
        command = ["unshare", "--mount", "sh", "-c", way_in(scratch), "sh", *become]
        command += ["env", "-C", str(ROOT), "PYTHONDONTWRITEBYTECODE=1", f"TMPDIR={home}"]
        tried = subprocess.run([*command, sys.executable, "-c", ""], capture_output=True, text=True)
        if tried.returncode != 0:
            pytest.skip(f"this root cannot let a stranger run Python: {tried.stderr.strip()}")
        yield [*command, f"HOME={home}"]


def lacking(*features: str) -> list[str]:
    """The beginning of a command that is run as on a kernel without these."""
    return [sys.executable, str(LESSER_KERNEL), ",".join(features)]


def suite(prefix: list[str], folder: Path, choice: str) -> dict[str, str]:
    """Outcome of each chosen test of the adversarial suite."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", f"tests/execution/{SUITE}", "-q"]
    command += [
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
        *([] if WHOLE else ["-k", choice]),
    ]
    done = subprocess.run([*prefix, *command], cwd=ROOT, capture_output=True, text=True)
    assert report.is_file(), done.stdout + done.stderr
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        told = [element.tag for element in case if element.tag in ("failure", "error", "skipped")]
        outcomes[case.attrib["name"]] = told[0] if told else "passed"
    failed = [name for name, outcome in outcomes.items() if outcome in ("failure", "error")]
    assert failed == [], done.stdout[-5_000:]
    return outcomes


def output(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_adversarial_suite_as_a_user_without_privileges(as_stranger: list[str]) -> None:
    assert output([*as_stranger, "id", "-u"]).strip() == str(STRANGER)
    home = Path(as_stranger[-1].partition("=")[2])
    outcomes = suite(as_stranger, home, CHOICE)
    passed = [name for name, outcome in outcomes.items() if outcome == "passed"]
    assert len(passed) >= 80
    assert len(passed) >= 0.9 * len(outcomes)
    if ENFORCED.threads:
        assert any("threads_are_counted" in name for name in passed)
    assert [path.name for path in home.glob("codegym-*")] == []


def test_a_user_without_privileges_gets_the_same_barriers(as_stranger: list[str]) -> None:
    said = output([*as_stranger, sys.executable, "-m", "codegym.execution"])
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["yes"] * 5


REACH_OUT = """
import sys
from codegym.execution import LocalExecutor
from codegym.grading import Grader
from conformance.table import CASES

GROUPS = ("processes", "kernel", "network", "writing to the host", "reading the host", "crashes")
chosen = [c for c in CASES if c.group in GROUPS and "recursion" not in c.name and not c.lengthy]
chosen = [c for c in chosen if "namespaces" not in c.needs]
with LocalExecutor(workers=2, isolation="strict") as pool:
    futures = [
        Grader(pool, c.unhurried_limits).submit(c.problem(), c.text(sys.argv[1], 9, signal=0))
        for c in chosen
    ]
    for case, future in zip(chosen, futures):
        grade = future.result()
        if grade.verdict not in case.verdicts:
            print(case.name, grade)
print(len(chosen), "attacks")
"""


@needs_everything
@pytest.mark.parametrize("feature", ["namespaces", "container"])
def test_attacks_where_user_namespaces_are_not_allowed(tmp_path: Path, feature: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    command = [*lacking(feature), sys.executable, "-c", REACH_OUT, str(tmp_path)]
    said = output(command).split()
    assert (said[1:], int(said[0]) > 60) == (["attacks"], True), said
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]
    assert victim.read_text() == "untouched"


IN_A_CONTAINER = """
import os, sys, tempfile
from codegym.execution import *
tempfile.tempdir = sys.argv[1]
many = '''
import threading
stop, made = threading.Event(), 1
threading.stack_size(32768)
try:
    for _ in range(100):
        threading.Thread(target=stop.wait).start()
        made += 1
except RuntimeError: pass
stop.set()
print(made)
'''
deep = "import os\\nfor _ in range(1200):\\n    os.mkdir('a'); os.chdir('a')\\nprint(6)"
locked = "import os\\nos.mkdir('a'); os.umask(0o777); os.mkdir('a/b'); os.mkdir('c')\\nprint(7)"
limits = ExecutionLimits(cpu_seconds=60.0, wall_seconds=3600.0, threads=8)
here = describe_isolation()
print(here.files, here.calls, here.threads, here.namespaces)
with LocalExecutor(workers=1, isolation="strict") as executor:
    for program in (many, deep, locked, "import os\\nprint(os.listdir('.'))"):
        seen = executor.run(Request(program, (Stdin(""),), limits=limits)).observations[0]
        print(seen.stdout.strip())
print(os.listdir(sys.argv[1]))
"""


@needs_everything
@pytest.mark.parametrize("stranger", [False, True], ids=["root", "stranger"])
def test_what_holds_in_a_container_that_was_started_without_options(
    request: pytest.FixtureRequest, tmp_path: Path, stranger: bool
) -> None:
    prefix, folder = lacking("container"), tmp_path
    if stranger:
        become = request.getfixturevalue("as_stranger")
        folder = Path(become[-1].partition("=")[2])
        prefix = [*become, *prefix]
    said = output([*prefix, sys.executable, "-c", IN_A_CONTAINER, str(folder)]).splitlines()
    assert said == ["True True True False", "8", "6", "7", "[]", "[]"]


ASK = """
import sys, warnings
from codegym.errors import IsolationError
from codegym.execution import *
from codegym.grading import *
from codegym.problems import Problem, StdinTest

try:
    LocalExecutor(isolation="strict").close()
    print("strict: starts")
except IsolationError as error:
    print("strict:", str(error).partition("(")[0])
P = Problem("p", "", "", (StdinTest("3\\n", "6\\n"),))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("default")
    for isolation in ("auto", "none", "auto"):
        pool = LocalExecutor(workers=1, isolation=isolation)
    lines = ["print(int(input()) * 2)", "print(7)", "1 / 0", "while True: pass"]
    limits = ExecutionLimits(cpu_seconds=1.0, wall_seconds=3600.0)
    print(*[Grader(pool, limits).grade(P, line).verdict for line in lines])
    pool.close()
print("warned:", [warning.category.__name__ for warning in caught])
"""
VERDICTS = "accepted wrong_answer runtime_error time_limit"


@needs_everything
@pytest.mark.parametrize(
    ("features", "names"),
    [
        (["landlock"], "files"),
        (["seccomp"], "calls"),
        (["landlock", "seccomp", "namespaces"], "files and calls"),
    ],
    ids=["landlock", "seccomp", "all"],
)
def test_strict_refuses_and_auto_warns_once_where_something_is_missing(
    features: list[str], names: str
) -> None:
    said = output([*lacking(*features), *PYTHON, "-c", ASK]).splitlines()
    assert said == [
        f"strict: This machine cannot enforce isolation of {names} ",
        VERDICTS,
        "warned: ['IsolationWarning']",
    ]


@needs_everything
def test_namespaces_are_an_addition_that_strict_does_not_ask_for() -> None:
    said = output([*lacking("namespaces"), *PYTHON, "-c", ASK]).splitlines()
    assert said == ["strict: starts", VERDICTS, "warned: []"]


@needs_everything
def test_what_is_missing_is_told() -> None:
    told = output([*lacking("landlock", "namespaces"), sys.executable, "-m", "codegym.execution"])
    assert [line.split()[0] for line in told.splitlines()[1:]] == ["yes", "NO", "yes", "yes", "NO"]


@needs_everything
def test_threads_are_limited_by_the_user_where_nobody_can_be_asked(as_stranger: list[str]) -> None:
    ask = [sys.executable, "-m", "codegym.execution"]
    told = {
        "root": output([*lacking("listener"), *ask]),
        "stranger": output([*as_stranger, *lacking("listener"), *ask]),
        "stranger without namespaces": output(
            [*as_stranger, *lacking("listener,namespaces"), *ask]
        ),
    }
    threads = {who: said.splitlines()[4].split()[0] for who, said in told.items()}
    assert threads == {"root": "NO", "stranger": "yes", "stranger without namespaces": "NO"}


@needs_everything
def test_auto_warns_once_for_each_process() -> None:
    two = "from codegym.execution import *\na = LocalExecutor()\nb = LocalExecutor()\n"
    assert output([*lacking("landlock"), sys.executable, "-c", two]).count("IsolationWarning") == 1
