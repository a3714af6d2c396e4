"""A grader's process that scores many programs: a task a line in, its verdict a line out.

Usage, inside containment: ``python -m benchmarks.peers.score NAME SOURCES``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benchmarks.peers.adapters import ADAPTERS
from benchmarks.peers.serve import streams_apart
from benchmarks.peers.task import Task

__all__ = ["main"]


def main(name: str, sources: str) -> None:
    """Answers each line of standard input before it reads the next one."""
    requests, answers = streams_apart()
    adapter = ADAPTERS[name]
    grader = adapter.load(Path(sources))
    with os.fdopen(requests, encoding="utf-8") as tasks, os.fdopen(answers, "w") as verdicts:
        for line in tasks:
            verdict = adapter.ask(grader, Task.from_json(line))
            # Flushed, so that no process that the grader forks has a line of it as well.
            print(json.dumps(verdict._asdict()), file=verdicts, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
