"""Programs that eat time, memory, output, disk or the compiler, or that will not die."""

from __future__ import annotations

from codegym.grading import Verdict

from .case import NEVER, NEVER_CALLS, Case, Ending

_TIME = (Verdict.TIME_LIMIT,)
_MEMORY = (Verdict.MEMORY_LIMIT,)
_OUTPUT = (Verdict.OUTPUT_LIMIT,)
_CRASH = (Verdict.RUNTIME_ERROR,)
_COMPILE = (Verdict.COMPILE_ERROR,)
_ANY_LIMIT: tuple[Ending, ...] = (Verdict.TIME_LIMIT, Verdict.MEMORY_LIMIT)

TIME: dict[str, tuple[str, tuple[Ending, ...]]] = {
    "loops": ("while True: pass", _TIME),
    "sleeps": ("import time\ntime.sleep(100)", _TIME),
    "waits for a lock": ("import threading\nthreading.Event().wait()", _TIME),
    "waits for a pipe": ("import os\nr, w = os.pipe()\nos.read(r, 1)", _TIME),
    "waits for a signal": ("import signal\nsignal.pause()", _TIME),
    "stops itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", _TIME),
    "swallows every exception": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        _TIME,
    ),
    "ignores every signal": (
        "import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass",
        _TIME,
    ),
    "blocks every signal": (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\nwhile True: pass",
        _TIME,
    ),
    "turns the alarm off": (
        "import signal\nsignal.alarm(0)\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass",
        _TIME,
    ),
    "raises its own CPU limit": (
        "import resource\ntry: resource.setrlimit(resource.RLIMIT_CPU, (999, 999))\n"
        "except (OSError, ValueError): pass\nwhile True: pass",
        _TIME,
    ),
    "regular expression": ("import re\nre.match('(a*)*b', 'a' * 40)", _TIME),
    "one long call in C": ("sum(range(10 ** 11))", _TIME),
    "slow destructor": (
        "class D:\n    def __del__(self):\n        while True: pass\nx = D()\ndel x",
        _TIME,
    ),
    "endless atexit": ("import atexit\natexit.register(lambda: [0 for _ in iter(int, 1)])", _TIME),
    "endless message of an exception": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
        _TIME,
    ),
    "thread that stays": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()",
        _TIME,
    ),
    "threads that burn CPU": (
        "import threading\ndef burn():\n    while True: pass\n"
        "for _ in range(8): threading.Thread(target=burn).start()",
        _TIME,
    ),
    "thread bomb": (
        "import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, "
        "args=(99,), daemon=True).start()\n    except (RuntimeError, MemoryError): pass",
        _ANY_LIMIT,
    ),
    "huge integer": ("x = 10 ** 10 ** 10\nprint(x)", _ANY_LIMIT),
    "huge factorial": ("import math\nprint(math.factorial(10 ** 7) % 10)", _ANY_LIMIT),
}
MEMORY: dict[str, tuple[str, tuple[Ending, ...]]] = {
    "memory, at once": ("x = b'x' * 2 ** 31", _MEMORY),
    "memory, bit by bit": ("x = []\nwhile True: x.append('a' * 10 ** 6)", _MEMORY),
    "memory, small objects": ("x = []\nwhile True: x.append([x])", _ANY_LIMIT),
    "memory, swallowed": (
        "x = []\nwhile True:\n    try: x.append(bytearray(b'x' * 10 ** 7))\n"
        "    except MemoryError: pass",
        _MEMORY,
    ),
    "memory, in threads": (
        "import threading\nx = []\ndef eat():\n    while True: x.append(b'x' * 10 ** 7)\n"
        "threads = [threading.Thread(target=eat) for _ in range(4)]\n"
        "for t in threads: t.start()\nfor t in threads: t.join()\nraise MemoryError",
        _ANY_LIMIT,
    ),
    "memory, shared": (
        "import mmap\nm = mmap.mmap(-1, 2 ** 31)\nfor i in range(0, 2 ** 31, 4096): m[i] = 1",
        (*_MEMORY, *_CRASH),
    ),
    "memory, shared, in pieces": (
        "import mmap\nx = []\nwhile True:\n    m = mmap.mmap(-1, 2 ** 24)\n"
        "    m.write(b'x' * 2 ** 24)\n    x.append(m)",
        (*_ANY_LIMIT, *_CRASH),
    ),
    "memory file": (
        "import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, b'x' * 2 ** 22)",
        (*_MEMORY, *_CRASH),
    ),
    "memory, huge repeat": ("print('x' * 10 ** 10)", _MEMORY),
    "memory, huge format": ("print(f'{1:>{10 ** 10}}')", _MEMORY),
}
NUMPY: dict[str, tuple[str, tuple[Ending, ...]]] = {
    "memory, numpy": ("import numpy as np\nx = np.ones(2 ** 28)", _MEMORY),
    "memory, numpy, in pieces": (
        "import numpy as np\nx = []\nwhile True: x.append(np.ones(10 ** 6))",
        _MEMORY,
    ),
}
OUTPUT: dict[str, tuple[str, tuple[Ending, ...]]] = {
    "flood": ("while True: print('x' * 1000)", _OUTPUT),
    "flood of stderr": ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", _OUTPUT),
    "flood of os.write": ("import os\nwhile True: os.write(1, b'x' * 2 ** 16)", _OUTPUT),
    "flood, 1 GB at once": (
        "import os\nos.write(1, b'x' * 2 ** 27)\nwhile True: print(1)",
        _OUTPUT,
    ),
    "flood of warnings": (
        "import warnings\nwarnings.simplefilter('always')\nwhile True: warnings.warn('x' * 1000)",
        _OUTPUT,
    ),
    "flood of one file": (
        "with open('flood', 'wb') as file:\n    for _ in range(400): file.write(b'x' * 10 ** 6)",
        _CRASH,
    ),
    "open files": ("x = [open('/dev/null') for _ in range(10 ** 4)]", _CRASH),
    "pipes": ("import os\nx = [os.pipe() for _ in range(10 ** 4)]", _CRASH),
}
RECURSION: dict[str, tuple[str, tuple[Ending, ...]]] = {
    "recursion": ("def g(): g()\ng()", _CRASH),
    "recursion without limit": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef g(): g()\ng()",
        (*_ANY_LIMIT, *_CRASH),
    ),
    "recursion in C": (
        "import functools, sys\nsys.setrecursionlimit(10 ** 9)\n"
        "def g(): return h()\nh = functools.partial(g)\nh()",
        (*_ANY_LIMIT, *_CRASH),
    ),
    "recursion of __getattr__": (
        "class A:\n    def __getattr__(self, name): return getattr(self, name + 'x')\nA().y",
        (*_CRASH, *_MEMORY),
    ),
    "abort": ("import os\nos.abort()", _CRASH),
    "segmentation fault": ("import ctypes\nctypes.string_at(1)", _CRASH),
    "corrupt bytecode": (
        "def g(): pass\n"
        "g.__code__ = g.__code__.replace(co_code=b'\\xff\\xff' * 999, co_consts=())\ng()",
        (*_CRASH, *_TIME),
    ),
    "kills itself": ("import os\nos.kill(os.getpid(), 9)", _CRASH),
    "closes every descriptor": (
        "import os\nos.closerange(0, 1024)\nprint('never')",
        (Verdict.WRONG_ANSWER, *_CRASH),
    ),
    "replaces its streams": (
        "import sys\nsys.stdout = sys.stderr = sys.__stdout__ = None\nprint('never')",
        (Verdict.WRONG_ANSWER,),
    ),
    "breaks its interpreter": (
        "import builtins, sys\nbuiltins.__dict__.clear()\nsys.modules.clear()\nprint('never')",
        _CRASH,
    ),
}
COMPILE: dict[str, tuple[str, tuple[Ending, ...]]] = {
    "compile: nesting": ("x = " + "(" * 5000, _COMPILE),
    "compile: operators": ("x = " + "-" * 10**6 + "1", _COMPILE),
    "compile: 10 MB": (
        "x = 1\n" * (10 * 2**20 // 6),
        (*_COMPILE, *_ANY_LIMIT, Verdict.WRONG_ANSWER),
    ),
    "compile: constant": (
        "x = ((1 << 60) ** 1000) ** 1000 ** 1000",
        (*_COMPILE, *_ANY_LIMIT),
    ),
    "compile: string constant": ("x = 'a' * 4096 * 4096 * 4096 * 4096", (*_COMPILE, *_MEMORY)),
    "compile: targets": ("a" + "[b" * 3000 + "]" * 3000 + " = 1", (*_COMPILE, *_CRASH)),
    "compile: elif": (
        "if 0: pass\n" + "elif 0: pass\n" * 20000,
        (*_COMPILE, *_ANY_LIMIT),
    ),
    "compile: at run time": ("exec('(' * 10 ** 7)", (*_CRASH, *_ANY_LIMIT, *_OUTPUT)),
}


def _cases(
    group: str, attacks: dict[str, tuple[str, tuple[Ending, ...]]], *needs: str
) -> tuple[Case, ...]:
    return tuple(
        Case(
            f"attack: {name}",
            "reject",
            group,
            name,
            program,
            NEVER,
            verdicts,
            calls=NEVER_CALLS,
            needs=needs,
        )
        for name, (program, verdicts) in attacks.items()
    )


CASES = (
    *_cases("time", TIME),
    *_cases("memory", MEMORY),
    *_cases("memory", NUMPY, "numpy"),
    *_cases("output", OUTPUT),
    *_cases("crashes", RECURSION),
    *_cases("compilation", COMPILE),
    Case(
        "attack: fills the disk",
        "reject",
        "output",
        "writes a thousand files of a megabyte",
        "for i in range(1000):\n    with open(f'f{i}', 'wb') as file: file.write(b'x' * 10 ** 6)",
        NEVER,
        _CRASH,
        calls=NEVER_CALLS,
        error_types=("OSError",),
        needs=("namespaces",),
    ),
)
