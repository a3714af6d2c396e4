"""The results of `benchmarks/prm.py` as a page: pass@1 and best of K, by difficulty and length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from agents.prm.labels import Kind
from benchmarks import page
from benchmarks.intervals import shown
from codegym.grading import pass_at_k

__all__ = ["lines"]

_BASE = "tests only"
_LEVELS = ("introductory", "interview", "competition")
_BUCKETS = ((0, 40), (41, 70), (71, 100), (101, None))
_KS = (1, 2, 5, 10, 20, 30)

Rows = Sequence[Mapping[str, Any]]
Groups = Mapping[str, Sequence[str]]


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page, from what is in the JSON file."""
    arguments, levels, samples = (
        results["arguments"],
        results["levels"],
        results["arguments"]["samples"],
    )
    arms: dict[str, Rows] = {}
    for row in results["rows"]:
        arms[row["arm"]] = [*arms.get(row["arm"], []), row]
    every = {"after SFT": [results["before"]], **arms}
    present = [level for level in _LEVELS if level in levels.values()]
    groups = {level: [n for n in levels if levels[n] == level] for level in present}
    groups["all"] = list(levels)
    lengths = results["lengths"]
    buckets = {
        f"{low}-{high} tokens" if high else f"{low} tokens and more": [
            name for name in levels if low <= lengths[name] <= (high or 10**9)
        ]
        for low, high in _BUCKETS
    }

    def best_of(rows: Rows, names: Sequence[str], k: int = 1) -> str:
        return shown(
            [
                100 * float(np.mean([pass_at_k(samples, row["solved"][n], k) for n in names]))
                for row in rows
            ]
        )

    yield from page.head(
        "The process reward model: dense reward x value init",
        _asked(arguments, len(levels)),
        results,
    )
    yield from _table("pass@1, sampled", every, groups, best_of)
    yield from _greedy(every, groups)
    title = "pass@1, sampled, by tokens of the canonical program"
    yield from _table(title, every, buckets, best_of)
    for name, members in {"all problems": groups["all"], **groups, **buckets}.items():
        if members and name != "all":
            yield from _table(
                f"best of K (pass@K), {name}",
                every,
                {f"K = {k}": [str(k)] for k in _KS if k <= samples},
                lambda rows, k, members=members: best_of(rows, members, int(k[0])),  # type: ignore[misc]
            )
    yield from _differences(arms, groups, samples)
    yield from _costs(arms, results["preparation_seconds"])
    yield from _labels(results["labels"], results["models"], arguments["selection"])
    yield from _compared(results["compared"])


def _asked(arguments: Mapping[str, Any], problems: int) -> str:
    bounds = arguments["conditionals"]
    with_conditionals = (
        "" if bounds is None else f", problems with {bounds[0]}-{bounds[1]} conditionals,"
    )
    seeds, controls = (", ".join(map(str, arguments[key])) for key in ("seeds", "control_seeds"))
    return (
        "Does a process reward model help, as a dense reward and as the critic's first weights? "
        f"CodeGen-Mini{with_conditionals} from the empty prefix, {arguments['iterations']} "
        f"iterations a run, lambda of GAE {arguments['gae_lambda']:g}, seeds {seeds} (controls "
        f"{controls}), {problems} test problems with {arguments['samples']} samples each at "
        "temperature 1. Means over seeds with 95 % intervals (Student's t) in %. All runs share "
        "one fine-tuned policy and one reward model: the intervals do not speak of other ones."
    )


def _table(
    title: str,
    every: Mapping[str, Rows],
    columns: Groups,
    cell: Callable[[Rows, Sequence[str]], str],
) -> Iterator[str]:
    filled = {name: members for name, members in columns.items() if members}
    yield from (f"## {title}", "")
    yield from page.table(
        ("", *filled),
        (
            [name, *(cell(rows, members) for members in filled.values())]
            for name, rows in every.items()
        ),
    )
    yield ""


def _greedy(every: Mapping[str, Rows], groups: Groups) -> Iterator[str]:
    sizes = {level: len(members) for level, members in groups.items() if level != "all"}

    def cell(rows: Rows, names: Sequence[str]) -> str:
        weights = [sizes[name] for name in names]
        rates = [np.average([r["greedy"][name] for name in names], weights=weights) for r in rows]
        return shown([100 * float(rate) for rate in rates])

    columns = {**{level: [level] for level in sizes}, "all": list(sizes)}
    return _table("pass@1, greedy", every, columns, cell)


def _differences(arms: Mapping[str, Rows], groups: Groups, samples: int) -> Iterator[str]:
    base = {row["seed"]: row for row in arms.get(_BASE, [])}

    def rate(row: Mapping[str, Any], names: Sequence[str]) -> float:
        return 100 * float(np.mean([row["solved"][name] / samples for name in names]))

    def cell(rows: Rows, names: Sequence[str]) -> str:
        return shown([rate(r, names) - rate(base[r["seed"]], names) for r in rows], sign=True)

    others = {name: rows for name, rows in arms.items() if name != _BASE}
    return _table("pass@1, sampled: points above tests only, paired by seed", others, groups, cell)


def _costs(arms: Mapping[str, Rows], seconds: Mapping[str, float]) -> Iterator[str]:
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    yield from ("## Cost", "", f"Preparation, in seconds: {parts}.", "")

    def mean(rows: Rows, key: str) -> str:
        return f"{np.mean([row[key] for row in rows]):.0f}"

    columns = ["arm", "s a run", "programs executed a run"]
    cells = ([arm, mean(rows, "seconds"), mean(rows, "programs")] for arm, rows in arms.items())
    yield from page.table(columns, cells)
    yield ""


def _labels(counts: Mapping[str, Any], models: Mapping[str, Any], used: str) -> Iterator[str]:
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in get_args(Kind))
    yield from (
        "## Labels and models",
        "",
        f"{counts['responses']} responses: {kinds}; {counts['completions']} completions were "
        f"written and run for them. {_audit(counts['audit'])}All models are validated on the same "
        f"{models[used]['validation_responses']} responses to problems of their own. The arms use "
        f"the one of *{used}*.",
        "",
    )
    columns = ["selection", "learned from", "lines of", "lines", "good"]
    columns += ["MSE", "MSE of the mean", "sign accuracy", "AUC"]
    yield from page.table(
        columns,
        (
            [
                *(how, model["training_responses"], name, row["lines"], f"{row['good']:.2f}"),
                *(f"{row[key]:.3f}" for key in ("mse", "mse_of_mean", "sign_accuracy", "auc")),
            ]
            for how, model in models.items()
            for name, row in model["validation"].items()
            if row["lines"] and (how == used or name in ("all", "last third"))
        ),
    )
    yield ""


def _audit(audit: Mapping[str, int]) -> str:
    if not audit["responses"]:
        return ""
    return (
        f"Of {audit['responses']} failed ones every prefix was asked: {audit['not_monotone']} are "
        f"not monotone, {audit['labels_differ']} of {audit['lines']} labels differ. "
    )


def _compared(compared: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield from (
        "## The reward model beside the canonical programs",
        "",
        "Programs of a policy on the test problems. A line is *right* as long as the program is "
        "the canonical one up to there, which is more than being recoverable. *Fall*: by how much "
        "the score falls at the first line that is not right; 2 with perfect scores. *The labels*: "
        "the same of a model that would say exactly what it is trained on, for the labelled "
        "programs.",
        "",
    )
    yield from page.table(
        ("", "lines", "right", "AUC", "mean fall", "falls"),
        (
            [
                *(name, row["lines"], f"{row['right']:.2f}", f"{row['auc']:.3f}"),
                *(f"{row['falls']:.2f}", f"{100 * row['falls_share']:.0f} %"),
            ]
            for name, row in compared.items()
        ),
    )
