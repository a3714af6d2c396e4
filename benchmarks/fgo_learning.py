"""Does leaving out unexecuted tokens (FGO) help PPO? Learning curves with and without it.

With one or three tests a problem in training; success is always measured by all tests. What was
expected is in ``docs/results/plans/fgo.md``, written before the runs; what FGO does to the gradient
itself is measured by :mod:`benchmarks.fgo`. Each seed has an SFT policy of its own, which its runs
share. Results are kept run by run; a run that was cut off goes on where it was last evaluated.

    python -m benchmarks.fgo_learning --seeds 131 132 133 134 135
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from agents import ppo, sft
from agents.command import command_line, main
from agents.environments import load_split, make_tokenizer
from agents.evaluate import held_out
from agents.models import make_policy
from agents.telemetry import RunLogger
from benchmarks import page
from benchmarks.fgo_learning_report import ARMS, draw, lines
from benchmarks.runs import arms_named, fine_tuned, kept_before, side_by_side
from benchmarks.token_budget import PPOToBudget, count_starts, run_to_budget
from codegym import Grader

_DECISIVE = ("tokens", "points", "problems", "test_per_level", "samples")
_WATCHED = ("policy/executed_share", "rollout/solved", "kl/reference_k1", "curriculum/mean_stage")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """PPO with and without FGO."""

    arms: tuple[str, ...] = ("all",)
    """arms by their names, or all"""
    seeds: tuple[int, ...] = (131, 132, 133, 134, 135)
    """each with its own SFT policy and episodes"""
    tokens: int = 240_000
    """generated tokens of each run; learning rates fall linearly to a tenth over them"""
    points: int = 4
    """evaluations on the way, at equal distances in tokens; the last one is at the end"""
    problems: int = 2048
    """training problems of all levels, as in the main job"""
    test_per_level: int = 60
    """test problems of each level, the same for all runs"""
    samples: int = 4
    """sampled programs a test problem; the greedy one besides"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    runs: Path = Path("runs/fgo_learning")
    """folder of checkpoints and logs"""
    out: Path = page.RESULTS / "fgo_learning"
    """path of the results without suffix: .json, .md and .png are written"""

    def __post_init__(self) -> None:
        """Refuses arms that there are none of."""
        self.chosen()

    def chosen(self) -> tuple[str, ...]:
        """The arms that are named.

        Raises:
            UnknownNameError: If one of them is none.
        """
        return arms_named(self.arms, ARMS, {"all": tuple(ARMS)})


def base(args: Args, seed: int) -> int:
    """Makes the SFT policy of a seed, unless it is there; returns the seed."""
    torch.set_num_threads(1)
    fine_tuned(sft.Args(seed=seed, threads=1, out=args.runs / f"sft-{seed}"))
    return seed


def reinforce(args: Args, arm: str, seed: int) -> dict[str, Any]:
    """One PPO run, evaluated on the test split by all tests on the way.

    Args:
        args: The command line.
        arm: Key of :data:`ARMS`.
        seed: Of everything; names the SFT policy as well.

    Returns:
        A row of the results.
    """
    torch.set_num_threads(1)
    settings = ppo.Args(
        model=str(args.runs / f"sft-{seed}"),
        tests=ARMS[arm].tests,
        fgo=ARMS[arm].fgo,
        problems=args.problems,
        anneal=False,  # by tokens instead
        guard=False,
        eval_every=0,
        threads=1,
        workers=1,
        seed=seed,
        out=args.runs / f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}",
    )
    problems = load_split(settings, split="train", size=args.problems, seed=seed)

    def make(settings: ppo.Args, grader: Grader, logger: RunLogger) -> PPOToBudget:
        vocab_size = make_tokenizer(settings.tokenizer).vocab_size
        policy = make_policy(settings, vocab_size=vocab_size, seed=seed)
        return PPOToBudget(settings, policy=policy, problems=problems, grader=grader, logger=logger)

    done = run_to_budget(
        make,
        settings,
        held_out(settings, split="test", per_level=args.test_per_level, seed=0),
        tokens=args.tokens,
        points=args.points,
        samples=args.samples,
        watched=_WATCHED,
    )
    return {"arm": arm, "seed": seed, "curve": done.curve, "cpu_seconds": done.cpu_seconds}


def run(args: Args) -> None:
    """Runs what is missing and reports after each run."""
    args.runs.mkdir(parents=True, exist_ok=True)
    arguments, data = kept_before(args, _DECISIVE)
    rows: list[dict[str, Any]] = data.get("rows", [])
    done = {(row["arm"], row["seed"]) for row in rows}
    # Seed by seed: what is done at any moment compares all arms.
    cells = [(arm, seed) for seed in args.seeds for arm in args.chosen() if (arm, seed) not in done]
    seeds = sorted({seed for _, seed in cells})
    for seed in side_by_side(args.parallel, [(base, args, seed) for seed in seeds]):
        print(f"SFT policy of seed {seed}", flush=True)
    for row in side_by_side(args.parallel, [(reinforce, args, *cell) for cell in cells]):
        rows.append(row)
        rows.sort(key=lambda row: (list(ARMS).index(row["arm"]), row["seed"]))
        print(f"{row['arm']}, seed {row['seed']}: {row['curve'][-1]}", flush=True)
        results = page.environment("fgo_learning", "torch")
        results |= {"arguments": arguments, "rows": rows, "starts": count_starts(args.runs)}
        page.going_on(results, data)
        page.write(args.out, results, lines, draw, quiet=True)


if __name__ == "__main__":
    main(lambda: run(command_line(Args)))
