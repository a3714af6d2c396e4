"""What a child is told, and how it settles in before anything of the program is touched.

Plain on purpose: every page that a child touches is copied for it, and that is what a child costs.
"""

from __future__ import annotations

import gc
import mmap
import os
from typing import Any

from . import confine, report
from .barrier import Barrier
from .loading import Code

REQUEST = 3  # its place among the descriptors that a child gets: 0, 1, 2, request, others

Confinement = tuple[tuple[int, ...], int]
"""Resource limits, see :func:`confine.rlimits`, and number of threads."""

Order = tuple[Any, ...]
"""What a :class:`Task` is made of, in the order of :func:`order`."""


class Home:
    """What every child of a zygote inherits.

    Args:
        barrier: Closes it in.
        memory: Shared with the supervisor, for its report.
        code: The program, if the zygote has it compiled.
    """

    def __init__(self, barrier: Barrier, memory: mmap.mmap, code: Code | None = None) -> None:
        self.barrier = barrier
        self.memory = memory
        self.code = code


def order(
    *,
    program: int,
    prelude: int,
    given: list[tuple[int, int]],
    report_bytes: int,
    lines: int,
    index: int = 0,
    entry_point: str | None = None,
    traced: bool = False,
) -> Order:
    """What to tell a child.

    Args:
        program: Length of the program, which the file of the request begins with.
        prelude: Length of the prelude, which follows.
        given: Offset and length of each call.
        report_bytes: Largest report.
        lines: Number of lines of the program.
        index: Of the test code.
        entry_point: What to call; None for a script.
        traced: Whether executed lines are noted.
    """
    return program, prelude, given, report_bytes, lines, index, entry_point, traced


class Task:
    """What a child is to do, with all that it needs read from the request."""

    __slots__ = ("code", "entry_point", "given", "index", "prelude", "report", "source", "traced")

    def __init__(self, home: Home, descriptors: list[int], told: Order) -> None:
        program, prelude, given, report_bytes, lines, self.index, self.entry_point, self.traced = (
            told
        )
        request = descriptors[REQUEST]
        sources = os.pread(request, program + prelude, 0)
        self.source, self.prelude = sources[:program], sources[program:]
        self.given = [os.pread(request, length, offset) for offset, length in given]
        self.report = report.Report(home.memory, report_bytes, lines)
        self.code = home.code


def settle(home: Home, descriptors: list[int], confinement: Confinement) -> None:
    """Leaves this process as a fresh interpreter would be, and closes it in for good."""
    rlimits, threads = confinement
    confine.take_descriptors(descriptors[:REQUEST], descriptors[REQUEST + 1 :])
    confine.set_rlimits(rlimits)
    home.barrier.close_in(threads)
    gc.freeze()  # what a collection walks over, it has to copy
    gc.enable()
