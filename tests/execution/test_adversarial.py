"""Programs that attack: each ends in the right verdict within its limits, and nothing survives.

The tables are the suite: a name, a program, and what must come of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegym.execution import ExecutionLimits, LocalExecutor, describe_isolation
from codegym.grading import Grader, Verdict
from codegym.problems.problem import CallTest, Problem, StdinTest

from .test_pool import below, command

LIMITS = ExecutionLimits(
    cpu_seconds=1.0, wall_seconds=2.0, memory_bytes=128 * 2**20, output_bytes=2**16
)
ENFORCED = describe_isolation()
needs_calls = pytest.mark.skipif(not ENFORCED.calls, reason="this kernel has no seccomp")
needs_files = pytest.mark.skipif(not ENFORCED.files, reason="this kernel has no Landlock")

CALL = Problem(
    "double",
    "Double x.",
    "",
    (CallTest((3,), 6), CallTest((5,), 10), CallTest((-1,), -2)),
    entry_point="f",
)
ANY = object()

ATTACKS = {
    "swallows every exception": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        Verdict.TIME_LIMIT,
    ),
    "ignores every signal": (
        "import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass",
        Verdict.TIME_LIMIT,
    ),
    "sleeps": ("import time\ntime.sleep(100)", Verdict.TIME_LIMIT),
    "waits for input that never comes": (
        "import os\nr, w = os.pipe()\nos.read(r, 1)",
        Verdict.TIME_LIMIT,
    ),
    "memory": ("x = bytearray(2**30)", Verdict.MEMORY_LIMIT),
    "memory, bit by bit": ("x = []\nwhile True: x.append('a' * 10**6)", Verdict.MEMORY_LIMIT),
    "memory, shared": ("import mmap\nm = mmap.mmap(-1, 2**31)\n", Verdict.RUNTIME_ERROR),
    "memory, swallowed": (
        "x = []\nwhile True:\n    try: x.append(bytearray(10**7))\n    except MemoryError: pass",
        Verdict.TIME_LIMIT,
    ),
    "huge int": ("x = 10**10**10\nprint(x)", ANY),
    "huge repeat": ("print('x' * 10**10)", Verdict.MEMORY_LIMIT),
    "flood": ("while True: print('x' * 1000)", Verdict.OUTPUT_LIMIT),
    "flood of stderr": (
        "import sys\nwhile True: print('x' * 1000, file=sys.stderr)",
        Verdict.OUTPUT_LIMIT,
    ),
    "flood of os.write": (
        "import os\nwhile True: os.write(1, b'x' * 2**16)",
        Verdict.OUTPUT_LIMIT,
    ),
    "recursion": ("def g(): g()\ng()", Verdict.RUNTIME_ERROR),
    "recursion without limit": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef g(): g()\ng()",
        ANY,
    ),
    "recursion in C": (
        "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
        ANY,
    ),
    "compile: nesting": ("x = " + "(" * 5000, Verdict.COMPILE_ERROR),
    "compile: operators": ("x = " + "-" * 10**6 + "1", Verdict.COMPILE_ERROR),
    "compile: long": ("x = 1\n" * 3 * 10**6, ANY),
    "compile: constant": ("x = ((1 << 60) ** 1000) ** 1000 ** 1000", ANY),
    "compile: targets": ("a" + "[b" * 3000 + "]" * 3000 + " = 1", ANY),
    "abort": ("import os\nos.abort()", Verdict.RUNTIME_ERROR),
    "segfault": ("import ctypes\nctypes.string_at(1)", Verdict.RUNTIME_ERROR),
    "kills itself": ("import os\nos.kill(os.getpid(), 9)", Verdict.RUNTIME_ERROR),
    "closes every descriptor": ("import os\nos.closerange(0, 1024)\nprint(1)", ANY),
    "thread bomb": (
        "import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, "
        "args=(99,), daemon=True).start()\n    except (RuntimeError, MemoryError): pass",
        ANY,
    ),
    "thread that stays": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()",
        Verdict.TIME_LIMIT,
    ),
    "open files": ("x = [open('/dev/null') for _ in range(10**4)]", Verdict.RUNTIME_ERROR),
    "large file": ("open('a', 'wb').write(b'x' * 10**8)", Verdict.RUNTIME_ERROR),
    "atexit loop": ("import atexit\natexit.register(lambda: [0 for _ in iter(int, 1)])", ANY),
    "destructor loop": (
        "class D:\n    def __del__(self):\n        while True: pass\nx = D()\ndel x",
        Verdict.TIME_LIMIT,
    ),
    "exception that can not be printed": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
        ANY,
    ),
    "replaced streams": (
        "import sys\nsys.stdout = sys.stderr = sys.__stdout__ = None",
        Verdict.WRONG_ANSWER,
    ),
}

REFUSED = {
    "fork": "import os\nos.fork()",
    "subprocess": "import subprocess\nsubprocess.run(['/bin/true'])",
    "os.system": "import os\nassert os.system('true') != 0\nraise PermissionError",
    "multiprocessing": "import multiprocessing\nmultiprocessing.Process(target=print).start()",
    "exec": "import os\nos.execv('/bin/true', ['true'])",
    "socket": "import socket\nsocket.socket()",
    "socket, unix": "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/x')",
    "socketpair, datagram": "import socket\nsocket.socketpair(type=socket.SOCK_DGRAM)",
    "kill parent": "import os\nos.kill(os.getppid(), 9)",
    "kill group": "import os\nos.killpg(os.getpgid(os.getppid()), 9)",
    "kill all": "import os\nos.kill(-1, 9)",
    "kill init": "import os\nos.kill(1, 0)",
    "limits of the parent": "import os, resource\n"
    "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "ptrace": "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    "assert libc.ptrace(16, os.getppid(), 0, 0) == -1\nraise PermissionError(ctypes.get_errno())",
    "mount": "import ctypes\nlibc = ctypes.CDLL(None)\n"
    "assert libc.mount(b'x', b'/', b'tmpfs', 0, None) == -1\nraise PermissionError",
    "user namespace": "import ctypes\nlibc = ctypes.CDLL(None)\n"
    "assert libc.unshare(0x10000000) == -1\nraise PermissionError",
    "bpf, io_uring, keyctl, perf": "import ctypes\nlibc = ctypes.CDLL(None)\n"
    "assert all(libc.syscall(n, 0, 0, 0, 0, 0) == -1 for n in (321, 425, 250, 298))\n"
    "raise PermissionError",
    "shared memory segment": "import ctypes\n"
    "assert ctypes.CDLL(None).shmget(0, 4096, 0o1600) == -1\nraise PermissionError",
    "nice others": "import os\nos.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "chmod": "import os\nos.chmod('/tmp', 0o777)",
}

HIDDEN = {
    "passwd": "print(open('/etc/passwd').read())",
    "root folder": "import os\nprint(os.listdir('/'))",
    "tmp": "import os\nprint(os.listdir('/tmp'))",
    "home": "import os\nprint(os.listdir('/root'))",
    "own memory map of the parent": "import os\nprint(open(f'/proc/{os.getppid()}/maps').read())",
    "memory of the parent": "import os\nprint(open(f'/proc/{os.getppid()}/mem', 'rb').read(1))",
    "environment of the parent": "import os\nprint(open(f'/proc/{os.getppid()}/environ').read())",
    "codegym": "import codegym.problems\nprint(codegym.problems)",
    "write to tmp": "open('/tmp/escaped', 'w')",
    "write to shm": "open('/dev/shm/escaped', 'w')",
    "write beside": "open('../escaped', 'w')",
    "rename out": "import os\nopen('a', 'w').close()\nos.rename('a', '/tmp/escaped')",
    "link in": "import os\nos.link('/etc/passwd', 'a')\nprint(open('a').read())",
    "symlink in": "import os\nos.symlink('/etc/passwd', 'a')\nprint(open('a').read())",
}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with LocalExecutor(workers=2) as executor:
        yield Grader(executor, LIMITS)


@pytest.mark.parametrize(("program", "verdict"), ATTACKS.values(), ids=ATTACKS)
def test_attacks_end_in_time_and_leave_nothing(
    grader: Grader, program: str, verdict: Verdict
) -> None:
    problem = Problem("attack", "", "", (StdinTest("", "never\n"),))
    started = time.monotonic()
    grade = grader.grade(problem, program)
    # Compilation and two attempts, each within its limit.
    assert time.monotonic() - started < 3 * LIMITS.wall_seconds + 4
    assert verdict in (ANY, grade.verdict), grade
    assert not grade.solved
    assert grader.grade(CALL, "def f(x): return 2 * x" + " " * (hash(program) % 97)).solved


@needs_calls
@pytest.mark.parametrize("program", REFUSED.values(), ids=REFUSED)
def test_the_kernel_refuses(grader: Grader, program: str) -> None:
    grade = grader.grade(Problem("refused", "", "", (StdinTest("", "x"),)), program)
    assert grade.verdict is Verdict.RUNTIME_ERROR
    assert grade.error_type in ("PermissionError", "BlockingIOError"), grade


@needs_files
@pytest.mark.parametrize("program", HIDDEN.values(), ids=HIDDEN)
def test_files_outside_are_hidden(grader: Grader, program: str) -> None:
    grade = grader.grade(Problem("hidden", "", "", (StdinTest("", "x"),)), program)
    assert grade.verdict is Verdict.RUNTIME_ERROR
    assert grade.error_type in ("PermissionError", "OSError", "ModuleNotFoundError"), grade
    assert not Path("/tmp/escaped").exists()
    assert not Path("/dev/shm/escaped").exists()


def test_the_environment_is_empty(grader: Grader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "value")
    with LocalExecutor(workers=1) as executor:
        problem = Problem("env", "", "", (StdinTest("", "{} 0\n"),))
        program = "import os, sys\nprint(dict(os.environ), len(sys.argv[1:]))"
        assert Grader(executor).grade(problem, program).solved


def test_the_private_directory_is_empty_and_writable_each_time(grader: Grader) -> None:
    program = """
import os
print(os.listdir())
open("a", "w").write("x")
os.makedirs("b/c")
open("b/c/d", "w").write("y")
print(sorted(os.listdir()), open("b/c/d").read())
"""
    tests = (StdinTest("", "[]\n['a', 'b'] y\n"),) * 3
    assert grader.grade(Problem("box", "", "", tests), program).solved


@pytest.mark.skipif(not ENFORCED.namespaces, reason="namespaces are not allowed here")
def test_the_disk_can_not_be_filled(grader: Grader) -> None:
    program = """
try:
    for i in range(10**6):
        with open(f"f{i}", "wb") as file: file.write(b"x" * 10**6)
except OSError as error:
    print(error.errno)
"""
    assert grader.grade(Problem("disk", "", "", (StdinTest("", "28\n"),)), program).solved


@pytest.mark.skipif(
    os.geteuid() == 0 or not ENFORCED.namespaces, reason="the kernel counts no threads of root"
)
def test_threads_are_counted_for_unprivileged_users(grader: Grader) -> None:
    program = """
import threading
threading.stack_size(32768)
stop = threading.Event()
started = 0
try:
    for _ in range(1000):
        threading.Thread(target=stop.wait).start()
        started += 1
except RuntimeError: pass
stop.set()
print(50 < started < 80)
"""
    assert grader.grade(Problem("threads", "", "", (StdinTest("", "True\n"),)), program).solved


def test_harmless_things_are_allowed(grader: Grader) -> None:
    program = """
import asyncio, resource, threading, tempfile, signal, os, ctypes, socket
from concurrent.futures import ThreadPoolExecutor
async def main(): await asyncio.sleep(0.01)
asyncio.run(main())
with ThreadPoolExecutor(4) as pool: assert list(pool.map(str, range(9)))
with tempfile.TemporaryFile(dir=".") as file: file.write(b"x")
resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_STACK, resource.getrlimit(resource.RLIMIT_STACK))
signal.signal(signal.SIGALRM, lambda *_: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
os.urandom(4), os.cpu_count(), open("/dev/null", "w").write("x")
import zoneinfo, sqlite3, multiprocessing, email, html, xml.dom.minidom, unittest
print("fine")
"""
    grade = grader.grade(Problem("fine", "", "", (StdinTest("", "alarm\nfine\n"),)), program)
    assert grade.solved, grade


def test_nothing_survives() -> None:
    with LocalExecutor(workers=1) as executor:
        own = Grader(executor, LIMITS)
        attack = Problem("attack", "", "", (StdinTest("", "x"),))
        for name in ("sleeps", "kills itself", "thread that stays", "flood"):
            own.grade(attack, ATTACKS[name][0])
        found = [pid for pid in below(os.getpid()) if "sandbox" in command(pid)]
        workers = [pid for pid in found if below(pid)]
        assert workers
        # A worker and its zygote, and nothing below that.
        zygotes = [pid for worker in workers for pid in below(worker)]
        assert len(zygotes) == len({*workers} - {*zygotes})
        assert not any(map(below, zygotes))
