"""The process that decodes and compares what is large or strange, for `comparer.py`.

It runs nothing but code of ours, on data that a hostile program chose. So what can go wrong is
that this takes too much memory, which it notices itself, or too much time, which the parent
measures and ends. In case that data ever gets the better of the interpreter, it is closed in: it
can open no file and no socket, and start and signal no process.

A question is its length (4 bytes), a JSON object, and the two texts whose lengths it names; an
answer is one byte and the length (4 bytes) of a sentence, and the sentence.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from codegym.execution.values import decode_value
from codegym.grading import confined
from codegym.grading.check import check_output, check_value

__all__ = ["ACCEPTED", "MEMORY", "WRONG", "main"]

ACCEPTED, WRONG, MEMORY = b"A", b"W", b"M"

_RECURSION = 5_000  # a value is encoded at most 200 levels deep, which is 600 of JSON
_STACK_BYTES = 1 << 18


def main(descriptor: int, parent: int) -> None:
    """Answers questions until the parent hangs up or dies.

    Args:
        descriptor: A socket to the parent.
        parent: The parent's process id.
    """
    channel = socket.socket(fileno=descriptor)
    _die_with(parent)
    sys.setrecursionlimit(_RECURSION)
    gc.disable()
    base = _address_space()
    confined.close_in()
    channel.sendall(ACCEPTED)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            head = json.loads(_exactly(channel, int.from_bytes(_exactly(channel, 4), "little")))
            confined.limit_memory(base + head["memory"])
            # The parent is watching the time; but the parent may die.
            signal.setitimer(signal.ITIMER_PROF, 2 * head["seconds"])
            verdict, sentence = _answer(channel, head)
            data = sentence.encode("utf-8", "backslashreplace")
            channel.sendall(verdict + len(data).to_bytes(4, "little") + data)


def _die_with(parent: int) -> None:
    """Sees to it that this process ends when the parent does, whichever thread started it."""
    try:
        watched = os.pidfd_open(parent)
    except OSError:  # an old kernel: the end of the socket will tell
        return
    if os.getppid() != parent:
        os._exit(0)
    threading.stack_size(_STACK_BYTES)
    threading.Thread(target=_wait_for_death, args=(watched,), daemon=True).start()
    threading.stack_size(0)


def _wait_for_death(watched: int) -> None:
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    poll.poll()
    os._exit(0)


def _address_space() -> int:
    """Bytes that this process has mapped."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _answer(channel: socket.socket, head: dict[str, Any]) -> tuple[bytes, str]:
    given, wanted = head["lengths"]
    try:
        complaint = _CHECKS[head["kind"]](head, _exactly(channel, given), _exactly(channel, wanted))
    except MemoryError:
        return MEMORY, ""
    except RecursionError:
        complaint = "The answer is nested too deeply to be compared."
    return (ACCEPTED, "") if complaint is None else (WRONG, complaint)


def _check_output(head: dict[str, Any], given: bytes, wanted: bytes) -> str | None:
    accepted, start = [], 0
    for length in head["accepted"]:
        accepted.append(wanted[start : start + length].decode("utf-8", "surrogatepass"))
        start += length
    return check_output(given.decode("utf-8", "surrogatepass"), accepted, *head["rule"])


def _check_value(head: dict[str, Any], given: bytes, wanted: bytes) -> str | None:
    return check_value(decode_value, given, decode_value(wanted), *head["rule"])


_CHECKS: dict[str, Callable[[dict[str, Any], bytes, bytes], str | None]] = {
    "output": _check_output,
    "value": _check_value,
}


def _exactly(channel: socket.socket, length: int) -> bytes:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        count = channel.recv_into(rest)
        if count == 0:
            raise EOFError
        rest = rest[count:]
    return bytes(data)
