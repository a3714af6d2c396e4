"""A contender in a process of its own, seen from the benchmark."""

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
from typing import Any

from benchmarks.grading_peers.containment import contained
from benchmarks.grading_peers.contender import Block, ContenderError
from benchmarks.grading_peers.jobs import Job
from benchmarks.grading_peers.processes import Usage, usage

ROOT = Path(__file__).parents[2]
_START = (
    "import importlib, sys; root, module, *folders = sys.argv[1].split('|'); "
    "sys.path.insert(0, root); sys.path += folders; del sys.argv[1]; "
    "main = importlib.import_module('benchmarks.grading_peers.' + module).main; "
    "sys.path.remove(root); main()"
)
_PATIENCE_SECONDS = 300.0


class Remote:
    """A server of this folder.

    Args:
        name: Of the row.
        module: Module of this folder, without its suffix.
        bare: Whether its interpreter goes without site packages.
        closed_in: Whether it runs in a containment.
        arguments: Command line of the module.
        packages: Folder of packages that it imports, or None.

    Raises:
        ContenderError: If it does not start.
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
            command = contained(command, root=ROOT)
            environment |= {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the contender
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
            self._ask({"jobs": [], "time_limit": 1.0})
        except ContenderError:
            self.close()
            raise

    def load(self, jobs: Sequence[Job], time_limit: float) -> list[bool]:
        """Sends the jobs over; see :class:`~benchmarks.grading_peers.contender.Contender`."""
        answer = self._ask({"jobs": [job.told for job in jobs], "time_limit": time_limit})
        return [bool(supported) for supported in answer["supported"]]

    def run(self, indices: Sequence[int]) -> Block:
        """Grades jobs; the server takes the time.

        Raises:
            ContenderError: If the server died or is silent.
        """
        answer = self._ask({"run": list(indices)})
        return Block(tuple(map(float, answer["seconds"])), tuple(map(bool, answer["passed"])))

    def usage(self) -> Usage:
        """Of the server and everything below it."""
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
            raise ContenderError(f"{self.name}: {error}; it said: {self._last_words()}") from error
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
