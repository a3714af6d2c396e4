"""What a server takes on, and how much of the machine it gives to one program."""

from __future__ import annotations

import dataclasses
import math
import re

from codegym.errors import ConfigurationError
from codegym.execution.limits import ExecutionLimits
from codegym.problems.problem import LONGEST_ANSWER

__all__ = ["ServiceLimits"]

# Also one that is not closed, in which nothing is tried twice: this takes linear time.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z|\\\Z)', re.DOTALL)
_BEFORE_VALUES = (b"[", b"{", b",", b":")


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
        bare = _STRING.sub(b"", body)
        values = 1 + sum(map(bare.count, _BEFORE_VALUES))
        if values > self.body_values:
            raise ConfigurationError(
                f"A request has at most {self.body_values} JSON values here, and this one has "
                f"{values}. Send fewer or shorter lists."
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
