"""The results of the benchmark of training: its bars, and a page, from what the JSON file has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import page
from benchmarks.intervals import Interval, median_of_ratios
from benchmarks.page import Bar
from benchmarks.training_peers.job import Arm

__all__ = ["ARMS", "PPO", "lines", "rate"]

PPO, _SYNC, _GRPO = "codegym PPO", "codegym PPO, synchronous judging", "codegym GRPO"
_TRL, _TWO = "TRL GRPOTrainer", ", 2 processes"
ARMS: Mapping[str, Arm] = {
    PPO: Arm("ppo"),
    _SYNC: Arm("ppo", judging="sync"),
    _GRPO: Arm("grpo"),
    _TRL: Arm("trl"),
    PPO + _TWO: Arm("ppo", processes=2),
    _TRL + _TWO: Arm("trl", processes=2),
}
_AT_LEAST = 2.0
_WAITING = 0.05

Iterations = Sequence[Mapping[str, float]]
"""Fields of :class:`~benchmarks.training_peers.job.Iteration`."""
Blocks = Mapping[str, Sequence[Iterations]]


def rate(block: Iterations) -> float:
    """Generated tokens per second of wall time."""
    return sum(one["tokens"] for one in block) / sum(one["seconds"] for one in block)


def _found(block: Iterations) -> float:
    """Problems newly solved per second of CPU time."""
    return sum(one["newly_solved"] for one in block) / sum(one["cpu_seconds"] for one in block)


def _ratio(
    blocks: Blocks, ours: str, theirs: str, of: Callable[[Iterations], float] = rate
) -> Interval:
    """How many times as much, from paired blocks."""
    return median_of_ratios(list(map(of, blocks[ours])), list(map(of, blocks[theirs])))


def _waiting_share(iterations: Iterations) -> float:
    """The share of the rollouts' wall time, which is writing and waiting, that is waiting."""
    waited = sum(one["judge"] for one in iterations)
    return waited / (waited + sum(one["generate"] for one in iterations))


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    blocks, waits, args = results["rounds"], results["waiting"], results["ppo"]
    asked = (
        "How many tokens a second do codegym's PPO and a GRPO from its parts train on, beside "
        f"TRL's GRPOTrainer on the same job, with {args['threads']} threads of torch or as many "
        "processes of one thread? And how long does a rollout wait for grades?"
    )
    yield from page.head("Speed of training", asked, results)
    yield from page.bars(_bars(blocks, waits))
    yield from (
        "",
        f"An iteration: {args['episodes']} programs of at most {args['max_new_tokens']} tokens are "
        f"written, judged, and trained on; epochs: {args['epochs']}, of {args['minibatches']} "
        "optimiser steps each, against a frozen reference. GRPO writes "
        f"{results['group']} programs a prompt; PPO writes one and learns a value function as "
        "well. codegym computes coverage masks and its telemetry in all arms. Blocks take turns, "
        "each in processes of its own, and begin with the same fine-tuned weights; the first "
        "iteration of each is not counted. A token is counted once, when it is generated; a "
        "problem is newly solved when a program for it passes for the first time since its block "
        "began; CPU seconds are those of all processes, the graders' included.",
        "",
        "*Generate*: model, sampling and environment steps (TRL: its model's `generate`). *Judge*: "
        "nothing is done but wait for grades. *Update*: all the rest.",
        "",
    )
    columns = ("trainer", "tokens/s", "tokens an iteration", "s an iteration")
    ends = ("CPU s an iteration", "newly solved an iteration")
    yield from page.table(
        (*columns, "generate", "judge", "update", "solved", *ends),
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
    groups = f"tokens/s at least {_AT_LEAST:.0f} x TRL's, GRPO with the same groups"
    if _TRL in blocks:
        reached = _ratio(blocks, _GRPO, _TRL)
        yield Bar(groups, f"{reached} x", *_met(reached))
        newly = _ratio(blocks, _GRPO, _TRL, _found)
        what = f"problems newly solved a CPU second at least {_AT_LEAST:.0f} x TRL's, likewise"
        yield Bar(what, f"{newly} x", *_met(newly))
        both = _ratio(blocks, PPO + _TWO, _TRL + _TWO)
        what = f"tokens/s at least {_AT_LEAST:.0f} x TRL's, PPO, both with 2 processes"
        yield Bar(what, f"{both} x", *_met(both))
        yield Bar("tokens/s, PPO against TRL", f"{_ratio(blocks, PPO, _TRL)} x", None)
        two = _ratio(blocks, _TRL + _TWO, _TRL)
        yield Bar("TRL: 2 processes of one thread against 2 threads", f"{two} x", None)
    else:
        yield Bar(groups, "not measured: no TRL", None)
    two = _ratio(blocks, PPO + _TWO, PPO)
    yield Bar("PPO: 2 processes of one thread against 2 threads", f"{two} x", None)
    yield Bar("asynchronous against synchronous judging", f"{_ratio(blocks, PPO, _SYNC)} x", None)
    for name, iterations in waits.items():
        share = _waiting_share(iterations)
        what = f"{name}: at most {100 * _WAITING:.0f} % of a rollout waits for grades"
        yield Bar(what, f"{100 * share:.1f} %", share <= _WAITING)


def _met(reached: Interval) -> tuple[bool, bool]:
    """Whether it reaches the bar, and whether its whole interval does."""
    return reached.value >= _AT_LEAST, reached.low >= _AT_LEAST


def _row(name: str, iterations: Iterations) -> list[str]:
    mean = {key: float(np.mean([one[key] for one in iterations])) for key in iterations[0]}
    update = mean["seconds"] - mean["generate"] - mean["judge"]
    return [
        *(name, f"{rate(iterations):.0f}", f"{mean['tokens']:.0f}", f"{mean['seconds']:.2f}"),
        *(f"{part:.2f}" for part in (mean["generate"], mean["judge"], update)),
        *(f"{100 * mean['solved']:.0f} %", f"{mean['cpu_seconds']:.2f}"),
        f"{mean['newly_solved']:.1f}",
    ]


def _waiting(name: str, iterations: Iterations) -> list[object]:
    seconds = float(np.mean([one["generate"] + one["judge"] for one in iterations]))
    solved = float(np.mean([one["solved"] for one in iterations]))
    share = f"{100 * _waiting_share(iterations):.1f} %"
    return [name, len(iterations), f"{100 * solved:.0f} %", f"{seconds:.2f}", share]
