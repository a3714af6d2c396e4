"""Memory, CPU time and page faults of processes, by psutil.

A worker's memory and descriptors are hidden from other users' processes, and from its own user's
unless that is root: where they cannot be read, psutil raises `psutil.AccessDenied`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

__all__ = ["Usage", "below", "memory", "resident", "usage"]


def below(pid: int | None = None) -> list[psutil.Process]:
    """Everything below a process; below this one, if none is named."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children(recursive=True))
    return []


def _with_all_below(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        yield psutil.Process(pid)
    yield from below(pid)


class Usage(NamedTuple):
    """What processes used so far.

    Attributes:
        cpu_seconds: Of user and system.
        page_faults: Minor and major ones.
        processes: Pid and time of start of each that was counted.
    """

    cpu_seconds: float
    page_faults: int
    processes: frozenset[tuple[int, float]] = frozenset()

    def since(self, before: Usage) -> Usage | None:
        """What was used after another moment.

        None if a process has ended since, such as a worker that was replaced: what it used by then
        may have gone with it.
        """
        if before.processes - self.processes:
            return None
        return Usage(self.cpu_seconds - before.cpu_seconds, self.page_faults - before.page_faults)


def usage(pid: int) -> Usage:
    """What a process used, everything below it, and all of their children that are gone."""
    seconds, faults, processes = 0.0, 0, set()
    for each in _with_all_below(pid):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            times = each.cpu_times()
            # psutil does not tell page faults: the fields 10 to 13 of proc(5).
            fields = Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2].split()
            seconds += times.user + times.system + times.children_user + times.children_system
            faults += sum(map(int, fields[7:11]))
            processes.add((each.pid, each.create_time()))
    return Usage(seconds, faults, frozenset(processes))


def resident(pid: int) -> int:
    """Resident bytes of a process and everything below it."""
    total = 0
    for each in _with_all_below(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total


def memory(process: psutil.Process) -> dict[str, int]:
    """Bytes that a process has for itself (`own`), its fair share (`pss`), and resident (`rss`).

    `own` takes memory that is no file's by fair share: processes that were forked from each other
    share it, and their `own` adds up to what all of them have. Files count where no other process
    maps them. psutil's `uss` leaves out what forked processes share, so the kernel's sums are read.

    Raises:
        psutil.AccessDenied: If its memory is hidden from this user.
    """
    sizes: dict[str, int] = {}
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except PermissionError as error:
        raise psutil.AccessDenied(process.pid) from error
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(process.pid) from error
    for line in text.splitlines()[1:]:
        key, _, rest = line.partition(":")
        sizes[key] = int(rest.split()[0]) * 1024
    own = sizes["Pss_Anon"] + sizes["Pss_Shmem"] + sizes["Private_Clean"]
    return {"own": own, "pss": sizes["Pss"], "rss": sizes["Rss"]}
