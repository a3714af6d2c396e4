"""How fast is stepping? One environment, many, Gymnasium's own over ours, and what is possible.

All in one run, taking turns in short blocks. Judging is out of it: see
`benchmarks/stepping_peers/ours.py`.

    git clone https://github.com/allenai/RL4LMs
    python -m benchmarks.stepping --rl4lms RL4LMs

Without `--rl4lms` the row of `TextGenEnv` is left out, and the page says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import tyro

from benchmarks import page
from benchmarks import stepping_report as report
from benchmarks.stepping_peers import floor, memory, ours
from benchmarks.stepping_peers.contender import Contender, Lengths, take_turns
from benchmarks.stepping_peers.rl4lms import text_gen_env

_LENGTHS = (Lengths(64, 48), Lengths(512, 256), Lengths(1024, 512))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Speed of stepping."""

    rl4lms: Path | None = None
    """checkout of RL4LMs; its TextGenEnv takes part"""
    rounds: int = 15
    """blocks of each contender"""
    block_seconds: float = 0.05
    """length of a block; one step where that takes longer"""
    num_envs: tuple[int, ...] = (64, 1024, 4096, 8192)
    """sub-environments of the vector environment"""
    synchronous: tuple[int, ...] = (64, 1024)
    """of Gymnasium's SyncVectorEnv"""
    asynchronous: int = 8
    """of Gymnasium's AsyncVectorEnv, a process each; 0 leaves it out"""
    out: Path = page.RESULTS / "stepping"
    """path of the results without suffix: .json and .md are written"""


def groups(args: Args) -> Iterator[tuple[str, int, list[Contender]]]:
    """Lengths, sub-environments (0: single), and those that take turns with each other."""
    for lengths in _LENGTHS:
        singles = [
            ours.single(lengths, copy=False),
            ours.single(lengths, copy=True),
            ours.single(lengths, copy=True, wrapped=True),
            floor.function(lengths),
        ]
        if args.rl4lms is not None:
            singles.append(text_gen_env(args.rl4lms, lengths))
        yield str(lengths), 0, singles
        if args.asynchronous:
            make = (ours.asynchronous, ours.synchronous)
            pair = [one(lengths, args.asynchronous, copy=False) for one in make]
            yield str(lengths), args.asynchronous, pair
        for num_envs in args.num_envs:
            yield str(lengths), num_envs, list(_vectors(args, lengths, num_envs))


def _vectors(args: Args, lengths: Lengths, num_envs: int) -> Iterator[Contender]:
    for judging in ("sync", "async"):
        for copy in (False, True):
            yield ours.vector(lengths, num_envs, judging=judging, copy=copy)
    if num_envs in args.synchronous:
        yield ours.synchronous(lengths, num_envs, copy=False)
        yield ours.synchronous(lengths, num_envs, copy=True)
    if lengths is _LENGTHS[0] and num_envs <= 1024:
        yield ours.whole_episodes(lengths, num_envs, judging="sync")
        yield ours.whole_episodes(lengths, num_envs, judging="async")
    yield floor.scatter(lengths, num_envs)
    yield floor.copies(lengths, num_envs)


def main(args: Args) -> None:
    """Measures, and writes the results."""
    results = page.environment("stepping", "numpy", "gymnasium")
    rows = []
    for key, num_envs, contenders in groups(args):
        take_turns(contenders, rounds=args.rounds, block_seconds=args.block_seconds)
        rows += [
            {
                "lengths": key,
                "num_envs": num_envs,
                "name": one.name,
                "seconds": one.median,
                "token_steps_per_second": one.tokens_per_second,
                "blocks": one.seconds,
            }
            for one in contenders
        ]
    sizes = [memory.taken(lengths, 1024) for lengths in _LENGTHS]
    per_token = memory.bytes_per_token(sizes, _LENGTHS, 1024)
    results |= {
        "rounds": args.rounds,
        "bars": [bar._asdict() for bar in report.bars(rows, per_token)],
        "memory": {str(k): size / 1024 for k, size in zip(_LENGTHS, sizes, strict=True)},
        "bytes_per_token": per_token,
        "rows": rows,
    }
    page.write(args.out, results, report.lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
