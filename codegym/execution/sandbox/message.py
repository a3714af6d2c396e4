"""The worker's end of its socket to the parent: requests in, frames out; see `protocol.py`.

With the first byte of a request may come a descriptor of test code, which is passed on and never
read here.
"""

from __future__ import annotations

import array
import json
import os
import socket
import time
from typing import Any

from .protocol import LAST_FRAME, REQUEST_LENGTHS, Frame

_FLUSH_BYTES = 1 << 16
_FLUSH_SECONDS = 0.05

Span = tuple[int, int]  # offset and length in the file of a request


class ParentGoneError(Exception):
    """The other end of the wire is closed."""


class Request:
    """One program and its inputs, in a file that children read.

    Args:
        head: Settings and lengths.
        body: The program, the prelude, the inputs and the files.
        codes: Descriptor of test code, or -1.
    """

    def __init__(self, head: dict[str, Any], body: memoryview, codes: int) -> None:
        self.head = head
        self.codes = codes
        self.kinds: list[str] = [kind for kind, _ in head["inputs"]]
        self.file = os.memfd_create("request")
        write_all(self.file, body)
        self.inputs: list[Span] = []
        offset = head["program"] + head["prelude"]
        for _, length in head["inputs"]:
            self.inputs.append((offset, length))
            offset += length
        self.files: list[tuple[str, memoryview]] = []
        for name, length in head["files"]:
            self.files.append((name, body[offset : offset + length]))
            offset += length
        self._body = body

    def stdin(self, index: int) -> memoryview | None:
        """What the program is to read from descriptor 0 on one input; None for nothing."""
        if self.kinds[index] != "stdin":
            return None
        offset, length = self.inputs[index]
        return self._body[offset : offset + length]

    def close(self) -> None:
        """Closes its descriptors."""
        os.close(self.file)
        if self.codes >= 0:
            os.close(self.codes)


def receive(control: socket.socket) -> Request:
    """Waits for the next request.

    Raises:
        ParentGoneError: If there will be none.
    """
    start, ancillary, _, _ = control.recvmsg(REQUEST_LENGTHS.size, socket.CMSG_SPACE(4))
    codes = array.array("i", [-1])
    for _, _, rights in ancillary:
        codes = array.array("i", rights[:4])
    start += _exactly(control, REQUEST_LENGTHS.size - len(start))
    total, head = REQUEST_LENGTHS.unpack(start)
    data = memoryview(_exactly(control, total))
    return Request(json.loads(bytes(data[:head])), data[head:], codes[0])


def _exactly(control: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        count = control.recv_into(rest)
        if count == 0:
            raise ParentGoneError
        rest = rest[count:]
    return data


class Outbox:
    """Sends frames, several at a time unless the parent would wait for long."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._waiting = bytearray()
        self._flushed = time.monotonic()

    def put(self, frame: Frame) -> None:
        """Takes one answer."""
        self._waiting += frame.pack()
        late = time.monotonic() > self._flushed + _FLUSH_SECONDS
        if late or len(self._waiting) > _FLUSH_BYTES:
            self.flush()

    def finish(self) -> None:
        """Says that a request is answered, and sends what was kept back."""
        self._waiting += LAST_FRAME
        self.flush()

    def flush(self) -> None:
        """Sends what was kept back."""
        self._control.sendall(self._waiting)
        self._waiting.clear()
        self._flushed = time.monotonic()


def write_all(descriptor: int, data: memoryview) -> None:
    """Writes everything, however many calls it takes."""
    while data:
        data = data[os.write(descriptor, data) :]
