"""Watches how much memory a child really uses: what is resident, not what is reserved.

A thread with a stack of 512 MB uses a few pages of it, and `RLIMIT_AS` counts all: so that is
:data:`ADDRESS_SPACE` times the limit, a net, and the supervisor looks at the resident set, as
often as a program could touch what is left of its headroom. What a look misses, the kernel's own
peak shows when the child is dead.

Once a program has mapped more than its limit, what it has mapped otherwise than private and
writable counts in full: pages of a shared mapping can be let go without being freed. The files of
the private directory do not count; they have limits of their own.
"""

from __future__ import annotations

import contextlib
import os
import resource

ADDRESS_SPACE = 4
"""Address space of a child, in multiples of its memory limit."""
_OVERSHOOT = 0.5
"""Share of the limit by which a program may exceed it before it is dead."""
_CPU_RATE = 10 * 2**30
_RATE_MAX = 80 * 2**30
"""Bytes a second that threads can touch for the first time: on one CPU, on all of them."""
_LATE = 0.5
"""Share of the time until the overshoot that is left for a supervisor to wake up in."""
_PAGE = resource.getpagesize()
_NICE = 10


class Usage:
    """What a process has of memory, in bytes, as `/proc/PID/statm` tells.

    Args:
        pid: The process.

    Attributes:
        mapped: All addresses.
        resident: Pages that are in memory.
        common: The part of `resident` that belongs to files or shared mappings.
        other: The part of `mapped` that is not private and writable.

    Raises:
        OSError: If the process is gone.
    """

    def __init__(self, pid: int) -> None:
        with open(f"/proc/{pid}/statm", "rb") as file:
            pages = list(map(int, file.read().split()))
        self.mapped, self.resident, self.common = (_PAGE * count for count in pages[:3])
        self.other = self.mapped - _PAGE * pages[5]


class Watch:
    """The memory of one child.

    Args:
        limit: Bytes that it may use beyond what its zygote does.
        base: What that does.
    """

    def __init__(self, limit: int, base: Usage) -> None:
        self._limit = limit
        self._base = base
        self._rate = min(_RATE_MAX, _CPU_RATE * len(os.sched_getaffinity(0)))
        self._next = self._safe(0)
        self._demoted = False

    def look(self, pid: int, passed: float) -> float:
        """Seconds until the next look, at most 0 if the child uses too much.

        Args:
            pid: The child.
            passed: Seconds since it was started.
        """
        if passed >= self._next:
            try:
                used = self._used(pid)
            except OSError:  # it is dead
                used = 0
            if used > self._limit:
                return 0.0
            if used > self._limit // 2 and not self._demoted:
                # Then this process is sure to get a CPU in time, whatever else runs.
                self._demoted = True
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PGRP, pid, _NICE)
            self._next = passed + self._safe(used)
        return self._next - passed

    def exceeded(self, peak: int) -> bool:
        """Whether the largest resident set of a dead child, in bytes, was too large."""
        return peak - self._base.resident > self._limit

    def _safe(self, used: int) -> float:
        return _LATE * ((1 + _OVERSHOOT) * self._limit - used) / self._rate

    def _used(self, pid: int) -> int:
        usage, base = Usage(pid), self._base
        used = usage.resident - base.resident
        if usage.mapped - base.mapped > self._limit:
            used += max(0, (usage.other - base.other) - (usage.common - base.common))
        return used
