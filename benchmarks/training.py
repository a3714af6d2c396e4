r"""Tokens per second of training: codegym's PPO, and TRL's GRPOTrainer on the same job.

Both get the same weights, problems, lengths, batch, epochs, minibatches and KL coefficient, and the
same grader; they take turns in blocks of a few iterations that begin with the same weights. Then:
how much of a rollout's wall time the agent waits for grades, on Mini and on LeetCode's problems.

    pip install --target trl --no-deps trl==1.16.0 accelerate datasets pyarrow dill multiprocess \
        xxhash httpx pandas python-dateutil six pytz tzdata aiohttp multidict yarl frozenlist \
        propcache aiosignal aiohappyeyeballs attrs
    PYTHONPATH=trl python -m benchmarks.training --data FOLDER

Where TRL cannot be imported, or without `--data`, the parts that need them are left out, and the
page says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import tempfile
from pathlib import Path

import torch
import tyro

import codegym
from agents import ppo, sft
from agents.environments import fitting, load_split, make_grader, make_tokenizer
from benchmarks import page
from benchmarks import training_report as report
from benchmarks.training_peers import ours
from benchmarks.training_peers.job import Iteration, Job
from benchmarks.turns import rotated

_LEETCODE = Path("leetcode_as_appsplus.json.gz")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Speed of training."""

    data: Path | None = None
    """folder of the data sets"""
    rounds: int = 5
    """blocks of each trainer"""
    iterations: int = 3
    """measured in a block, after one that warms up"""
    sft_steps: int = 4000
    """fine-tuning before it, so that programs are programs; once for each set of problems"""
    threads: int = 2
    """of torch, for all"""
    seed: int = 0
    """of everything"""
    ppo: ppo.Args = dataclasses.field(
        default_factory=lambda: ppo.Args(
            start="empty", critic="head", anneal=False, warmup_updates=0, eval_every=0
        )
    )
    """the job"""
    out: Path = page.RESULTS / "training"
    """path of the results without suffix: .json and .md are written"""


def main(args: Args) -> None:
    """Measures, and writes the results."""
    results = page.environment("training", "torch", "transformers", "trl")
    torch.set_num_threads(args.threads)
    blocks: dict[str, list[list[dict[str, float]]]] = {}
    waits: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        mini = _job(args, args.ppo, Path(folder) / "mini")
        with contextlib.ExitStack() as stack:
            # A grader for each: with the cache of another that wrote the same programs, nothing
            # would be left to judge.
            names = [report.ASYNC, report.SYNC]
            names += [report.TRL] if importlib.util.find_spec("trl") else []
            graders = {name: stack.enter_context(make_grader(mini.args)) for name in names}
            for number in range(args.rounds):
                for name in rotated(names, number):
                    block = _measured(_run(name, mini, graders[name], args.seed + number))
                    blocks.setdefault(name, []).append(block)
                    print(f"round {number + 1}/{args.rounds}: {name}: {report.rate(block):.0f}/s")
        waits["Mini"] = [one for block in blocks[report.ASYNC] for one in block]
        if args.data is not None:
            leetcode = _job(args, _on_leetcode(args), Path(folder) / "leetcode")
            with make_grader(leetcode.args) as grader:
                found = ours.run(leetcode, grader, args.seed, "async")
                waits["leetcode_as_appsplus"] = _measured(found)
    results |= {"ppo": dataclasses.asdict(mini.args), "rounds": blocks, "waiting": waits}
    page.write(args.out, results, report.lines)


def _measured(block: list[Iteration]) -> list[dict[str, float]]:
    return list(map(dataclasses.asdict, block))


def _run(name: str, job: Job, grader: codegym.Grader, seed: int) -> list[Iteration]:
    if name == report.TRL:
        # Not an import statement: it needs TRL.
        grpo = importlib.import_module("benchmarks.training_peers.grpo")
        found: list[Iteration] = grpo.run(job, grader, seed)
        return found
    return ours.run(job, grader, seed, "async" if name == report.ASYNC else "sync")


def _job(args: Args, settings: ppo.Args, folder: Path) -> Job:
    """Fine-tunes a policy for the problems that are then trained on."""
    settings = dataclasses.replace(settings, seed=args.seed, threads=args.threads)
    shared = {field.name for field in dataclasses.fields(sft.Args)} - {"problems", "out"}
    same = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name in shared
    }
    sft.run(sft.Args(**same, steps=args.sft_steps, out=folder))
    loaded = load_split(settings, split=settings.split, size=settings.problems, seed=args.seed)
    problems = fitting(loaded, settings, make_tokenizer(settings.tokenizer))
    return Job(settings, folder, problems, args.iterations)


def _on_leetcode(args: Args) -> ppo.Args:
    assert args.data is not None
    return dataclasses.replace(
        args.ppo,
        env_id="CodeGen-APPSPlus-v0",
        split=None,
        data=str(args.data / _LEETCODE),
        tokenizer="byte",
        start="cccs",
        max_new_tokens=256,
        context_length=1536,
    )


if __name__ == "__main__":
    main(tyro.cli(Args))
