"""The results of `benchmarks/prm.py` as a page: pass@1 and best of K, by difficulty and length."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from agents.evaluate import pass_at_k
from agents.prm.collect import count
from agents.prm.labels import Kind
from agents.prm.storage import read_labels
from benchmarks.intervals import interval_of_mean

__all__ = ["write_report"]

_BASE = "tests only"
_LEVELS = ("introductory", "interview", "competition")
_BUCKETS = ((0, 40), (41, 70), (71, 100), (101, None))


def write_report(
    out: Path,
    *,
    rows: Sequence[Mapping[str, Any]],
    before: Mapping[str, Any],
    lengths: Mapping[str, int],
    levels: Mapping[str, str],
    samples: int,
    ks: Sequence[int],
    compared: Mapping[str, Mapping[str, float]],
    seconds: Mapping[str, float],
    labels: Path,
    models: Mapping[str, Path],
    command: str,
    arguments: Mapping[str, Any],
) -> None:
    """Writes .json and .md.

    Args:
        out: Path without suffix.
        rows: One for each run.
        before: The fine-tuned policy's own measurement.
        lengths: Problem id -> tokens of the canonical program.
        levels: Problem id -> difficulty.
        samples: Programs a problem.
        ks: Of best-of-K.
        compared: Policy -> what the reward model tells of its programs, see
            `benchmarks.prm.ComparedScorer.found`.
        seconds: Of the preparation, by part.
        labels: Folder of the labels.
        models: Selection of the labels -> folder of the reward model.
        command: The command line.
        arguments: What it says, defaults included.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "arguments": arguments,
        "preparation_seconds": seconds,
        "rows": rows,
        "before": before,
        "compared": compared,
        "lengths": lengths,
        "levels": levels,
    }
    out.with_suffix(".json").write_text(json.dumps(data, indent=1, default=str) + "\n")
    arms: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        arms.setdefault(row["arm"], []).append(row)

    def cell(mine: Sequence[Mapping[str, Any]], names: Sequence[str], k: int) -> str:
        each = [
            100 * float(np.mean([pass_at_k(samples, row["solved"][name], k) for name in names]))
            for row in mine
        ]
        mean, half = interval_of_mean(each)
        return f"{mean:.1f}" + ("" if math.isnan(half) else f" ± {half:.1f}")

    present = [level for level in _LEVELS if level in levels.values()]
    groups = {level: [n for n in levels if levels[n] == level] for level in present}
    groups["all"] = list(levels)
    buckets = {
        f"{low}-{high} tokens" if high else f"{low} tokens and more": [
            name for name in levels if low <= lengths[name] <= (high or 10**9)
        ]
        for low, high in _BUCKETS
    }
    every = {"after SFT": [before], **arms}
    lines = [
        "# The process reward model: dense reward x value init",
        "",
        f"`{command}`: CodeGen-Mini{_conditionals(arguments['conditionals'])} from the empty "
        f"prefix, {arguments['iterations']} iterations a run, "
        f"lambda of GAE {arguments['gae_lambda']:g}, seeds {_listed(arguments['seeds'])} "
        f"(controls {_listed(arguments['control_seeds'])}), {len(levels)} test problems with "
        f"{samples} samples each at temperature 1. "
        "Means over seeds with 95 % intervals (Student's t) in %. "
        "All runs share one fine-tuned policy and one reward model: the intervals do not speak of "
        "other ones.",
        "",
        *_table("pass@1, sampled", every, groups, lambda mine, names: cell(mine, names, 1)),
        *_greedy(every, groups),
        *_table(
            "pass@1, sampled, by tokens of the canonical program",
            every,
            buckets,
            lambda mine, names: cell(mine, names, 1),
        ),
        *itertools.chain.from_iterable(
            _table(
                f"best of K (pass@K), {'all problems' if name == 'all' else name}",
                every,
                {f"K = {k}": [str(k)] for k in ks},
                lambda mine, k, members=members: cell(mine, members, int(k[0])),
            )
            for name, members in {"all": groups["all"], **groups, **buckets}.items()
            if members
        ),
        *_differences(arms, groups, samples),
        *_costs(arms, seconds),
        *_labels(labels, models, arguments["selection"]),
        "",
        *_compared(compared),
    ]
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


def _conditionals(bounds: tuple[int, int] | None) -> str:
    return "" if bounds is None else f", problems with {bounds[0]}-{bounds[1]} conditionals,"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _table(
    title: str,
    every: Mapping[str, Sequence[Mapping[str, Any]]],
    columns: Mapping[str, Sequence[str]],
    cell: Any,
) -> list[str]:
    shown = {name: members for name, members in columns.items() if members}
    lines = [
        f"## {title}",
        "",
        "| | " + " | ".join(shown) + " |",
        "|---|" + "---|" * len(shown),
    ]
    for name, mine in every.items():
        cells = [cell(mine, members) for members in shown.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _greedy(
    every: Mapping[str, Sequence[Mapping[str, Any]]], groups: Mapping[str, Sequence[str]]
) -> list[str]:
    sizes = {level: len(members) for level, members in groups.items() if level != "all"}

    def cell(mine: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
        weights = [sizes[name] for name in names]
        each = [
            100 * float(np.average([row["greedy"][name] for name in names], weights=weights))
            for row in mine
        ]
        mean, half = interval_of_mean(each)
        return f"{mean:.1f}" + ("" if math.isnan(half) else f" ± {half:.1f}")

    columns = {**{level: [level] for level in sizes}, "all": list(sizes)}
    return _table("pass@1, greedy", every, columns, cell)


def _differences(
    arms: Mapping[str, Sequence[Mapping[str, Any]]],
    groups: Mapping[str, Sequence[str]],
    samples: int,
) -> list[str]:
    base = {row["seed"]: row for row in arms.get(_BASE, [])}

    def rate(row: Mapping[str, Any], names: Sequence[str]) -> float:
        return 100 * float(np.mean([row["solved"][name] / samples for name in names]))

    def cell(mine: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
        each = [rate(row, names) - rate(base[row["seed"]], names) for row in mine]
        mean, half = interval_of_mean(each)
        return f"{mean:+.1f}" + ("" if math.isnan(half) else f" ± {half:.1f}")

    others = {name: mine for name, mine in arms.items() if name != _BASE}
    title = "pass@1, sampled: points above tests only, paired by seed"
    return _table(title, others, groups, cell)


def _costs(
    arms: Mapping[str, Sequence[Mapping[str, Any]]], seconds: Mapping[str, float]
) -> list[str]:
    lines = [
        "## Cost",
        "",
        "Preparation, in seconds: "
        + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
        + ".",
        "",
        "| arm | s a run | programs executed a run |",
        "|---|---|---|",
    ]
    for name, mine in arms.items():
        wall = float(np.mean([row["seconds"] for row in mine]))
        programs = float(np.mean([row["programs"] for row in mine]))
        lines.append(f"| {name} | {wall:.0f} | {programs:.0f} |")
    return [*lines, ""]


def _labels(labels: Path, models: Mapping[str, Path], used: str) -> list[str]:
    responses = read_labels(labels).responses
    counts = count(responses)
    reports = {
        how: json.loads((folder / "report.json").read_text()) for how, folder in models.items()
    }
    lines = [
        "## Labels and models",
        "",
        f"{counts['responses']} responses: "
        + ", ".join(f"{counts[kind]} {kind}" for kind in get_args(Kind))
        + f"; {counts['completions']} completions were written and run for them. "
        f"{_audit(counts['audit'])}"
        f"All models are validated on the same {reports[used]['validation_responses']} responses "
        f"to problems of their own. The arms use the one of *{used}*.",
        "",
        "| selection | learned from | lines of | lines | good | MSE | MSE of the mean | "
        "sign accuracy | AUC |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for how, report in reports.items():
        for name, row in report["validation"].items():
            if row["lines"] and (how == used or name in ("all", "last third")):
                lines.append(
                    f"| {how} | {report['training_responses']} | {name} | {row['lines']} | "
                    f"{row['good']:.2f} | {row['mse']:.3f} | {row['mse_of_mean']:.3f} | "
                    f"{row['sign_accuracy']:.3f} | {row['auc']:.3f} |"
                )
    return lines


def _compared(compared: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [
        "## The reward model beside the canonical programs",
        "",
        "Programs of a policy on the test problems. A line is *right* as long as the program is "
        "the canonical one up to there, which is more than being recoverable. *Fall*: by how much "
        "the score falls at the first line that is not right; 2 with perfect scores. *The labels*: "
        "the same of a model that would say exactly what it is trained on, for the labelled "
        "programs.",
        "",
        "| | lines | right | AUC | mean fall | falls |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in compared.items():
        lines.append(
            f"| {name} | {row['lines']} | {row['right']:.2f} | {row['auc']:.3f} | "
            f"{row['falls']:.2f} | {100 * row['falls_share']:.0f} % |"
        )
    return lines


def _audit(audit: Mapping[str, int]) -> str:
    if not audit["responses"]:
        return ""
    return (
        f"Of {audit['responses']} failed ones every prefix was asked: {audit['not_monotone']} are "
        f"not monotone, {audit['labels_differ']} of {audit['lines']} labels differ. "
    )
