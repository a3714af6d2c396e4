"""A grader in a process of its own, seen from the benchmark that times it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.contain import ROOT, contained
from benchmarks.processes import Usage, usage
from benchmarks.programs import Job

__all__ = ["Block", "PeerError", "Remote"]

_START = (
    "import importlib, sys; root, module, *folders = sys.argv[1].split('|'); "
    "sys.path.insert(0, root); sys.path += folders; del sys.argv[1]; "
    "main = importlib.import_module('benchmarks.peers.' + module).main; "
    "sys.path.remove(root); main()"
)
_PATIENCE_SECONDS = 300.0


class PeerError(Exception):
    """A grader cannot be had here; the text says why."""


class Block(NamedTuple):
    """What a grader did with some jobs in a row.

    Attributes:
        seconds: Time from a program to its verdict, by index of the job.
        passed: The verdicts.
    """

    seconds: tuple[float, ...]
    passed: tuple[bool, ...]


class Remote:
    """A server: `ask`, `floor` or `fresh` of this folder.

    Args:
        name: The name of its row.
        module: The module of this folder.
        bare: Whether its interpreter goes without site packages.
        closed_in: Whether it runs in a containment.
        arguments: The command line of the module.
        packages: The folder of packages that it imports, or None.

    Raises:
        PeerError: If it does not start.
    """

    def __init__(
        self,
        name: str,
        module: str,
        *,
        bare: bool = False,
        closed_in: bool = False,
        arguments: Sequence[str] = (),
        packages: Path | None = None,
    ) -> None:
        self.name = name
        flags = ["-P", "-s", *(["-S"] if bare else []), "-X", "utf8"]
        where = "|".join(map(str, (ROOT, module, *([packages] if packages else []))))
        command = [sys.executable, *flags, "-c", _START, where, *arguments]
        environment = {"PYTHONHASHSEED": "0"}
        if closed_in:
            command = contained(command)
            environment |= {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        self._rest = b""
        try:
            self.load([], 1.0)
        except PeerError:
            self.close()
            raise

    def load(self, jobs: Sequence[Job], time_limit: float) -> list[bool]:
        """Sends the jobs over that blocks then name by index.

        Args:
            jobs: All jobs of a case.
            time_limit: Seconds, for a test or for a program, as the grader has it.

        Returns:
            Which of them it can grade.
        """
        tasks = [job.task._asdict() for job in jobs]
        answer = self._ask({"tasks": tasks, "seconds": time_limit})
        return [bool(supported) for supported in answer["supported"]]

    def run(self, indices: Sequence[int]) -> Block:
        """Grades jobs, one after the other; the server takes the time.

        Raises:
            PeerError: If the server died or is silent.
        """
        answer = self._ask({"run": list(indices)})
        return Block(tuple(map(float, answer["seconds"])), tuple(map(bool, answer["passed"])))

    def usage(self) -> Usage:
        """What the server and everything below it used so far."""
        return usage(self._process.pid)

    def close(self) -> None:
        """Ends the server; a containment takes everything inside with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                stream.close()
        self._process.wait()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._line())
        except (OSError, EOFError, ValueError) as error:
            raise PeerError(f"{self.name}: {error}; it said: {self._last_words()}") from error
        assert isinstance(answer, dict)
        return answer

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        until = time.monotonic() + _PATIENCE_SECONDS
        while b"\n" not in self._rest:
            if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError(f"no answer for {_PATIENCE_SECONDS:g} s")
            data = os.read(descriptor, 1 << 16)
            if not data:
                raise EOFError("it ended")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - 600))
        return self._said.read().decode("utf-8", "replace").strip() or "nothing"
