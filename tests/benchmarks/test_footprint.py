"""Growth is told from noise, and a leak is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.footprint import COUNTS, MEMORY, NAMES, footprint, growth

GRADES = np.arange(1.0, 41.0) * 500


def verdicts(**columns: np.ndarray) -> dict[str, str]:
    samples = np.full((len(GRADES), len(NAMES)), 7.0)
    for name, values in columns.items():
        samples[:, NAMES.index(name.replace("_", " "))] = values
    return {one.name: one.verdict for one in growth(GRADES, samples, most=32.0)}


def test_slope_and_interval_of_a_line_with_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 10, len(GRADES))
    samples = np.tile((100 + 50 * GRADES / 1000 + noise)[:, None], len(NAMES))
    one = growth(GRADES, samples, most=32.0)[0]
    assert one.low < 50 < one.high
    assert one.slope == pytest.approx(np.polyfit(GRADES[20:] / 1000, samples[20:, 0], 1)[0])
    # Student's t with 18 degrees of freedom is 2.101.
    rest = samples[20:, 0] - np.polyval(np.polyfit(GRADES[20:], samples[20:, 0], 1), GRADES[20:])
    error = np.sqrt(
        rest @ rest / 18 / np.sum((GRADES[20:] / 1000 - GRADES[20:].mean() / 1000) ** 2)
    )
    assert one.high - one.slope == pytest.approx(2.101 * error, rel=1e-3)


def test_memory_that_grows_fails_and_memory_that_levelled_off_passes() -> None:
    told = verdicts(parent_RSS=40 * GRADES / 1000, parent_private=np.minimum(GRADES, 9_000))
    assert (told["parent RSS"], told["parent private"]) == ("fail", "pass")
    wild = np.random.default_rng(0).normal(0, 5_000, len(GRADES))
    assert verdicts(parent_RSS=wild)["parent RSS"] == "too wide"


def test_one_count_too_many_fails() -> None:
    later = np.where(GRADES > 15_000, 8.0, 7.0)
    assert verdicts(processes_below=later)["processes below"] == "fail"
    assert set(verdicts().values()) == {"pass", "not judged"}


def test_what_can_not_be_read_is_hidden_and_no_pass() -> None:
    assert verdicts(workers_RSS=np.full(len(GRADES), np.nan))["workers RSS"] == "hidden"


def test_files_processes_and_descriptors_are_counted(tmp_path: Path) -> None:
    names = [*MEMORY, *COUNTS]
    before = dict(zip(names, footprint(tmp_path), strict=True))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        script = "import sys; sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE
        ) as child:
            after = dict(zip(names, footprint(tmp_path), strict=True))
            child.communicate()
    finally:
        os.close(descriptor)
    assert after["processes below"] == before["processes below"] + 1
    assert after["parent descriptors"] >= before["parent descriptors"] + 2
    assert after["temporary entries"] >= before["temporary entries"] + 2
    assert after["parent RSS"] > 1_000
