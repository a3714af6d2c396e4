"""Test code in a process of its own, joined by a socket to the child that runs the program.

The tester sees a function that looks like the candidate. Each call travels as plain data to the
child and its answer back, so that the program shares no memory with what judges it. The child
can say anything on the socket; all it can reach that way is a wrong answer.

The test code itself arrives in a file that only this process reads, after it was forked.
"""

from __future__ import annotations

import builtins
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from . import child, codec, nodes, report, supervise

_PROBLEM_FILE = "test.py"
_SOCKET, _CODES = 3, 4  # where supervise.start puts the descriptors that a child keeps
_ANY_LENGTH = 1 << 30


class CandidateError(Exception):
    """An exception of the candidate, in the tester. Its classes include the builtin one."""

    described: dict[str, Any]


class CandidateGoneError(BaseException):
    """The candidate's process ended, or broke the protocol."""


class _Channel:
    """Length-prefixed JSON over the socket."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def send(self, message: Any) -> None:
        data = json.dumps(message).encode("ascii")
        self._socket.sendall(len(data).to_bytes(4, "little") + data)

    def receive(self, limit: int) -> Any:
        length = int.from_bytes(self._exactly(4), "little")
        if length > limit:
            raise EOFError
        return json.loads(self._exactly(length))

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._socket.recv(min(length - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return data


def attempt(
    program: child.Program, index: int, codes: int, bell: supervise.Bell
) -> tuple[bytes, bytes, supervise.Run]:
    """Runs the test code with the given index against the program.

    Returns:
        Status and body of the report, and the run that they belong to.
    """
    ours, theirs = socket.socketpair()
    nothing = os.open(os.devnull, os.O_RDONLY)
    # The candidate first: at its birth no process here has read the test code, and the memory of
    # the verdict does not exist. Memory that was shared before would be the candidate's as well.
    candidate = supervise.start(
        lambda: child.run(program, ["code"], serve), nothing, (theirs.fileno(),)
    )
    judged = report.Report(program.report.size, 0)
    tester = supervise.start(
        lambda: _run_tests(program, judged, index), nothing, (ours.fileno(), codes)
    )
    for end in (ours, theirs):
        end.close()
    os.close(nothing)
    supervise.watch([tester, candidate], bell, program.limits)
    supervise.kill_leftovers()
    status, body = judged.take()
    said, words = program.report.take()
    tester.stdout, tester.stderr = candidate.stdout, candidate.stderr
    tester.cpu_seconds += candidate.cpu_seconds
    tester.peak_memory_bytes = max(tester.peak_memory_bytes, candidate.peak_memory_bytes)
    if candidate.end in supervise.LIMITS:
        return report.NOTHING, b"", candidate
    if status != report.GONE:
        return status, body, tester
    # The candidate left in the middle: what it said of itself counts, unless it claims success.
    if said not in (report.RAISED, report.RECURSION, report.MEMORY, report.TOO_LARGE):
        said = report.NOTHING
    return said, words, candidate


def serve(program: child.Program, namespace: dict[str, Any]) -> None:
    """In the candidate: answers calls until the tester hangs up."""
    channel = _Channel(_SOCKET)
    candidate = child.resolve(namespace, program.entry_point or "")
    channel.send("ready")
    while True:
        try:
            args, kwargs = channel.receive(_ANY_LENGTH)
        except EOFError:
            return
        channel.send(_answer(program, candidate, args, kwargs, namespace))


def _answer(
    program: child.Program,
    candidate: Callable[..., Any],
    args: list[Any],
    kwargs: dict[str, Any],
    namespace: dict[str, Any],
) -> list[Any]:
    """`["value", answer, changed arguments]` or `["error", description]`."""
    given = [codec.decode(value, namespace) for value in args]
    named = {name: codec.decode(value, namespace) for name, value in kwargs.items()}
    encoder = codec.Encoder(program.report.size)
    try:
        value = candidate(*given, **named)
        answer = encoder.encode(value, 0)
    except MemoryError:
        raise
    except codec.TooLargeError:
        program.report.write(report.TOO_LARGE)
        os._exit(0)
    except BaseException as error:
        return ["error", child.describe(error)]
    # Functions that work in place: the caller must see what became of its lists.
    changed = []
    for index, (before, value) in enumerate(zip(args, given, strict=True)):
        if isinstance(value, (list, dict, set)):
            after = encoder.encode(value, 0)
            if after != before:
                changed.append([index, after])
    return ["value", answer, changed]


def _run_tests(program: child.Program, judged: report.Report, index: int) -> None:
    """In the tester: runs the test code and leaves the verdict in `judged`."""
    source, name = json.loads(os.pread(_CODES, os.fstat(_CODES).st_size, 0))[index]
    child.settle(program, "/")
    channel = _Channel(_SOCKET)
    namespace = child.new_module("tests")
    namespace["ListNode"], namespace["TreeNode"] = nodes.ListNode, nodes.TreeNode
    program.close_in(True, program.limits["threads"])
    proxy = _Proxy(channel, namespace, program.report.size)
    try:
        if program.prelude is not None:
            exec(program.prelude, namespace)
        proxy.greet()
        namespace[name] = namespace.setdefault("candidate", proxy.call)
        exec(compile(source, _PROBLEM_FILE, "exec", dont_inherit=True), namespace)
    except CandidateError as error:
        status = report.RAISED
        if error.described["type"] == "RecursionError":
            status = report.RECURSION
        judged.write(status, json.dumps(error.described).encode("ascii"))
    except BaseException as error:
        described = {**child.describe(error), "line": None}
        judged.write(report.TEST_FAILED, json.dumps(described).encode("ascii"))
    else:
        judged.write(report.RETURNED, b"null")
    if proxy.gone:
        judged.write(report.GONE)
    os._exit(0)


class _Proxy:
    """The candidate as the test code sees it."""

    def __init__(self, channel: _Channel, namespace: dict[str, Any], limit: int) -> None:
        self._channel = channel
        self._namespace = namespace
        self._limit = limit
        self.gone = False

    def greet(self) -> None:
        """Waits until the program was loaded."""
        self._exchange(None)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Forwards a call; raises what the candidate raised."""
        encode = codec.Encoder(_ANY_LENGTH).encode
        sent = [encode(value, 0) for value in args]
        named = {name: encode(value, 0) for name, value in kwargs.items()}
        reply = self._exchange([sent, named])
        try:
            kind, *rest = reply
            if kind == "value":
                value = codec.decode(rest[0], self._namespace)
                for position, after in rest[1]:
                    _replace(args[position], codec.decode(after, self._namespace))
                return value
            error = _error_like(rest[0])
        except Exception as nonsense:
            self.gone = True
            raise CandidateGoneError from nonsense
        raise error

    def _exchange(self, message: Any) -> Any:
        try:
            if message is not None:
                self._channel.send(message)
            return self._channel.receive(4 * self._limit)
        except (OSError, EOFError, ValueError, RecursionError) as error:
            self.gone = True
            raise CandidateGoneError from error


def _replace(target: Any, content: Any) -> None:
    if isinstance(target, list):
        target[:] = content
    else:
        target.clear()
        target.update(content)


def _error_like(described: dict[str, Any]) -> CandidateError:
    """An exception that `except ValueError` catches if the candidate raised a ValueError."""
    described = {
        "type": str(described["type"]),
        "message": str(described["message"]),
        "line": described["line"],
    }
    kind = getattr(builtins, described["type"], None)
    bases: tuple[type, ...] = (CandidateError,)
    if isinstance(kind, type) and issubclass(kind, Exception):
        bases = (CandidateError, kind)
    error: CandidateError = type(described["type"], bases, {})(described["message"])
    error.described = described
    return error
