"""Right programs: every way of reading, of writing, of ending."""

from __future__ import annotations

from codegym.grading import Verdict
from codegym.problems import StdinTest

from .case import Case

_TWO_LINES = (StdinTest("one\ntwo\n", "one|two\n"),)
_FIVE = (StdinTest("", "x\n"), StdinTest("a\nb\n", "x\n"))

READERS = {
    "input": "a = input(); b = input()",
    "readline": "import sys\na = sys.stdin.readline().strip(); b = sys.stdin.readline().strip()",
    "readlines": "import sys\na, b = [line.strip() for line in sys.stdin.readlines()]",
    "read": "import sys\na, b = sys.stdin.read().split()",
    "read, bit by bit": "import sys\nread = sys.stdin.read\na = read(3)\nread(1)\nb = read(3)",
    "buffer": "import sys\na, b = sys.stdin.buffer.read().decode().split()",
    "buffer, line by line": "import sys\nread = sys.stdin.buffer.readline\n"
    "a = read().decode().strip(); b = read().decode().strip()",
    "buffer, iterated": "import sys\na, b = [line.decode().strip() for line in sys.stdin.buffer]",
    "iteration": "import sys\na, b = [line.strip() for line in sys.stdin]",
    "open(0)": "a, b = open(0).read().split()",
    "open(0), bytes": "a, b = open(0, 'rb').read().decode().split()",
    "open(0), line by line": "a, b = map(str.strip, open(0))",
    "/dev/stdin": "a, b = open('/dev/stdin').read().split()",
    "os.read": "import os\na, b = os.read(0, 99).decode().split()",
    "os.fdopen": "import os\na, b = os.fdopen(0).read().split()",
    "EOF loop": "lines = []\ntry:\n    while True: lines.append(input())\n"
    "except EOFError: a, b = lines",
    "readline to the end": "import sys\nlines = []\nwhile line := sys.stdin.readline():\n"
    "    lines.append(line.strip())\na, b = lines",
    "iter with sentinel": "import sys\na, b = [x.strip() for x in iter(sys.stdin.readline, '')]",
    "input rebound": "import sys\ninput = sys.stdin.readline\n"
    "a = input().strip(); b = input().strip()",
    "input rebound in a function": "import sys\ndef main():\n    input = sys.stdin.readline\n"
    "    return input().strip(), input().strip()\na, b = main()",
    "BytesIO": "import io, os\ninput = io.BytesIO(os.read(0, os.fstat(0).st_size)).readline\n"
    "a = input().decode().strip(); b = input().decode().strip()",
    "TextIOWrapper": "import io, sys\nstdin = io.TextIOWrapper(sys.stdin.buffer, 'utf-8')\n"
    "a = stdin.readline().strip(); b = stdin.readline().strip()",
    "fileinput": "import fileinput\na, b = [line.strip() for line in fileinput.input()]",
    "a generator": "import sys\ndef tokens():\n    for line in sys.stdin:\n"
    "        yield from line.split()\nt = tokens()\na = next(t); b = next(t)",
    "input, then the rest": "import sys\na = input()\nb = sys.stdin.read().strip()",
}
WRITERS = {
    "print": "print(x)",
    "print with sep and end": "print(x[:2], x[2:], sep='', end='\\n')",
    "print to sys.stdout": "import sys\nprint(x, file=sys.stdout)",
    "sys.stdout.write": "import sys\nsys.stdout.write(x + '\\n')",
    "writelines": "import sys\nsys.stdout.writelines([x, '\\n'])",
    "sys.__stdout__": "import sys\nsys.__stdout__.write(x + '\\n')",
    "buffer": "import sys\nsys.stdout.buffer.write((x + '\\n').encode())",
    "several flushes": "import sys\nprint(x[0], end='', flush=True)\nsys.stdout.write(x[1:])\n"
    "sys.stdout.flush()\nprint(flush=True)",
    "os.write": "import os\nos.write(1, (x + '\\n').encode())",
    "open(1)": "open(1, 'w').write(x + '\\n')",
    "/dev/stdout": "open('/dev/stdout', 'w').write(x + '\\n')",
    "stderr too": "import sys\nprint('noise', file=sys.stderr)\nprint(x)",
    "StringIO, at exit": "import sys, io, os, atexit\nsys.stdout = io.StringIO()\n"
    "atexit.register(lambda: os.write(1, sys.stdout.getvalue().encode()))\nprint(x)",
    "redirect_stdout": "import contextlib, io\n"
    "with contextlib.redirect_stdout(io.StringIO()) as s:\n"
    "    print(x)\nprint(s.getvalue(), end='')",
    "print rebound": "import sys\n"
    "print = lambda *a: sys.stdout.write(' '.join(map(str, a)) + '\\n')\n"
    "print(x)",
    "join": "out = []\nfor c in [x]: out.append(str(c))\nprint('\\n'.join(out))",
    "no newline at the end": "print(x, end='')",
    "spaces at the end": "print(x + '  ')",
    "newlines at the end": "print(x + '\\n\\n')",
    "carriage returns": "print(x, end='\\r\\n')",
    "from a thread": "import threading\nt = threading.Thread(target=print, args=(x,))\n"
    "t.start()\nt.join()",
    "logging": "import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
    "logging.warning(x)",
}
ENDINGS = {
    "falls off": "",
    "exit()": "exit()",
    "quit()": "quit()",
    "sys.exit": "import sys\nsys.exit()",
    "sys.exit(0)": "import sys\nsys.exit(0)",
    "sys.exit(None)": "import sys\nsys.exit(None)",
    "SystemExit": "raise SystemExit",
    "exit in a function": "def main():\n    exit(0)\nmain()\nprint('not reached')",
    "exit, last test without input": "import sys\nif not sys.stdin.read(): sys.exit(0)",
    "a daemon thread is left": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "a thread ends last": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(0.1,)).start()",
    "atexit": "import atexit\natexit.register(int)",
    "exception that is caught": "try: 1 // 0\nexcept ZeroDivisionError: pass",
    "stdout closed": "import sys\nsys.stdout.flush()\nsys.stdout.close()",
}


def _accept(name: str, group: str, tries: str, program: str, *tests: StdinTest) -> Case:
    return Case(name, "accept", group, tries, program, tests, (Verdict.ACCEPTED,))


CASES = (
    *(
        _accept(
            f"read: {name}",
            "reading",
            f"reads with {name}",
            f"{program}\nprint(a, b, sep='|')\n",
            *_TWO_LINES,
        )
        for name, program in READERS.items()
    ),
    _accept(
        "read: no newline at the end",
        "reading",
        "reads a last line without newline",
        "print(input(), input(), sep='|')",
        StdinTest("one\ntwo", "one|two\n"),
    ),
    _accept(
        "read: empty lines",
        "reading",
        "counts lines, some of which are empty",
        "import sys\nprint(len(sys.stdin.readlines()))",
        StdinTest("\n\na\n\n", "4\n"),
        StdinTest("", "0\n"),
    ),
    _accept(
        "read: spaces count",
        "reading",
        "measures lines with spaces at their ends",
        "print(len(input()), len(input()))",
        StdinTest("  a \n b\n", "4 2\n"),
    ),
    _accept(
        "read: unicode",
        "reading",
        "reads and writes other scripts",
        "s = input()\nprint(s[::-1], len(s))",
        StdinTest("äπ漢😀\n", "😀漢πä 4\n"),
    ),
    _accept(
        "read: much",
        "reading",
        "reads 20,000 numbers",
        "n = int(input())\nprint(sum(map(int, input().split())), n)",
        StdinTest(f"20000\n{' '.join(map(str, range(20000)))}\n", f"{sum(range(20000))} 20000\n"),
    ),
    *(
        _accept(
            f"write: {name}",
            "writing",
            f"writes with {name}",
            f"x = 'answer'\n{program}\n",
            StdinTest("", "answer\n"),
        )
        for name, program in WRITERS.items()
    ),
    _accept(
        "write: much",
        "writing",
        "prints 9,000 lines",
        "for i in range(9000): print(i)",
        StdinTest("", "".join(f"{i}\n" for i in range(9000))),
    ),
    _accept(
        "write: print and buffer in turns",
        "writing",
        "flushes between two ways of writing",
        "import sys\nprint('a', flush=True)\nsys.stdout.buffer.write(b'b\\n')\n"
        "sys.stdout.buffer.flush()\nprint('c')",
        StdinTest("", "a\nb\nc\n"),
    ),
    *(
        _accept(
            f"end: {name}",
            "ending",
            f"ends with {name}",
            f"print('x', flush=True)\n{program}\n",
            *_FIVE,
        )
        for name, program in ENDINGS.items()
    ),
)
