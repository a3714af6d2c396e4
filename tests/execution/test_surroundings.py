"""A script finds here what it finds in a plain interpreter, and ends as it ends there.

Each program below is run by both; what they print, their exit codes and the exceptions that end
them must be the same.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codegym.execution import Call, ExecutionLimits, ExitReason

from .conftest import Run
from .forge import FORGE

UNHURRIED = ExecutionLimits(cpu_seconds=60.0, wall_seconds=3600.0, memory_bytes=256 * 2**20)
_LOUD = "class Loud:\n    def __init__(self, *held): self.held = held\n    def __del__(self): "
_TELLS = f"{_LOUD}print('deleted', *self.held)\n"

STREAMS = {
    "attributes": "import sys\nfor name in ('stdin', 'stdout', 'stderr'):\n"
    "    text = getattr(sys, name)\n    assert text is getattr(sys, f'__{name}__')\n"
    "    for layer in (text, text.buffer, text.buffer.raw):\n        for key in ('mode', 'name', "
    "'encoding', 'errors', 'newlines', 'line_buffering', 'write_through', 'closefd', 'closed'):\n"
    "            print(name, type(layer), key, getattr(layer, key, None))\n"
    "        for method in ('fileno', 'isatty', 'seekable', 'readable', 'writable'):\n"
    "            print(name, method, getattr(layer, method)())\n"
    "    print(repr(text), sorted(dir(text)))",
    "carriage returns are read as they are": "import sys\n"
    "print(repr(input()), repr(sys.stdin.readline()), repr(sys.stdin.read()), sys.stdin.newlines)",
    "rewound": "import sys\nprint(sys.stdin.read())\nsys.stdin.seek(0)\nprint(sys.stdin.read(3))",
    "prompts": "print(input('first? '), input('second? '))",
    "prompt on a stream of its own": "import io, sys\n"
    "sys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint(input('? '))",
    "end of the input": "while True: print(input())",
    "no stdout": "import sys\nprint('a')\nsys.stdout = None\nprint('b')",
    "stdout deleted": "import sys\nprint('a')\ndel sys.stdout",
    "stdout closed": "import sys\nprint('a')\nsys.stdout.close()",
    "descriptor closed": "import os\nprint('a', flush=True)\nos.close(1)",
    "descriptor closed too early": "import os\nprint('a', flush=True)\nprint('b')\nos.close(1)",
    "detached": "import sys\nprint('a')\nbuffer = sys.stdout.detach()\nbuffer.write(b'raw\\n')",
    "detached and wrapped": "import io, sys\n"
    "sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')\nprint('ä')",
    "reconfigured": "import sys\nsys.stdout.reconfigure(newline='\\r\\n')\nprint('a')",
    "without flush": "import sys\nclass W:\n    def write(self, text): sys.__stdout__.write(text)\n"
    "sys.stdout = W()\nprint('a')",
    "own reader and writer": "import os, sys\nfrom io import BytesIO, IOBase\n"
    "class Fast(IOBase):\n    def __init__(self, file):\n"
    "        self.fd, self.buffer = file.fileno(), BytesIO()\n"
    "        self.writable = 'r' not in file.mode\n"
    "    def write(self, text): self.buffer.write(text.encode())\n"
    "    def readline(self):\n        if not self.buffer.getvalue():\n"
    "            self.buffer = BytesIO(os.read(self.fd, os.fstat(self.fd).st_size))\n"
    "        return self.buffer.readline().decode()\n"
    "    def flush(self):\n        if self.writable:\n"
    "            os.write(self.fd, self.buffer.getvalue())\n            self.buffer = BytesIO()\n"
    "sys.stdin, sys.stdout = Fast(sys.stdin), Fast(sys.stdout)\nprint(sys.stdin.readline())",
}
OWN_FILES = {
    "bound method": "write = open(1, 'w').write\nwrite('x\\n')",
    "bytes": "import io\nout = io.BufferedWriter(io.FileIO(1, 'w', closefd=False), 1 << 16)\n"
    "out.write(b'x\\n')",
    "os.fdopen": "import os\nout = os.fdopen(1, 'w')\nout.write('x\\n')",
    "duplicate": "import os\nout = os.fdopen(os.dup(1), 'w')\nout.write('x\\n')",
    "in an instance": "class Out:\n    def __init__(self):\n"
    "        self.file = open(1, 'w', closefd=False)\nout = Out()\nprint('x', file=out.file)",
    "in a class": "class Out:\n    file = open(1, 'w', closefd=False)\nprint('x', file=Out.file)",
    "in a cycle": "class Out:\n    def __init__(self):\n        self.me = self\n"
    "        self.file = open(1, 'w', closefd=False)\nout = Out()\nprint('x', file=out.file)",
    "in a closure": "def make():\n    file = open(1, 'w', closefd=False)\n"
    "    return lambda text: file.write(text)\nmake()('y\\n')\nwrite = make()\nwrite('x\\n')",
    "in a default": "def say(text, file=open(1, 'w', closefd=False)): file.write(text)\n"
    "say('x\\n')",
    "in a list": "files = [open(1, 'w', closefd=False)]\nprint('x', file=files[0])",
    "in another module": "import math\nmath.out = open(1, 'w', closefd=False)\n"
    "math.out.write('x\\n')",
    "in a typing cache": "import typing\nclass Node:\n    out = open(1, 'w', closefd=False)\n"
    "def f(nodes: typing.List[Node]): pass\nNode.out.write('x\\n')",
    "in a signal handler": "import signal\nout = open(1, 'w', closefd=False)\n"
    "signal.signal(signal.SIGUSR1, lambda *_: out)\nout.write('x\\n')",
    "in a context variable": "import contextvars\nout = contextvars.ContextVar('out')\n"
    "out.set(open(1, 'w', closefd=False))\nout.get().write('x\\n')",
    "as sys.stdout": "import sys\nsys.stdout = open(1, 'w')\nprint('x')",
    "in print": "import builtins, functools\n"
    "builtins.print = functools.partial(print, file=open(1, 'w'))\nprint('x')",
    "after what was printed": "out = open(1, 'w', closefd=False)\nout.write('second\\n')\n"
    "print('first')",
    "csv": "import csv\ncsv.writer(open(1, 'w', newline='')).writerow([1, 2])",
    "collector off": "import gc\ngc.disable()\nout = open(1, 'w', closefd=False)\nout.write('x')",
}
FINALIZERS = {
    "global": f"{_TELLS}x = Loud(1)\nprint('end')",
    "several": f"{_TELLS}a = Loud(1)\nb = Loud(2)\n_c = Loud(3)\nprint('end')",
    "uses globals": f"k = 5\n{_LOUD}print('deleted', k, Loud, print)\nx = Loud()\nprint('end')",
    "cycle": f"{_TELLS}x = Loud(1)\nx.me = x\nLoud(2).me = x\nprint('end')",
    "in a cache": f"import functools\n{_TELLS}@functools.cache\ndef f(): return Loud(1)\nf()",
    "in a typing cache": f"import typing\n{_TELLS}class Node:\n    held = Loud(1)\n"
    "def f(nodes: typing.List[Node]): pass\nprint('end')",
    "of a local, raised": f"{_TELLS}def f():\n    x = Loud(1)\n    raise ValueError(3)\nf()",
    "of a global, raised": f"{_TELLS}x = Loud(1)\nraise ValueError(3)",
    "raises": f"{_LOUD}1 / 0\nx = Loud()\nprint('end')",
    "exits": f"import sys\n{_LOUD}sys.exit(3)\nx = Loud()\nprint('end')",
    "leaves": f"import os\n{_LOUD}print('x', flush=True); os._exit(3)\nx = Loud()\nprint('end')",
    "weakref.finalize": "import weakref\nclass C: pass\nx = C()\n"
    "weakref.finalize(x, print, 'gone')",
    "weak reference": "import weakref\nclass C: pass\nx = C()\n"
    "r = weakref.ref(x, lambda _: print('gone'))",
    "generator": "def g():\n    try:\n        yield 1\n    finally:\n        print('finally')\n"
    "x = g()\nnext(x)\nprint('end')",
    "atexit, in order": "import atexit\natexit.register(print, 1)\natexit.register(print, 2)",
    "atexit that raises": "import atexit\natexit.register(print, 1)\natexit.register(int, 'x')",
    "atexit that exits": "import atexit, sys\natexit.register(sys.exit, 4)\nprint('end')",
    "atexit that leaves": "import atexit, os\natexit.register(os._exit, 4)\nprint('end')",
    "atexit, raised": "import atexit\natexit.register(print, 1)\nraise ValueError(3)",
    "all in order": f"import atexit, threading\n{_TELLS}x = Loud(1)\n"
    "atexit.register(print, 'exit')\n"
    "def work():\n    threading.main_thread().join()\n    print('thread')\n"
    "threading.Thread(target=work).start()\nprint('main')",
    "pool that is left open": "from concurrent.futures import ThreadPoolExecutor\n"
    "pool = ThreadPoolExecutor(2)\npool.submit(print, 'x')",
    "logging that is flushed at exit": "import logging.handlers, sys\n"
    "logging.getLogger().addHandler(logging.handlers.MemoryHandler(9, target=logging.StreamHandler("
    "sys.stdout)))\nlogging.warning('x')",
}
ENDINGS = {
    **{
        f"sys.exit({code})": f"import sys\nprint('a')\nsys.exit({code})"
        for code in ("", "None", "0", "1", "256", "-1", "2**70", "True", "'text'", "2.5", "[1]")
    },
    "subclass of SystemExit": "class S(SystemExit): pass\nraise S(5)",
    "SystemExit in a thread": "import sys, threading\n"
    "t = threading.Thread(target=sys.exit, args=(3,))\nt.start()\nt.join()\nprint('x')",
    "exception in a thread": "import threading\nt = threading.Thread(target=int, args=('x',))\n"
    "t.start()\nt.join()\nprint('x')",
    "exception": "print('a')\nraise ValueError(3)",
    "os._exit(0), flushed": "import os\nprint('a', flush=True)\nos._exit(0)",
    "os._exit(0), not flushed": "import os\nprint('a')\nos._exit(0)",
    "os._exit(3)": "import os\nprint('a', flush=True)\nos._exit(3)",
    "sys.excepthook": "import sys\n"
    "sys.excepthook = lambda kind, error, _: print('hook', kind.__name__, error)\n"
    "raise ValueError(3)",
    "sys.excepthook that leaves": "import os, sys\nsys.excepthook = lambda *_: os._exit(0)\n1 / 0",
    "threading.excepthook": "import threading\n"
    "threading.excepthook = lambda args: print('hook', args.exc_type.__name__)\n"
    "t = threading.Thread(target=int, args=('x',))\nt.start()\nt.join()",
    "sys.unraisablehook": f"import sys\n{_LOUD}1 / 0\n"
    "sys.unraisablehook = lambda args: print('hook', args.exc_type.__name__)\nx = Loud()\ndel x",
    "recursion without end": "def f(): return f()\nf()",
}
NAMES = {
    "globals": "print(sorted(globals()), __name__, __doc__, __package__, __spec__, __cached__)",
    "the main module": "import sys, __main__\nx = 1\n"
    "print(__main__.x, sys.modules['__main__'].__dict__ is globals(), sys.argv, __annotations__)",
    "its folder": "import os, sys\nfolder = os.path.dirname(__file__)\n"
    "print(folder == os.getcwd() == sys.path[0], os.path.basename(__file__), sys.orig_argv[1:])",
    "__builtins__": "sum = 0\nprint(__builtins__.sum([20, 22]), type(__builtins__))\n"
    "def f(): return __builtins__.max(1, 2)\nprint(f())",
    "builtins": "import builtins\nprint(sorted(vars(builtins)))",
    "a function named candidate": "def candidate(x): return x + 1\nprint(candidate(2))",
    "a module of its own": "with open('helper.py', 'w') as file: file.write('x = 5')\n"
    "import helper\nprint(helper.x)",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "signals": "import signal\nnumbers = (1, 2, 3, 13, 14, 15, 17, 25)\n"
    "print([signal.getsignal(number) for number in numbers])\n"
    "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "encodings": "import locale, sys\n"
    "print(locale.getpreferredencoding(), sys.getfilesystemencoding(), locale.getlocale())",
    "multiprocessing.dummy": "from multiprocessing.dummy import Pool\n"
    "with Pool(3) as pool: print(pool.map(str, range(5)))",
    "ThreadPool": "from multiprocessing.pool import ThreadPool\npool = ThreadPool(2)\n"
    "print(pool.map(str, range(3)))\npool.close()\npool.join()",
    "multiprocessing.Lock and Queue": "import multiprocessing as mp\nlock = mp.RLock()\n"
    "with lock, lock: print(lock.acquire(False))\nqueue = mp.SimpleQueue()\nqueue.put([1])\n"
    "print(queue.get(), mp.Semaphore(2).acquire(), mp.BoundedSemaphore(1).get_value())\n"
    "one = mp.BoundedSemaphore(1)\ntry: one.release()\nexcept ValueError as error: print(error)\n"
    "try: mp.RLock().release()\nexcept AssertionError as error: print(error)\n"
    "one.acquire()\nprint(one.acquire(timeout=0.01), mp.Lock().acquire(block=False))",
    "recursion, 100,000 deep": "import sys\nsys.setrecursionlimit(10**6)\n"
    "def f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(10**5))",
    "recursion in a thread with a stack of 512 MB": "import sys, threading\n"
    "sys.setrecursionlimit(10**6)\nthreading.stack_size(512 * 2**20)\n"
    "def f(n): return 0 if n == 0 else 1 + f(n - 1)\n"
    "t = threading.Thread(target=lambda: print(f(10**5)))\nt.start()\nt.join()",
}
PROGRAMS = {
    f"{group}: {name}": program
    for group, programs in (
        ("streams", STREAMS),
        ("own file", OWN_FILES),
        ("finalizer", FINALIZERS),
        ("end", ENDINGS),
        ("names", NAMES),
    )
    for name, program in programs.items()
}
GIVEN = "one\r\ntwo\rthree\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_script_does_what_it_does_in_a_plain_interpreter(
    run: Run, tmp_path: Path, name: str
) -> None:
    program = PROGRAMS[name] + "\n"
    (tmp_path / "program.py").write_text(program)
    given = tmp_path / "given"
    given.write_bytes(GIVEN.encode())
    with given.open("rb") as stdin, (tmp_path / "said").open("wb") as said:
        plain = subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env={"PYTHONHASHSEED": "0"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if name == "streams: attributes" else said,
            preexec_fn=_undo_ignored,
        )
        printed, _ = plain.communicate()
    seen = run(program, GIVEN, limits=UNHURRIED)
    assert seen.stdout == printed.decode()
    if seen.reason is ExitReason.EXCEPTION:
        last = (tmp_path / "said").read_text().splitlines() or [""]
        hooked = "hook" in program
        assert plain.returncode == 1
        assert hooked or last[-1].partition(":")[0] == seen.error_type
    else:
        assert (seen.reason, seen.exit_code) == (ExitReason.FINISHED, plain.returncode)


def _undo_ignored() -> None:
    """Background jobs of a shell, and nohup, ignore signals, and what they start inherits that."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def test_a_program_that_is_called_finds_the_module_builtins_as_well(run: Run) -> None:
    seen = run("sum = 0\ndef f(): return __builtins__.sum([20, 22])\n", Call())
    assert seen.value == 42


def test_what_ends_a_script_is_within_its_limits(run: Run) -> None:
    brief = ExecutionLimits(cpu_seconds=0.3, wall_seconds=3600.0)
    for end in (f"{_LOUD}[0 for _ in iter(int, 1)]\nx = Loud()", f"{_TELLS}while True: pass"):
        assert run(end, limits=brief).reason is ExitReason.CPU_LIMIT
    flood = f"{_LOUD}\n        while True: print('x' * 1000)\nx = Loud()"
    assert run(flood, limits=UNHURRIED).reason is ExitReason.OUTPUT_LIMIT


def test_a_script_that_leaves_is_known_by_what_the_kernel_says(run: Run) -> None:
    """Nothing that it may write into its own report makes more of it than that."""
    forge = (
        f"{FORGE}\nimport gc, os\ngc.unfreeze()\nfor thing in gc.get_objects():\n"
        "    if type(thing).__name__ == 'Report': forge(thing, b'?', b'nonsense')\n"
    )
    for code in (0, 3):
        seen = run(f"{forge}print('a', flush=True)\nos._exit({code})")
        assert (seen.reason, seen.exit_code, seen.stdout) == (ExitReason.FINISHED, code, "a\n")
