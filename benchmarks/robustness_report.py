"""The results of `benchmarks/robustness.py` as JSON, a page and a picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.intervals import interval_of_mean

__all__ = ["write_report"]

_LEVELS = ("introductory", "interview", "competition", "mean")
_MODES = ("sampled", "greedy")
_MEAN_GAIN = {"sampled": 50.0, "greedy": 28.0}
_LEAST_GAIN = {"sampled": 40.0, "greedy": 20.0}

Row = Mapping[str, Any]


def write_report(out: Path, data: Mapping[str, Any]) -> None:
    """Writes .json, .md and .png.

    Args:
        out: Path without suffix.
        data: ``command``, ``arguments``, ``starts``, ``after_sft`` (seed -> rates) and ``rows``.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: all rows are in it, and the process may be killed at any moment.
    draft = out.with_suffix(".json.draft")
    draft.write_text(json.dumps(data, default=str) + "\n")
    draft.rename(out.with_suffix(".json"))
    out.with_suffix(".md").write_text("\n".join(_page(data)) + "\n")
    _plot(out.with_suffix(".png"), data["rows"])


def _page(data: Mapping[str, Any]) -> Iterator[str]:
    rows: Sequence[Row] = data["rows"]
    before: Mapping[str, Row] = data["after_sft"]
    ppo, sft = data["arguments"]["ppo"], data["arguments"]["sft"]
    yield "# Robustness of the main job"
    yield ""
    yield (
        f"`{data['command']}`: SFT of {sft['steps']} steps and PPO of {ppo['iterations']} "
        f"iterations of {ppo['episodes']} programs on CodeGen-Mini, as `make train` does them, a "
        "seed each for both. pass@1 in % on the test split, "
        f"{data['arguments']['test_per_level']} problems a difficulty, from the empty prefix. "
        "*Last* is the policy after the last iteration, without any selection; *best* the one that "
        "the validation split chose. Intervals are 95 % (Student's t) over seeds."
    )
    yield ""
    yield "![every run](robustness.png)"
    yield ""
    seeds = [row for row in rows if row["part"] == "seeds"]
    if seeds:
        yield from _seeds(seeds, before)
    rates = [row for row in rows if row["part"] == "rates"]
    if rates:
        yield from _rates(rates, before)
    unguarded = [row for row in rows if row["part"] == "guard"]
    if unguarded or seeds:
        yield from _guard([*seeds, *rates], unguarded)
    ablations = [row for row in rows if row["part"] == "ablations"]
    if ablations:
        yield from _ablations(ablations)
    finished = {row["name"] for row in rows}
    starts = [start["run"] for start in data["starts"]]
    counts = Counter(name for name in starts if not name.startswith("sft"))
    open_ends = [
        f"{name} ({count - (name in finished)} x)"
        for name, count in counts.items()
        if count > (name in finished)
    ]
    yield "## Starts"
    yield ""
    yield (
        f"{len(starts)} starts, fine-tuning included; "
        + (f"without a result: {', '.join(open_ends)}." if open_ends else "each with its result.")
    )


def _seeds(rows: Sequence[Row], before: Mapping[str, Row]) -> Iterator[str]:
    yield f"## {len(rows)} seeds, the settings of `make train`"
    yield ""
    yield "| | " + " | ".join(_LEVELS) + " |"
    yield "|---" * (len(_LEVELS) + 1) + "|"
    for mode in _MODES:
        phases: list[tuple[str, Callable[[Row], Row]]] = [
            ("after SFT", lambda row: before[str(row["seed"])]),
            ("after PPO, last", lambda row: row["last"]),
            ("after PPO, best", lambda row: row["best"]),
        ]
        for name, pick in phases:
            cells = [_interval([100 * pick(row)[mode][level] for row in rows]) for level in _LEVELS]
            yield f"| {name}, {mode} | {' | '.join(cells)} |"
    yield ""
    yield "Gain of the last policy in points, mean of the levels:"
    yield ""
    yield "| | mean | least seed | bars: mean, each seed | met |"
    yield "|---|---|---|---|---|"
    for mode in _MODES:
        gains = [_gain(row, before, mode) for row in rows]
        met = np.mean(gains) >= _MEAN_GAIN[mode] and min(gains) >= _LEAST_GAIN[mode]
        yield (
            f"| {mode} | {_interval(gains, sign=True)} | {min(gains):+.1f} | "
            f"{_MEAN_GAIN[mode]:.0f}, {_LEAST_GAIN[mode]:.0f} | {'yes' if met else 'no'} |"
        )
    fallen = [
        f"seed {row['seed']}, {level}"
        for row in rows
        for level in _LEVELS[:3]
        if row["last"]["greedy"][level] < before[str(row["seed"])]["greedy"][level]
    ]
    yield ""
    yield f"Levels whose greedy rate fell: {'; '.join(fallen) or 'none'}."
    yield ""
    yield "Each seed, sampled and greedy:"
    yield ""
    yield "| seed | after SFT | last | best | went back |"
    yield "|---|---|---|---|---|"
    for row in sorted(rows, key=lambda row: int(row["seed"])):
        yield (
            f"| {row['seed']} | {_two(before[str(row['seed'])])} | {_two(row['last'])} | "
            f"{_two(row['best'])} | {len(row['returns'])} |"
        )
    yield ""


def _rates(rows: Sequence[Row], before: Mapping[str, Row]) -> Iterator[str]:
    yield "## Other learning rates"
    yield ""
    yield "| rates | seed | SFT: sampled, greedy | last | best | went back | below SFT |"
    yield "|---|---|---|---|---|---|---|"
    for row in sorted(rows, key=lambda row: (row["factor"], row["seed"])):
        below = [mode for mode in _MODES if _gain(row, before, mode) < 0]
        yield (
            f"| x {row['factor']:g} | {row['seed']} | {_two(before[str(row['seed'])])} | "
            f"{_two(row['last'])} | {_two(row['best'])} | {len(row['returns'])}"
            f"{', gave up' if row['gave_up'] else ''} | {', '.join(below) or 'no'} |"
        )
    yield ""


def _guard(guarded: Sequence[Row], unguarded: Sequence[Row]) -> Iterator[str]:
    sent_back = [row for row in guarded if row["returns"]]
    yield "## What the guard does"
    yield ""
    yield (
        f"{len(sent_back)} of {len(guarded)} runs went back to an earlier state. The others are "
        "the same, bit for bit, with the guard switched off (`tests/agents/test_guard.py`)."
    )
    yield ""
    without = {(row["seed"], row["factor"]): row for row in unguarded}
    if sent_back:
        yield "| rates | seed | why it went back | last | last, without the guard |"
        yield "|---|---|---|---|---|"
    for row in sent_back:
        other = without.get((row["seed"], row["factor"]))
        yield (
            f"| x {row['factor']:g} | {row['seed']} | {'; '.join(row['returns'])} | "
            f"{_two(row['last'])} | {_two(other['last']) if other else 'not run'} |"
        )
    yield ""


def _ablations(rows: Sequence[Row]) -> Iterator[str]:
    yield "## Each safeguard less"
    yield ""
    yield (
        f"{rows[0]['iterations']} iterations at a rate that does not fall, without the guard; "
        "validation split, one figure a seed. *KL*: to the reference, nats per token; highest of "
        "the run."
    )
    yield ""
    yield "| | rates | sampled at the end | greedy at the end | highest KL |"
    yield "|---|---|---|---|---|"
    arms = dict.fromkeys((row["ablation"], row["factor"]) for row in rows)
    for ablation, factor in arms:
        mine = [r for r in rows if (r["ablation"], r["factor"]) == (ablation, factor)]
        cells = [
            ", ".join(f"{100 * row['curves'][f'{mode}/mean'][-1][1]:.1f}" for row in mine)
            for mode in _MODES
        ]
        kl = ", ".join(f"{max(v for _, v in row['curves']['kl/reference_k1']):.2f}" for row in mine)
        yield f"| {ablation} | x {factor:g} | {cells[0]} | {cells[1]} | {kl} |"
    yield ""


def _gain(row: Row, before: Mapping[str, Row], mode: str) -> float:
    after, first = row["last"][mode]["mean"], before[str(row["seed"])][mode]["mean"]
    return float(100 * (after - first))


def _interval(values: Sequence[float], *, sign: bool = False) -> str:
    """Mean and half a 95 % interval; of one value, the value alone."""
    mean, half = interval_of_mean(values)
    shown = f"{mean:{'+' if sign else ''}.1f}"
    return shown if len(values) < 2 else f"{shown} ± {half:.1f}"


def _two(rates: Row) -> str:
    return ", ".join(f"{100 * rates[mode]['mean']:.1f}" for mode in _MODES)


def _plot(path: Path, rows: Sequence[Row]) -> None:
    """Every run's curves: validation success above, KL to the reference below."""
    parts = ("seeds", "rates", "guard", "ablations")
    shown = [part for part in parts if any(row["part"] == part for row in rows)]
    if not shown:
        return
    figure, axes = plt.subplots(
        2, len(shown), figsize=(5 * len(shown), 7), sharex="col", squeeze=False
    )
    for column, part in enumerate(shown):
        mine = [row for row in rows if row["part"] == part]
        groups = list(dict.fromkeys(_group(row) for row in mine))
        for row in mine:
            colour = f"C{groups.index(_group(row)) % 10}"
            for axis, name in ((axes[0][column], "sampled/mean"), (axes[1][column], _KL)):
                points = row["curves"][name]
                axis.plot([p[0] for p in points], [p[1] for p in points], color=colour, alpha=0.7)
        for k, group in enumerate(groups):
            axes[0][column].plot([], [], color=f"C{k % 10}", label=group)
        axes[0][column].set_title(part)
        axes[0][column].set_ylim(0, 1)
        axes[0][column].legend(fontsize=7)
        axes[1][column].set_yscale("symlog", linthresh=0.1)
        axes[1][column].set_xlabel("iterations of PPO")
    axes[0][0].set_ylabel("pass@1, sampled, validation split")
    axes[1][0].set_ylabel("KL to the reference, nats per token")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


_KL = "kl/reference_k1"


def _group(row: Row) -> str:
    if row["part"] == "seeds":
        return f"seed {row['seed']}"
    if row["part"] == "ablations":
        return f"{row['ablation']}, x {row['factor']:g}"
    return f"x {row['factor']:g}"
