"""How much a program may use, per test."""

from __future__ import annotations

import dataclasses
import math

from codegym.errors import ConfigurationError

__all__ = ["ExecutionLimits"]


@dataclasses.dataclass(frozen=True, slots=True)
class ExecutionLimits:
    """What one test may use of the machine.

    Attributes:
        cpu_seconds: CPU time of the program, all threads together.
        wall_seconds: Time on the clock, for programs that sleep. Larger than `cpu_seconds`, so
            that a busy machine does not make a fast program slow.
        memory_bytes: Resident memory beyond what the interpreter itself uses. What is only
            reserved, such as the stack of a thread, does not count up to four times as much. A
            program that uses more is killed as soon as that is seen.
        output_bytes: Standard output and standard error together.
        file_bytes: Size of any one file that is written.
        open_files: Open descriptors.
        threads: Threads of the process, its first one among them. Processes cannot be created.

    Raises:
        ConfigurationError: If a limit is not a positive finite number.
    """

    cpu_seconds: float = 4.0
    wall_seconds: float = 12.0
    memory_bytes: int = 512 * 2**20
    output_bytes: int = 2**20
    file_bytes: int = 2**20
    open_files: int = 64
    threads: int = 64

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:
                raise ConfigurationError(
                    f"ExecutionLimits.{field.name} must be a positive finite number, got {value!r}."
                )
            if field.type == "int" and not isinstance(value, int):
                raise ConfigurationError(
                    f"ExecutionLimits.{field.name} must be an int, got {value!r}."
                )
        if self.wall_seconds < self.cpu_seconds:
            raise ConfigurationError(
                "ExecutionLimits.wall_seconds must be at least cpu_seconds, got "
                f"{self.wall_seconds} < {self.cpu_seconds}."
            )
