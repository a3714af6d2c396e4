"""The loop of a contender's server: jobs in, seconds and verdicts out. Standard library only.

Messages are lines of JSON. `{"jobs": [...], "modules": [...], "time_limit": s}` is answered with
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

Judge = Callable[[dict[str, Any], float], bool]
"""Grades one job within a time limit in seconds."""


def serve(judge: Judge, supports: Callable[[dict[str, Any]], bool]) -> None:
    """Answers until the other side closes the pipe.

    Args:
        judge: Grades one job; this is what is timed.
        supports: Whether this contender can grade the job at all.
    """
    # Programs get neither end of the pipe as a standard stream.
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    jobs: list[dict[str, Any]] = []
    limit = 0.0
    for line in os.fdopen(requests, encoding="utf-8"):
        message = json.loads(line)
        if "jobs" in message:
            jobs, limit = message["jobs"], message["time_limit"]
            answer: dict[str, Any] = {"supported": [supports(job) for job in jobs]}
            gc.collect()
            gc.freeze()
        else:
            answer = {"seconds": [], "passed": []}
            for index in message["run"]:
                started = time.perf_counter()
                passed = judge(jobs[index], limit)
                answer["seconds"].append(time.perf_counter() - started)
                answer["passed"].append(passed)
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(answers, data) :]
    sys.exit(0)
