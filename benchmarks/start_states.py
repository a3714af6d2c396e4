"""Do start states help? Four ways to train on problems with 6-8 conditionals, equal iterations.

``sparse``: PPO from the empty prefix. ``uniform``: start states drawn uniformly from the prefixes
that end before a conditional. ``cccs``: the curriculum. ``cccs+fgo``: with executed tokens only in
the policy loss. Each seed has an SFT checkpoint of its own, which its four runs share.

At most two single-threaded runs stand side by side.

    python -m benchmarks.start_states --seeds 0 1 2 --out benchmarks/results/start_states
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from agents import ppo, sft
from agents.environments import load_split, make_grader, make_tokenizer
from agents.evaluate import held_out
from agents.models import make_policy
from agents.telemetry import RunLogger, read_scalars
from benchmarks import page
from benchmarks.runs import fine_tuned, measured, side_by_side

METHODS: dict[str, dict[str, Any]] = {
    "sparse": {"start": "empty", "fgo": False},
    "uniform": {"start": "uniform", "fgo": False},
    "cccs": {"start": "cccs", "fgo": False},
    "cccs+fgo": {"start": "cccs", "fgo": True},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Comparison of start distributions."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """each with its own SFT checkpoint, problems and episodes"""
    sft_steps: int = 5000
    """steps of supervised fine-tuning, on problems of all levels"""
    sft_flaw_rate: float = 0.5
    """factor on the weak coder's mistakes: with 1, hardly any program of this length is solved"""
    iterations: int = 150
    """of each PPO run"""
    conditionals: tuple[int, int] = (6, 8)
    """fewest and most conditionals of a problem"""
    problems: int = 256
    """training problems"""
    test_problems: int = 200
    """test problems"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    runs: Path = Path("runs/start_states")
    """folder of checkpoints and logs"""
    out: Path = page.RESULTS / "start_states"
    """path of the results without suffix: .json, .md and .png are written"""


def reinforce(args: Args, method: str, seed: int) -> dict[str, Any]:
    """One PPO run and its evaluation on the test split, before and after.

    Args:
        args: The command line.
        method: Key of :data:`METHODS`.
        seed: The seed of the run; names the SFT checkpoint as well.

    Returns:
        A row of the results.
    """
    torch.set_num_threads(1)
    settings = ppo.Args(
        **METHODS[method],
        model=str(args.runs / f"sft-{seed}"),
        difficulty="{}-{}".format(*args.conditionals),
        problems=args.problems,
        iterations=args.iterations,
        critic="head",
        eval_every=0,
        threads=1,
        workers=1,
        seed=seed,
        out=args.runs / f"{method}-{seed}",
    )
    tokenizer = make_tokenizer(settings.tokenizer)
    policy = make_policy(settings, vocab_size=tokenizer.vocab_size, seed=seed)
    problems = load_split(settings, split="train", size=args.problems, seed=seed)
    test = held_out(settings, split="test", per_level=args.test_problems, seed=0)
    row: dict[str, Any] = {"method": method, "seed": seed}
    with make_grader(settings) as grader, RunLogger(settings.out, quiet=True) as logger:
        trainer = ppo.PPO(settings, policy=policy, problems=problems, grader=grader, logger=logger)
        try:
            for when in ("before", "after"):
                for mode, found in measured(trainer.policy, settings, test, seed=seed).items():
                    row[f"{mode}_{when}"] = found.mean_pass_at_1
                if when == "before":
                    trainer.train()
        finally:
            trainer.close()
    row |= {"iterations": trainer.iteration, "episodes": trainer.episodes}
    row["mean_stage_after"] = read_scalars(settings.out)[-1].get("curriculum/mean_stage")
    return row


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    args, rows = results["arguments"], results["rows"]
    low, high = args["conditionals"]
    asked = (
        "Do start states help where reward is sparse? PPO from the empty prefix (*sparse*), from "
        "uniform start states, with the curriculum (*cccs*), and with executed tokens only in the "
        f"policy loss (*cccs+fgo*). pass@1 on {args['test_problems']} test problems with "
        f"{low}-{high} conditionals, from the empty prefix, in %, after {_length(args)}; mean over "
        f"{len(args['seeds'])} seeds (each seed)."
    )
    yield from page.head("Start states", asked, results)
    yield from ("![each method, a dot a seed](start_states.png)", "")
    keys = ("greedy_before", "greedy_after", "sampled_before", "sampled_after")

    def cells(method: str) -> list[str]:
        mine = [row for row in rows if row["method"] == method]
        episodes = f"{np.mean([row['episodes'] for row in mine]):.0f}"
        return [method, *(_cell([100 * row[key] for row in mine]) for key in keys), episodes]

    columns = ("method", *(key.replace("_", " ") for key in keys), "episodes")
    yield from page.table(columns, map(cells, METHODS))


def _length(args: Mapping[str, Any]) -> str:
    """How long each run was; it was once bounded by time."""
    if "iterations" in args:
        return f"{args['iterations']} iterations"
    return f"{args['seconds']:g} s of CPU time"


def _cell(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def draw(results: Mapping[str, Any]) -> Figure:
    """A bar a method, a dot a seed."""
    rows, args = results["rows"], results["arguments"]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, mode in zip(axes, ("greedy", "sampled"), strict=True):
        for k, method in enumerate(METHODS):
            values = [100 * row[f"{mode}_after"] for row in rows if row["method"] == method]
            axis.bar(k, float(np.mean(values)), color=f"C{k}", alpha=0.5)
            axis.scatter([k] * len(values), values, color="black", zorder=3, s=18)
        before = np.mean([100 * row[f"{mode}_before"] for row in rows])
        axis.axhline(float(before), color="grey", linestyle="--", label="after SFT")
        axis.set_xticks(range(len(METHODS)), list(METHODS))
        axis.set_title(f"{mode} pass@1 in %, a dot a seed")
        axis.legend()
    low, high = args["conditionals"]
    figure.suptitle(f"{low}-{high} conditionals, {_length(args)} each")
    figure.tight_layout()
    return figure


def main(args: Args) -> None:
    """Runs all and reports."""
    results = page.environment("start_states", "torch")
    results["arguments"] = {**dataclasses.asdict(args), "runs": "FOLDER", "out": "FOLDER"}
    fits = [
        sft.Args(
            steps=args.sft_steps,
            flaw_rate=args.sft_flaw_rate,
            seed=seed,
            threads=1,
            out=args.runs / f"sft-{seed}",
        )
        for seed in args.seeds
    ]
    for folder in side_by_side(args.parallel, [(fine_tuned, settings) for settings in fits]):
        print(folder, flush=True)
    # Methods alternate, so that a slow hour of the machine is shared.
    jobs = [(reinforce, args, method, seed) for seed in args.seeds for method in METHODS]
    rows: list[dict[str, Any]] = []
    for row in side_by_side(args.parallel, jobs):
        rows.append(row)
        print(json.dumps(row), flush=True)
    rows.sort(key=lambda row: (list(METHODS).index(row["method"]), row["seed"]))
    page.write(args.out, results | {"rows": rows}, lines, draw)


if __name__ == "__main__":
    main(tyro.cli(Args))
