"""The process reward model from end to end on CodeGen-Mini, from the empty prefix.

SFT; a first PPO run with the tests' outcome alone; labels from four of its checkpoints; the reward
model; a second PPO run from the SFT policy, of the same length, with the dense reward and with the
critic that begins as the reward model. The order of arXiv 2410.17621.

    make prm
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import ppo, sft
from agents.command import command_line, main, set_up_torch
from agents.environments import make_grader, make_tokenizer
from agents.evaluate import Evaluation, evaluation_table, greedy_and_sampled, held_out
from agents.policy import CausalLMPolicy
from agents.prm import collect, reinforce
from agents.prm import train as reward_model
from agents.telemetry import RunLogger

__all__ = ["Args", "evenly", "main"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Labels, process reward model, and PPO with both of its uses."""

    out: Path = Path("runs/prm")
    """gets everything that the run writes"""
    seed: int = 0
    """of everything"""
    threads: int = 1
    """of torch, for each model that is computed"""
    policy: Path | None = None
    """folder of a fine-tuned policy; None: makes one"""
    sft_steps: int = 4000
    """supervised fine-tuning"""
    test_per_level: int = 200
    """test problems a difficulty"""
    ppo: ppo.Args = dataclasses.field(
        default_factory=lambda: ppo.Args(
            start="empty", reward="binary", iterations=60, eval_every=0, checkpoint_every=5
        )
    )
    """settings of both runs"""
    collect: collect.Args = dataclasses.field(
        default_factory=lambda: collect.Args(problems=64, responses=2)
    )
    """further settings of the labels"""
    model: reward_model.Args = dataclasses.field(
        default_factory=lambda: reward_model.Args(selection="full")
    )
    """further settings of the reward model; on Mini, all labels make a far better one than the
    paper's selection does"""


def run(args: Args) -> dict[str, dict[str, Evaluation]]:
    """Runs the whole job.

    Args:
        args: The command line.

    Returns:
        The evaluations on the test split of the three policies, greedy and sampled.
    """
    set_up_torch(args.threads)
    began = time.perf_counter()
    shared: Any = {"seed": args.seed, "threads": args.threads}
    start = args.policy or args.out / "sft"
    with RunLogger(args.out) as logger:
        if args.policy is None:
            sft.run(sft.Args(steps=args.sft_steps, out=start, **shared), logger)
        settings = dataclasses.replace(args.ppo, model=str(start), **shared)
        first = dataclasses.replace(settings, out=args.out / "outcome")
        _reinforce(first, logger)
        checkpoints = evenly(sorted((first.out / "checkpoints").iterdir()), 4)
        labels = dataclasses.replace(
            args.collect,
            policies=tuple(folder / "policy" for folder in checkpoints),
            out=args.out / "labels",
            **shared,
        )
        collect.collect(labels, logger)
        fitted = dataclasses.replace(
            args.model, labels=labels.out, policy=start, out=args.out / "model", **shared
        )
        reward_model.run(fitted, logger)
        second = reinforce.Args(
            **{**_fields(settings), "out": args.out / "process"},
            reward_model=fitted.out,
            dense="outcome",
            value_init="affine",
        )
        with RunLogger(second.out, quiet=True) as own:
            reinforce.run(second, own, screen=logger)
        logger.end_progress()
        policies = {
            "SFT": start,
            "PPO, tests only": first.out / "policy",
            "PPO, dense reward and critic from the model": second.out / "policy",
        }
        results = _test(args, settings, policies)
        rows = {
            f"{name}, {mode}": result
            for name, modes in results.items()
            for mode, result in modes.items()
        }
        logger.show(evaluation_table("CodeGen-Mini, test split, pass@1 in % [95 %]", rows))
        seconds = time.perf_counter() - began
        logger.note(f"{seconds:.0f} s in all, one seed; see {args.out}.")
    data = {
        "arguments": dataclasses.asdict(args),
        "seconds": seconds,
        "test": {
            name: {mode: result.to_json() for mode, result in modes.items()}
            for name, modes in results.items()
        },
    }
    (args.out / "results.json").write_text(json.dumps(data, indent=1, default=str) + "\n")
    return results


def evenly(items: Sequence[Path], count: int) -> list[Path]:
    """Some of the items at equal distances, the last one included.

    Args:
        items: At least one.
        count: How many; fewer where there are not so many.

    Returns:
        In their order, each once.
    """
    places = [round((k + 1) * len(items) / count) - 1 for k in range(count)]
    return [items[place] for place in sorted({max(0, place) for place in places})]


def _fields(settings: ppo.Args) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}


def _reinforce(args: ppo.Args, logger: RunLogger) -> None:
    with RunLogger(args.out, quiet=True) as own:
        ppo.run(args, own, screen=logger)
    logger.end_progress()


def _test(
    args: Args, settings: ppo.Args, policies: dict[str, Path]
) -> dict[str, dict[str, Evaluation]]:
    tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
    problems = held_out(settings, split="test", per_level=args.test_per_level, seed=args.seed)
    results = {}
    with make_grader(settings) as grader:
        for name, folder in policies.items():
            results[name] = greedy_and_sampled(
                CausalLMPolicy.from_pretrained(folder).eval(),
                settings,
                problems,
                grader=grader,
                tokenizer=tokenizer,
                seed=args.seed,
            )
    return results


def _main() -> None:
    args = command_line(Args)
    run(args)


if __name__ == "__main__":
    main(_main)
