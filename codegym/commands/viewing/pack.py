"""Rollouts as text that a page can hold: quantised, deflated, and in parts that are read late.

The part that a page needs at once is JSON, with a row of the table for each rollout. The tokens are
in chunks of some ten thousand, each of them zlib's deflate in base64: the length of a JSON header
(4 bytes, little endian), the header, and then of each rollout in its order an index into the
header's texts for each piece (4 bytes), and a byte for each written piece and column. Byte 255 is
a number that is not there; 0 to 254 are the scale of the column from its low to its high end,
which the page states. Zero and both ends are exact. Of a column with two signs, equal steps are
equal steps of the square root: one token far outside would leave all others without colour, and
without digits.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegym.commands.viewing.rollout import COLUMNS, Chart, Column, FloatArray, Rollout, View

__all__ = ["pack"]

_CHUNK = 20_000
"""Pieces of a chunk, if a rollout alone has not more."""
_POINTS = 2_000
"""Of a line of a chart, at most."""
_STEPS = 254
_NONE = 255


def pack(view: View) -> tuple[dict[str, Any], list[str]]:
    """What a page holds.

    Args:
        view: What is shown.

    Returns:
        The part that is needed at once, for JSON; and the chunks, as text in base64.
    """
    scales = {column.name: _scale(column, view.rollouts) for column in COLUMNS}
    chunks, places = [], []
    for number, part in enumerate(_parts(view.rollouts)):
        chunks.append(_chunk(part, scales))
        places += [(number, row) for row in range(len(part))]
    index = {
        "title": view.title,
        "source": view.source,
        "total": view.total,
        "reward": view.reward,
        "notes": list(view.notes),
        "opens": view.opens,
        "columns": [_shown_column(column, scales[column.name]) for column in COLUMNS],
        "charts": [_shown_chart(chart) for chart in view.charts],
        "rollouts": _table(view.rollouts, places),
    }
    return index, chunks


def _parts(rollouts: Sequence[Rollout]) -> Iterator[list[Rollout]]:
    part: list[Rollout] = []
    pieces = 0
    for rollout in rollouts:
        if part and pieces + len(rollout.pieces) > _CHUNK:
            yield part
            part, pieces = [], 0
        part.append(rollout)
        # A text counts by its length: two pieces may be a whole book.
        size = len(rollout.pieces) if rollout.tokens else sum(map(len, rollout.pieces)) // 4
        pieces += size
    if part:
        yield part


def _scale(column: Column, rollouts: Sequence[Rollout]) -> tuple[float, float] | None:
    """The low and the high end of a column; None if no rollout has it."""
    arrays = [one.columns[column.name] for one in rollouts if column.name in one.columns]
    if not arrays:
        return None
    if column.kind != "signed":
        return 0.0, 1.0
    largest = max((_largest(array) for array in arrays), default=0.0)
    return (-largest, largest) if largest > 0.0 else (-1.0, 1.0)


def _largest(array: FloatArray) -> float:
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max()) if len(finite) else 0.0


def _quantised(
    values: FloatArray, column: Column, scale: tuple[float, float]
) -> npt.NDArray[np.uint8]:
    low, high = scale
    known = np.isfinite(values)
    share = np.where(known, values, 0.0).astype(np.float64)
    if column.kind == "signed":
        share = 0.5 + 0.5 * np.sign(share) * np.sqrt(np.abs(share) / high)
    else:
        share = (share - low) / (high - low)
    return np.where(known, np.rint(share.clip(0.0, 1.0) * _STEPS), _NONE).astype(np.uint8)


def _chunk(rollouts: Sequence[Rollout], scales: dict[str, tuple[float, float] | None]) -> str:
    texts: dict[str, int] = {}
    heads, bodies = [], []
    for one in rollouts:
        ids = [texts.setdefault(piece, len(texts)) for piece in one.pieces]
        bodies.append(np.array(ids, dtype="<u4").tobytes())
        columns = []
        for number, column in enumerate(COLUMNS):
            scale = scales[column.name]
            if column.name in one.columns and scale is not None:
                columns.append(number)
                bodies.append(_quantised(one.columns[column.name], column, scale).tobytes())
        heads.append(
            {
                "pieces": len(ids),
                "prompt": one.prompt,
                "start": one.start,
                "tokens": one.tokens,
                "columns": columns,
                "error": one.error,
                "facts": one.facts,
            }
        )
    head = json.dumps({"texts": list(texts), "rollouts": heads}).encode()
    packed = zlib.compress(struct.pack("<I", len(head)) + head + b"".join(bodies), 6)
    return base64.b64encode(packed).decode()


def _table(rollouts: Sequence[Rollout], places: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """A list for each column of the table; of texts that recur, an index into a list of them."""
    table: dict[str, Any] = {
        "where": [one.where for one in rollouts],
        "reward": [_finite(one.reward) for one in rollouts],
        "stage": [one.stage for one in rollouts],
        "step": [one.step for one in rollouts],
        "length": [one.length for one in rollouts],
        "tokens": [one.tokens for one in rollouts],
        "chunk": [chunk for chunk, _ in places],
        "place": [place for _, place in places],
    }
    for name in ("problem_id", "verdict"):
        known: dict[str, int] = {}
        table[name] = [
            None if (text := getattr(one, name)) is None else known.setdefault(text, len(known))
            for one in rollouts
        ]
        table[f"{name}s"] = list(known)
    return table


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _shown_column(column: Column, scale: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "title": column.title,
        "kind": column.kind,
        "meaning": column.meaning,
        "scale": scale,
    }


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """As many points as a screen has room for, spread evenly, the first and the last among them."""
    count = len(points)
    if count <= _POINTS:
        return points
    return [points[k * (count - 1) // (_POINTS - 1)] for k in range(_POINTS)]


def _shown_chart(chart: Chart) -> dict[str, Any]:
    return {
        "title": chart.title,
        "expected": chart.expected,
        "x": chart.x,
        "y": chart.y,
        "stacked": chart.stacked,
        "low": chart.low,
        "high": chart.high,
        "series": [
            {
                "name": one.name,
                "points": [
                    [x, float(f"{y:.5g}")] for x, y in _thinned(one.points) if math.isfinite(y)
                ],
            }
            for one in chart.series
        ],
    }
