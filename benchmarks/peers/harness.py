"""The host, inside containment: starts a grader's process and looks what is left afterwards.

Usage: ``python -m benchmarks.peers.harness NAME SOURCES SECRET_VARIABLE SECRET``, a task as JSON
on standard input, a report as JSON on standard output. It watches a folder, a port, the processes
that are still there when the grader has ended, and the memory that was used.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.task import Task
from conformance.host import Host

__all__ = ["DEADLINE", "main"]

DEADLINE = 60.0
"""Seconds after which a grader without a verdict counts as hanging."""
_SETTLING = 1.5
_MEMORY = 2**30


def main(name: str, sources: str, variable: str, secret: str) -> None:
    """Prints what the grader said and what was done to the host."""
    task = Task.from_json(sys.stdin.read())
    folder = Path("/host")
    (folder / "cwd").mkdir()
    private = Path(tempfile.mkdtemp(dir="/private"))
    with Host(folder, secret) as host:
        words = {"@HOST@": str(folder), "@PORT@": str(host.port), "@SIGNAL@": "9"}
        program = task.program
        for word, value in words.items():
            program = program.replace(word, value)
        (private / "task").write_text(task._replace(program=program).to_json())
        arguments = [name, sources, str(private / "task"), str(private / "answer")]
        report = _run(arguments, folder / "cwd", {variable: secret})
        report["effects"] += host.effects()
    answer = private / "answer"
    if answer.exists():
        report |= json.loads(answer.read_text())
    print(json.dumps(report))


def _run(arguments: list[str], folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    answer = Path(arguments[-1])
    started = time.monotonic()
    with open(answer.parent / "log", "wb") as log:
        grader = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.ask", *arguments],
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with contextlib.suppress(subprocess.TimeoutExpired):
        grader.wait(DEADLINE)
    report: dict[str, Any] = {
        "seconds": round(time.monotonic() - started, 2),
        "exit": grader.returncode,
        "log": _tail(answer.parent / "log"),
        "effects": _settle(),
    }
    if resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 > _MEMORY:
        report["effects"].append("used more than 1 GiB of memory")
    return report


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1000))
        return file.read().decode(errors="replace")


def _settle() -> list[str]:
    """Waits for what is about to end; kills and names the rest."""
    deadline = time.monotonic() + _SETTLING
    while _others() and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [f"left a process: {command}" for command in list(_others().values())[:3]]
    while others := _others():
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return left


def _others() -> dict[int, str]:
    """All living processes but this one and the first."""
    # A walk through /proc of its own: in here there is no psutil.
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (1, os.getpid()):
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_text()
                if stat.rpartition(")")[2].split()[0] != "Z":
                    command = Path(f"/proc/{name}/cmdline").read_text().replace("\0", " ")
                    found[int(name)] = command.strip()[:80] or stat.split()[1]
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
