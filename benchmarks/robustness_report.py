"""The results of `benchmarks/robustness.py` as JSON, a page and a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks import page
from benchmarks.intervals import shown

__all__ = ["draw", "lines"]

_LEVELS = ("introductory", "interview", "competition", "mean")
_MODES = ("sampled", "greedy")
_TITLES = {
    "seeds": "ten seeds, x 1",
    "rates": "other learning rates",
    "guard": "x 4, guard off",
    "ablations": "one safeguard less, guard off, x 2 (dashed: x 4)",
}
_PARTS = tuple(_TITLES)
_KL = "kl/reference_k1"
_MEAN_GAIN = {"sampled": 50.0, "greedy": 28.0}
_LEAST_GAIN = {"sampled": 40.0, "greedy": 20.0}

Row = Mapping[str, Any]


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, from ``command``, ``arguments``, ``starts``, ``after_sft`` and ``rows``."""
    rows: Sequence[Row] = results["rows"]
    before: Mapping[str, Row] = results["after_sft"]
    arguments = results["arguments"]
    asked = (
        "Does the main job hold with other seeds, other learning rates, and without its safeguards?"
    )
    yield from page.head("Robustness of the main job", asked, results)
    yield from page.set_up(_set_up(arguments))
    yield (
        "*Last* is the policy after the last iteration, without any selection; *best* the one that "
        "the validation split chose."
    )
    yield ""
    yield from ("![every run](robustness.png)", "")
    parts = {part: [row for row in rows if row["part"] == part] for part in _PARTS}
    if parts["seeds"]:
        yield from _seeds(parts["seeds"], before)
    if parts["rates"]:
        seeds = {row["seed"] for row in parts["rates"]}
        same = [row for row in parts["seeds"] if row["seed"] in seeds]
        yield from _rates([*parts["rates"], *same], before)
    if parts["guard"] or parts["seeds"]:
        yield from _guard([*parts["seeds"], *parts["rates"]], parts["guard"])
    if parts["ablations"]:
        yield from _ablations(parts["ablations"])
    finished = {row["name"] for row in rows}
    starts = [start["run"] for start in results["starts"]]
    counts = Counter(name for name in starts if not name.startswith("sft"))
    open_ends = [
        f"{name} ({count - (name in finished)} x)"
        for name, count in counts.items()
        if count > (name in finished)
    ]
    yield from ("## Starts", "")
    yield (
        f"{len(starts)} starts, fine-tuning included; "
        + (f"without a result: {', '.join(open_ends)}." if open_ends else "each with its result.")
    )


def _set_up(arguments: Mapping[str, Any]) -> dict[str, str]:
    sft, ppo = arguments["sft"], arguments["ppo"]
    return {
        "problems": f"CodeGen-Mini, all levels: {sft['problems']:,} for SFT, {ppo['problems']:,} "
        f"for PPO, {arguments['test_per_level']} test problems a level",
        "model": f"Llama-shaped, {sft['model_layers']} layers of width {sft['model_width']}, from "
        "scratch",
        "learner": f"SFT of {sft['steps']:,} steps at flaw rate {sft['flaw_rate']:g}, then PPO of "
        f"{ppo['iterations']} iterations of {ppo['episodes']} programs, as `make train` does them",
        "measured": "pass@1 in % from the empty prefix: one sampled program a problem, and the "
        "greedy one",
        "seeds": f"{', '.join(map(str, arguments['seeds']))}; each decides SFT and PPO",
        "intervals": "95 %, Student's t over seeds",
    }


def _seeds(rows: Sequence[Row], before: Mapping[str, Row]) -> Iterator[str]:
    yield from (f"## {len(rows)} seeds, the settings of `make train`", "")

    def rates(row: Row, phase: str, mode: str) -> Row:
        found: Row = (before[str(row["seed"])] if phase == "after SFT" else row[phase[-4:]])[mode]
        return found

    yield from page.table(
        ("", *_LEVELS),
        (
            [
                f"{phase}, {mode}",
                *(
                    shown([100 * rates(row, phase, mode)[level] for row in rows])
                    for level in _LEVELS
                ),
            ]
            for mode in _MODES
            for phase in ("after SFT", "after PPO, last", "after PPO, best")
        ),
    )
    yield from ("", "Gain of the last policy in points, mean of the levels:", "")

    def gain(mode: str) -> list[str]:
        gains = [_gain(row, before, mode) for row in rows]
        mean, least = _MEAN_GAIN[mode], _LEAST_GAIN[mode]
        met = np.mean(gains) >= mean and min(gains) >= least
        cells = [mode, shown(gains, sign=True), f"{min(gains):+.1f}", f"{mean:.0f}, {least:.0f}"]
        return [*cells, "yes" if met else "no"]

    yield from page.table(
        ("", "mean", "least seed", "bars: mean, each seed", "met"), map(gain, _MODES)
    )
    fallen = [
        f"seed {row['seed']}, {level}"
        for row in rows
        for level in _LEVELS[:3]
        if row["last"]["greedy"][level] < before[str(row["seed"])]["greedy"][level]
    ]
    yield from ("", f"Levels whose greedy rate fell: {'; '.join(fallen) or 'none'}.", "")
    yield from ("Each seed, sampled and greedy:", "")
    yield from page.table(
        ("seed", "after SFT", "last", "best", "went back"),
        (
            [
                *(row["seed"], _two(before[str(row["seed"])]), _two(row["last"])),
                *(_two(row["best"]), len(row["returns"])),
            ]
            for row in sorted(rows, key=lambda row: int(row["seed"]))
        ),
    )
    yield ""


def _rates(rows: Sequence[Row], before: Mapping[str, Row]) -> Iterator[str]:
    yield from ("## Other learning rates", "")

    def cells(row: Row) -> list[object]:
        below = [mode for mode in _MODES if _gain(row, before, mode) < 0]
        return [
            *(f"x {row['factor']:g}", row["seed"], _two(before[str(row["seed"])])),
            *(_two(row["last"]), _two(row["best"])),
            f"{len(row['returns'])}{', gave up' if row['gave_up'] else ''}",
            ", ".join(below) or "no",
        ]

    yield from page.table(
        ("rates", "seed", "SFT: sampled, greedy", "last", "best", "went back", "below SFT"),
        map(cells, sorted(rows, key=lambda row: (row["factor"], row["seed"]))),
    )
    yield ""


def _guard(guarded: Sequence[Row], unguarded: Sequence[Row]) -> Iterator[str]:
    sent_back = [row for row in guarded if row["returns"]]
    yield from (
        "## What the guard does",
        "",
        f"{len(sent_back)} of {len(guarded)} runs went back to an earlier state. The others are "
        "the same, bit for bit, with the guard switched off (`tests/agents/test_guard.py`).",
        "",
    )
    without = {(row["seed"], row["factor"]): row for row in unguarded}

    def cells(row: Row) -> list[object]:
        other = without.get((row["seed"], row["factor"]))
        ends = [_two(row["last"]), _two(other["last"]) if other else "not run"]
        return [f"x {row['factor']:g}", row["seed"], "; ".join(row["returns"]), *ends]

    if sent_back:
        columns = ("rates", "seed", "why it went back", "last", "last, without the guard")
        yield from page.table(columns, map(cells, sent_back))
    yield ""


def _ablations(rows: Sequence[Row]) -> Iterator[str]:
    yield from (
        "## Each safeguard less",
        "",
        f"{rows[0]['iterations']} iterations at a rate that does not fall, without the guard; "
        "validation split, one figure a seed. *KL*: to the reference, nats per token; highest of "
        "the run.",
        "",
    )

    def rates(curves: Sequence[Row], point: int) -> list[str]:
        return [
            ", ".join(f"{100 * each[f'{mode}/mean'][point][1]:.1f}" for each in curves)
            for mode in _MODES
        ]

    def cells(arm: tuple[str, float]) -> list[str]:
        curves = [r["curves"] for r in rows if (r["ablation"], r["factor"]) == arm]
        ends = rates(curves, -1)
        highest = ", ".join(f"{max(v for _, v in each[_KL]):.2f}" for each in curves)
        return [arm[0], f"x {arm[1]:g}", *ends, highest]

    arms = list(dict.fromkeys((row["ablation"], row["factor"]) for row in rows))
    first = [r["curves"] for r in rows if (r["ablation"], r["factor"]) == arms[0]]
    yield from page.table(
        ("", "rates", "sampled at the end", "greedy at the end", "highest KL"),
        [["what all begin with", "", *rates(first, 0), ""], *map(cells, arms)],
    )
    yield ""


def _gain(row: Row, before: Mapping[str, Row], mode: str) -> float:
    after, first = row["last"][mode]["mean"], before[str(row["seed"])][mode]["mean"]
    return float(100 * (after - first))


def _two(rates: Row) -> str:
    return ", ".join(f"{100 * rates[mode]['mean']:.1f}" for mode in _MODES)


def draw(results: Mapping[str, Any]) -> Figure | None:
    """Every run's curves: validation success above, KL to the reference below."""
    rows = results["rows"]
    present = [part for part in _PARTS if any(row["part"] == part for row in rows)]
    if not present:
        return None
    figure, axes = plt.subplots(
        2, len(present), figsize=(4.5 * len(present), 7), sharex="col", sharey="row", squeeze=False
    )
    for column, part in enumerate(present):
        mine = [row for row in rows if row["part"] == part]
        groups = list(dict.fromkeys(_group(row) for row in mine))
        for row in mine:
            colour = f"C{groups.index(_group(row)) % 10}"
            style = "--" if part == "ablations" and row["factor"] > 2 else "-"
            for axis, name in ((axes[0][column], "sampled/mean"), (axes[1][column], _KL)):
                times, values = zip(*row["curves"][name], strict=True)
                scale = 1.0 if name == _KL else 100.0
                axis.plot(times, [scale * one for one in values], style, color=colour, alpha=0.7)
        for k, group in enumerate(groups):
            axes[0][column].plot([], [], color=f"C{k % 10}", label=group)
        axes[0][column].set_title(_TITLES[part])
        axes[0][column].set_ylim(0, 100)
        axes[0][column].legend(fontsize=8, loc="best")
        axes[1][column].set_yscale("symlog", linthresh=0.1)
        axes[1][column].set_xlabel("iterations of PPO")
    axes[0][0].set_ylabel("sampled pass@1, %, validation split")
    axes[1][0].set_ylabel("KL to the reference, nats per token\n(linear below 0.1)")
    axes[1][0].set_ylim(bottom=0)  # of the whole row, when all its curves are there
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    return figure


def _group(row: Row) -> str:
    if row["part"] == "seeds":
        return f"seed {row['seed']}"
    if row["part"] == "ablations":
        return str(row["ablation"])
    return f"x {row['factor']:g}"
