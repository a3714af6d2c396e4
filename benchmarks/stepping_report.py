"""The results of the benchmark of stepping: its bars, and a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import page
from benchmarks.intervals import median_of_ratios
from benchmarks.page import Bar

__all__ = ["bars", "ends", "lines"]

Row = Mapping[str, Any]
"""`lengths` as text, `num_envs` (0: single), `name`, `seconds` of a step (the median over blocks),
`token_steps_per_second`, and `blocks`: seconds of a step, a mean for each block."""

_SINGLE, _MANY = 0, 1024
_CITED = {"64+48": 4492, "512+256": 3656, "1024+512": 2830}
_STEPS, _TOKEN_STEPS, _TIMES, _SLOWER, _BYTES = 100_000.0, 3_000_000.0, 30.0, 1.1, 10.0
_OURS = "codegym vector, {}, copy=False"
_WITH_ENDS = ", with ends and resets"


def _find(rows: Sequence[Row], lengths: str, num_envs: int, name: str) -> Row | None:
    wanted = {"lengths": lengths, "num_envs": num_envs, "name": name}
    return next((row for row in rows if wanted.items() <= row.items()), None)


def _of_all_lengths(rows: Sequence[Row], num_envs: int, name: str) -> dict[str, Row]:
    """The rows of this name by lengths, from short to long; none unless all lengths have one."""
    every = {row["lengths"]: _find(rows, row["lengths"], num_envs, name) for row in rows}
    found = {lengths: row for lengths, row in every.items() if row is not None}
    return found if len(found) == len(every) else {}


def bars(rows: Sequence[Row], per_token: float) -> Iterator[Bar]:
    """All bars of the benchmark.

    Args:
        rows: What was measured, from short to long.
        per_token: Bytes for each token of context and sub-environment.
    """
    for copy in (False, True):
        who = f"single env, copy={copy}"
        ones = _of_all_lengths(rows, _SINGLE, f"codegym single, copy={copy}")
        if ones:
            rates = [row["token_steps_per_second"] for row in ones.values()]
            reached = ", ".join(f"{rate:,.0f}" for rate in rates)
            yield Bar(f"{who}: at least {_STEPS:,.0f} steps/s", reached, min(rates) >= _STEPS)
            first, *_, last = ones
            yield _slower(rates, f"{who}: {last} at most 10 % slower than {first}")
    for judging in ("sync", "async"):
        yield from _vector_bars(rows, _OURS.format(judging))
    what = "at most 10 bytes for each token of context and sub-env"
    yield Bar(what, f"{per_token:.2f}", per_token <= _BYTES)


def _slower(rates: Sequence[float], what: str) -> Bar:
    slower = rates[0] / rates[-1]
    return Bar(what, f"{100 * (slower - 1):+.0f} %", slower <= _SLOWER)


def _vector_bars(rows: Sequence[Row], name: str) -> Iterator[Bar]:
    who = f"{name}, {_MANY:,} sub-envs"
    many = _of_all_lengths(rows, _MANY, name)
    if many:
        rates = [row["token_steps_per_second"] for row in many.values()]
        reached = ", ".join(f"{rate / 1e6:.1f} M" for rate in rates)
        what = f"{who}: at least {_TOKEN_STEPS:,.0f} token-steps/s"
        yield Bar(what, reached, min(rates) >= _TOKEN_STEPS)
        first, *_, last = many
        yield _slower(rates, f"{who}: {last} costs what {first} does")
    peers = _of_all_lengths(rows, _MANY, "Gymnasium SyncVectorEnv, copy=False")
    if many and peers:
        times = [
            median_of_ratios(peers[lengths]["blocks"], row["blocks"]).value
            for lengths, row in many.items()
        ]
        what = f"{who}: at least 30x SyncVectorEnv with copy=False"
        yield Bar(what, ", ".join(f"{one:.0f}x" for one in times), min(times) >= _TIMES)
    for lengths in dict.fromkeys([*many][:1] + [*many][-1:]):
        if fit := _linear_fit(rows, lengths, name):
            fixed, each, exponent = fit
            reached = f"{1e6 * fixed:.0f} us + {1e9 * each:.1f} ns each; exponent {exponent:.2f}"
            what = f"{name}, {lengths}: a step is linear in the number of sub-envs"
            yield Bar(what, reached, exponent <= _SLOWER)


def _linear_fit(rows: Sequence[Row], lengths: str, name: str) -> tuple[float, float, float] | None:
    """Seconds of a step over the number of sub-envs: ``a + b n``, and the exponent of its growth.

    The exponent is the slope of a line through the logarithms from 1,024 sub-envs on: 1 is linear,
    below 1 a fixed part still shows.
    """
    points = sorted(
        (row["num_envs"], row["seconds"])
        for row in rows
        if row["lengths"] == lengths and row["num_envs"] and row["name"] == name
    )
    counts, seconds = np.array(points, dtype=np.float64).reshape(-1, 2).T
    large = counts >= _MANY
    if large.sum() < 2:
        return None
    each, fixed = np.polyfit(counts, seconds, 1, w=1 / seconds)
    exponent, _ = np.polyfit(np.log(counts[large]), np.log(seconds[large]), 1)
    return float(fixed), float(each), float(exponent)


def _limits(rows: Sequence[Row]) -> Iterator[str]:
    """How far from what the interpreter and the memory allow."""
    for bare in rows:
        ours = _find(rows, bare["lengths"], _SINGLE, "codegym single, copy=False")
        if bare["name"] == "floor: a bare Python step" and ours:
            ratio = median_of_ratios(ours["blocks"], bare["blocks"])
            yield (
                f"- Single env, {bare['lengths']}: {1e9 * ours['seconds']:.0f} ns a step without "
                f"copies, {ratio.value:.1f}x a bare Python method that writes a token to two "
                f"arrays ({1e9 * bare['seconds']:.0f} ns). The limit is the interpreter."
            )
    for bound in rows:
        for floor, copy, what in (
            ("floor: NumPy writes the tokens", False, "NumPy's two indexed writes alone"),
            ("floor: NumPy copies the arrays", True, "NumPy's copies of the two arrays alone"),
        ):
            name = f"codegym vector, sync, copy={copy}"
            ours = _find(rows, bound["lengths"], bound["num_envs"], name)
            if bound["name"] == floor and ours:
                ratio = median_of_ratios(ours["blocks"], bound["blocks"])
                yield (
                    f"- {bound['num_envs']:,} sub-envs, {bound['lengths']}, copy={copy}: "
                    f"{1e6 * ours['seconds']:.0f} us a step, {ratio.value:.1f}x {what} "
                    f"({1e6 * bound['seconds']:.0f} us)."
                )


_ENDS = ["judging", "sub-envs", "lengths", "us for each end and reset"]
_ENDS += ["token-steps/s with them", "token-steps/s without"]


def ends(rows: Sequence[Row]) -> Iterator[list[str]]:
    """What the end of an episode and the reset after it cost, the steps between them aside."""
    for episode in rows:
        name, lengths, num_envs = (episode[key] for key in ("name", "lengths", "num_envs"))
        step = _find(rows, lengths, num_envs, name.removesuffix(_WITH_ENDS))
        if name.endswith(_WITH_ENDS) and step:
            new = int(lengths.partition("+")[2])
            each = (episode["seconds"] - new * step["seconds"]) / num_envs
            rates = (f"{row['token_steps_per_second']:,.0f}" for row in (episode, step))
            yield [name.split(", ")[1], f"{num_envs:,}", lengths, f"{1e6 * each:.0f}", *rates]


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    rows = results["rows"]
    asked = (
        "How fast is stepping: one environment, many, Gymnasium's own over ours, and what is "
        f"possible? Medians over {results['rounds']} rounds of interleaved blocks. The reward is "
        "constant and judging is not timed: no step ends an episode, except in the rows with ends "
        "and resets, where a step stands for a whole episode and an executor that runs nothing "
        "answers at once."
    )
    yield from page.head("Stepping", asked, results)
    yield from ("## Bars", "")
    yield from page.bars(bars(rows, results["bytes_per_token"]), "measured")
    memory = "; ".join(f"{key}: {value:,.0f} bytes" for key, value in results["memory"].items())
    yield from ("", f"Memory of a sub-env, all included ({_MANY:,} sub-envs): {memory}.")
    yield from ("", "## Limits", "", *_limits(rows))
    yield from ("", "## Ends and resets", "")
    yield from page.table(_ENDS, ends(rows))
    yield from ("", "## All rows", "")
    yield from page.table(
        ("lengths", "sub-envs", "what", "us a step", "token-steps/s"),
        (
            [
                *(row["lengths"], row["num_envs"] or "single", row["name"]),
                *(f"{1e6 * row['seconds']:,.2f}", f"{row['token_steps_per_second']:,.0f}"),
            ]
            for row in rows
        ),
    )
    if not any("RL4LMs" in row["name"] for row in rows):
        cited = ", ".join(f"{rate:,} at {key}" for key, rate in _CITED.items())
        yield from ("", f"RL4LMs' `TextGenEnv.step` was not run here. Measured before: {cited}.")
