"""What a child is told, and how it settles in before anything of the program is touched.

Plain on purpose: every page that a child touches is copied for it, and that is what a child costs.
"""

from __future__ import annotations

import gc
import mmap
from typing import Any

from ..fence import confine
from ..fence.barrier import Barrier
from ..fence.packages import Packages, Part
from ..message import Span
from ..protocol import Stage
from . import report
from .link import Link

Confinement = tuple[tuple[int, ...], int]
"""Resource limits, see :func:`confine.rlimits`, and number of threads."""

Order = tuple[Any, ...]
"""What a :class:`Task` is made of, in the order of :func:`make_order`."""


class Inherited:
    """What every child of a zygote inherits.

    Args:
        barrier: Closes it in.
        memory: Shared with the supervisor, for its report.
        packages: What programs can import.
    """

    def __init__(self, barrier: Barrier, memory: mmap.mmap, packages: Packages) -> None:
        self.barrier = barrier
        self.memory = memory
        self.packages = packages


def make_order(
    *,
    program: int,
    prelude: int,
    report_bytes: int,
    lines: int,
    given: list[Span],
    runs: int = 1,
    together: bool = False,
    index: int = 0,
    entry_point: str | None = None,
    traced: bool = False,
    packages: Part = None,
) -> Order:
    """What to tell a child.

    Args:
        program: Length of the program, which the file of the request begins with.
        prelude: Length of the prelude, which follows.
        report_bytes: Largest report.
        lines: Number of lines of the program.
        given: Offset and length of the first inputs, of one at least.
        runs: How many runs it and its successors are to make.
        together: Whether one process may make those on the given inputs, if it is a call of a
            plain program.
        index: The index of the test code.
        entry_point: What to call; None for a script.
        traced: Whether executed lines are noted.
        packages: What may be imported, as :meth:`Packages.part` tells it.
    """
    head = (program, prelude, report_bytes, lines)
    return *head, given, runs, packages, together, index, entry_point, traced


class Task:
    """What a child is to do, with what it needs of the request read.

    Args:
        inherited: What it inherited.
        link: The child's link to the worker.
        threads: How many threads it may have.
        order: Made by :func:`make_order`.
    """

    __slots__ = (
        "_inherited",
        "_threads",
        "entry_point",
        "index",
        "link",
        "prelude",
        "report",
        "source",
        "together",
        "traced",
    )

    def __init__(self, inherited: Inherited, link: Link, threads: int, order: Order) -> None:
        program, prelude, size, lines, _, _, _, self.together, *rest = order
        self.index, self.entry_point, self.traced = rest
        self._inherited = inherited
        self._threads = threads
        self.link = link
        sources = link.read(program + prelude, 0)
        self.source, self.prelude = sources[:program], sources[program:]
        self.report = report.Report(inherited.memory, size, lines)

    def begin(self) -> bytes:
        """Returns, with the input, where the program may run; see :meth:`Link.take`."""
        given = self.link.take()
        self._inherited.barrier.close_in(self._threads)
        self.link.begin(Stage.STARTED)
        return given

    def begin_together(self) -> list[bytes]:
        """Returns, with the inputs, where the program may run on all of them."""
        given = self.link.all()
        self._inherited.barrier.close_in(self._threads)
        self.link.begin(Stage.STARTED_ALL)
        return given


def settle(
    inherited: Inherited, descriptors: list[int], confinement: Confinement, order: Order
) -> Task:
    """Leaves this process as a fresh interpreter would be, and limits it for good.

    Args:
        inherited: What it inherited.
        descriptors: 0, 1 and 2; others; the request; the pipe of news. If it is to have
            successors, the only other is the socket that tells them their inputs.
        confinement: What it may use.
        order: Made by :func:`make_order`.
    """
    rlimits, threads = confinement
    given, runs, packages = order[_GIVEN : _GIVEN + 3]
    inherited.packages.keep(packages)
    confine.take_descriptors(descriptors[:3], descriptors[3:])
    confine.set_rlimits(rlimits)
    gc.freeze()  # what a collection walks over, it has to copy
    gc.enable()
    news = len(descriptors) - 1
    channel = 3 if runs > 1 else -1
    link = Link(request=news - 1, news=news, channel=channel, left=runs, given=given)
    return Task(inherited, link, threads, order)


_GIVEN = 4
