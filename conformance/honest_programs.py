"""Right programs of every shape that models and people write."""

from __future__ import annotations

from codegym.grading import Verdict
from codegym.problems import StdinTest

from .case import DOUBLE_LINES, Case

GUARD = "if __name__ == '__main__':\n    "

DOUBLES = {
    "main function": "def main():\n    print(2 * int(input()))\nmain()",
    "__main__ guard": f"def main():\n    print(2 * int(input()))\n{GUARD}main()",
    "__main__ guard, double quotes": "def main():\n    print(2 * int(input()))\n"
    'if __name__ == "__main__":\n    main()',
    "__main__ guard, then more": f"n = 0\n{GUARD}n = int(input())\nprint(2 * n)",
    "sys.modules['__main__']": "import sys\nx = 2 * int(input())\nprint(sys.modules['__main__'].x)",
    "globals()": "x = 2 * int(input())\nprint(globals()['x'])",
    "global": "total = 0\ndef add(x):\n    global total\n    total += x\nx = int(input())\n"
    "add(x)\nadd(x)\nprint(total)",
    "global, first set in a function": "def read():\n    global x\n    x = int(input())\nread()\n"
    "print(2 * x)",
    "function that uses a later one": "def f(x): return g(x)\ndef g(x): return 2 * x\n"
    "print(f(int(input())))",
    "mutual recursion": "def even(n): return n == 0 or odd(n - 1)\n"
    "def odd(n): return n != 0 and even(n - 1)\nn = int(input())\nprint(2 * n if odd(n) else 0)",
    "comprehension over globals": "k = 2\nn = int(input())\nprint(sum(k for _ in range(n)))",
    "class": "class Doubler:\n    factor = 2\n    def __init__(self, n): self.n = n\n"
    "    def go(self): return self.n * Doubler.factor\nprint(Doubler(int(input())).go())",
    "class Solution that prints": "class Solution:\n    def double(self, n): return 2 * n\n"
    "print(Solution().double(int(input())))",
    "class Solution with arguments": "class Solution:\n    def __init__(self, n): self.n = n\n"
    "    def go(self): return 2 * self.n\nprint(Solution(int(input())).go())",
    "the words class Solution": "# not a class Solution\nprint(2 * int(input()))",
    "dataclass": "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\n"
    "class P:\n    x: int\n    y: list[int] = dataclasses.field(default_factory=list)\n"
    "print(P(int(input())).x * 2)",
    "NamedTuple": "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n"
    "print(2 * P(int(input())).x)",
    "pickle of an own class": "import pickle\nclass P:\n    def __init__(self, x): self.x = x\n"
    "print(2 * pickle.loads(pickle.dumps(P(int(input())))).x)",
    "get_type_hints": "import typing\nclass N:\n    left: 'N'\nassert typing.get_type_hints(N)\n"
    "print(2 * int(input()))",
    "from __future__": "from __future__ import annotations\ndef f(x: Undefined) -> Undefined:\n"
    "    return 2 * x\nprint(f(int(input())))",
    "docstring first": '"""Doubles."""\nassert __doc__ == "Doubles."\nprint(2 * int(input()))',
    "string of several lines": "text = '''a\n  b\nc'''\nassert text.split('\\n')[1] == '  b'\n"
    "print(2 * int(input()))",
    "string that looks like code": "text = '''\nimport os\nfrom sys import *\n'''\n"
    "assert len(text) == 29\nprint(2 * int(input()))",
    "fences in a string": "text = '```python'\nassert text[3:] == 'python'\n"
    "print(2 * int(input()))",
    "fences in a comment": "# ```\nprint(2 * int(input()))",
    "line continuation": "print(2 * \\\n  int(input()))",
    "tabs": "if True:\n\tprint(2 * int(input()))",
    "CRLF": "n = int(input())\r\nprint(2 * n)\r\n",
    "byte order mark": "\ufeffprint(2 * int(input()))",
    "coding line": "# -*- coding: latin-1 -*-\nassert 'ä' == '\\xe4'\nprint(2 * int(input()))",
    "form feed": "\x0cprint(2 * int(input()))",
    "names in other scripts": "größe = int(input())\nprint(2 * größe)",
    "a long line": f"data = [{', '.join(['1'] * 4000)}]\nprint(2 * int(input()))",
    "many lines": "x = 0\n" * 2000 + "print(2 * int(input()))",
    "builtins shadowed": "list = int(input())\nmax = sum = id = type = 2\nprint(max * list)",
    "the grader's names": "result = results = test = tests = check = code = solution = 2\n"
    "stdin = stdout = inputs = outputs = expected = 0\nprint(result * int(input()))",
    "names of modules": "time = math = re = 2\nprint(time * int(input()))",
    "star imports": "from math import *\nfrom itertools import *\nfrom collections import *\n"
    "print(int(sqrt(4)) * int(input()))",
    "time shadowed": "from time import *\nassert time() > 0\nprint(2 * int(input()))",
    "del": "n = int(input())\nm = n * 2\ndel n\nprint(m)",
    "exec and eval": "exec('def f(x): return 2 * x')\nprint(eval('f(int(input()))'))",
    "match": "match int(input()):\n    case n if n > 0: print(2 * n)\n    case n: print(2 * n)",
    "walrus and lambda": "f = lambda x: (y := x) + y\nprint(f(int(input())))",
    "nonlocal": "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n = int(input())\n"
    "    g()\n    return 2 * n\nprint(f())",
    "generators": "def g():\n    x = yield\n    yield 2 * x\nt = g()\nnext(t)\n"
    "print(t.send(int(input())))",
    "try/finally": "try:\n    n = int(input())\nfinally:\n    n *= 2\nprint(n)",
    "module state": "import random, string\nrandom.state = 2\nstring.digits += 'x'\n"
    "print(random.state * int(input()))",
    "memory of earlier calls": "cache = {}\ndef f(n):\n    if n not in cache: cache[n] = 2 * n\n"
    "    return cache[n]\nn = int(input())\nf(n)\nprint(f(n)) if len(cache) == 1 else print('?')",
    "random with a seed": "import random\nrandom.seed(7)\na = random.random()\nrandom.seed(7)\n"
    "assert a == random.random()\nprint(2 * int(input()))",
    "recursion, 15,000 deep": "import sys\nsys.setrecursionlimit(10**6)\nknown = {0: 0}\n"
    "def f(n):\n    if n not in known: known[n] = f(n - 1) + 2\n    return known[n]\nf(15000)\n"
    "print(f(int(input())))",
    # Through functions of C no deeper: CPython 3.12.1 ends it at 498 and 3.13.0 at 3,332.
    "recursion through functools.cache, 400 deep": "import sys, functools\n"
    "sys.setrecursionlimit(10**6)\n@functools.cache\n"
    "def f(n): return 0 if n == 0 else f(n - 1) + 2\nf(400)\nprint(f(int(input())))",
    "thread with a large stack": "import sys, threading\nsys.setrecursionlimit(10**6)\n"
    "threading.stack_size(2**26)\ndef depth(n): return 0 if n == 0 else 1 + depth(n - 1)\n"
    "def main(): print(2 * int(input()) + depth(20000) - 20000)\n"
    "thread = threading.Thread(target=main)\nthread.start()\nthread.join()",
    "thread pool": "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(4) as pool:\n    assert list(pool.map(str, range(9)))\n"
    "print(2 * int(input()))",
    "asyncio": "import asyncio\nasync def main():\n    await asyncio.sleep(0.01)\n"
    "    print(2 * int(input()))\nasyncio.run(main())",
    "resource": "import resource\nresource.getrlimit(resource.RLIMIT_AS)\nresource.setrlimit("
    "resource.RLIMIT_STACK, resource.getrlimit(resource.RLIMIT_STACK))\nprint(2 * int(input()))",
    "signals of its own": "import signal\nseen = []\n"
    "signal.signal(signal.SIGALRM, lambda *_: seen.append(1))\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.01)\nsignal.pause()\nassert seen\n"
    "print(2 * int(input()))",
    "harmless imports": "import argparse, array, bisect, calendar, cmath, copy, ctypes, datetime\n"
    "import decimal, enum, fractions, heapq, inspect, io, json, logging, math, multiprocessing\n"
    "import operator, os, pathlib, queue, random, re, shutil, socket, statistics, string\n"
    "import subprocess, tempfile, textwrap, threading, time, typing, unittest, uuid, zoneinfo\n"
    "import sqlite3, email, html, xml.dom.minidom\nprint(2 * int(input()))",
    "argv": "import sys\nassert len(sys.argv) == 1\nprint(2 * int(input()))",
    "a temporary file": "import tempfile\nwith tempfile.TemporaryFile(dir='.') as file:\n"
    "    file.write(b'2')\n    file.seek(0)\n    print(int(file.read()) * int(input()))",
    "a file of its own": "import os\nwith open('notes.txt', 'w') as file: file.write('2')\n"
    "two = int(open('notes.txt').read())\nos.remove('notes.txt')\nprint(two * int(input()))",
    "reads a clock": "import time\nassert time.time() > 0 < time.perf_counter()\n"
    "print(2 * int(input()))",
    "garbage collector off": "import gc\ngc.disable()\ngc.collect()\nprint(2 * int(input()))",
    "large integers": "n = int(input())\nassert len(str(3 ** 8000)) == 3817\nprint(n << 1)",
    "60 MB of memory": "data = bytearray(60 * 2**20)\ndata[::4096] = b'x' * len(data[::4096])\n"
    "print(2 * int(input()))",
    "0.3 s of CPU": "import time\nwhile time.process_time() < 0.3: pass\nprint(2 * int(input()))",
}
NUMPY = {
    "numpy": "import numpy as np\nprint(int(np.array([int(input())]).sum() * 2))",
    "numpy, linear algebra": "import numpy as np\na = np.eye(30) * 2\n"
    "print(round(float(np.linalg.solve(np.eye(30), a)[0, 0])) * int(input()))",
}
_NAP = "import time\ntime.sleep(float(input()))\nprint('rested')"


def _accept(name: str, tries: str, program: str, tests: tuple[StdinTest, ...], *needs: str) -> Case:
    return Case(name, "accept", "programs", tries, program, tests, (Verdict.ACCEPTED,), needs=needs)


CASES = (
    *(_accept(f"program: {n}", n, p + "\n", DOUBLE_LINES) for n, p in DOUBLES.items()),
    *(_accept(f"program: {n}", n, p + "\n", DOUBLE_LINES, "numpy") for n, p in NUMPY.items()),
    _accept(
        "program: many slow tests",
        "six tests, each within its limit, together beyond it",
        _NAP,
        (StdinTest("0.4\n", "rested\n"),) * 6,
    ),
    Case(
        "program: many slower tests",
        "accept",
        "programs",
        "eight tests of 1.5 s, each within its limit",
        _NAP,
        (StdinTest("1.5\n", "rested\n"),) * 8,
        (Verdict.ACCEPTED,),
        lengthy=True,
    ),
    _accept(
        "program: 40 tests",
        "many tests",
        "print(2 * int(input()))",
        tuple(StdinTest(f"{i}\n", f"{2 * i}\n") for i in range(40)),
    ),
)
