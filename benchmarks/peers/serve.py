"""A grader's process when it is timed: tasks in, seconds and verdicts out.

Messages are lines of JSON. `{"tasks": [...], "seconds": limit}` is answered with
`{"supported": [bool, ...]}`; `{"run": [index, ...]}` with `{"seconds": [...], "passed": [...]}`.
A time is taken here, around the judging of one program, so that no message counts.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Prepare", "serve", "streams_apart"]

Prepare = Callable[[dict[str, Any], float], Callable[[], bool] | None]
"""A task and a limit in seconds -> what judges it, or None where this grader cannot."""


def streams_apart() -> tuple[int, int]:
    """Moves standard input and output to descriptors that programs get as no standard stream."""
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    return requests, answers


def serve(prepare: Prepare) -> None:
    """Answers until the other side closes the pipe; what `prepare` returns is what is timed."""
    requests, answers = streams_apart()
    judges: list[Any] = []
    for line in os.fdopen(requests, encoding="utf-8"):
        message = json.loads(line)
        if "tasks" in message:
            judges = [prepare(task, message["seconds"]) for task in message["tasks"]]
            answer: dict[str, Any] = {"supported": [judge is not None for judge in judges]}
            gc.collect()
            gc.freeze()
        else:
            answer = {"seconds": [], "passed": []}
            for index in message["run"]:
                started = time.perf_counter()
                passed = judges[index]()
                answer["seconds"].append(time.perf_counter() - started)
                answer["passed"].append(passed)
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(answers, data) :]
    sys.exit(0)
