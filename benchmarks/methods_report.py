"""The results of `benchmarks/methods.py` as a page and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks import page
from benchmarks.intervals import shown
from benchmarks.learning_curves import band

__all__ = ["draw", "lines"]

Row = Mapping[str, Any]

_PPO = "PPO"
_COLUMNS = 4  # of panels
# Okabe and Ito's orange and blue, which colour-blind readers can tell apart, and black.
_COLOURS = {"sampled": "#0072B2", "greedy": "#D55E00"}


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, from ``command``, ``arguments``, ``starts`` and ``rows``."""
    args, rows = results["arguments"], results["rows"]
    asked = (
        "What do the related methods do on the task that PPO is shown on? CodeGen-Mini, all "
        f"levels, {args['problems']} training problems, {args['tokens'] / 1e3:.0f} thousand "
        "generated tokens a run, those of completions and of programs to compare with included. "
        "Episodes begin with the empty program, but for JSRL and the last PPO. pass@1 in % on "
        f"{args['per_level']} test problems of each level from the empty program "
        f"({args['samples']} samples each, and greedy). Each seed has an SFT policy of its own, "
        "which all methods share. Intervals are 95 % (Student's t) over seeds, of differences over "
        "pairs with the same seed. Each method has its own defaults, none was tuned, and VinePPO "
        "has fewer episodes and completions than by default, as one iteration would use up the "
        "budget. TP-GRPO's reward model is fitted to perfect labels. An illustration: with so "
        "few seeds nothing is claimed about which method is better."
    )
    yield from page.head("Related methods beside PPO", asked, results)
    by = {(row["arm"], row["seed"]): row for row in rows}
    columns = ("method", "seeds", "iterations", "episodes", "sampled before", "sampled after")
    more = ("greedy before", "greedy after", "sampled - PPO's", "greedy - PPO's")
    yield from page.table((*columns, *more), (_cells(arm, by) for arm in _arms(rows)))
    yield from ("", f"{results['starts']} runs were started, {len(rows)} are shown.")


def _arms(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["arm"] for row in rows))


def _cells(arm: str, by: Mapping[tuple[str, int], Row]) -> list[object]:
    mine = [row for (name, _), row in by.items() if name == arm]

    def point(number: int, mode: str) -> str:
        return shown([100 * row["curve"][number][mode] for row in mine])

    def difference(mode: str) -> str:
        pairs = [(row, by[_PPO, row["seed"]]) for row in mine if (_PPO, row["seed"]) in by]
        if arm == _PPO or not pairs:
            return ""
        ends = [100 * (a["curve"][-1][mode] - b["curve"][-1][mode]) for a, b in pairs]
        return shown(ends, sign=True)

    def mean(name: str) -> str:
        return f"{np.mean([row['curve'][-1][name] for row in mine]):.0f}"

    rates = [point(number, mode) for mode in ("sampled", "greedy") for number in (0, -1)]
    return [
        arm,
        len(mine),
        mean("iteration"),
        mean("episodes"),
        *rates,
        difference("sampled"),
        difference("greedy"),
    ]


def draw(results: Mapping[str, Any]) -> Figure:
    """A panel for each method: pass@1 over generated tokens, with PPO's in grey behind it."""
    rows = results["rows"]
    arms = [arm for arm in _arms(rows) if arm != _PPO] or [_PPO]
    ppo = [row["curve"] for row in rows if row["arm"] == _PPO]
    height = -(-len(arms) // _COLUMNS)
    figure, axes = plt.subplots(
        height,
        _COLUMNS,
        figsize=(3.1 * _COLUMNS, 2.7 * height + 0.6),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axis in axes.flat[len(arms) :]:
        axis.remove()
    for number, (axis, arm) in enumerate(zip(axes.flat, arms, strict=False)):
        mine = [row["curve"] for row in rows if row["arm"] == arm]
        for mode, colour in _COLOURS.items():
            style = "-" if mode == "sampled" else "--"
            lines_of: dict[str, Any] = {"unit": 1e3, "ls": style, "marker": "o", "markersize": 2.5}
            band(axis, ppo, mode, color="0.55", label=f"PPO, {mode}", **lines_of)
            band(axis, mine, mode, color=colour, label=f"the method, {mode}", **lines_of)
        axis.set_title(arm, fontsize=10)
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
        if number % _COLUMNS == 0:
            axis.set_ylabel("pass@1, %")
        if number + _COLUMNS >= len(arms):
            axis.set_xlabel("generated tokens, thousands")
            axis.tick_params(labelbottom=True)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=4, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    return figure
