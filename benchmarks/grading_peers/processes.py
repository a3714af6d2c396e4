"""Memory, CPU time and page faults of processes, from `/proc`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


def descendants(pid: int) -> list[int]:
    """Process ids of everything below a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


class Usage(NamedTuple):
    """What processes used so far."""

    cpu_seconds: float
    page_faults: int

    def since(self, before: Usage) -> Usage:
        """What was used after another moment."""
        return Usage(self.cpu_seconds - before.cpu_seconds, self.page_faults - before.page_faults)


def usage(pid: int) -> Usage:
    """What a process used, everything below it, and all of their children that are gone."""
    ticks = faults = 0
    for each in (pid, *descendants(pid)):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        ticks += sum(map(int, fields[11:15]))
        faults += sum(map(int, fields[7:11]))
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), faults)


def own_memory(pid: int) -> dict[str, int]:
    """Bytes that a process has for itself (`own`), its fair share (`pss`), and resident (`rss`).

    `own` takes memory that is no file's by fair share: processes that were forked from each other
    share it, and their `own` adds up to what all of them have. Files count where no other process
    maps them.

    Raises:
        PermissionError: If its memory is hidden from this user.
    """
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, _, rest = line.partition(":")
        sizes[key] = int(rest.split()[0]) * 1024
    own = sizes["Pss_Anon"] + sizes["Pss_Shmem"] + sizes["Private_Clean"]
    return {"own": own, "pss": sizes["Pss"], "rss": sizes["Rss"]}


def of_workers() -> list[dict[str, int]]:
    """Memory of every process below this one, with its pid."""
    return [{"pid": pid, **own_memory(pid)} for pid in descendants(os.getpid())]
