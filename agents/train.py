"""The main job: imitate a weak coder, then become better than it.

1. SFT on Mini's training split, on programs with typical mistakes.
2. Evaluation on the test split, greedy and sampled.
3. PPO with CCCS start states and FGO loss masks, watched on the validation split.
4. Evaluation on the test split again, of the last policy and of the one that the validation split
   chose; a table, ``results.json`` and ``learning_curve.png``.

Budgets are steps and iterations, so a slow machine learns the same as a fast one. The test split
decides nothing here: the validation split chooses the best policy. The command fails, with exit
status 1, if the last policy is not better than the one before PPO.

    python -m agents.train --out runs/train
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents import ppo, sft
from agents.command import command_line, main, refuse_set_elsewhere, set_up_torch
from agents.curves import plot_run
from agents.environments import make_grader, make_tokenizer
from agents.evaluate import Evaluation, evaluation_table, greedy_and_sampled, held_out
from agents.policy import CausalLMPolicy
from agents.stages import stage_histogram
from agents.telemetry import RunLogger, read_scalars

__all__ = ["Args", "Results", "gains", "train"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """SFT, PPO and their evaluation, in some ten minutes on two CPU cores."""

    out: Path = Path("runs/train")
    """gets everything that the run writes"""
    seed: int = 0
    """of everything"""
    threads: int = 1
    """of torch, for each of the two models that PPO computes at once, and of the two halves of a
    batch in SFT"""
    test_per_level: int = 300
    """test problems a difficulty"""
    sft: sft.Args = dataclasses.field(default_factory=sft.Args)
    """settings of SFT"""
    ppo: ppo.Args = dataclasses.field(default_factory=ppo.Args)
    """settings of PPO"""

    def __post_init__(self) -> None:
        """Refuses what would have no effect."""
        refuse_set_elsewhere(self.sft, "sft", ("out", "seed", "threads"))
        refuse_set_elsewhere(self.ppo, "ppo", ("out", "seed", "threads", "model"))


Results = dict[str, dict[str, Evaluation]]
"""Evaluations on the test split by phase (``"SFT"``, ``"PPO, last"``, ``"PPO, best"``) and mode
(``"greedy"``, ``"sampled"``)."""


def train(args: Args) -> Results:
    """Runs the whole job.

    Args:
        args: The command line.

    Returns:
        The evaluations on the test split.

    Raises:
        RunawayError: If PPO ran away again and again. What was learned until then is kept.
    """
    set_up_torch(args.threads)
    began = time.perf_counter()
    results: Results = {}
    shared: Any = {"seed": args.seed, "threads": args.threads}
    sft_args = dataclasses.replace(args.sft, out=args.out / "sft", **shared)
    ppo_args = dataclasses.replace(
        args.ppo, model=str(sft_args.out), out=args.out / "ppo", **shared
    )
    tokenizer = make_tokenizer(ppo_args.tokenizer, ppo_args.prompt_format)
    test = held_out(ppo_args, split="test", per_level=args.test_per_level, seed=args.seed)
    with RunLogger(args.out) as logger, make_grader(ppo_args) as grader:
        tested = functools.partial(
            greedy_and_sampled,
            settings=ppo_args,
            problems=test,
            grader=grader,
            tokenizer=tokenizer,
            seed=args.seed,
        )
        policy = sft.run(sft_args, logger)
        logger.end_progress()
        results["SFT"] = tested(policy)
        logger.show(evaluation_table("after SFT, test split, pass@1 in %", results["SFT"]))
        with RunLogger(ppo_args.out, quiet=True) as ppo_logger:
            run = ppo.run(ppo_args, ppo_logger, screen=logger, grader=grader)
        results["PPO, last"] = tested(run.policy)
        if run.guard.state.best_iteration == run.iteration or not ppo_args.eval_every:
            results["PPO, best"] = results["PPO, last"]
        else:
            policy = CausalLMPolicy.from_pretrained(ppo_args.out / "policy").eval()
            results["PPO, best"] = tested(policy)
        settings = {
            **dataclasses.asdict(args),
            "sft": dataclasses.asdict(sft_args),
            "ppo": dataclasses.asdict(ppo_args),
        }
        _report(args.out, settings, results, run, time.perf_counter() - began, logger)
    return results


def gains(results: Results) -> dict[str, float]:
    """What PPO's last policy is above SFT's.

    Args:
        results: Of :func:`train`.

    Returns:
        Mode -> points of pass@1, mean of the levels.
    """
    return {
        mode: 100 * (results["PPO, last"][mode].mean_pass_at_1 - before.mean_pass_at_1)
        for mode, before in results["SFT"].items()
    }


def _report(
    out: Path,
    settings: Mapping[str, Any],
    results: Results,
    run: ppo.PPO,
    seconds: float,
    logger: RunLogger,
) -> None:
    task = settings["ppo"]["env_id"]
    rows = {
        f"{phase}: {mode}": result
        for phase, modes in results.items()
        for mode, result in modes.items()
    }
    logger.show(evaluation_table(f"{task}, test split, pass@1 in % [95 %]", rows))
    stages = stage_histogram(run.start_states, run.envs, run.problems)
    total = sum(stages.values())
    shares = ", ".join(f"stage {stage}: {100 * n / total:.0f} %" for stage, n in stages.items())
    gained = gains(results)
    logger.note(
        f"Start states at the end: {shares or 'none'} (stage 0: empty prefix).\n"
        f"Gain of the last policy, mean of the levels: sampled {gained['sampled']:+.1f} points, "
        f"greedy {gained['greedy']:+.1f} points; PPO went back {len(run.guard.state.returns)} "
        f"times. {seconds:.0f} s in all; see {out}, or its curves and rollouts as a page: "
        f"codegym view {out}"
    )
    data = {
        "arguments": settings,
        "seconds": seconds,
        "gain_in_points": gained,
        "returns": run.guard.state.returns,
        "best_iteration": run.guard.state.best_iteration,
        "problems_by_stage": stages,
        "test": {
            phase: {mode: result.to_json() for mode, result in modes.items()}
            for phase, modes in results.items()
        },
    }
    (out / "results.json").write_text(json.dumps(data, indent=1, default=str) + "\n")
    plot_run(
        read_scalars(out / "ppo"),
        out / "learning_curve.png",
        title=f"PPO on {task}",
    )


def _main() -> int:
    gained = gains(train(command_line(Args)))
    if sum(gained.values()) > 0.0:
        return 0
    print(
        "PPO did not make the policy better: greedy and sampled pass rate together are not above "
        "those after SFT.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    main(_main)
