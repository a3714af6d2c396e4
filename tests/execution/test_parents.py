"""The process that owns a pool: threads, forks, signals, and what it leaves when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codegym.execution import LocalExecutor, Request, Stdin
from codegym.grading import Grader
from codegym.problems.problem import Problem, StdinTest
from tests.python import PYTHON
from tests.waiting import wait_until

from .process_tree import children_of, left_behind, mentioning, parents

PRINT = Problem("print", "", "", (StdinTest("3\n", "6\n"),))

SETUP = """
import os, signal, sys, time, warnings
from codegym.execution import *
from codegym.grading import Grader
from codegym.problems.problem import Problem, StdinTest
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork() with threads
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also if the tests were started by nohup
PRINT = Problem("print", "", "", (StdinTest("3\\n", "6\\n"),))

def programs(label, count):
    return [(PRINT, f"print(int(input()) * 2)  # {label} {i}") for i in range(count)]
"""


def run_parent(script: str, folder: Path) -> None:
    """Runs a script that must succeed, say nothing, and leave nothing."""
    with parents(folder, SETUP + script) as [parent]:
        out, err = parent.communicate()
    assert (parent.returncode, out, err) == (0, "", "")
    assert left_behind(folder) == []


def wait_for_word(parent: subprocess.Popen[str], expected: str | None = "ready") -> str:
    """The first line that a parent prints."""
    assert parent.stdout is not None
    word = parent.stdout.readline().strip()
    if not word or expected not in (None, word):
        pytest.fail(f"the parent said {word!r}: {parent.communicate()[1]}")
    return word


def test_one_grader_serves_many_threads() -> None:
    with LocalExecutor(workers=2) as pool:
        grader = Grader(pool)

        def work(thread: int) -> list[bool]:
            factors = [2 if i % 2 else 3 for i in range(20)]
            lines = [f"print(int(input()) * {f})  # {thread % 3}" for f in factors]
            return [grader.grade(PRINT, line).solved for line in lines]

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(work, range(8))) == [[False, True] * 10] * 8


def test_workers_outlive_the_thread_that_first_asked() -> None:
    before = children_of(os.getpid())
    request = Request("print(1)", (Stdin(""),))
    with LocalExecutor(workers=1) as pool:
        thread = threading.Thread(target=pool.run, args=(request,))
        thread.start()
        thread.join()
        workers = children_of(os.getpid()) - before
        # The kernel's thread ends later than Python's, and tells the children before it is gone.
        wait_until(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists())
        assert pool.run(request).observations[0].stdout == "1\n"
        assert children_of(os.getpid()) - before == workers


def test_a_fork_while_grades_are_running_gets_its_own_workers(tmp_path: Path) -> None:
    run_parent(
        """
pool = LocalExecutor(workers=2)
grader = Grader(pool)
futures, children = [], []
for fork in range(4):
    futures += [grader.submit(*pair) for pair in programs(f"parent {fork}", 40)]
    while not futures[-20].done():
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        grades = grader.grade_many(programs("child", 3) + programs(f"parent {fork}", 40)[-3:])
        os._exit(0 if all(grade.solved for grade in grades) else 1)
    children.append(child)
assert all(future.result().solved for future in futures)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
assert grader.grade(*programs("parent, after", 1)[0]).solved
""",
        tmp_path,
    )


def test_a_fork_does_not_inherit_a_lock_that_is_held(tmp_path: Path) -> None:
    run_parent(
        """
import threading
inside, leave = threading.Event(), threading.Event()

class Slow(str):
    # A key of the grader's memory: looked up while another thread forks.
    def __hash__(self):
        inside.set()
        leave.wait()
        return str.__hash__(self)

grader = Grader()
thread = threading.Thread(target=grader.grade, args=(PRINT, Slow("print(6)")))
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    os._exit(0 if grader.grade(PRINT, "print(6)").solved else 1)
status = os.waitpid(child, 0)[1]
leave.set()
thread.join()
grader.close()
assert status == 0, status
""",
        tmp_path,
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_start_method_of_multiprocessing(method: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        SETUP
        + f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

grader = Grader(LocalExecutor(workers=1))

def solved(label):
    return [grade.solved for grade in grader.grade_many(programs(label, 3))]

if __name__ == "__main__":
    assert solved("parent")
    context = multiprocessing.get_context({method!r})
    with ProcessPoolExecutor(2, context) as processes:
        assert list(processes.map(solved, "abcd")) == [[True] * 3] * 4
    assert solved("parent, after")
"""
    )
    # The address of a fork server's socket has room for a short path only.
    with tempfile.TemporaryDirectory() as temporary:
        done = subprocess.run(
            [*PYTHON, str(script)],
            env={**os.environ, "TMPDIR": temporary},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert left_behind(Path(temporary)) == []


def test_the_parent_is_left_as_it_was(tmp_path: Path) -> None:
    run_parent(
        """
import ctypes, gc, locale, resource, threading

def state():
    subreaper = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(subreaper), 0, 0, 0)
    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    umask = os.umask(0)
    os.umask(umask)
    wakeup = signal.set_wakeup_fd(-1)
    return {
        "handlers": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "wakeup": wakeup,
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "subreaper": subreaper.value,
        "limits": {which: resource.getrlimit(which) for which in limits},
        "folder": os.getcwd(),
        "umask": umask,
        "environment": dict(os.environ),
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "trace": (sys.gettrace(), threading.gettrace(), sys.getrecursionlimit()),
        "hooks": (sys.excepthook, threading.excepthook, sys.stdout, sys.stderr),
        "affinity": os.sched_getaffinity(0),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
    }

before = state()
with LocalExecutor(workers=2) as pool:
    futures = [Grader(pool).submit(*pair) for pair in programs("a", 10)]
    assert state() == before
    assert all(future.result().solved for future in futures)
    pool.run(Request("import os\\nos.abort()", (Stdin(""),)))
    pool.run(Request("x = [0] * 10**9", (Stdin(""),)))
    assert state() == before
assert state() == before
assert threading.active_count() == 1
""",
        tmp_path,
    )


TELLING = """
class Telling:
    # An executor that says when it has answered.
    def __init__(self, pool):
        self.pool = pool
    def submit(self, request):
        future = self.pool.submit(request)
        future.add_done_callback(lambda _: os.write(1, b"answer\\n"))
        return future
    def close(self):
        self.pool.close()

"""
BATCH = """
pool = LocalExecutor(workers=2)
limits = ExecutionLimits(cpu_seconds=3600.0, wall_seconds=3600.0)
grader = Grader(Telling(pool), limits, cache_size=0)
nap = "import time\\ntime.sleep(0.02)\\nopen('left', 'w').write('x')\\nprint(6)  # "
endless = [(PRINT, f"while True: pass  # {i}") for i in range(2)]
grader.grade_many([(PRINT, nap + str(i)) for i in range(100)] + endless)
"""
IN_WITH = "with LocalExecutor(workers=2) as pool:\n" + "\n".join(
    f"    {line}" for line in BATCH.splitlines()[2:]
)


def wait_for_answers(parent: subprocess.Popen[str], count: int) -> None:
    """Returns in the middle of a batch."""
    for _ in range(count):
        wait_for_word(parent, "answer")


def test_ctrl_c_ends_in_keyboard_interrupt_and_leaves_nothing(tmp_path: Path) -> None:
    scripts = [SETUP + TELLING + batch for batch in (BATCH, IN_WITH, BATCH)]
    with parents(tmp_path, *scripts) as running:
        for answers, parent in zip((20, 25, 30), running, strict=True):
            wait_for_answers(parent, answers)
            os.killpg(parent.pid, signal.SIGINT)
            _, err = parent.communicate()  # the batch would not end
            assert parent.returncode == -signal.SIGINT
            assert err.splitlines()[-1] == "KeyboardInterrupt"
            assert "Exception ignored" not in err
    assert left_behind(tmp_path) == []


def test_ctrl_c_while_a_lock_is_taken_does_not_hang(tmp_path: Path) -> None:
    # Where the interpreter may look for signals: after the call that took the lock, before
    # anything is there to release it.
    run_parent(
        """
import threading

def interrupt(frame, event, _):
    called_by = frame.f_back.f_globals.get("__name__", "") if frame.f_back else ""
    if event == "return" and frame.f_code is taken and called_by.startswith("codegym."):
        raise KeyboardInterrupt
    return interrupt

taken = threading.Condition.__enter__.__code__
with LocalExecutor(workers=2) as pool:
    assert pool.run(Request("print(1)", (Stdin(""),))).observations[0].stdout == "1\\n"
    nap = Request("import time\\ntime.sleep(2)", (Stdin(""),))
    pool.submit(nap)
    try:
        sys.settrace(interrupt)
        pool.submit(nap)
    except KeyboardInterrupt:
        pass
    sys.settrace(None)
""",
        tmp_path,
    )


STARTING = """
print("ready", flush=True)
LocalExecutor(workers=2).run(Request("while True: pass", (Stdin(""),)))
"""


def die_while_workers_start(how: signal.Signals, folder: Path) -> list[str]:
    """What is left when a parent dies while its first worker is being started."""
    with parents(folder, SETUP + STARTING) as [parent]:
        wait_for_word(parent)
        starting = wait_until(lambda: mentioning(str(folder)))
        # Stopped, so that this moment lasts until the parent is dead.
        for pid in starting:
            os.kill(pid, signal.SIGSTOP)
        os.killpg(parent.pid, how)
        parent.communicate()
        assert parent.returncode == -how
        for pid in starting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    return left_behind(folder)


SUDDEN = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def test_no_process_and_no_folder_outlives_a_killed_parent(tmp_path: Path) -> None:
    with parents(tmp_path, *[SETUP + TELLING + BATCH] * len(SUDDEN)) as running:
        for answers, parent, how in zip((20, 23, 26, 29), running, SUDDEN, strict=True):
            wait_for_answers(parent, answers)
            os.killpg(parent.pid, how)
            parent.communicate()
            assert parent.returncode == -how
    assert left_behind(tmp_path) == []


def test_ctrl_c_while_workers_start_leaves_nothing(tmp_path: Path) -> None:
    assert die_while_workers_start(signal.SIGINT, tmp_path) == []


def test_a_parent_killed_while_workers_start_leaves_nothing(tmp_path: Path) -> None:
    assert die_while_workers_start(signal.SIGKILL, tmp_path) == []


def test_a_fork_that_lives_on_does_not_keep_the_workers_of_a_killed_parent(
    tmp_path: Path,
) -> None:
    script = """
pool = LocalExecutor(workers=2)
assert all(grade.solved for grade in Grader(pool).grade_many(programs("first", 20)))
child = os.fork()  # holds copies of the parent's sockets
if child == 0:
    os.setsid()
    signal.pause()
    os._exit(0)
print(child, flush=True)
signal.pause()
"""
    with parents(tmp_path, SETUP + script) as [parent]:
        child = int(wait_for_word(parent, None))
        workers = children_of(parent.pid) - {child}
        assert len(workers) == 2
        parent.kill()
        try:
            assert left_behind(tmp_path) == []
        finally:
            os.kill(child, signal.SIGKILL)
