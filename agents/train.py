"""The main job: imitate a weak coder, then become better than it.

1. SFT on Mini's training split, on programs with typical mistakes.
2. Evaluation on the test split, greedy and sampled.
3. PPO with CCCS start states and FGO loss masks, watched on the validation split.
4. Evaluation on the test split again; a table, ``results.json`` and ``learning_curve.png``.

The test split decides nothing here: every choice was made on the validation split.

    python -m agents.train --out runs/train
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import torch
import tyro

import codegym
from agents import ppo, sft
from agents.curves import plot_run
from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.evaluate import Evaluation, evaluate, evaluation_table, held_out
from agents.policy import CausalLMPolicy
from agents.rollout import Sampling
from agents.stages import stage_histogram
from agents.telemetry import RunLogger, read_scalars
from codegym.problems import ProblemSet
from codegym.tokenization import Tokenizer

__all__ = ["Args", "main"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """SFT, PPO and their evaluation, within ten minutes on two CPU cores."""

    out: Path = Path("runs/train")
    """gets everything that the run writes"""
    seed: int = 0
    """of everything"""
    threads: int = 2
    """of torch"""
    sft_seconds: float = 118.0
    """supervised fine-tuning"""
    ppo_seconds: float = 365.0
    """PPO, its evaluations not counted"""
    test_per_level: int = 300
    """test problems a difficulty"""
    validation_per_level: int = 60
    """validation problems a difficulty, for the learning curve"""
    eval_every: int = 40
    """iterations between points of the learning curve"""
    sft: sft.Args = dataclasses.field(default_factory=sft.Args)
    """further settings of SFT"""
    ppo: ppo.Args = dataclasses.field(default_factory=ppo.Args)
    """further settings of PPO"""


def main(args: Args) -> dict[str, dict[str, Evaluation]]:
    """Runs the whole job.

    Args:
        args: The command line.

    Returns:
        The evaluations on the test split: ``"SFT"`` and ``"PPO"``, each ``"greedy"`` and
        ``"sampled"``.
    """
    torch.set_num_threads(args.threads)
    began = time.perf_counter()
    results: dict[str, dict[str, Evaluation]] = {}
    sft_args = dataclasses.replace(
        args.sft,
        seed=args.seed,
        threads=args.threads,
        seconds=args.sft_seconds,
        out=args.out / "sft",
    )
    ppo_args = dataclasses.replace(
        args.ppo,
        seed=args.seed,
        threads=args.threads,
        seconds=args.ppo_seconds,
        eval_every=args.eval_every,
        eval_per_level=args.validation_per_level,
        out=args.out / "ppo",
    )
    tokenizer = make_tokenizer(ppo_args.tokenizer)
    test = held_out(ppo_args, split="test", per_level=args.test_per_level, seed=args.seed)
    with RunLogger(args.out) as logger, make_grader(ppo_args) as grader:
        policy = sft.run(sft_args, logger)
        logger.end_progress()
        results["SFT"] = _test(ppo_args, policy, test, grader, tokenizer, args.seed)
        logger.show(evaluation_table("after SFT, test split, pass@1 in %", results["SFT"]))
        with RunLogger(ppo_args.out, quiet=True) as ppo_logger:
            stages = _reinforce(ppo_args, policy, grader, logger, ppo_logger)
        results["PPO"] = _test(ppo_args, policy, test, grader, tokenizer, args.seed)
        _report(args, results, stages, time.perf_counter() - began, logger)
    return results


def _test(
    args: ppo.Args,
    policy: CausalLMPolicy,
    problems: ProblemSet,
    grader: codegym.Grader,
    tokenizer: Tokenizer,
    seed: int,
) -> dict[str, Evaluation]:
    envs = make_envs(args, problems, start="empty", grader=grader, tokenizer=tokenizer)
    try:
        return {
            "greedy": evaluate(policy, envs, problems, sampling=Sampling(0.0), seed=seed),
            "sampled": evaluate(policy, envs, problems, sampling=Sampling(1.0), seed=seed),
        }
    finally:
        envs.close()


def _reinforce(
    args: ppo.Args,
    policy: CausalLMPolicy,
    grader: codegym.Grader,
    logger: RunLogger,
    ppo_logger: RunLogger,
) -> dict[int, int]:
    """PPO; returns the number of training problems at each stage at its end."""
    problems = load_split(args, split=args.split, size=args.problems, seed=args.seed)
    trainer = ppo.Trainer(
        args, policy=policy, problems=problems, grader=grader, logger=ppo_logger, screen=logger
    )
    try:
        trainer.train()
        stages = stage_histogram(trainer.start_states, trainer.envs, problems)
    finally:
        trainer.close()
    share = ", ".join(f"stage {s}: {100 * n / len(problems):.0f} %" for s, n in stages.items())
    logger.note(
        f"PPO: {trainer.iteration} iterations, {trainer.episodes} episodes in "
        f"{trainer.seconds:.0f} s. Start states at the end: {share} (stage 0: empty prefix)."
    )
    return stages


def _report(
    args: Args,
    results: dict[str, dict[str, Evaluation]],
    stages: dict[int, int],
    seconds: float,
    logger: RunLogger,
) -> None:
    rows = {
        f"{phase} {mode}": result
        for phase, modes in results.items()
        for mode, result in modes.items()
    }
    logger.show(evaluation_table("CodeGen-Mini, test split, pass@1 in % [95 %]", rows))
    gains = {
        mode: 100 * (results["PPO"][mode].mean_pass_at_1 - before.mean_pass_at_1)
        for mode, before in results["SFT"].items()
    }
    logger.note(
        f"Gain of the mean over levels: sampled {gains['sampled']:+.1f} points, greedy "
        f"{gains['greedy']:+.1f} points. {seconds:.0f} s in all; see {args.out}."
    )
    data = {
        "arguments": dataclasses.asdict(args),
        "seconds": seconds,
        "gain_in_points": gains,
        "problems_by_stage": stages,
        "test": {
            phase: {mode: result.to_json() for mode, result in modes.items()}
            for phase, modes in results.items()
        },
    }
    (args.out / "results.json").write_text(json.dumps(data, indent=1, default=str) + "\n")
    plot_run(
        read_scalars(args.out / "ppo"),
        args.out / "learning_curve.png",
        title="PPO with CCCS and FGO on CodeGen-Mini",
    )


if __name__ == "__main__":
    main(tyro.cli(Args))
