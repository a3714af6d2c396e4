"""The results of the benchmark of training: its bars, and a page, from what the JSON file has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import page
from benchmarks.intervals import Interval, median_of_ratios
from benchmarks.page import Bar

__all__ = ["ASYNC", "SYNC", "TRL", "lines", "rate"]

ASYNC = "codegym PPO"
SYNC = "codegym PPO, synchronous judging"
TRL = "TRL GRPOTrainer"
_AT_LEAST = 1.5
_WAITING = 0.05

Iterations = Sequence[Mapping[str, float]]
"""Fields of :class:`~benchmarks.training_peers.job.Iteration`."""
Blocks = Mapping[str, Sequence[Iterations]]


def rate(block: Iterations) -> float:
    """Generated tokens per second of wall time."""
    return sum(one["tokens"] for one in block) / sum(one["seconds"] for one in block)


def _ratio(blocks: Blocks, ours: str, theirs: str) -> Interval:
    """How many times as fast, from paired blocks."""
    return median_of_ratios(list(map(rate, blocks[ours])), list(map(rate, blocks[theirs])))


def _waiting_share(iterations: Iterations) -> float:
    """The share of the rollouts' wall time, which is writing and waiting, that is waiting."""
    waited = sum(one["judge"] for one in iterations)
    return waited / (waited + sum(one["generate"] for one in iterations))


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    blocks, waits, args = results["rounds"], results["waiting"], results["ppo"]
    asked = (
        "How many tokens a second does codegym's PPO train on, beside TRL's GRPOTrainer on the "
        f"same job, with {args['threads']} threads of torch? And how long does a rollout wait for "
        "grades?"
    )
    yield from page.head("Speed of training", asked, results)
    yield from page.bars(_bars(blocks, waits))
    yield from (
        "",
        f"An iteration: {args['episodes']} programs of at most {args['max_new_tokens']} tokens are "
        f"written, judged, and trained on for {args['epochs']} epochs of {args['minibatches']} "
        "optimiser steps, against a frozen reference. codegym learns a value function as well, "
        "computes coverage masks and its telemetry; TRL writes 8 programs a prompt. Blocks take "
        "turns and begin with the same fine-tuned weights; each block's first iteration is not "
        "counted. A token is counted once, when it is generated.",
        "",
        "*Generate*: model, sampling and environment steps (TRL: its model's `generate`). *Judge*: "
        "nothing is done but wait for grades. *Update*: all the rest.",
        "",
    )
    columns = ("trainer", "tokens/s", "tokens an iteration", "s an iteration")
    yield from page.table(
        (*columns, "generate", "judge", "update", "solved"),
        (_row(name, [i for block in mine for i in block]) for name, mine in blocks.items()),
    )
    yield from (
        "",
        "## Waiting for grades",
        "",
        "Share of a rollout's wall time in which every program is written and some grade is still "
        "out, with asynchronous judging; log-probabilities are computed meanwhile.",
        "",
    )
    columns = ("problems", "iterations", "programs that pass", "s a rollout")
    yield from page.table((*columns, "waiting"), (_waiting(*each) for each in waits.items()))


def _bars(blocks: Blocks, waits: Mapping[str, Iterations]) -> Iterator[Bar]:
    what = f"tokens/s at least {_AT_LEAST} x TRL's"
    if TRL in blocks:
        reached = _ratio(blocks, ASYNC, TRL)
        yield Bar(what, f"{reached} x", reached.value >= _AT_LEAST)
    else:
        yield Bar(what, "not measured: no TRL", None)
    yield Bar("asynchronous against synchronous judging", f"{_ratio(blocks, ASYNC, SYNC)} x", None)
    for name, iterations in waits.items():
        share = _waiting_share(iterations)
        what = f"{name}: at most {100 * _WAITING:.0f} % of a rollout waits for grades"
        yield Bar(what, f"{100 * share:.1f} %", share <= _WAITING)


def _row(name: str, iterations: Iterations) -> list[str]:
    mean = {key: float(np.mean([one[key] for one in iterations])) for key in iterations[0]}
    update = mean["seconds"] - mean["generate"] - mean["judge"]
    return [
        *(name, f"{rate(iterations):.0f}", f"{mean['tokens']:.0f}", f"{mean['seconds']:.2f}"),
        *(f"{part:.2f}" for part in (mean["generate"], mean["judge"], update)),
        f"{100 * mean['solved']:.0f} %",
    ]


def _waiting(name: str, iterations: Iterations) -> list[object]:
    seconds = float(np.mean([one["generate"] + one["judge"] for one in iterations]))
    solved = float(np.mean([one["solved"] for one in iterations]))
    share = f"{100 * _waiting_share(iterations):.1f} %"
    return [name, len(iterations), f"{100 * solved:.0f} %", f"{seconds:.2f}", share]
