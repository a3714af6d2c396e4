"""A parent in an unusual state: its programs are judged as ever, or it gets an error of ours.

Either way it leaves no process, no folder and no descriptor behind.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .process_tree import left_behind, parents
from .test_parents import SETUP

GRADE = """
from codegym.errors import CodegymError
ALARM = '''
import signal
done = []
signal.signal(signal.SIGALRM, lambda *_: done.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01)
while not done: pass
print(6)
'''
FILES = "open('a', 'w').write('3')\\nprint(2 * int(open('a').read()))"
LIMITS = ExecutionLimits(cpu_seconds=10.0, wall_seconds=3600.0, memory_bytes=2**28)

def descriptors():
    return sorted(os.listdir("/proc/self/fd"))

def judge(pool=None):
    with pool or LocalExecutor(workers=1) as pool:
        grader = Grader(pool, LIMITS)
        return [str(grader.grade(PRINT, each).verdict) for each in (ALARM, FILES, "print(7)")]

def works():
    before = descriptors()
    assert judge() == ["accepted", "accepted", "wrong_answer"]
    assert descriptors() == before

def fails(*words):
    before = descriptors()
    try:
        judge()
    except CodegymError as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError("no error")
    assert descriptors() == before
"""
WORKS = {
    "SIGCHLD ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "every signal ignored": "for n in signal.valid_signals() - {9, 19}: signal.signal(n, "
    "signal.SIG_IGN)",
    "every signal blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "standard input closed": "os.close(0)",
    "standard output closed": "os.close(1)",
    "standard streams closed": "os.closerange(0, 3)",
    "descriptors 0 and 2 closed": "os.close(0)\nos.close(2)",
    "umask": "os.umask(0o777)",
    "folder deleted": "import tempfile\ngone = tempfile.mkdtemp()\nos.chdir(gone)\nos.rmdir(gone)",
    "odd name of the temporary folder": "import tempfile\n"
    "odd = os.fsdecode(os.fsencode(tempfile.gettempdir()) + b'/a b,\\n=\\xff')\nos.mkdir(odd)\n"
    "tempfile.tempdir = odd\nimport atexit\natexit.register(os.rmdir, odd)",
    "environment": "os.environ.update(LD_PRELOAD='/nowhere.so', PYTHONHOME='/nowhere', "
    "PYTHONPATH='/nowhere', PYTHONSTARTUP='/nowhere', PYTHONUNBUFFERED='1', PYTHONOPTIMIZE='2')",
    "soft limits": "import resource\nfor which in (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):\n"
    "    resource.setrlimit(which, (5000, resource.getrlimit(which)[1]))",
    "no standard streams in Python": "sys.stdin = sys.stdout = sys.stderr = None\n"
    "sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None",
    "event loop": "import asyncio\nplain = judge\n"
    "async def ask():\n    return await asyncio.to_thread(plain)\n"
    "def judge(): return asyncio.run(ask())",
}
FAILS = {
    "no temporary folder": (
        "import tempfile\ntempfile.tempdir = '/proc/no-folder'",
        ("temporary folder", "TMPDIR"),
    ),
    "temporary folder that is a file": (
        "import tempfile\ntempfile.tempdir = '/dev/null'",
        ("temporary folder", "TMPDIR"),
    ),
    "hard limit of CPU time": (
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (9, 9))",
        ("RLIMIT_CPU", "ulimit"),
    ),
    "hard limit of addresses": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))",
        ("RLIMIT_AS", "ulimit"),
    ),
    "hard limit of files": (
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))",
        ("RLIMIT_FSIZE", "ulimit"),
    ),
}


def run_alone(script: str, folder: Path) -> None:
    """Runs a script that must succeed; its own streams may be of no use to it."""
    with parents(folder, SETUP + GRADE + script) as [parent]:
        _, err = parent.communicate()
    assert parent.returncode == 0, err
    assert left_behind(folder) == []


@pytest.mark.parametrize("name", WORKS)
def test_programs_are_judged_as_ever(name: str, tmp_path: Path) -> None:
    run_alone(f"{WORKS[name]}\nworks()\n", tmp_path)


@pytest.mark.parametrize("name", FAILS)
def test_what_cannot_work_is_an_error_of_ours_that_says_what_to_do(
    name: str, tmp_path: Path
) -> None:
    script, words = FAILS[name]
    run_alone(f"{script}\nfails(*{words!r})\n", tmp_path)


def test_descriptors_that_run_out_at_any_step_leave_nothing(tmp_path: Path) -> None:
    run_alone(
        """
import errno, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
judge()  # what is opened once for all
for free in range(30):
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    for _ in range(free):
        os.close(held.pop())
    seen = 0
    pool = LocalExecutor(workers=1)
    try:
        with pool:
            verdict = Grader(pool, LIMITS).grade(PRINT, "print(6)").verdict
        assert str(verdict) == "accepted"
        seen = 1
    except CodegymError as error:
        assert "ulimit" in str(error) or "TMPDIR" in str(error), error
    finally:
        folder = os.environ["TMPDIR"]
        for each in held:
            os.close(each)
    assert os.listdir(folder) == [], free
assert seen
""",
        tmp_path,
    )


def test_what_is_dropped_is_collected_and_ends_its_workers(tmp_path: Path) -> None:
    run_alone(
        """
import gc, threading, weakref
import codegym, gymnasium

def graded(**settings):
    grader = Grader(limits=LIMITS, **settings)
    assert grader.grade(PRINT, "print(6)").solved
    return grader

def failed():
    class Gone(Exception): pass
    grader = graded()
    try:
        grader.grade(PRINT, 6)
    except CodegymError:
        pass
    return grader

def environment():
    env = gymnasium.make("CodeGen-Mini-v0").unwrapped
    env.reset(seed=1)
    terminated = truncated = False
    while not (terminated or truncated):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
    return env

for make in (graded, lambda: graded(cache_size=0), failed, environment):
    seen = weakref.ref(make())
    gc.collect()
    while seen() is not None or threading.active_count() > 1:
        gc.collect()
        time.sleep(0.01)
assert os.listdir(os.environ["TMPDIR"]) == []
""",
        tmp_path,
    )


def test_threads_that_cannot_be_started_are_an_error_of_ours(tmp_path: Path) -> None:
    run_alone(
        """
import threading
start = threading.Thread.start
def refuse(thread):
    raise RuntimeError("can't start new thread")
pool = LocalExecutor(workers=1)
threading.Thread.start = refuse
try:
    pool.run(Request("print(1)", (Stdin(""),)))
except CodegymError as error:
    assert "ulimit" in str(error)
else:
    raise AssertionError
threading.Thread.start = start
assert pool.run(Request("print(1)", (Stdin(""),))).observations[0].stdout == "1\\n"
pool.close()
""",
        tmp_path,
    )
