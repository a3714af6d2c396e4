"""codegym's PPO agent."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Literal

import codegym
from agents import ppo
from agents.policy import CausalLMPolicy
from agents.telemetry import RunLogger
from benchmarks.training_peers.job import Iteration, Job

__all__ = ["run"]


def run(
    job: Job, grader: codegym.Grader, seed: int, judging: Literal["sync", "async"]
) -> list[Iteration]:
    """A block of iterations.

    Args:
        job: What is to be done.
        grader: Judges.
        seed: Of the block.
        judging: Of the vector env.

    Returns:
        One for each iteration after the first.
    """
    args = dataclasses.replace(job.args, judging=judging, seed=seed)
    measured = []
    with tempfile.TemporaryDirectory() as folder, RunLogger(Path(folder), quiet=True) as logger:
        trainer = ppo.PPO(
            args,
            policy=CausalLMPolicy.from_pretrained(job.policy).eval(),
            problems=job.problems,
            grader=grader,
            logger=logger,
        )
        try:
            for _ in range(job.iterations + 1):
                began = time.perf_counter()
                metrics = trainer.iterate()
                seconds = time.perf_counter() - began
                measured.append(_iteration(metrics, seconds, args.episodes, judging))
        finally:
            trainer.close()
    return measured[1:]


def _iteration(metrics: dict[str, float], seconds: float, episodes: int, judging: str) -> Iteration:
    # With synchronous judging a step returns when all that ended in it is judged.
    waiting = metrics["time/waiting" if judging == "async" else "time/environment"]
    stepping = metrics["time/environment"] if judging == "async" else 0.0
    return Iteration(
        tokens=round(metrics["rollout/tokens"] * episodes),
        seconds=seconds,
        generate=metrics["time/generate"] + stepping,
        judge=waiting,
        solved=metrics["rollout/solved"],
    )
