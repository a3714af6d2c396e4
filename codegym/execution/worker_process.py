"""One worker process, seen from the parent: start, one request at a time, kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from codegym.errors import WorkerError
from codegym.execution.sandbox.fence.box import remove_box
from codegym.execution.sandbox.protocol import Frame, read_frame

__all__ = ["WorkerProcess"]

_SANDBOX = Path(__file__).parent
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from sandbox import preload; "
    "hooks = preload.load(); from sandbox.worker import main; "
    "del sys.path[0]; main(sys.argv[2:], hooks)"
)
_START_SECONDS = 60.0
_MOST_WAITS = 10
_LARGEST = 1 << 31
_CHUNK = 1 << 16


class WorkerProcess:
    """A started worker. Not thread-safe: one thread owns it.

    Args:
        python: The interpreter.
        isolation: `"auto"`, `"strict"` or `"none"`; see the pool.
        packages: Names of the packages that programs may import.

    Attributes:
        hello: What the worker said of itself when it was ready.
        packages: Names of the packages that programs may import.

    Raises:
        WorkerError: If the interpreter cannot be started or does not answer.
    """

    def __init__(self, python: str | None, isolation: str, packages: Iterable[str] = ()) -> None:
        self._pid = os.getpid()
        self.packages = frozenset(packages)
        self._box = _private_folder()
        command = [
            _from_anywhere(python or sys.executable),
            "-P",
            "-s",
            "-S",
            "-X",
            "utf8",
            "-c",
            _START,
        ]
        settings = [str(self._pid), self._box, isolation, " ".join(sorted(self.packages))]
        try:
            with _above_standard_streams():
                self._socket, self._process = _start(command, settings)
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                os.rmdir(self._box)  # more would need a descriptor, and there may be none
            raise WorkerError(
                f"Cannot start {command[0]!r} as a worker: {error}. Give the path of a Python "
                "3.11 or later as `python=`; this process needs a few free descriptors and the "
                "right to start processes (`ulimit -n`, `ulimit -u`)."
            ) from error
        self._received = bytearray()
        self._listen(_START_SECONDS)
        try:
            length = int.from_bytes(self._exactly(4), "little")
            self.hello: dict[str, Any] = json.loads(self._exactly(length))
        except (OSError, EOFError, ValueError) as error:
            said = self.last_words()
            self.kill()
            raise WorkerError(
                f"The worker {command[0]!r} did not start: {error!r}. It must be a Python 3.11 or "
                f"later. It said: {said or 'nothing'}"
            ) from error

    def exchange(self, message: bytes, codes: str | None, patience: float) -> list[Frame]:
        """Sends a request and waits for its frames: one for each input that was run.

        Args:
            message: The encoded request.
            codes: Test code, handed over as a file that only the tester reads; or None.
            patience: Seconds to wait for the next word. A worker that has had some of the CPU
                meanwhile is on its way, on a machine that has little to give, and is waited for
                that long again, up to ten times.

        Raises:
            OSError: If the worker is dead or silent.
            EOFError: If it died while it answered.
            ValueError: If the answer makes no sense.
        """
        self._listen(patience)
        if codes is not None:
            descriptor = os.memfd_create("tests")
            with open(descriptor, "wb") as file:
                file.write(codes.encode("ascii"))
                file.flush()
                socket.send_fds(self._socket, [message[:1]], [descriptor])
            message = message[1:]
        self._socket.sendall(message)
        frames = []
        while (frame := read_frame(self._exactly)) is not None:
            frames.append(frame)
        return frames

    def _exactly(self, length: int) -> bytes:
        if length > _LARGEST:
            raise ValueError(f"a message of {length} bytes")
        while len(self._received) < length:
            part = self._receive()
            if not part:
                raise EOFError("the worker closed the connection")
            self._received += part
        data = bytes(self._received[:length])
        del self._received[:length]
        return data

    def _listen(self, patience: float) -> None:
        self._socket.settimeout(patience)
        self._worked = _cpu_seconds(self._process.pid)

    def _receive(self) -> bytes:
        for _ in range(_MOST_WAITS):
            try:
                return self._socket.recv(_CHUNK)
            except TimeoutError:
                before, self._worked = self._worked, _cpu_seconds(self._process.pid)
                if self._worked == before:
                    raise
        raise TimeoutError(f"it said nothing {_MOST_WAITS} times as long as it may")

    def last_words(self) -> str:
        """Kills the process and returns what it had written to its standard error."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.stderr is not None
        return self._process.stderr.read(4_000).decode("utf-8", "replace").strip()

    def interrupt(self) -> None:
        """Kills the process from another thread; the owner then sees its death."""
        if os.getpid() == self._pid and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def kill(self) -> None:
        """Ends the process and everything below it, and removes its directory."""
        if os.getpid() != self._pid:
            self.abandon()
            return
        self._socket.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        remove_box(self._box)

    def abandon(self) -> None:
        """Forgets the process in a forked copy of the parent, to which it does not belong."""
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self._process.returncode = 0


def _cpu_seconds(pid: int) -> float:
    """What a process has used of the CPU, by the clock that Linux has for each."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0  # it is dead


def _start(
    command: list[str], settings: list[str]
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Starts a worker; our end of its socket, and the process."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            return ours, subprocess.Popen(
                [*command, str(_SANDBOX), str(theirs.fileno()), *settings],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                # A fixed seed: the order of a set is the same in every worker.
                env={"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"},
                cwd="/",
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise


def _private_folder() -> str:
    """A new folder for the programs of a worker.

    Raises:
        WorkerError: If there is no place for it.
    """
    try:
        folder = tempfile.mkdtemp(prefix="codegym-")
    except OSError as error:
        raise WorkerError(
            f"Cannot make a temporary folder for a worker: {error}. Set TMPDIR to a folder that "
            "exists, may be written to and has room, or free some descriptors."
        ) from error
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)  # whatever the umask
    return folder


@contextlib.contextmanager
def _above_standard_streams() -> Iterator[None]:
    """Keeps descriptors that are made meanwhile off 0, 1 and 2, should one of these be closed.

    What this process prints would otherwise go to its worker.
    """
    held: list[int] = []
    try:
        while not held or held[-1] <= 2:
            held.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def _from_anywhere(python: str) -> str:
    """A path that means the same in the folder where workers start; a bare name stays one."""
    return os.path.abspath(python) if os.sep in python else python
