"""Runs tests beside busy loops: `python -m tests.busy [--runs N] [--loops N] [pytest's arguments]`.

Its exit status is that of the first run that failed, or 0.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_LOOP = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keeps as many CPUs as there are loops from doing anything else."""
    command = [sys.executable, "-c", _LOOP, str(os.getpid())]
    started = [subprocess.Popen(command) for _ in range(loops)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loops", type=int, default=8)
    options, arguments = parser.parse_known_args()
    with busy(options.loops):
        for run in range(1, options.runs + 1):
            load = Path("/proc/loadavg").read_text().split()[0]
            print(
                f"run {run} of {options.runs} beside {options.loops} loops; load {load}", flush=True
            )
            done = subprocess.run([sys.executable, "-m", "pytest", *arguments])
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
