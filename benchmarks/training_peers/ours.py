"""codegym's PPO agent, and GRPO from the agents' parts."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from torch import Tensor

import codegym
from agents import ppo
from agents.advantages import Advantages, group_baseline
from agents.methods.method import GroupSettings, Method
from agents.parallel import Processes
from agents.policy import CausalLMPolicy
from agents.scoring import Scored
from agents.sequences import Sequences
from agents.telemetry import RunLogger
from agents.trainer import Trainer
from benchmarks.training_peers.job import Arm, CpuClock, Job, Share

__all__ = ["run"]


def run(job: Job, arm: Arm, grader: codegym.Grader, seed: int, processes: Processes) -> list[Share]:
    """A block of iterations.

    Args:
        job: What is to be done.
        arm: Trainer and judging.
        grader: Judges.
        seed: Of the block.
        processes: Those that train together.

    Returns:
        What this process did in each.
    """
    args: Any = dataclasses.replace(job.args, judging=arm.judging, seed=seed)
    kind: Any = _PPO
    if arm.trainer == "grpo":
        kind = _GRPO
        both = (GroupSettings, ppo.Args)
        shared = set.intersection(*({f.name for f in dataclasses.fields(each)} for each in both))
        same = {name: getattr(args, name) for name in shared}
        args = GroupSettings(**same, group=job.group)
    parts: dict[str, Any] = {"processes": processes} if processes.count > 1 else {}
    with tempfile.TemporaryDirectory() as folder, RunLogger(Path(folder), silent=True) as logger:
        trainer = kind(
            args,
            policy=CausalLMPolicy.from_pretrained(job.policy).eval(),
            problems=job.problems,
            grader=grader,
            logger=logger,
            **parts,
        )
        clock, shares = CpuClock(), []
        try:
            for _ in range(job.iterations + 1):
                began = time.perf_counter()
                metrics = trainer.iterate()
                seconds = time.perf_counter() - began
                shares.append(
                    Share(
                        **_waiting(metrics, arm),
                        **_written(trainer.written, processes),
                        seconds=seconds,
                        cpu_seconds=clock.lap(),
                    )
                )
        finally:
            trainer.close()
    return shares


class _Watched(Trainer):
    """Keeps what its last rollout wrote."""

    written: Sequences

    def keep_rollouts(self, sequences: Sequences, *columns: Any, **options: Any) -> None:
        """What each iteration is told of its episodes."""
        self.written = sequences
        super().keep_rollouts(sequences, *columns, **options)


class _PPO(_Watched, ppo.PPO):
    """PPO as users have it."""


class _GRPO(_Watched, Method):
    """GRPO (arXiv 2402.03300), as TRL's trainer has it: groups, and no critic."""

    def estimate(self, rewards: Tensor, known: Scored) -> Advantages:
        """Equation 3."""
        return group_baseline()(rewards, known)


def _written(sequences: Sequences, processes: Processes) -> dict[str, Any]:
    """Of this process: those of all come in the order of the processes."""
    here = len(sequences.problem_id) // processes.count
    own = slice(processes.index * here, (processes.index + 1) * here)
    passed = zip(sequences.problem_id[own], sequences.solved[own].tolist(), strict=True)
    return {
        "tokens": int((sequences.length - sequences.start_length)[own].sum()),
        "solved": [problem for problem, solved in passed if solved],
    }


def _waiting(metrics: dict[str, float], arm: Arm) -> dict[str, Any]:
    # With synchronous judging a step returns when all that ended in it is judged.
    apart = arm.judging == "async"
    return {
        "generate": metrics["time/generate"] + (metrics["time/environment"] if apart else 0.0),
        "judge": metrics["time/waiting" if apart else "time/environment"],
    }
