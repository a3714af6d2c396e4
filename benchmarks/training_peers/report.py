"""What was measured against the bars, as plain data and as a page."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.intervals import Interval, median_of_ratios
from benchmarks.training_peers.job import Iteration, Job

__all__ = ["ASYNC", "SYNC", "TRL", "as_json", "page", "rate"]

ASYNC = "codegym PPO"
SYNC = "codegym PPO, synchronous judging"
TRL = "TRL GRPOTrainer"
_AT_LEAST = 1.5
_WAITING = 0.05

Blocks = Mapping[str, Sequence[Sequence[Iteration]]]


def rate(block: Sequence[Iteration]) -> float:
    """Generated tokens per second of wall time."""
    return sum(one.tokens for one in block) / sum(one.seconds for one in block)


def ratio(rates: Blocks, ours: str, theirs: str) -> Interval:
    """How many times as fast, from paired blocks."""
    return median_of_ratios(list(map(rate, rates[ours])), list(map(rate, rates[theirs])))


def waiting_share(iterations: Sequence[Iteration]) -> float:
    """Of the rollouts' wall time, which is writing and waiting."""
    waited = sum(one.judge for one in iterations)
    return waited / (waited + sum(one.generate for one in iterations))


def as_json(rates: Blocks, waits: Mapping[str, Sequence[Iteration]]) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        "rounds": {
            name: [list(map(dataclasses.asdict, block)) for block in blocks]
            for name, blocks in rates.items()
        },
        "waiting": {name: list(map(dataclasses.asdict, rows)) for name, rows in waits.items()},
    }


def page(rates: Blocks, waits: Mapping[str, Sequence[Iteration]], *, command: str, job: Job) -> str:
    """The page of results.

    Args:
        rates: Blocks of each trainer.
        waits: Iterations of codegym's PPO on each set of problems.
        command: How it was called.
        job: What was trained.
    """
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    if TRL in rates:
        import trl  # where it was given

        versions += f", TRL {trl.__version__}"
    args = job.args
    lines = [
        "# Speed of training",
        "",
        f"`{command}`; Python {platform.python_version()}, "
        f"{versions}, {os.cpu_count()} CPUs, {args.threads} threads of torch.",
        "",
        "| bar | reached (95 % interval) | met |",
        "|---|---|---|",
        *_bars(rates, waits),
        "",
        f"An iteration: {args.episodes} programs of at most {args.max_new_tokens} tokens are "
        f"written, judged, and trained on for {args.epochs} epochs of {args.minibatches} "
        "optimiser steps, against a frozen reference. codegym learns a value function as well, "
        "computes coverage masks and its telemetry; TRL writes 8 programs a prompt. Blocks take "
        "turns and begin with the same fine-tuned weights; each block's first iteration is not "
        "counted. A token is counted once, when it is generated.",
        "",
        "*Generate*: model, sampling and environment steps (TRL: its model's `generate`). *Judge*: "
        "nothing is done but wait for grades. *Update*: all the rest.",
        "",
        "| trainer | tokens/s | tokens an iteration | s an iteration | generate | judge | update "
        "| solved |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(name, [one for block in blocks for one in block]) for name, blocks in rates.items()),
        "",
        "## Waiting for grades",
        "",
        "Share of a rollout's wall time in which every program is written and some grade is still "
        "out, with asynchronous judging; log-probabilities are computed meanwhile.",
        "",
        "| problems | iterations | programs that pass | s a rollout | waiting |",
        "|---|---|---|---|---|",
        *(_waiting_row(name, rows) for name, rows in waits.items()),
        "",
    ]
    return "\n".join(lines)


def _bars(rates: Blocks, waits: Mapping[str, Sequence[Iteration]]) -> list[str]:
    rows = []
    if TRL in rates:
        reached = ratio(rates, ASYNC, TRL)
        met = _word(reached.value >= _AT_LEAST)
        rows.append(f"| tokens/s at least {_AT_LEAST} x TRL's | {reached} x | {met} |")
    else:
        rows.append(f"| tokens/s at least {_AT_LEAST} x TRL's | not measured: no TRL | |")
    rows.append(f"| asynchronous against synchronous judging | {ratio(rates, ASYNC, SYNC)} x | |")
    for name, iterations in waits.items():
        share = waiting_share(iterations)
        rows.append(
            f"| {name}: at most {100 * _WAITING:.0f} % of a rollout waits for grades | "
            f"{100 * share:.1f} % | {_word(share <= _WAITING)} |"
        )
    return rows


def _word(met: bool) -> str:
    return "yes" if met else "**no**"


def _row(name: str, iterations: Sequence[Iteration]) -> str:
    def mean(what: str) -> float:
        return float(np.mean([getattr(one, what) for one in iterations]))

    split = " | ".join(f"{mean(what):.2f}" for what in ("generate", "judge", "update"))
    return (
        f"| {name} | {rate(iterations):.0f} | {mean('tokens'):.0f} | {mean('seconds'):.2f} | "
        f"{split} | {100 * mean('solved'):.0f} % |"
    )


def _waiting_row(name: str, iterations: Sequence[Iteration]) -> str:
    seconds = float(np.mean([one.generate + one.judge for one in iterations]))
    solved = float(np.mean([one.solved for one in iterations]))
    return (
        f"| {name} | {len(iterations)} | {100 * solved:.0f} % | {seconds:.2f} | "
        f"{100 * waiting_share(iterations):.1f} % |"
    )
