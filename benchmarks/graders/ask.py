"""The grader's process: asks one grader about one task, then writes down what it said.

Usage, inside containment: ``python -m benchmarks.graders.ask NAME SOURCES TASK ANSWER``.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import traceback
from pathlib import Path

from benchmarks.graders.adapters.table import ADAPTERS
from benchmarks.graders.task import Task

__all__ = ["main"]


def main(name: str, sources: str, task: str, answer: str) -> None:
    """Writes the grader's verdict, or the exception that left it, to the file `answer`."""
    try:
        verdict = ADAPTERS[name].grade(Task.from_json(Path(task).read_text()), Path(sources))
        text = json.dumps(dataclasses.asdict(verdict))
    except Exception:
        text = json.dumps({"error": traceback.format_exc()[-2000:]})
    Path(answer).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
