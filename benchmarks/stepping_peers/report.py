"""What was measured against the bars, as plain data and as a page."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from benchmarks.intervals import median_of_ratios
from benchmarks.stepping_peers.contender import Contender, Lengths

__all__ = ["Bar", "Key", "Measured", "bars", "ends", "machine", "page"]

Key = tuple[str, int]
"""Lengths as text, and number of sub-environments (0: single)."""
Measured = Mapping[Key, Sequence[Contender]]

_SINGLE, _MANY = 0, 1024
_CITED = {"64+48": 4492, "512+256": 3656, "1024+512": 2830}
_BARS = {"single": 100_000.0, "vector": 3_000_000.0, "times": 30.0, "slower": 1.1, "bytes": 10.0}
_OURS = "codegym vector, {}, copy=False"
_WITH_ENDS = ", with ends and resets"


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        what: What is asked.
        reached: What was measured.
        met: Whether it is reached; None where it was not measured.
    """

    what: str
    reached: str
    met: bool | None


def find(measured: Measured, lengths: Lengths, num_envs: int, name: str) -> Contender | None:
    """The contender of this name, if it took part."""
    group = measured.get((str(lengths), num_envs), ())
    return next((one for one in group if one.name == name), None)


def bars(measured: Measured, all_lengths: Sequence[Lengths], per_token: float) -> list[Bar]:
    """All bars of the benchmark.

    Args:
        measured: After the turns.
        all_lengths: From short to long.
        per_token: Bytes for each token of context and sub-environment.
    """
    found = []
    for copy in (False, True):
        ones = [find(measured, k, _SINGLE, f"codegym single, copy={copy}") for k in all_lengths]
        rates = [one.tokens_per_second for one in ones if one]
        if len(rates) == len(all_lengths):
            shown = ", ".join(f"{rate:,.0f}" for rate in rates)
            what = f"single env, copy={copy}: at least {_BARS['single']:,.0f} steps/s"
            found.append(Bar(what, shown, min(rates) >= _BARS["single"]))
            slower = rates[0] / rates[-1]
            what = (
                f"single env, copy={copy}: {all_lengths[-1]} at most 10 % slower than "
                f"{all_lengths[0]}"
            )
            found.append(Bar(what, f"{100 * (slower - 1):+.0f} %", slower <= _BARS["slower"]))
    for judging in ("sync", "async"):
        found += _vector_bars(measured, all_lengths, judging)
    what = "at most 10 bytes for each token of context and sub-env"
    return [*found, Bar(what, f"{per_token:.2f}", per_token <= _BARS["bytes"])]


def _vector_bars(measured: Measured, all_lengths: Sequence[Lengths], judging: str) -> list[Bar]:
    name = _OURS.format(judging)
    found = []
    many = [find(measured, lengths, _MANY, name) for lengths in all_lengths]
    rates = [one.tokens_per_second for one in many if one]
    if len(rates) == len(all_lengths):
        what = f"{name}, {_MANY:,} sub-envs: at least {_BARS['vector']:,.0f} token-steps/s"
        shown = ", ".join(f"{rate / 1e6:.1f} M" for rate in rates)
        found.append(Bar(what, shown, min(rates) >= _BARS["vector"]))
        slower = rates[0] / rates[-1]
        what = f"{name}, {_MANY:,} sub-envs: {all_lengths[-1]} costs what {all_lengths[0]} does"
        found.append(Bar(what, f"{100 * (slower - 1):+.0f} %", slower <= _BARS["slower"]))
    times = []
    for lengths in all_lengths:
        ours = find(measured, lengths, _MANY, name)
        peer = find(measured, lengths, _MANY, "Gymnasium SyncVectorEnv, copy=False")
        if ours and peer:
            times.append(median_of_ratios(peer.seconds, ours.seconds))
    if times:
        what = f"{name}, {_MANY:,} sub-envs: at least 30x SyncVectorEnv with copy=False"
        shown = ", ".join(f"{one.value:.0f}x" for one in times)
        found.append(Bar(what, shown, min(one.value for one in times) >= _BARS["times"]))
    for lengths in (all_lengths[0], all_lengths[-1]):
        fit = linear_fit(measured, lengths, name)
        if fit:
            what = f"{name}, {lengths}: a step is linear in the number of sub-envs"
            shown = (
                f"{fit['microseconds']:.0f} us + {fit['nanoseconds_each']:.1f} ns each; "
                f"exponent {fit['exponent']:.2f}"
            )
            found.append(Bar(what, shown, fit["exponent"] <= _BARS["slower"]))
    return found


def linear_fit(measured: Measured, lengths: Lengths, name: str) -> dict[str, float] | None:
    """Time of a step over the number of sub-envs: ``a + b n``, and the exponent of its growth.

    The exponent is the slope of a line through the logarithms from 1,024 sub-envs on: 1 is linear,
    below 1 a fixed part still shows.
    """
    points = sorted(
        (num_envs, one.median)
        for (key, num_envs), group in measured.items()
        if key == str(lengths) and num_envs
        for one in group
        if one.name == name
    )
    counts, seconds = np.array(points, dtype=np.float64).reshape(-1, 2).T
    large = counts >= _MANY
    if large.sum() < 2:
        return None
    each, fixed = np.polyfit(counts, seconds, 1, w=1 / seconds)
    exponent, _ = np.polyfit(np.log(counts[large]), np.log(seconds[large]), 1)
    return {
        "microseconds": 1e6 * float(fixed),
        "nanoseconds_each": 1e9 * float(each),
        "exponent": float(exponent),
    }


def limits(measured: Measured, all_lengths: Sequence[Lengths]) -> list[str]:
    """How far from what the interpreter and the memory allow."""
    lines = []
    for lengths in all_lengths:
        bare = find(measured, lengths, _SINGLE, "floor: a bare Python step")
        ours = find(measured, lengths, _SINGLE, "codegym single, copy=False")
        if bare and ours:
            ratio = median_of_ratios(ours.seconds, bare.seconds)
            lines.append(
                f"- Single env, {lengths}: {1e9 * ours.median:.0f} ns a step without copies, "
                f"{ratio.value:.1f}x a bare Python method that writes a token to two arrays "
                f"({1e9 * bare.median:.0f} ns). The limit is the interpreter."
            )
    for (key, num_envs), group in measured.items():
        by_name = {one.name: one for one in group}
        for floor, copy, what in (
            ("floor: NumPy writes the tokens", False, "NumPy's two indexed writes alone"),
            ("floor: NumPy copies the arrays", True, "NumPy's copies of the two arrays alone"),
        ):
            bound, ours = by_name.get(floor), by_name.get(f"codegym vector, sync, copy={copy}")
            if bound and ours:
                ratio = median_of_ratios(ours.seconds, bound.seconds)
                lines.append(
                    f"- {num_envs:,} sub-envs, {key}, copy={copy}: {1e6 * ours.median:.0f} us a "
                    f"step, {ratio.value:.1f}x {what} ({1e6 * bound.median:.0f} us)."
                )
    return lines


def ends(measured: Measured, all_lengths: Sequence[Lengths]) -> list[str]:
    """What the end of an episode and the reset after it cost, the steps between them aside."""
    lines = []
    for lengths in all_lengths:
        for (key, num_envs), group in measured.items():
            by_name = {one.name: one for one in group}
            for judging in ("sync", "async"):
                step = by_name.get(_OURS.format(judging))
                episode = by_name.get(_OURS.format(judging) + _WITH_ENDS)
                if key == str(lengths) and step and episode:
                    each = (episode.median - lengths.new * step.median) / num_envs
                    lines.append(
                        f"- {num_envs:,} sub-envs, {key}, {judging}: {1e6 * each:.0f} us for each "
                        f"end and reset; {episode.tokens_per_second:,.0f} token-steps/s with them, "
                        f"{step.tokens_per_second:,.0f} without."
                    )
    return lines


def machine() -> dict[str, Any]:
    """Where it ran."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].partition(":")[2].strip() if lines else model
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gymnasium": gymnasium.__version__,
        "load_at_start": os.getloadavg()[0],
    }


def page(results: Mapping[str, Any], measured: Measured, all_lengths: Sequence[Lengths]) -> str:
    """The results as Markdown."""
    about = results["machine"]
    lines = [
        "# Stepping", "",
        f"`{results['command']}`: medians over {results['rounds']} rounds of interleaved blocks. "
        f"{about['cpu']}, {about['cpus']} CPUs, Python {about['python']}, NumPy "
        f"{about['numpy']}, Gymnasium {about['gymnasium']}; load {about['load_at_start']:.1f} at "
        "the start.", "",
        "The reward is constant and judging is not timed: no step ends an episode, except in the "
        "rows with ends and resets, where a step stands for a whole episode and an executor that "
        "runs nothing answers at once.", "",
        "## Bars", "", "| bar | measured | reached |", "|---|---|---|",
    ]  # fmt: skip
    for bar in results["bars"]:
        met = "not measured" if bar["met"] is None else "yes" if bar["met"] else "**no**"
        lines.append(f"| {bar['what']} | {bar['reached']} | {met} |")
    memory = "; ".join(f"{key}: {value:,.0f} bytes" for key, value in results["memory"].items())
    lines += ["", f"Memory of a sub-env, all included ({_MANY:,} sub-envs): {memory}."]
    lines += ["", "## Limits", "", *limits(measured, all_lengths)]
    lines += ["", "## Ends and resets", "", *ends(measured, all_lengths)]
    lines += ["", "## All rows", "", "| lengths | sub-envs | what | us a step | token-steps/s |"]
    lines += ["|---|---|---|---|---|"]
    for (key, num_envs), group in measured.items():
        for one in group:
            tokens = f"{one.tokens_per_second:,.0f}"
            lines.append(
                f"| {key} | {num_envs or 'single'} | {one.name} | {1e6 * one.median:,.2f} | "
                f"{tokens} |"
            )
    if not any("RL4LMs" in one.name for group in measured.values() for one in group):
        cited = ", ".join(f"{rate:,} at {key}" for key, rate in _CITED.items())
        lines += ["", f"RL4LMs' `TextGenEnv.step` was not run here. Measured before: {cited}."]
    return "\n".join(lines) + "\n"
