"""A worker: waits for requests of the parent and forks a program process for each.

Started as `python -P -s -S -c "..." SOCKET PARENT BOX ISOLATION` (see codegym's `process.py`).
Messages in: 4 bytes length, JSON; with it, maybe, one descriptor that holds test code, which this
process passes on and never reads. Messages out: the frames of `program.py`, one for each input.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import select
import signal
import site
import socket
import sys
import time
from typing import Any

from . import barrier as barriers
from . import confine, program, supervise

_PRELOADED = (
    "abc",
    "array",
    "ast",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "collections.abc",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "inspect",
    "io",
    "itertools",
    "json",
    "keyword",
    "linecache",
    "locale",
    "math",
    "numbers",
    "operator",
    "os",
    "pprint",
    "queue",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "sys",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "uuid",
    "warnings",
    "weakref",
    "zlib",
)


class Worker:
    """The loop of a worker process.

    Args:
        control: Stream socket to the parent.
        box: The private directory of the programs.
        barrier: What closes them in.
    """

    def __init__(self, control: socket.socket, box: str, barrier: barriers.Barrier) -> None:
        self._control = control
        self._box = box
        self._barrier = barrier

    def serve(self) -> None:
        """Answers requests until the parent is gone."""
        self._send(json.dumps(self._hello()).encode("ascii"))
        while True:
            request, codes = self._receive()
            frames = self._run(request, codes)
            if codes >= 0:
                os.close(codes)
            self._send(frames)

    def _hello(self) -> dict[str, Any]:
        return {"python": list(sys.version_info[:3]), "enforced": self._barrier.enforced()}

    def _receive(self) -> tuple[dict[str, Any], int]:
        head, ancillary, _, _ = self._control.recvmsg(4, socket.CMSG_SPACE(4))
        codes = array.array("i", [-1])
        for _, _, data in ancillary:
            codes = array.array("i", data[:4])
        length = int.from_bytes(head + self._exactly(4 - len(head)), "little")
        return json.loads(self._exactly(length)), codes[0]

    def _exactly(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            count = self._control.recv_into(view)
            if count == 0:
                sys.exit(0)  # the parent closed the socket or is dead
            view = view[count:]
        return bytes(data)

    def _send(self, data: bytes) -> None:
        self._control.sendall(len(data).to_bytes(4, "little") + data)

    def _run(self, request: dict[str, Any], codes: int) -> bytes:
        """The frames of all inputs, however many program processes it takes."""
        total = len(request["inputs"])
        frames = b""
        done = 0
        while done < total:
            status, output = self._run_program(request, codes, done)
            compiled, parts = _split(output)
            frames += b"".join(parts)
            done += len(parts)
            if done < total:
                lost = program._frame(_lost(status, compiled))
                # Compiling is the same for all; a death later on concerns one input.
                count = 1 if compiled else total - done
                frames += lost * count
                done += count
            supervise.kill_leftovers()
            program.empty_box(self._box)
        return frames

    def _run_program(self, request: dict[str, Any], codes: int, first: int) -> tuple[int, bytes]:
        read, write = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(read)
                self._control.close()
                confine.die_with_parent(parent)
                confine.adopt_orphans()
                close_in = self._barrier.close_in
                program.main(program.Job(request, first, write, codes, self._box, close_in))
            finally:
                os._exit(0)
        os.close(write)
        try:
            output, in_time = self._gather(read, time.monotonic() + request["deadline"])
        finally:
            os.close(read)
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        return (status if in_time else -1), output

    def _gather(self, descriptor: int, deadline: float) -> tuple[bytes, bool]:
        """Reads to the end of the stream; stops at the deadline or when the parent is gone."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._control, select.POLLHUP)
        output = bytearray()
        while True:
            events = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not events:
                return bytes(output), False
            for ready, _ in events:
                if ready != descriptor:
                    sys.exit(0)
                data = os.read(descriptor, 1 << 16)
                if not data:
                    return bytes(output), True
                output += data


def _split(output: bytes) -> tuple[bool, list[bytes]]:
    """Whether the program was compiled, and the complete frames."""
    size = program.FRAME.size
    compiled = output.startswith(program.COMPILED)
    start = size if compiled else 0
    frames = []
    while start + size <= len(output):
        end = start + size + sum(program.FRAME.unpack_from(output, start))
        if end > len(output):
            break
        frames.append(output[start:end])
        start = end
    return compiled, frames


def _lost(status: int, compiled: bool) -> dict[str, Any]:
    """The header of an input whose program process did not live to report it."""
    if status == -1:
        return {"end": "wall", "lines": []}
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU and not compiled:
        return {"end": "cpu", "lines": []}
    return {"end": "signal", "signal": number, "lines": [], "compiled": compiled}


def _site_packages() -> list[str]:
    """Where packages are installed for this interpreter (`-S` leaves them out)."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    prefix = os.path.dirname(os.path.dirname(sys.executable))
    prefixes = dict.fromkeys((prefix, sys.prefix))
    folders = [os.path.join(each, "lib", version, "site-packages") for each in prefixes]
    return [folder for folder in folders if os.path.isdir(folder)]


def main(arguments: list[str]) -> None:
    """Prepares this process and serves until the parent is gone."""
    descriptor, parent, box = int(arguments[0]), int(arguments[1]), arguments[2]
    isolated = arguments[3] != "none"
    confine.die_with_parent(parent)
    confine.adopt_orphans()
    confine.hide_memory()
    confine.prepare_worker()
    os.environ.clear()
    for name in _PRELOADED:
        importlib.import_module(name)
    site.setquit()
    site.sethelper()
    packages = _site_packages()
    sys.path[:] = [*sys.path, *packages]
    sys.dont_write_bytecode = True
    barrier = barriers.Barrier(isolated, box, packages)
    worker = Worker(socket.socket(fileno=descriptor), box, barrier)
    gc.collect()
    gc.disable()
    gc.freeze()
    worker.serve()
