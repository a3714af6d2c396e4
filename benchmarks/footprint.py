"""What a pool occupies while it is idle, from `/proc`, and whether that grows.

A worker's memory and descriptors are hidden from other users' processes, and from its own user's
unless that is root: where they cannot be read, the figure is NaN.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.grading_peers.processes import descendants, own_memory

KIB = 1024.0
MEMORY = (
    "parent RSS",
    "parent PSS",
    "parent private",
    "workers RSS",
    "workers PSS",
    "workers private",
)
"""Sums in KiB."""
COUNTS = (
    "parent descriptors",
    "workers' descriptors",
    "processes below",
    "processes elsewhere",
    "parent threads",
    "workers' threads",
    "temporary entries",
    "shared memory entries",
)
NAMES = (*MEMORY, *COUNTS)
OF_OTHERS = ("parent PSS", "workers PSS", "shared memory entries")
"""Depend on who else maps the same libraries or uses the folder; told, not judged."""


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """A straight line through the later samples of one figure.

    Attributes:
        name: Of the figure.
        first: Largest value of the first half.
        last: Last value.
        slope: Growth for each 1,000 grades.
        low: Lower end of its 95 % interval.
        high: Upper end.
        verdict: `"pass"`, `"fail"`, `"too wide"` (the interval), `"hidden"` or `"not judged"`.
    """

    name: str
    first: float
    last: float
    slope: float
    low: float
    high: float
    verdict: str


def workers() -> set[int]:
    """The children of this process."""
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # that thread has ended
            found.update(map(int, file.read_text().split()))
    return found


def footprint(folder: Path) -> list[float]:
    """One value for each of :data:`NAMES`.

    Args:
        folder: Where this process and its workers put temporary files.
    """
    me = os.getpid()
    below = descendants(me)
    return [
        *_memory([me]),
        *_memory(below),
        _sum(_descriptors, [me]),
        _sum(_descriptors, below),
        len(below),
        len([pid for pid in _naming(str(folder)) if pid != me and pid not in below]),
        _sum(_threads, [me]),
        _sum(_threads, below),
        _entries(folder) + _sum(lambda pid: _entries(Path(f"/proc/{pid}/root{folder}/")), below),
        _entries(Path("/dev/shm")),
    ]


def growth(grades: NDArray[np.float64], samples: NDArray[np.float64], most: float) -> list[Growth]:
    """Least squares over the second half of the samples, for each figure.

    A count passes if no sample of the second half is above the largest of the first. Memory passes
    if the upper end of the interval is at most `most`.

    Args:
        grades: (N,) grades so far.
        samples: (N, figures) in the order of :data:`NAMES`.
        most: KiB for each 1,000 grades.
    """
    half = len(grades) // 2
    found = []
    for index, name in enumerate(NAMES):
        values = samples[:, index]
        first, later = values[:half], values[half:]
        slope, error = _line(grades[half:] / 1000, later)
        if np.isnan(values).any():
            verdict = "hidden"
        elif name in OF_OTHERS:
            verdict = "not judged"
        elif name in COUNTS:
            verdict = "pass" if later.max() <= first.max() else "fail"
        elif slope + error <= most:
            verdict = "pass"
        else:
            verdict = "fail" if slope - error > 0 else "too wide"
        largest = float(first.max())
        line = (slope, slope - error, slope + error)
        found.append(Growth(name, largest, float(later[-1]), *line, verdict))
    return found


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope, and half the width of its 95 % interval (Student's t, by its usual expansion)."""
    free = len(x) - 2
    if free < 1:
        return math.nan, math.nan
    away = x - x.mean()
    spread = float(away @ away)
    slope = float(away @ (y - y.mean())) / spread
    rest = y - y.mean() - slope * away
    t = 1.95996 + 2.37 / free + 2.8 / free**2
    return slope, t * math.sqrt(float(rest @ rest) / free / spread)


def _memory(pids: Iterable[int]) -> list[float]:
    """RSS, PSS and private memory in KiB."""
    try:
        each = [own_memory(pid) for pid in pids]
    except OSError:
        return [math.nan] * 3
    return [sum(one[key] for one in each) / KIB for key in ("rss", "pss", "own")]


def _sum(count: Callable[[int], int], pids: Iterable[int]) -> float:
    try:
        return float(sum(map(count, pids)))
    except OSError:
        return math.nan


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def _entries(folder: Path) -> int:
    """Files and folders below a folder."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))


def _naming(text: str) -> list[int]:
    """Processes whose command line holds this text: forked copies keep their parent's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found
