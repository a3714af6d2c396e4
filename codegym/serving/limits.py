"""What a server takes on, and how much of the machine it gives to one program."""

from __future__ import annotations

import dataclasses
import math

from codegym.errors import ConfigurationError
from codegym.execution.limits import ExecutionLimits
from codegym.problems.problem import LONGEST_ANSWER

__all__ = ["ServiceLimits", "count_values"]

_BEFORE_VALUES = (b"[", b"{", b",", b":")
_PIECE_BYTES = 64 * 2**10  # a few milliseconds of work at most


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceLimits:
    """How much a server takes on. What is more is refused, before any work is done for it.

    Attributes:
        queue: Requests that may wait while others run.
        body_bytes: Size of one request. All that are held at a time have eight times as much.
        body_values: JSON values in one request: each takes memory, however few bytes it has.
        idle_seconds: Time in which an open connection must send the head of a request, and read
            some of an answer. Longer than clients keep a connection that they do not use.
        body_seconds: Time in which a request must have arrived.
        queue_seconds: Time in which its program must begin.
        run_seconds: CPU time, and time on the clock, that a request may ask for each input.
        memory_bytes: Memory that it may ask for.

    Raises:
        ConfigurationError: If one is not a positive finite number.
    """

    queue: int = 256
    body_bytes: int = 64 * 2**20
    body_values: int = 2**20
    idle_seconds: float = 75.0
    body_seconds: float = 60.0
    queue_seconds: float = 60.0
    run_seconds: float = 600.0
    memory_bytes: int = 4 * 2**30

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kinds = (int,) if field.type == "int" else (int, float)
            good = isinstance(value, kinds) and not isinstance(value, bool)
            if not good or not 0 < value < math.inf:
                raise ConfigurationError(
                    f"ServiceLimits.{field.name} must be a positive "
                    f"{'int' if field.type == 'int' else 'finite number'}, got {value!r:.80}."
                )

    def check_values(self, body: bytes) -> None:
        """Checks how many values a body holds, before it is decoded.

        Raises:
            ConfigurationError: If they are too many.
        """
        if count_values(body, most=self.body_values) > self.body_values:
            raise ConfigurationError(
                f"A request has at most {self.body_values} JSON values here, and this one has "
                "more. Send fewer or shorter lists."
            )

    def check(self, limits: ExecutionLimits) -> None:
        """Checks what a request asks for.

        Raises:
            ConfigurationError: If it is more than this server gives.
        """
        for name, most in (
            ("cpu_seconds", self.run_seconds),
            ("wall_seconds", self.run_seconds),
            ("memory_bytes", self.memory_bytes),
            ("output_bytes", 2 * LONGEST_ANSWER),
        ):
            asked = getattr(limits, name)
            if asked > most:
                raise ConfigurationError(
                    f"A program of this server has at most {most:g} for {name}, and "
                    f"{asked!r:.40} were asked for. Ask for less, or start the server with a "
                    "larger limit."
                )


def count_values(body: bytes, *, most: int, piece_bytes: int = _PIECE_BYTES) -> int:
    """How many values JSON in UTF-8 holds at most; counting ends soon after `most`.

    The brackets, commas and colons outside of strings are counted. Outside of them a backslash is
    no JSON, and a decoder ends there.

    Args:
        body: What is to be decoded.
        most: What is more need not be told apart.
        piece_bytes: How much is looked at by one call of C code. During such a call no other thread
            of this process can run, and the server's event loop is one.
    """
    values, in_string, pending = 1, False, b""
    for start in range(0, len(body), piece_bytes):
        piece = (pending + body[start : start + piece_bytes]).replace(rb"\\", b"")
        # A backslash at the end belongs to the first byte of the next piece.
        pending = b"\\" if piece.endswith(b"\\") else b""
        parts = piece.replace(rb"\"", b"").split(b'"')
        bare = b"".join(parts[in_string::2])
        in_string ^= len(parts) % 2 == 0
        values += sum(map(bare.count, _BEFORE_VALUES))
        if values > most:
            break
    return values
