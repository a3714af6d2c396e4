"""Learning curves of runs as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

__all__ = ["plot_run"]

_LEVELS = ("introductory", "interview", "competition", "mean")


def plot_run(scalars: Sequence[Mapping[str, float]], path: Path, *, title: str) -> None:
    """Evaluations, rollouts, curriculum and KL of one PPO run over its iterations.

    Args:
        scalars: Of :func:`agents.telemetry.read_scalars`.
        path: Of the PNG.
        title: Above it.
    """
    figure, axes = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
    for column, mode in ((0, "greedy"), (1, "sampled")):
        for level in _LEVELS:
            width = 3.0 if level == "mean" else 1.5
            _line(axes[0][column], scalars, f"{mode}/{level}", level, marker="o", linewidth=width)
        axes[0][column].set_title(f"{mode} pass@1, held-out problems, empty prefix")
        axes[0][column].set_ylim(0, 1)
    names = {
        "rollout/solved": "solved, from the curriculum's start states",
        "rollout/solved_from_empty": "solved, from the empty prefix",
        "curriculum/mean_stage": "mean stage of the curriculum (0: empty prefix), no share",
        "policy/executed_share": "share of generated tokens that were executed",
    }
    for name, label in names.items():
        _line(axes[1][0], scalars, name, label)
    axes[1][0].set_title("rollouts, mean of the last 5 iterations")
    for name, label in {
        "kl/reference_k3": "KL to the reference, per token",
        "policy/entropy_estimate": "entropy, per token",
        "policy/clip_fraction": "clip fraction",
    }.items():
        _line(axes[1][1], scalars, name, label)
    axes[1][1].set_title("policy, mean of the last 5 iterations")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        if axis.has_data():
            # Below the curves, which may run anywhere within the axes.
            columns = 4 if axis in axes[0] else 1
            axis.legend(fontsize=8, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.08))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(f"{title}, over its iterations")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _line(
    axis: Axes,
    scalars: Sequence[Mapping[str, float]],
    name: str,
    label: str,
    *,
    marker: str = "",
    linewidth: float = 1.5,
) -> None:
    points = [(row["step"], row[name]) for row in scalars if name in row]
    if not points:
        return
    steps = [point[0] for point in points]
    values = [point[1] for point in points]
    if not marker:
        windows = [values[max(0, i - 4) : i + 1] for i in range(len(values))]
        values = [sum(window) / len(window) for window in windows]
    axis.plot(steps, values, label=label, marker=marker, linewidth=linewidth)
