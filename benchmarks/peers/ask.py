"""A grader's process: one task and its verdict as files (`once`), or many that are timed (`main`).

Usage, inside containment: ``python -m benchmarks.peers.ask NAME SOURCES TASK ANSWER``.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers.adapters import ADAPTERS
from benchmarks.peers.serve import serve
from benchmarks.peers.task import Task

__all__ = ["main", "once"]


def once(name: str, sources: str, task: str, answer: str) -> None:
    """Writes the grader's verdict, or the exception that left it, to the file `answer`."""
    try:
        grader = ADAPTERS[name].load(Path(sources))
        verdict = ADAPTERS[name].ask(grader, Task.from_json(Path(task).read_text()))
        text = json.dumps(verdict._asdict())
    except Exception:
        text = json.dumps({"error": traceback.format_exc()[-2000:]})
    Path(answer).write_text(text)


def main() -> None:
    """Serves the grader that the command line names: name, folder of its packages."""
    adapter = ADAPTERS[sys.argv[1]]
    grader = adapter.load(Path(sys.argv[2]))

    def prepare(fields: dict[str, Any], seconds: float) -> Callable[[], bool] | None:
        task = Task.from_json(json.dumps(fields))
        options = adapter.limited(seconds)
        if not adapter.can_ask(task):
            return None
        return lambda: adapter.ask(grader, task, **options).accepted

    serve(prepare)


if __name__ == "__main__":
    once(*sys.argv[1:])
