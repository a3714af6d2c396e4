"""Where answers are checked: what is small here, the rest in a helper process with limits.

Whatever bytes a program leaves, to decode and to compare them ends in a verdict, and no thread of
this process stands still meanwhile: nothing large or strange is looked into here. The helper may
use seconds and memory in proportion to the number of bytes; an answer that needs more is a wrong
one. A helper that dies of anything else is a fault of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codegym.errors import ClosedError, WorkerError
from codegym.execution.values import NotPlainError, decode_plain
from codegym.grading.check import check_output, check_value
from codegym.problems.problem import CallTest, Comparison, StdinTest

if sys.platform != "win32":  # there is none there, and importing codegym says why only at use
    import fcntl

__all__ = ["Comparer"]

_PLAIN_CHARACTERS = 1 << 14
_UNORDERED_CHARACTERS = 1 << 11  # in any order, items may have to be compared with each other
_MEBIBYTE = 1 << 20
_BASE_SECONDS, _SECONDS_EACH = 5.0, 2.0
_BASE_MEMORY, _MEMORY_EACH = 512 * _MEBIBYTE, 64 * _MEBIBYTE
_START_SECONDS = 60.0
_PATIENCE = 20  # nothing that the helper does sleeps: without CPU time it is stuck, not busy
_USED_UP = _MEBIBYTE  # bytes after which a helper is replaced: memory is not always given back
_ATTEMPTS = 2
_ACCEPTED, _MEMORY = b"A", b"M"

_PACKAGE = Path(__file__).parents[1]
# Packages that are only folders: none of their `__init__.py`, and so neither numpy nor gymnasium,
# is loaded.
_START = """
import importlib, sys, types
for name in ("codegym", "codegym.problems", "codegym.execution", "codegym.grading"):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [sys.argv[1] + name.removeprefix("codegym").replace(".", "/")]
main = importlib.import_module("codegym.grading.comparer_process").main
main(int(sys.argv[2]), int(sys.argv[3]))
"""


class Comparer:
    """Says what is wrong with answers. May be used from several threads, and after a fork.

    A helper process is started when it is first needed, one for each thread that needs one at the
    same time, and ends with this process, whatever that dies of.
    """

    def __init__(self) -> None:
        self._helpers: dict[int, _Helpers] = {}
        self._closed = False
        self._finalizer = weakref.finalize(self, _close_all, self._helpers)

    def check_output(
        self, stdout: str, test: StdinTest, comparison: Comparison, any_order: int = 0
    ) -> str | None:
        """What is wrong with a printed answer; None if it is right.

        Args:
            stdout: What was printed.
            test: What should be.
            comparison: See :func:`~codegym.grading.printed.same_printed`.
            any_order: Likewise.

        Raises:
            ClosedError: After :meth:`close`.
            WorkerError: If a helper could not be started, or died, of no fault of the answer.
        """
        accepted = (test.stdout, *test.alternatives)
        if stdout in accepted:
            return None
        most = _UNORDERED_CHARACTERS if any_order else _PLAIN_CHARACTERS
        if max(map(len, (stdout, *accepted))) <= most:
            return check_output(stdout, accepted, comparison, test.tolerance, any_order)
        given, *wanted = (text.encode("utf-8", "surrogatepass") for text in (stdout, *accepted))
        head = {"kind": "output", "accepted": [len(text) for text in wanted]}
        return self._ask({**head, **_rule(test, comparison, any_order)}, given, b"".join(wanted))

    def check_value(
        self,
        answer: bytes,
        test: CallTest,
        comparison: Comparison,
        encoded: Callable[[], bytes],
        any_order: int = 0,
    ) -> str | None:
        """What is wrong with a returned value; None if it is right.

        Args:
            answer: The encoded value.
            test: What should be returned.
            comparison: See :func:`~codegym.grading.same_value`.
            encoded: The list of what `test` accepts, encoded as the answer is.
            any_order: See :func:`~codegym.grading.same_value`.

        Raises:
            ClosedError: After :meth:`close`.
            WorkerError: If a helper could not be started, or died, of no fault of the answer.
        """
        accepted = (test.expected, *test.alternatives)
        if not any_order or _is_short(answer):
            rule = comparison, test.tolerance, any_order
            with contextlib.suppress(NotPlainError, RecursionError):
                return check_value(decode_plain, answer, accepted, *rule)
        head = {"kind": "value", **_rule(test, comparison, any_order)}
        return self._ask(head, answer, encoded())

    def close(self) -> None:
        """Ends the helpers; a check that waits for one raises. May be called twice."""
        self._closed = True
        self._finalizer()

    def _ask(self, head: dict[str, Any], given: bytes, wanted: bytes) -> str | None:
        size = (len(given) + len(wanted)) / _MEBIBYTE
        head["seconds"] = _BASE_SECONDS + _SECONDS_EACH * size
        head["memory"] = int(_BASE_MEMORY + _MEMORY_EACH * size)
        head["lengths"] = [len(given), len(wanted)]
        text = json.dumps(head).encode("ascii")
        parts = (len(text).to_bytes(4, "little") + text, given, wanted)
        failure: Exception | None = None
        for _ in range(_ATTEMPTS):
            helpers = self._helpers.setdefault(os.getpid(), _Helpers())
            helper = None
            try:
                helper = helpers.take()
                verdict, sentence = helper.ask(parts, head["seconds"])
            except _LimitError:
                helpers.put(helper, used_up=True)
                return f"The answer took more than {head['seconds']:.0f} s to compare."
            except (OSError, EOFError) as error:
                failure = error
                helpers.put(helper, used_up=True)
            except BaseException:
                helpers.put(helper, used_up=True)
                raise
            else:
                helpers.put(helper, used_up=verdict == _MEMORY or size * _MEBIBYTE > _USED_UP)
                if verdict == _MEMORY:
                    memory = head["memory"] // _MEBIBYTE
                    return f"The answer took more than {memory} MiB of memory to compare."
                return None if verdict == _ACCEPTED else sentence
            if self._closed:
                break
        if self._closed:
            raise ClosedError("The grader was closed while an answer was compared.")
        raise WorkerError(
            f"A helper process that compares answers died on {_ATTEMPTS} attempts ({failure!r}). "
            "Check the machine's memory and that nothing kills its processes."
        ) from failure


def _rule(test: StdinTest | CallTest, comparison: Comparison, any_order: int) -> dict[str, Any]:
    """How answers are compared, for a helper."""
    return {"rule": [comparison, test.tolerance, any_order]}


def _is_short(answer: bytes) -> bool:
    """Whether its lists, and ranges if it holds any, have few items."""
    return len(answer) <= _UNORDERED_CHARACTERS and b'"r"' not in answer


def _close_all(helpers: dict[int, _Helpers]) -> None:
    own = helpers.get(os.getpid())
    if own is not None:
        own.close()


class _Helpers:
    """The helpers of one process: those at work, and those that wait."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._all: set[_Helper] = set()
        self._idle: list[_Helper] = []
        self._closed = False

    def take(self) -> _Helper:
        """A helper that nobody else asks."""
        with self._lock:
            self._check()
            if self._idle:
                return self._idle.pop()
        helper = _Helper()
        with self._lock:
            self._all.add(helper)
            closed = self._closed
        if closed:
            self.put(helper, used_up=True)
            self._check()
        return helper

    def put(self, helper: _Helper | None, *, used_up: bool) -> None:
        """Gives it back."""
        if helper is None:
            return
        with self._lock:
            if not used_up and not self._closed:
                self._idle.append(helper)
                return
            self._all.discard(helper)
        helper.kill()

    def close(self) -> None:
        """Ends them all; whoever waits for one sees its death."""
        with self._lock:
            self._closed = True
            helpers, idle = list(self._all), list(self._idle)
            self._idle.clear()
            self._all.difference_update(idle)
        for helper in helpers:
            helper.interrupt()
        for helper in idle:
            helper.kill()

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("This grader was closed. Make a new Grader.")


class _LimitError(Exception):
    """The helper used more CPU time than the answer may take."""


class _Helper:
    """One helper process. Not thread-safe, but for :meth:`interrupt`."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        ours, theirs = socket.socketpair()
        try:
            # Never 0, 1 or 2, which the process gets from us.
            given = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 3)
        finally:
            theirs.close()
        self._socket = ours
        command = [sys.executable, "-P", "-s", "-S", "-X", "utf8", "-c", _START]
        try:
            self._process = subprocess.Popen(
                [*command, str(_PACKAGE), str(given), str(self._pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[given],
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            os.close(given)
        try:
            self._receive(1, _START_SECONDS)
        except _LimitError as error:
            self.kill()
            raise TimeoutError("it did not start") from error
        except BaseException:
            self.kill()
            raise

    def ask(self, parts: Sequence[bytes], seconds: float) -> tuple[bytes, str]:
        """The verdict and the sentence that belongs to it.

        Raises:
            OSError: If the process is dead, or silent without using its time.
            EOFError: If it died meanwhile.
            _LimitError: If it used more than `seconds` of CPU time.
        """
        seconds += self._cpu_seconds()
        self._socket.settimeout(_PATIENCE * seconds)
        for part in parts:
            self._socket.sendall(part)
        answer = self._receive(5, seconds)
        sentence = self._receive(int.from_bytes(answer[1:], "little"), seconds)
        return answer[:1], sentence.decode("utf-8")

    def _receive(self, length: int, seconds: float) -> bytes:
        data = b""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        patience = time.monotonic() + _PATIENCE * seconds
        while len(data) < length:
            left = seconds - self._cpu_seconds()
            if left <= 0:
                raise _LimitError
            if time.monotonic() > patience:
                raise TimeoutError("it got no CPU time, or was stopped")
            if poll.poll(1 + 1_000 * left):
                part = self._socket.recv(length - len(data))
                if not part:
                    raise EOFError("it closed the connection")
                data += part
        return data

    def _cpu_seconds(self) -> float:
        return time.clock_gettime(~self._process.pid << 3 | 2)  # the clock of another process

    def interrupt(self) -> None:
        """Kills the process from another thread; the owner then sees its death."""
        if os.getpid() == self._pid and self._process.poll() is None:
            self._process.kill()

    def kill(self) -> None:
        """Ends the process, or forgets it in a fork, to which it does not belong."""
        self._socket.close()
        if os.getpid() == self._pid:
            self._process.kill()
            self._process.wait()
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self._process.returncode = 0
