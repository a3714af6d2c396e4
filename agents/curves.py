"""Learning curves of runs as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

__all__ = ["plot_run"]

_LEVELS = ("introductory", "interview", "competition", "mean")


def plot_run(scalars: Sequence[Mapping[str, float]], path: Path, *, title: str) -> None:
    """Evaluations, rollouts, curriculum and KL of one PPO run over its iterations.

    Args:
        scalars: Of :func:`agents.telemetry.read_scalars`.
        path: Of the PNG.
        title: Above it.
    """
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharex=True)
    for column, mode in ((0, "greedy"), (1, "sampled")):
        for level in _LEVELS:
            width = 3.0 if level == "mean" else 1.5
            _line(axes[0][column], scalars, f"{mode}/{level}", level, marker="o", linewidth=width)
        axes[0][column].set_title(f"{mode} pass@1, validation split, empty prefix")
        axes[0][column].set_ylim(0, 1)
    names = {
        "rollout/solved": "solved, from the curriculum's start states",
        "rollout/solved_from_empty": "solved, from the empty prefix",
        "curriculum/mean_stage": "mean stage (0: empty prefix)",
        "policy/executed_share": "share of generated tokens that were executed",
    }
    for name, label in names.items():
        _line(axes[1][0], scalars, name, label)
    axes[1][0].set_title("rollouts, mean of 5 iterations")
    for name, label in {
        "kl/reference_k3": "KL to the reference, per token",
        "policy/entropy_estimate": "entropy, per token",
        "policy/clip_fraction": "clip fraction",
    }.items():
        _line(axes[1][1], scalars, name, label)
    axes[1][1].set_title("policy, mean of 5 iterations")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        if axis.has_data():
            axis.legend(fontsize=8)
    for axis in axes[1]:
        axis.set_xlabel("iterations of PPO")
    figure.suptitle(title)
    figure.tight_layout()
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
