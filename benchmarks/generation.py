"""Tokens per CPU second of two ways to write programs: the loop over tokens, and generate.

Both write the same number of programs in the same environment with the same random weights. They
take turns. What is counted is the CPU time of this process, which a busy machine changes little;
programs are judged in others. Random weights hardly ever write the end token, so nearly
all rows are written to the end of the budget; where rows end early, the loop drops them and
``generate`` does not.

    python -m benchmarks.generation
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from agents import ppo
from agents.engines import use_engine
from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.models import make_policy
from agents.rollout import write
from benchmarks import page
from benchmarks.turns import rotated

WAYS: tuple[Literal["tokens", "generate"], ...] = ("tokens", "generate")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Speed of writing."""

    widths: tuple[int, ...] = (64, 256)
    """of the models; the first has two layers, as `model="tiny"`, the others have four"""
    num_envs: int = 64
    """programs that are written at a time"""
    max_new_tokens: int = 64
    """of each"""
    rounds: int = 5
    """turns of each way, after one that warms up"""
    threads: int = 1
    """of torch"""
    out: Path = page.RESULTS / "generation"
    """path of the results, without suffix"""


def measure(args: Args, width: int, layers: int) -> dict[str, Any]:
    """Tokens per CPU second of both ways, by turn."""
    settings = ppo.Args(
        model_width=width,
        model_layers=layers,
        num_envs=args.num_envs,
        max_new_tokens=args.max_new_tokens,
        start="empty",
        problems=args.num_envs,
    )
    tokenizer = make_tokenizer(settings.tokenizer)
    problems = load_split(settings, split="train", size=settings.problems, seed=0)
    policies = {}
    for way in WAYS:
        policies[way] = make_policy(settings, vocab_size=tokenizer.vocab_size, seed=0)
        use_engine(policies[way], dataclasses.replace(settings, engine=way))
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    with make_grader(settings) as grader:
        envs = make_envs(settings, problems, start="empty", grader=grader, tokenizer=tokenizer)
        for turn in range(args.rounds + 1):
            for way in rotated(WAYS, turn):
                began = time.process_time()
                written = write(policies[way], envs, episodes=args.num_envs, seed=turn)
                seconds = time.process_time() - began
                tokens = written.finish().cost.tokens
                if turn:
                    speeds[way].append(tokens / seconds)
        envs.close()
    weights = sum(weight.numel() for weight in policies["tokens"].parameters())
    return {"width": width, "layers": layers, "weights": weights, "tokens_per_cpu_second": speeds}


def lines(results: dict[str, Any]) -> Iterator[str]:
    """The page."""
    asked = (
        "How many tokens does a rollout write in a second of CPU time, steps of the environment "
        f"included, with {results['threads']} thread(s) of torch? {results['num_envs']} programs "
        f"of at most {results['max_new_tokens']} tokens at a time, random weights. Medians of "
        f"{results['rounds']} turns; the ratio is that of the two ways in the same turn, with its "
        "least and its greatest."
    )
    yield from page.head("Writing programs: token by token, and by generate", asked, results)
    table = []
    for row in results["rows"]:
        tokens, generate = (row["tokens_per_cpu_second"][way] for way in WAYS)
        ratios = [ours / theirs for ours, theirs in zip(tokens, generate, strict=True)]
        table.append(
            [
                f"{row['width']} x {row['layers']}",
                f"{row['weights'] / 1e6:.1f}",
                f"{statistics.median(tokens):.0f}",
                f"{statistics.median(generate):.0f}",
                page.interval((statistics.median(ratios), min(ratios), max(ratios)), 2),
            ]
        )
    columns = ("width x layers", "million weights", "tokens", "generate", "tokens / generate")
    yield from page.table(columns, table)


def main() -> None:
    """The command."""
    args = tyro.cli(Args)
    torch.set_num_threads(args.threads)
    results = page.environment("generation", "torch", "transformers")
    results |= {name: getattr(args, name) for name in ("threads", "num_envs", "max_new_tokens")}
    results["rounds"] = args.rounds
    results["rows"] = [
        measure(args, width, 4 if number else 2) for number, width in enumerate(args.widths)
    ]
    page.write(args.out, results, lines)


if __name__ == "__main__":
    main()
