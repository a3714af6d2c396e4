r"""Tokens per second of training: codegym's PPO and GRPO, and TRL's GRPOTrainer on the same job.

All get the same weights, problems, lengths, batch, epochs, minibatches and KL coefficient, and the
same kind of grader; they take turns in blocks of a few iterations, each in processes of its own.
Then: how much of a rollout's wall time the agent waits for grades, on Mini and on LeetCode's
problems.

    pip install --target trl --no-deps trl==1.16.0 accelerate datasets pyarrow dill multiprocess \
        xxhash httpx pandas python-dateutil six pytz tzdata aiohttp multidict yarl frozenlist \
        propcache aiosignal aiohappyeyeballs attrs
    PYTHONPATH=trl python -m benchmarks.training --data FOLDER

Where TRL cannot be imported, or without `--data`, the parts that need them are left out, and the
page says so.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import tempfile
from pathlib import Path

import torch
import tyro

from agents import ppo, sft
from agents.environments import fitting, load_split, make_tokenizer
from benchmarks import page
from benchmarks import training_report as report
from benchmarks.training_peers import block
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
    """fine-tuning before it, so that programs are programs"""
    leetcode_sft_steps: int = 500
    """the same for LeetCode's problems, where only waiting is measured"""
    group: int = 8
    """programs of each prompt, for the trainers that compare them: TRL's default"""
    threads: int = 2
    """of torch; several processes share them"""
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
    arms = dict(report.ARMS)
    if importlib.util.find_spec("trl") is None:
        arms = {name: arm for name, arm in arms.items() if arm.trainer != "trl"}
    with tempfile.TemporaryDirectory() as folder:
        mini = _job(args, args.ppo, args.sft_steps, Path(folder) / "mini")
        for number in range(args.rounds):
            for name in rotated(list(arms), number):
                found = _measured(block.run(mini, arms[name], args.seed + number))
                blocks.setdefault(name, []).append(found)
                rate = report.rate(found)
                print(f"round {number + 1}/{args.rounds}: {name}: {rate:.0f}/s", flush=True)
        waits["Mini"] = [one for found in blocks[report.PPO] for one in found]
        if args.data is not None:
            steps = args.leetcode_sft_steps
            leetcode = _job(args, _on_leetcode(args), steps, Path(folder) / "leetcode")
            waits["leetcode_as_appsplus"] = _measured(
                block.run(leetcode, arms[report.PPO], args.seed)
            )
    results |= {
        "ppo": dataclasses.asdict(mini.args),
        "group": args.group,
        "rounds": blocks,
        "waiting": waits,
    }
    page.write(args.out, results, report.lines)


def _measured(block: list[Iteration]) -> list[dict[str, float]]:
    return list(map(dataclasses.asdict, block))


def _job(args: Args, settings: ppo.Args, sft_steps: int, folder: Path) -> Job:
    """Fine-tunes a policy for the problems that are then trained on."""
    settings = dataclasses.replace(settings, seed=args.seed, threads=args.threads)
    shared = {field.name for field in dataclasses.fields(sft.Args)} - {"problems", "out"}
    same = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name in shared
    }
    sft.run(sft.Args(**same, steps=sft_steps, out=folder))
    loaded = load_split(settings, split=settings.split, size=settings.problems, seed=args.seed)
    problems = fitting(loaded, settings, make_tokenizer(settings.tokenizer))
    return Job(settings, folder, problems, args.iterations, args.group)


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
