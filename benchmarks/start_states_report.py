"""The results of `benchmarks/start_states.py` as a page and a picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks import page
from benchmarks.intervals import shown
from benchmarks.learning_curves import MODES, band, differences, how_measured, mean_over_run, paired
from benchmarks.start_state_arms import ARMS, CORE

__all__ = ["draw", "lines", "tokens_a_program", "tokens_to"]

Row = Mapping[str, Any]

_PAIRS = (
    ("cccs", "sparse"),
    ("uniform", "sparse"),
    ("cccs", "uniform"),
    ("cccs", "last stage only"),
    ("cccs", "cccs, random order"),
    ("cccs", "reverse by lines"),
    ("cccs", "jsrl"),
    ("sparse + fgo", "sparse"),
    ("uniform + fgo", "uniform"),
    ("cccs + fgo", "cccs"),
)
# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_MARKERS = "osDv^x*"


def tokens_to(rate: float, curve: Sequence[Row]) -> float | None:
    """Generated tokens at which a curve first reaches a sampled pass rate, between two points.

    Args:
        rate: In [0, 1].
        curve: Points with ``tokens`` and ``sampled``.

    Returns:
        None if it never does.
    """
    for before, after in itertools.pairwise(curve):
        if before["sampled"] < rate <= after["sampled"]:
            share = (rate - before["sampled"]) / (after["sampled"] - before["sampled"])
            return float(before["tokens"] + share * (after["tokens"] - before["tokens"]))
    return None


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, from all that the benchmark keeps."""
    args, rows = results["arguments"], results["rows"]
    asked = (
        "Do start states help where reward is sparse, and if so, is it the curriculum that helps? "
        "What was expected was written down before the runs (docs/results/plans/start_states.md)."
    )
    yield from page.head("Start states", asked, results)
    yield from page.set_up(_set_up(args))
    yield from ("## Arms", "", "pass@1 in %.", "")
    yield from ("![curves of each arm](start_states.png)", "", *_arms(rows), "")
    yield (
        "Tokens to a rate: the median of the seeds that reached it, and how many did. *Mean over "
        "the run*: of the pass rate over the tokens, the area under the curve. Stage 0 is the "
        "empty prefix. *Tokens a program*: generated after the last evaluation but one, which "
        "tells how much was still given."
    )
    yield from ("", "## Differences", "", "Points of pass@1, at the end and before.", "")
    yield from differences(rows, _PAIRS)
    yield from ("", "## At equal episodes", "")
    yield (
        "Given code costs no tokens, so that arms play different numbers of episodes. Points of "
        "pass@1 when both have played as many as the one that plays fewer in all, between two "
        "evaluations by interpolation; *iterations* are of equal numbers of episodes."
    )
    yield from ("", *_equal_episodes(rows))
    yield from ("", "## By number of conditionals", "", "Sampled pass@1 in % at the end.", "")
    yield from _by_conditionals(rows)
    yield from ("", "## The policies that the runs began with", "")
    yield (
        "Greedy programs for as many validation problems, by what they fail by first. The plan's "
        f"gate: fewer than {100 * _GATE:.0f} % of the failures begin with a copying error."
    )
    yield from ("", *_bases(results["bases"]))
    above = [seed for seed, found in results["bases"].items() if _copying(found) >= _GATE]
    kept = [row for row in rows if str(row["seed"]) not in above]
    if kept and len(kept) < len(rows):
        yield from ("", f"## Without what did not pass the gate: seed {', '.join(above)}", "")
        yield from differences(kept, _PAIRS)
    at_rates = results.get("other_rates", {})
    for rate, found in at_rates.items():
        yield from ("", f"## Flaw rate {rate}", "", f"Above it is {args['flaw_rate']:g}.", "")
        yield from (*_arms(found["rows"]), "", *differences(found["rows"], _PAIRS), "")
        yield from _bases(found["bases"])
    earlier = results.get("earlier")
    if earlier:
        about = earlier["machine"]
        yield from ("", "## Earlier, on another machine", "")
        yield (
            f"The same seeds, with SFT policies that came out otherwise there ({about['cpu']}, "
            f"Linux {about['kernel']}); {earlier['starts']} runs were started, "
            f"{len(earlier['rows'])} are shown."
        )
        yield from ("", *_arms(earlier["rows"]), "", *differences(earlier["rows"], _PAIRS))
    number = len(rows) + sum(len(each["rows"]) for each in at_rates.values())
    yield from ("", f"{results['starts']} runs were started, {number} are shown.")


def _set_up(args: Mapping[str, Any]) -> dict[str, str]:
    return {
        "problems": f"CodeGen-Mini, {args['difficulty']} conditionals: {args['problems']} for "
        f"training, a seed's own, and {args['test_problems']} test problems, the same for all",
        "begins with": f"SFT at flaw rate {args['flaw_rate']:g}, a policy for each seed, which its "
        "arms share",
        "learner": "PPO as in `make train`, without its guard, and without FGO where an arm does "
        "not name it; problems drawn with equal chance in all arms",
        "budget": f"{args['tokens']:,} generated tokens a run, over which learning rates fall",
        **how_measured(args),
    }


def _present(rows: Sequence[Row]) -> list[str]:
    return [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]


def _arms(rows: Sequence[Row]) -> Iterator[str]:
    written = all("episodes" in row["curve"][-1] for row in rows)  # older ones do not say it

    def cells(arm: str) -> Iterator[str]:  # of a row
        mine = [row for row in rows if row["arm"] == arm]
        yield arm
        yield str(len(mine))
        for mode in MODES:
            yield shown([100 * row["curve"][0][mode] for row in mine])
            yield shown([100 * row["curve"][-1][mode] for row in mine])
        yield shown([100 * mean_over_run(row["curve"]) for row in mine])
        for rate in (0.05, 0.10):
            yield _reached([tokens_to(rate, row["curve"]) for row in mine])
        yield f"{np.mean([row['curve'][-1]['iteration'] for row in mine]):.0f}"
        stages = [row["curve"][-1].get("curriculum/mean_stage") for row in mine]
        known = [stage for stage in stages if stage is not None]
        yield f"{np.mean(known):.2f}" if known else ""
        if written:
            lengths = [tokens_a_program(row["curve"]) for row in mine]
            yield f"{np.mean(lengths):.0f}"
        yield ", ".join(f"{100 * row['curve'][-1]['sampled']:.1f}" for row in mine)

    columns = ("arm", "seeds", "sampled before", "sampled after", "greedy before", "greedy after")
    more = ("sampled, mean over the run", "thousand tokens to 5 %", "to 10 %", "iterations")
    ends = ("mean stage at the end", *(["tokens a program"] if written else []))
    every = (*columns, *more, *ends, "sampled after, each seed")
    return page.table(every, ([*cells(arm)] for arm in _present(rows)))


def tokens_a_program(curve: Sequence[Row]) -> float:
    """Generated tokens of an episode between the last two points of a curve, on average."""
    before, after = curve[-2:]
    return float((after["tokens"] - before["tokens"]) / (after["episodes"] - before["episodes"]))


def _equal_episodes(rows: Sequence[Row]) -> Iterator[str]:
    def cells() -> Iterator[list[str]]:
        for one, other in _PAIRS:
            curves = paired(rows, one, other)
            if not curves:
                continue
            ends = [min(a[-1]["iteration"], b[-1]["iteration"]) for a, b in curves]
            points = (
                [
                    100 * (_at(end, a, mode) - _at(end, b, mode))
                    for end, (a, b) in zip(ends, curves, strict=True)
                ]
                for mode in MODES
            )
            found = [shown(values, sign=True) for values in points]
            yield [f"{one} - {other}", str(len(curves)), f"{np.mean(ends):.0f}", *found]

    return page.table(("", "seeds", "iterations", *MODES), cells())


def _at(iteration: float, curve: Sequence[Row], mode: str) -> float:
    places, values = ([point[key] for point in curve] for key in ("iteration", mode))
    return float(np.interp(iteration, places, values))


def _by_conditionals(rows: Sequence[Row]) -> Iterator[str]:
    numbers = sorted({number for row in rows for number in row["by_conditionals"]["sampled"]})

    def cells(arm: str) -> list[str]:
        mine = [row["by_conditionals"]["sampled"] for row in rows if row["arm"] == arm]
        return [arm, *(shown([100 * row[number] for row in mine]) for number in numbers)]

    return page.table(("arm", *numbers), map(cells, _present(rows)))


def _bases(kept: Mapping[str, Any]) -> Iterator[str]:
    return page.table(
        ("seed", "solved", "typical mistake", "copying error", "copying, of the failures in %"),
        (
            [seed, *(found.get(kind, 0) for kind in _KINDS), f"{100 * _copying(found):.0f}"]
            for seed, found in sorted(kept.items())
        ),
    )


_GATE = 0.25
_KINDS = ("solved", "typical", "copying")


def _copying(found: Mapping[str, int]) -> float:
    failed = found.get("typical", 0) + found.get("copying", 0)
    return found.get("copying", 0) / failed if failed else 0.0


def _reached(tokens: Sequence[float | None]) -> str:
    known = [each for each in tokens if each is not None]
    if not known:
        return "never"
    return f"{np.median(known) / 1e3:.0f} ({len(known)} of {len(tokens)})"


def draw(results: Mapping[str, Any]) -> Figure | None:
    """pass@1 over generated tokens: mean and 95 % band of the arms, and of CCCS's controls.

    None while there is no row.
    """
    rows = results["rows"]
    if not rows:
        return None
    arms = _present(rows)
    with_fgo = [arm for arm in arms if arm in CORE or ARMS[arm].fgo]
    controls = [arm for arm in arms if arm not in with_fgo]
    groups = [with_fgo, ["cccs", *controls]] if controls else [with_fgo]
    figure, grid = plt.subplots(
        len(groups), 2, figsize=(11, 4.2 * len(groups)), sharey="col", squeeze=False
    )
    for axes, group in zip(grid, groups, strict=True):
        for axis, mode in zip(axes, MODES, strict=True):
            for arm in group:
                mine = [row["curve"] for row in rows if row["arm"] == arm]
                k = list(ARMS).index(arm.removesuffix(" + fgo"))
                style: dict[str, Any] = {"color": _COLOURS[k], "marker": _MARKERS[k]}
                style |= {"ls": "--" if ARMS[arm].fgo else "-", "markersize": 4}
                band(axis, mine, mode, label=arm, **style)
            axis.set(xlabel="generated tokens, millions", ylabel=f"{mode} pass@1, %")
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
        axes[0].legend(frameon=False)
    conditionals = results["arguments"]["difficulty"]
    figure.suptitle(f"Problems with {conditionals} conditionals, from the empty prefix")
    figure.tight_layout()
    return figure
