"""The results of `benchmarks/prm.py` as a page and a picture; all it says follows from rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks import page
from benchmarks.intervals import mean_and_half, shown
from benchmarks.learning_curves import MODES, band, differences, how_measured, mean_over_run, paired
from benchmarks.process_reward.arms import ARMS, BASE, BOTH, LONGER

__all__ = ["arms_labels", "draw", "equal_executions", "lines", "passes_gate", "told"]

Row = Mapping[str, Any]

_OTHERS = "scores of others"
_PAIRS = (
    *((arm, BASE) for arm in ARMS if arm not in (BASE, LONGER)),
    (BOTH, "dense"),
    (BOTH, "value init"),
    (BOTH, _OTHERS),
    (BOTH, "tests only, lambda 1"),
    ("perfect scores", "tests only, lambda 1"),
    ("dense, lambda 1", "tests only, lambda 1"),
    ("dense", _OTHERS),
    ("dense", "random scores"),
    ("dense, perfect labels", "dense"),
    ("perfect scores", "dense, perfect labels"),
    ("random scores", _OTHERS),
    (BOTH, "pass ratio"),
    ("step", "dense"),
)
_STEPS = (
    (_OTHERS, BASE, "the form of the reward, with the model's scores of another program"),
    ("dense", _OTHERS, "that the scores are the program's own"),
    ("dense, perfect labels", "dense", "perfect labels in place of completions"),
    ("perfect scores", "dense, perfect labels", "the labels themselves in place of a model"),
    ("perfect scores", BASE, "all of these"),
)
_USES = (BASE, "value init", "dense", "step", BOTH, "tests only, lambda 1", "dense, lambda 1")
_IN_ACCOUNT = (
    *(BASE, _OTHERS, "random scores", "dense", "dense, perfect labels", "perfect scores"),
    "pass ratio",
)
# Okabe and Ito's colours, which colour-blind readers can tell apart, in an order of their own.
_COLOURS = (
    *("#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00"),
    *("#999999", "#CC79A7", "#56B4E9", "#000000", "#CC79A7", "#999999", "#000000"),
    "#0072B2",
)
_STYLES = ("-", "-", "-", "-", "-", "--", "-", "--", ":", "--", ":", "--", "--")
_MARKERS = "osD^vx*+o<>sD"


def arms_labels(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of the labels whose model the arms have; None if it is not there yet."""
    arguments = results["arguments"]
    wanted = (arguments["labels"], max(arguments["label_problems"]))
    rows = (row for row in results["labels"] if (row["kind"], row["problems"]) == wanted)
    return next(rows, None)


def passes_gate(results: Mapping[str, Any]) -> bool:
    """Whether the score of the arms' model falls as far as it must for runs to begin."""
    row = arms_labels(results)
    return row is not None and row["model"]["fall"] >= results["arguments"]["gate"]


def told(values: Sequence[float]) -> str:
    """What the 95 % interval of a mean difference says."""
    mean, half = mean_and_half(values)
    if math.isnan(half):
        return "one seed tells nothing"
    if abs(mean) <= half:
        return "not to be told apart"
    return "above" if mean > 0 else "below"


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, from all that the benchmark keeps."""
    args, rows = results["arguments"], results["rows"]
    asked = (
        "Does a process reward model help PPO, as a dense reward and as what the critic begins as? "
        "What was expected was written down before the runs "
        "(docs/results/plans/process_reward.md)."
    )
    yield from page.head("The process reward model", asked, results)
    yield from page.set_up(_set_up(args))
    yield from ("## Bars", "")
    yield from page.bars(_bars(results))
    if results["labels"]:
        yield from ("", "## Labels and models", "", *_labels(results))
    if results.get("by_writer"):
        yield from ("", "## The model, by who wrote the program", "", *_by_writer(results))
    if results["baseline"]:
        yield from ("", "## The baseline run", "", *_baseline(results))
    if arms_labels(results) is not None and not passes_gate(results):
        yield from ("", "The gate is not passed, so no run of PPO was begun.")
    if rows:
        yield from ("", "![curves of each arm](prm.png)")
        yield from ("", "## At equal generated tokens", "", *_equal_tokens(rows))
        yield from ("", "## Differences at equal generated tokens", "")
        yield from ("Points of pass@1, at the end and before, paired by seed.", "")
        yield from differences(rows, _PAIRS)
        yield from ("", "## At equal total executions", "", *_equal_executions(results))
        yield from ("", "## What separates it from perfect scores", "", *_elimination(results))
        yield from ("", "## By number of conditionals", "", *_by_conditionals(rows))
    if results["bases"]:
        yield from ("", "## The policies that the runs began with", "", *_bases(results))
    yield from ("", "## What this does not show", "", *_limits(results))
    yield ""
    yield (
        f"{results['starts']} runs were started (the baseline is one of them), "
        f"{len(rows) + bool(results['baseline'])} are shown."
    )


def _set_up(args: Mapping[str, Any]) -> dict[str, str]:
    return {
        "problems": f"CodeGen-Mini, {args['difficulty']} conditionals: {args['problems']} for "
        f"training and {args['test_problems']} test problems, the same for all runs",
        "begins with": f"SFT at flaw rate {args['flaw_rate']:g}, a policy for each seed, which its "
        "arms share",
        "labels": f"of programs for {max(args['label_problems']):,} problems, the training "
        "problems among them, by four policies of a baseline run of "
        f"{args['baseline_tokens']:,} tokens; its last one, the completer, completes their lines",
        "learner": f"PPO from the empty prefix, reward 1 if all tests pass, lambda "
        f"{args['gae_lambda']:g}, where an arm names no other; a critic with a trunk of its own, "
        "no FGO, no guard",
        "budget": f"{args['tokens']:,} generated tokens a run",
        **how_measured(args),
    }


def _bars(results: Mapping[str, Any]) -> Iterator[page.Bar]:
    labels, rows = arms_labels(results), results["rows"]
    gate = f"the score falls by {results['arguments']['gate']:g} at the first wrong line"
    if labels is None:
        yield page.Bar(gate, "not measured yet", None)
    else:
        found = labels["model"]
        reached = f"{found['fall']:.2f} in {found['programs']} new programs (perfect: 2)"
        yield page.Bar(gate, reached, passes_gate(results))
    for mode in MODES:
        values = _paired(rows, BOTH, BASE, mode)
        yield _above(f"{BOTH} above {BASE}, {mode}, paired by seed", values)
    ends = [_ends(rows, arm, "sampled") for arm in (BOTH, BASE)]
    what = f"their own intervals are apart, {BOTH} on top, sampled"
    if min(map(len, ends)) < 2:
        yield page.Bar(what, "not measured yet", None)
    else:
        (high, half), (low, other) = map(mean_and_half, ends)
        yield page.Bar(what, " and ".join(map(shown, ends)), high - half > low + other)
    pairs = equal_executions(results, BOTH, "sampled")
    values = [mine - other for _, mine, other in pairs]
    yield _above(f"{BOTH} above {BASE} at as many executions, sampled, paired by seed", values)


def _above(what: str, values: Sequence[float]) -> page.Bar:
    if not values:
        return page.Bar(what, "not measured yet", None)
    mean, half = mean_and_half(values)
    above = None if math.isnan(half) else mean - half > 0
    return page.Bar(what, f"{shown(values, sign=True)} ({len(values)} seeds)", above)


def _labels(results: Mapping[str, Any]) -> Iterator[str]:
    args = results["arguments"]
    yield (
        "Four policies of the baseline run, evenly spaced and the first (which is SFT's) and the "
        "last included, wrote one program for each problem. *Writer*: these complete their own "
        "prefixes. *Completer*: the last of them completes all. *Any of K*: binary search for the "
        "last prefix that one of K completions finishes. *Rate of K*: each prefix is labelled with "
        "the share of K completions that pass. *Fall*: by how much labels, or the score of a model "
        "that is fitted to them, fall at the first line that is not the canonical program's; 2 is "
        "perfect. That of the labels is on the labelled programs, that of the model on programs of "
        f"the same policies for {args['held_problems']} validation problems. *AUC*: the chance "
        "that a line before the first wrong one is scored above another one."
    )
    columns = ("labels", "programs", "completions", "executions", "failed", "of them recoverable")
    more = ("labels fall", "model falls", "falls at all", "AUC", "CPU s of the fit")
    yield ""

    def cells(row: Row) -> Iterator[object]:  # of a row
        yield row["kind"]
        yield from (row["programs"], row["completions"], row["executions"], row["failed"])
        yield f"{100 * row['recoverable'] / row['failed']:.0f} %" if row["failed"] else "-"
        yield f"{row['labels']['fall']:.2f}"
        model = row["model"]
        yield f"{model['fall']:.2f}"
        yield f"{100 * model['falls_share']:.0f} %"
        yield f"{model['auc']:.3f}"
        yield f"{row['fit_cpu_seconds']:.0f}"

    yield from page.table((*columns, *more), ([*cells(row)] for row in results["labels"]))
    chosen = arms_labels(results)
    if chosen is not None:
        yield ""
        yield (
            f"The arms have the model of *{chosen['kind']}* on {chosen['programs']} programs, "
            "the one that `--labels` names. Where a critic begins as a model, that one was fitted "
            "to the same labels at every token from the first line end on. Each model is one fit, "
            "so that small differences between kinds may be chance; and the completer was trained "
            "on the first of the label problems, where its completions pass more often."
        )
    dear = [row for row in results["rows"] if ARMS[row["arm"]].needs_labels]
    if dear:
        completer = results["baseline"]["curve"][-1]
        ends = [row["curve"][-1] for row in dear]
        passes = [
            f"{100 * completer[mode]:.1f} % {mode}, the best run with its labels "
            f"{100 * max(end[mode] for end in ends):.1f} %, and "
            f"{sum(end[mode] > completer[mode] for end in ends)} of {len(ends)} runs more than it"
            for mode in MODES
        ]
        yield ""
        yield f"On the test problems the completer passes {'; '.join(passes)}."


def _by_writer(results: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "How far the score of the arms' model falls at the first wrong line of new programs, by "
        "the policy of the baseline run that wrote them; intervals are 95 %, over programs."
    )
    yield ""
    curve = results["baseline"]["curve"]

    def cells(row: Row) -> list[str]:
        point = curve[row["point"]]
        half = 1.96 * row["error"]
        fall = f"{row['fall']:.2f} ± {half:.2f}"
        passes = f"{100 * point['sampled']:.1f}"
        return [f"{point['tokens'] / 1e3:.0f}", passes, str(row["programs"]), fall]

    columns = ("generated tokens, thousands", "passes sampled, %", "programs", "falls by")
    yield from page.table(columns, map(cells, results["by_writer"]))


def _baseline(results: Mapping[str, Any]) -> Iterator[str]:
    curve = results["baseline"]["curve"]
    columns = ("generated tokens, thousands", "programs", *(f"{mode}, %" for mode in MODES))
    yield from page.table(
        columns,
        (
            [
                f"{point['tokens'] / 1e3:.0f}",
                f"{point['episodes']:.0f}",
                *(f"{100 * point[mode]:.1f}" for mode in MODES),
            ]
            for point in curve
        ),
    )
    gains = [100 * (curve[-1][mode] - curve[-2][mode]) for mode in MODES]
    yield ""
    yield (
        f"Seed {results['baseline']['seed']}. Between its last two evaluations it gained "
        + ", ".join(f"{gain:+.1f} points {mode}" for gain, mode in zip(gains, MODES, strict=True))
        + "."
    )


def _equal_tokens(rows: Sequence[Row]) -> Iterator[str]:
    def cells(arm: str) -> Iterator[str]:  # of a row
        mine = [row for row in rows if row["arm"] == arm]
        yield arm
        yield str(len(mine))
        for mode in MODES:
            yield shown([100 * row["curve"][0][mode] for row in mine])
            yield shown([100 * row["curve"][-1][mode] for row in mine])
        yield shown([100 * mean_over_run(row["curve"]) for row in mine])
        yield f"{np.mean([row['curve'][-1]['iteration'] for row in mine]):.0f}"
        yield f"{np.mean([row['cpu_seconds'] for row in mine]):.0f}"

    columns = ("arm", "seeds", "sampled before", "sampled after", "greedy before", "greedy after")
    more = ("sampled, mean over the run", "iterations", "CPU s")
    arms = [arm for arm in _present(rows) if arm != LONGER]
    yield from page.table((*columns, *more), ([*cells(arm)] for arm in arms))


def equal_executions(
    results: Mapping[str, Any], arm: str, mode: str
) -> list[tuple[float, float, float]]:
    """An arm that has labels beside a longer run of tests only, at as many programs in all.

    Args:
        results: Labels and rows.
        arm: One of :data:`ARMS`; of one that needs no labels, nothing is returned.
        mode: ``"sampled"`` or ``"greedy"``.

    Returns:
        For each seed that has both: programs that were run, labels included; pass@1 in % of the
        arm at its end; and of the longer run at so many programs, between two of its points, or
        at its end if that comes before.
    """
    labels = arms_labels(results)
    if labels is None or not ARMS[arm].needs_labels:
        return []
    found = []
    for mine, longer in paired(results["rows"], arm, LONGER):
        end = mine[-1]
        total = labels["executions"] + end["episodes"]
        places, values = ([point[key] for point in longer] for key in ("episodes", mode))
        other = float(np.interp(total, places, values))
        found.append((total, 100 * end[mode], 100 * other))
    return found


def _equal_executions(results: Mapping[str, Any]) -> Iterator[str]:
    labels = arms_labels(results)
    assert labels is not None
    longer = [row for row in results["rows"] if row["arm"] == LONGER]
    if not longer:
        yield "There is no longer run yet that the arms could be compared with."
        return
    yield (
        f"Programs that were run: {labels['executions']} for the labels (the labelled ones and "
        f"{labels['completions']} completions), then those of the arm's own episodes. Beside each "
        f"stands *{LONGER}*, whose learning rates fall over a budget that has as many programs, at "
        "the same number of them (between its evaluations by interpolation)."
    )
    yield ""

    def cells() -> Iterator[list[str]]:
        for arm in _present(results["rows"]):
            pairs = equal_executions(results, arm, "sampled")
            if not pairs:
                continue
            greedy = [a - b for _, a, b in equal_executions(results, arm, "greedy")]
            sampled = [a - b for _, a, b in pairs]
            yield [
                *(arm, str(len(pairs)), f"{np.mean([total for total, *_ in pairs]):.0f}"),
                *(shown([a for _, a, _ in pairs]), shown([b for _, _, b in pairs])),
                *(shown(sampled, sign=True), shown(greedy, sign=True), told(sampled)),
            ]

    columns = ("arm", "seeds", "executions", "sampled", f"{BASE} at as many")
    yield from page.table((*columns, "difference", "greedy difference", "so sampled"), cells())
    ends = [row["curve"][-1] for row in longer]
    last = min(end["episodes"] for end in ends)
    if any(total > last for arm in ARMS for total, *_ in equal_executions(results, arm, "sampled")):
        yield ""
        yield "Where the longer run ended before as many, what it had reached at its end stands."
    first = results["baseline"]["curve"]
    yield ""
    yield (
        f"The longer runs end at {shown([100 * end['sampled'] for end in ends])} % sampled after "
        f"{np.mean([end['episodes'] for end in ends]):.0f} programs. The baseline run, without "
        "which there would be no policies to label and no completer, is in no total: it took "
        f"{first[-1]['episodes']:.0f} programs and ended at {100 * first[-1]['sampled']:.1f} % "
        f"sampled, {100 * first[-1]['greedy']:.1f} % greedy (one seed)."
    )


def _elimination(results: Mapping[str, Any]) -> Iterator[str]:
    rows = results["rows"]
    yield (
        "Points of pass@1 at the end, sampled, paired by seed. The last row is the sum of the "
        "others where all have the same seeds."
    )
    yield ""

    def cells() -> Iterator[list[str]]:
        for one, other, what in _STEPS:
            values = _paired(rows, one, other, "sampled")
            if values:
                found = shown(values, sign=True)
                yield [f"{one} - {other}", what, str(len(values)), found, told(values)]

    yield from page.table(("", "what is added", "seeds", "points", "so"), cells())
    of = {row["kind"]: row for row in results["labels"]}  # those of most problems come last
    chosen, perfect = arms_labels(results), next(iter(of.values()))
    assert chosen is not None
    yield ""
    yield (
        "The fall at the first wrong line, of the 2 that perfect scores have: "
        f"{chosen['labels']['fall']:.2f} of the arms' labels, {chosen['model']['fall']:.2f} of "
        f"their model, {perfect['model']['fall']:.2f} of a model of the same size that is fitted "
        "to perfect labels of the same programs."
    )


def _by_conditionals(rows: Sequence[Row]) -> Iterator[str]:
    numbers = sorted({number for row in rows for number in row["by_conditionals"]["sampled"]})

    def cells(arm: str) -> list[str]:
        mine = [row["by_conditionals"]["sampled"] for row in rows if row["arm"] == arm]
        return [arm, *(shown([100 * row[number] for row in mine]) for number in numbers)]

    yield from ("Sampled pass@1 in % at the end.", "")
    yield from page.table(("arm", *numbers), map(cells, _present(rows)))


def _bases(results: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Greedy programs for validation problems, by what they fail by first, and how far the "
        "score of the arms' model falls at the first wrong line of sampled ones."
    )
    yield ""
    kinds = {"solved": "solved", "typical": "typical mistake", "copying": "copying error"}
    yield from page.table(
        ("seed", *kinds.values(), "model falls", "in programs"),
        (
            [
                seed,
                *(base["first_errors"].get(kind, 0) for kind in kinds),
                *(
                    (f"{found['fall']:.2f}", found["programs"])
                    if (found := results["transfer"].get(seed))
                    else ("-", "-")
                ),
            ]
            for seed, base in sorted(results["bases"].items())
        ),
    )


def _limits(results: Mapping[str, Any]) -> Iterator[str]:
    args = results["arguments"]
    yield (
        f"One baseline run (seed {args['baseline_seed']}), one collection of each kind of labels, "
        "one fit of each model: the intervals speak of other SFT policies, critics and episodes, "
        "and not of other baselines, labels or models, nor of other training problems, which all "
        "runs share. A completer that is stronger than the policies that are trained makes the "
        "labels a kind of distillation; its own training is in no table. Perfect scores, and the "
        "first wrong line, go by the text of the canonical program: another right program counts "
        "as wrong. All seeds are measured on the same test problems, and many pairs of arms are "
        "compared, of which some lie outside of their intervals by chance. Arms that have been run "
        "with fewer seeds are compared on these alone. Problems that a grammar makes, and a model "
        "of a hundred thousand weights, say nothing of the paper's problems and models."
    )


def _present(rows: Sequence[Row]) -> list[str]:
    return [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]


def _paired(rows: Sequence[Row], one: str, other: str, mode: str) -> list[float]:
    """Differences of two arms at their ends, in points, of the seeds that have both."""
    return [100 * (a[-1][mode] - b[-1][mode]) for a, b in paired(rows, one, other)]


def _ends(rows: Sequence[Row], arm: str, mode: str) -> list[float]:
    return [100 * row["curve"][-1][mode] for row in rows if row["arm"] == arm]


def draw(results: Mapping[str, Any]) -> Figure | None:
    """pass@1 over generated tokens: uses of the model, and the account; and over programs.

    Mean and 95 % band of each arm.
    """
    rows, labels = results["rows"], arms_labels(results)
    if not rows or labels is None:
        return None
    figure, axes = plt.subplots(2, 2, figsize=(12, 9))
    present = _present(rows)

    def show(axis: Any, arms: Sequence[str], mode: str, **where: Any) -> None:
        for arm in arms:
            mine = [row["curve"] for row in rows if row["arm"] == arm]
            k = list(ARMS).index(arm)
            style: dict[str, Any] = {"color": _COLOURS[k], "ls": _STYLES[k], "marker": _MARKERS[k]}
            after = labels["executions"] if where and ARMS[arm].needs_labels else 0
            band(axis, mine, mode, label=arm, markersize=4, after=after, **where, **style)
        axis.set(ylabel=f"{mode} pass@1, %", ylim=(0, None))
        axis.grid(alpha=0.3)
        if axis.has_data():
            axis.legend(frameon=False, fontsize=9)

    uses, account = ([arm for arm in group if arm in present] for group in (_USES, _IN_ACCOUNT))
    show(axes[0][0], uses, "sampled")
    show(axes[0][1], account, "sampled")
    show(axes[1][0], uses, "greedy")
    dear = [arm for arm in (*_USES, LONGER) if arm in present]
    dear = [arm for arm in dear if arm == LONGER or ARMS[arm].needs_labels]
    show(axes[1][1], dear, "sampled", over="episodes", unit=1e3)
    for axis in axes.flat[:3]:
        axis.set_xlabel("generated tokens, millions")
    axes[1][1].set_xlabel("programs that were run, those of the labels included, thousands")
    conditionals = results["arguments"]["difficulty"]
    figure.suptitle(f"Problems with {conditionals} conditionals, from the empty prefix")
    figure.tight_layout()
    return figure
