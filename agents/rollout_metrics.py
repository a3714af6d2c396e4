"""What a rollout brought and what it cost, as numbers to log."""

from __future__ import annotations

import numpy as np

from agents.rollout import Rollout

__all__ = ["rollout_metrics"]


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """What a rollout brought and what it cost, as named scalars.

    Args:
        rollout: At least one episode.

    Returns:
        ``rollout/...``, ``verdict/...`` and ``time/...``.
    """
    sequences, cost = rollout
    tokens = (sequences.length - sequences.start_length).float()
    metrics = {
        "rollout/reward": float(sequences.reward.mean()),
        "rollout/solved": float(sequences.solved.float().mean()),
        "rollout/truncated": float(sequences.truncated.float().mean()),
        "rollout/tokens": float(tokens.mean()),
        "time/generate": cost.generate_seconds,
        "time/environment": cost.environment_seconds,
        "time/waiting": cost.waiting_seconds,
        "time/waiting_share": cost.waiting_seconds / cost.seconds,
    }
    at_stage_0 = (sequences.stage == 0).tolist()
    solved = sequences.solved.tolist()
    from_empty = [s for s, empty in zip(solved, at_stage_0, strict=True) if empty]
    if from_empty:
        metrics["rollout/solved_from_empty"] = float(np.mean(from_empty))
    for level in set(sequences.difficulty):
        rows = [s for s, d in zip(solved, sequences.difficulty, strict=True) if d == level]
        metrics[f"rollout/solved_{level}"] = float(np.mean(rows))
    for verdict in set(sequences.verdict):
        share = sequences.verdict.count(verdict) / len(solved)
        metrics[f"verdict/{verdict}"] = share
    return metrics
