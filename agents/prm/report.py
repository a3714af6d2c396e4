"""How good are line scores: error, signs, ranking and calibration, also by place and by length."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from rich.table import Table

__all__ = ["LineScores", "ScoreReport", "area_under_curve", "plot_calibration", "report_table"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_PLACES = ("first third", "second third", "last third")
_LENGTHS = ((1, 4), (5, 8), (9, 16), (17, None))
_BINS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class LineScores:
    """Scores and labels of N lines that are not neutral.

    Attributes:
        scores: (N,) of the model.
        labels: (N,) in [-1, 1], not 0.
        line: (N,) number of the line in its program, from 0.
        lines: (N,) number of lines of its program.
    """

    scores: FloatArray
    labels: FloatArray
    line: IntArray
    lines: IntArray

    def where(self, chosen: npt.NDArray[np.bool_]) -> LineScores:
        """Some of the lines."""
        return LineScores(
            self.scores[chosen], self.labels[chosen], self.line[chosen], self.lines[chosen]
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ScoreReport:
    """What a table row tells.

    Attributes:
        lines: Number of lines.
        good: Share with a label above 0.
        mse: Mean squared error.
        mse_of_mean: The same of the best constant, which is the labels' variance.
        sign_accuracy: Share of lines whose score has the label's sign.
        auc: Probability that a good line is scored above a bad one; NaN where one kind is missing.
    """

    lines: int
    good: float
    mse: float
    mse_of_mean: float
    sign_accuracy: float
    auc: float

    @classmethod
    def of(cls, data: LineScores) -> ScoreReport:
        """Computes all of it; NaN where there is no line."""
        if not len(data.scores):
            nan = float("nan")
            return cls(0, nan, nan, nan, nan, nan)
        good = data.labels > 0
        return cls(
            lines=len(data.scores),
            good=float(good.mean()),
            mse=float(((data.scores - data.labels) ** 2).mean()),
            mse_of_mean=float(data.labels.var()),
            sign_accuracy=float(((data.scores > 0) == good).mean()),
            auc=area_under_curve(data.scores, good),
        )


def area_under_curve(scores: FloatArray, good: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve from ranks (Mann-Whitney); ties count half.

    Args:
        scores: (N,).
        good: (N,).

    Returns:
        In [0, 1]; NaN if all are good or none is.
    """
    positive = int(good.sum())
    negative = len(good) - positive
    if not positive or not negative:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2.0)[inverse]  # mean rank of ties, from 1
    return float((ranks[good].sum() - positive * (positive + 1) / 2.0) / (positive * negative))


def breakdown(data: LineScores) -> dict[str, ScoreReport]:
    """All lines; by third of the program; by number of lines of the program."""
    rows = {"all": ScoreReport.of(data)}
    third = np.minimum(3 * data.line // np.maximum(data.lines, 1), 2)
    for index, name in enumerate(_PLACES):
        rows[name] = ScoreReport.of(data.where(third == index))
    for low, high in _LENGTHS:
        name = f"{low}-{high} lines" if high else f"{low} lines and more"
        inside = (data.lines >= low) & (data.lines <= (high or np.inf))
        rows[name] = ScoreReport.of(data.where(inside))
    return rows


def report_table(title: str, rows: dict[str, ScoreReport]) -> Table:
    """The rows for the terminal."""
    table = Table(title=title)
    table.add_column("lines of")
    for name in ("lines", "good", "MSE", "MSE of the mean", "sign accuracy", "AUC"):
        table.add_column(name, justify="right")
    for name, row in rows.items():
        if row.lines:
            cells = (row.mse, row.mse_of_mean, row.sign_accuracy, row.auc)
            table.add_row(name, str(row.lines), f"{row.good:.2f}", *(f"{x:.3f}" for x in cells))
    return table


def calibration(data: LineScores) -> list[tuple[float, float, int]]:
    """Bins of about equal size: mean of (score + 1) / 2, share of good lines, number of lines."""
    order = np.argsort(data.scores, kind="stable")
    found = []
    for part in np.array_split(order, min(_BINS, max(1, len(order)))):
        if len(part):
            predicted = float((data.scores[part].mean() + 1.0) / 2.0)
            found.append((predicted, float((data.labels[part] > 0).mean()), len(part)))
    return found


def plot_calibration(data: LineScores, path: Path) -> None:
    """Draws predicted against observed recoverability.

    Args:
        data: Validation lines.
        path: Of the PNG.
    """
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    points = calibration(data)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.plot([p[0] for p in points], [p[1] for p in points], marker="o")
    axes.set_xlabel("predicted: (score + 1) / 2")
    axes.set_ylabel("observed: share of lines labelled above 0")
    axes.set_title(f"Calibration on {len(data.scores)} validation lines")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def gather(items: Sequence[Any], scores_of: Callable[[Any], Sequence[float]]) -> LineScores:
    """The lines of labelled responses that are not neutral.

    Args:
        items: Labelled responses.
        scores_of: (T,) scores of a response's lines.
    """
    columns: list[tuple[float, float, int, int]] = []
    for item in items:
        scores = scores_of(item)
        total = len(item.labels)
        columns += [
            (float(score), label, i, total)
            for i, (score, label) in enumerate(zip(scores, item.labels, strict=True))
            if label
        ]
    table = np.array(columns, dtype=np.float64).reshape(-1, 4)
    return LineScores(
        table[:, 0],
        table[:, 1],
        table[:, 2].astype(np.int64),
        table[:, 3].astype(np.int64),
    )
