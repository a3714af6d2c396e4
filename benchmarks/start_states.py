"""Do start states help? Four ways to train on problems with 6-8 conditionals, equal iterations.

``sparse``: PPO from the empty prefix. ``uniform``: start states drawn uniformly from the prefixes
that end before a conditional. ``cccs``: the curriculum. ``cccs+fgo``: with executed tokens only in
the policy loss. Each seed has an SFT checkpoint of its own, which its four runs share.

At most two single-threaded runs stand side by side.

    python -m benchmarks.start_states --seeds 0 1 2 --out benchmarks/results/start_states
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
import tyro
from matplotlib import pyplot as plt

from agents import ppo, sft
from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.evaluate import evaluate, held_out
from agents.models import make_policy
from agents.rollout import Sampling
from agents.telemetry import RunLogger, read_scalars

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
    out: Path = Path("benchmarks/results/start_states")
    """path of the results without suffix: .json, .md and .png are written"""


def pretrain(args: Args, seed: int) -> None:
    """Makes the SFT checkpoint of a seed, on problems of all levels.

    Args:
        args: The command line.
        seed: Of model, problems and mistakes.
    """
    folder = args.runs / f"sft-{seed}"
    if (folder / "policy.json").is_file():
        return
    settings = sft.Args(
        steps=args.sft_steps,
        flaw_rate=args.sft_flaw_rate,
        seed=seed,
        threads=1,
        out=folder,
    )
    with RunLogger(folder, quiet=True) as logger:
        sft.run(settings, logger)


def reinforce(args: Args, method: str, seed: int) -> dict[str, Any]:
    """One PPO run and its evaluation on the test split, before and after.

    Args:
        args: The command line.
        method: Key of :data:`METHODS`.
        seed: Of the run; names the SFT checkpoint as well.

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
    train_problems = load_split(settings, split="train", size=args.problems, seed=seed)
    test = held_out(settings, split="test", per_level=args.test_problems, seed=0)
    row: dict[str, Any] = {"method": method, "seed": seed}
    with make_grader(settings) as grader, RunLogger(settings.out, quiet=True) as logger:
        trainer = ppo.PPO(
            settings, policy=policy, problems=train_problems, grader=grader, logger=logger
        )
        envs = make_envs(settings, test, start="empty", grader=grader, tokenizer=tokenizer)
        try:
            for when in ("before", "after"):
                for mode, temperature in (("greedy", 0.0), ("sampled", 1.0)):
                    result = evaluate(
                        trainer.policy, envs, test, sampling=Sampling(temperature), seed=seed
                    )
                    row[f"{mode}_{when}"] = result.mean_pass_at_1
                if when == "before":
                    trainer.train()
        finally:
            envs.close()
            trainer.close()
    row |= {"iterations": trainer.iteration, "episodes": trainer.episodes}
    last = read_scalars(settings.out)[-1]
    row["mean_stage_after"] = last.get("curriculum/mean_stage")
    return row


def report(rows: Sequence[dict[str, Any]], args: Args) -> None:
    """Writes the table, the JSON and the picture.

    Args:
        rows: One for each run.
        args: The command line.
    """
    args.out.parent.mkdir(parents=True, exist_ok=True)
    data = {"arguments": dataclasses.asdict(args), "rows": list(rows)}
    args.out.with_suffix(".json").write_text(json.dumps(data, indent=1, default=str) + "\n")
    lines = [
        f"pass@1 on {args.test_problems} test problems with {args.conditionals[0]}-"
        f"{args.conditionals[1]} conditionals, from the empty prefix, in %, after "
        f"{args.iterations} iterations; mean over {len(args.seeds)} seeds (each seed).",
        "",
        "| method | greedy before | greedy after | sampled before | sampled after | episodes |",
        "|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method]
        cells = [
            _cell([100 * row[key] for row in mine])
            for key in ("greedy_before", "greedy_after", "sampled_before", "sampled_after")
        ]
        episodes = f"{np.mean([row['episodes'] for row in mine]):.0f}"
        lines.append(f"| {method} | {' | '.join(cells)} | {episodes} |")
    args.out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    _plot(rows, args)


def _cell(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def _plot(rows: Sequence[dict[str, Any]], args: Args) -> None:
    mpl.use("Agg")
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
    low, high = args.conditionals
    figure.suptitle(f"{low}-{high} conditionals, {args.iterations} iterations each")
    figure.tight_layout()
    figure.savefig(args.out.with_suffix(".png"), dpi=120)
    plt.close(figure)


def main(args: Args) -> None:
    """Runs what is missing and reports.

    Args:
        args: The command line.
    """
    context = multiprocessing.get_context("spawn")
    rows: list[dict[str, Any]] = []
    with concurrent.futures.ProcessPoolExecutor(args.parallel, mp_context=context) as pool:
        for done in [pool.submit(pretrain, args, seed) for seed in args.seeds]:
            done.result()
        # Methods alternate, so that a slow hour of the machine is shared.
        jobs = [pool.submit(reinforce, args, m, seed) for seed in args.seeds for m in METHODS]
        for job in concurrent.futures.as_completed(jobs):
            rows.append(job.result())
            print(json.dumps(rows[-1]), flush=True)
    report(sorted(rows, key=lambda row: (list(METHODS).index(row["method"]), row["seed"])), args)
    print(args.out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main(tyro.cli(Args))
