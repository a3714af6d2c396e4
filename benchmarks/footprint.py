"""What a pool occupies while it is idle, and whether that grows. What is hidden is NaN."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from scipy import stats

from benchmarks import processes

KIB = 1024.0
MEMORY = tuple(
    f"{whose} {kind}" for whose in ("parent", "workers") for kind in ("RSS", "PSS", "private")
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
        name: The figure, one of :data:`NAMES`.
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


def footprint(folder: Path) -> list[float]:
    """One value for each of :data:`NAMES`.

    Args:
        folder: Where this process and its workers put temporary files.
    """
    me, workers = psutil.Process(), processes.below()
    known = {me.pid, *(worker.pid for worker in workers)}
    return [
        *_memory([me]),
        *_memory(workers),
        _sum(psutil.Process.num_fds, [me]),
        _sum(psutil.Process.num_fds, workers),
        len(workers),
        len([pid for pid in _naming(str(folder)) if pid not in known]),
        _sum(psutil.Process.num_threads, [me]),
        _sum(psutil.Process.num_threads, workers),
        # A worker's own view of the folder, through its mount namespace.
        _entries(folder) + _sum(lambda p: _entries(Path(f"/proc/{p.pid}/root{folder}/")), workers),
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
        line = (slope, slope - error, slope + error)
        found.append(Growth(name, float(first.max()), float(later[-1]), *line, verdict))
    return found


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope, and half the width of its 95 % interval (Student's t)."""
    if len(x) < 3:
        return math.nan, math.nan
    if np.ptp(y) == 0:  # which has no correlation, and with it no error in scipy's sense
        return 0.0, 0.0
    line = stats.linregress(x, y)
    return float(line.slope), float(stats.t.ppf(0.975, len(x) - 2) * line.stderr)


def _memory(some: Iterable[psutil.Process]) -> list[float]:
    """RSS, PSS and private memory in KiB."""
    try:
        each = [processes.memory(process) for process in some]
    except psutil.Error:
        return [math.nan] * 3
    return [sum(one[key] for one in each) / KIB for key in ("rss", "pss", "own")]


def _sum(count: Callable[[psutil.Process], int], some: Iterable[psutil.Process]) -> float:
    try:
        return float(sum(map(count, some)))
    except (psutil.Error, OSError):
        return math.nan


def _entries(folder: Path) -> int:
    """Files and folders below a folder."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))


def _naming(text: str) -> list[int]:
    """Processes whose command line holds this text: forked copies keep their parent's."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(text in word for word in process.cmdline()):
                found.append(process.pid)
    return found
