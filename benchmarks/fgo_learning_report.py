"""The results of `benchmarks/fgo_learning.py` as a page and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks import page
from benchmarks.intervals import shown
from benchmarks.learning_curves import MODES, band, differences, how_measured, mean_over_run

__all__ = ["ARMS", "Arm", "draw", "lines"]

Row = Mapping[str, Any]


class Arm(NamedTuple):
    """What distinguishes the runs of an arm.

    Attributes:
        tests: How many of a problem's tests judge a program in training.
        fgo: Whether only executed tokens are learned from.
    """

    tests: int
    fgo: bool


ARMS = {
    "1 test, no mask": Arm(1, fgo=False),
    "1 test, FGO": Arm(1, fgo=True),
    "3 tests, no mask": Arm(3, fgo=False),
    "3 tests, FGO": Arm(3, fgo=True),
}
_PAIRS = (
    ("1 test, FGO", "1 test, no mask"),
    ("3 tests, FGO", "3 tests, no mask"),
    ("3 tests, no mask", "1 test, no mask"),
    ("3 tests, FGO", "1 test, FGO"),
)
_COLOURS = {1: "#0072B2", 3: "#D55E00"}  # Okabe and Ito's


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, from ``command``, ``arguments``, ``starts`` and ``rows``."""
    args, rows = results["arguments"], results["rows"]
    asked = (
        "Does PPO learn faster if unexecuted tokens are left out (FGO)? What was expected was "
        "written down before the runs (docs/results/plans/fgo.md)."
    )
    yield from page.head("Executed tokens: learning", asked, results)
    yield from page.set_up(_set_up(args))
    yield from ("## Arms", "", "pass@1 in %.", "")
    yield from ("![curves of each arm](fgo_learning.png)", "")
    columns = (
        "arm",
        "seeds",
        "executed, %",
        "sampled before",
        "sampled after",
        "greedy before",
        "greedy after",
    )
    yield from page.table(
        (*columns, "sampled, mean over the run", "iterations"),
        ([*_cells(arm, rows)] for arm in ARMS if any(row["arm"] == arm for row in rows)),
    )
    yield from ("", "## Differences", "", "Points of pass@1, at the end and before.", "")
    yield from differences(rows, _PAIRS)
    yield from ("", f"{results['starts']} runs were started, {len(rows)} are shown.")


def _set_up(args: Mapping[str, Any]) -> dict[str, str]:
    return {
        "problems": f"CodeGen-Mini, all levels: {args['problems']:,} for training, with 1 or 3 "
        f"tests each, and {args['test_per_level']} test problems a level, with all tests",
        "begins with": "SFT, a policy for each seed, which its arms share",
        "learner": "PPO as in `make train` (CCCS), without its guard",
        "budget": f"{args['tokens']:,} generated tokens a run",
        **how_measured(args),
    }


def _cells(arm: str, rows: Sequence[Row]) -> Iterator[str]:
    mine = [row["curve"] for row in rows if row["arm"] == arm]
    yield arm
    yield str(len(mine))
    shares = [point["policy/executed_share"] for curve in mine for point in curve[1:]]
    yield f"{100 * np.mean(shares):.0f}"
    for mode in MODES:
        for point in (0, -1):
            yield shown([100 * curve[point][mode] for curve in mine])
    yield shown([100 * mean_over_run(curve) for curve in mine])
    yield f"{np.mean([curve[-1]['iteration'] for curve in mine]):.0f}"


def draw(results: Mapping[str, Any]) -> Figure:
    """Sampled and greedy pass@1 over generated tokens: mean and 95 % band of each arm."""
    rows = results["rows"]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2))
    for axis, mode in zip(axes, MODES, strict=True):
        for name, arm in ARMS.items():
            mine = [row["curve"] for row in rows if row["arm"] == name]
            line: dict[str, Any] = {"color": _COLOURS[arm.tests], "ls": "-" if arm.fgo else "--"}
            band(axis, mine, mode, label=name, marker="o", markersize=3, **line)
        axis.set(xlabel="generated tokens, millions", ylabel=f"{mode} pass@1, %", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.suptitle("All levels, from the empty prefix, judged by all tests")
    figure.tight_layout()
    return figure
