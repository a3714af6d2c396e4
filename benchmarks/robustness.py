"""Does the main job hold with other seeds, other learning rates, and without its safeguards?

*Seeds*: SFT and PPO of ``make train`` with its own settings, ten seeds. *Rates*: PPO's learning
rates x 1/4, 1/2, 2 and 4, three of those seeds. *Guard off*: every run that the guard sent back,
again without it; a run that it never sent back is the same without it, bit for bit.
*Ablations*: short runs at rates that do not fall, x 2 and x 4, without the guard, from the same SFT
policies, each with one safeguard less.

All is measured on the test split, after SFT, with the last policy and with the one that the
validation split chose; the ablations on the validation split. Each start is written to
``starts.jsonl``, finished or not. What is done is kept in the results and not done again.

    python -m benchmarks.robustness --parts seeds rates guard ablations
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from agents import ppo, sft
from agents.command import command_line, main, refuse_set_elsewhere
from agents.environments import make_grader
from agents.evaluate import held_out
from agents.guard import DivergedError, RunawayError
from agents.telemetry import RunLogger, read_scalars
from benchmarks import page
from benchmarks.robustness_report import draw, lines
from benchmarks.runs import fine_tuned, measured, require_same, side_by_side

Part = Literal["seeds", "rates", "guard", "ablations"]

ABLATIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no end at a target KL": {"target_kl": None},
    "KL in the reward": {"kl": "reward"},
    "critic: a head, detached": {"critic": "head"},
    "critic: a head, shared": {"critic": "shared"},
    "shared head, KL in the reward, no target KL": {
        "critic": "shared",
        "kl": "reward",
        "target_kl": None,
    },
}
_DECISIVE = ("test_per_level", "ablation_iterations", "sft", "ppo")
"""Settings without which a row means nothing; the others choose which rows there are."""
_CURVES = ("kl/reference_k1", "greedy/mean", "sampled/mean", "rollout/solved")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Robustness of the main job."""

    parts: tuple[Part, ...] = ("seeds", "rates", "guard", "ablations")
    """what is run, in this order"""
    seeds: tuple[int, ...] = (61, 62, 63, 64, 65, 66, 67, 68, 69, 70)
    """each with its own SFT, problems and episodes; none was used to choose a setting"""
    rate_seeds: tuple[int, ...] = (61, 62, 63)
    """of them, those with other learning rates"""
    rate_factors: tuple[float, ...] = (4.0, 2.0, 0.5, 0.25)
    """on both learning rates"""
    ablation_seeds: tuple[int, ...] = (61, 62)
    """of them, those of the ablations"""
    ablation_factors: tuple[float, ...] = (2.0, 4.0)
    """on both learning rates"""
    ablation_iterations: int = 60
    """of each of those runs"""
    test_per_level: int = 300
    """test problems a difficulty"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    sft: sft.Args = dataclasses.field(default_factory=sft.Args)
    """settings of SFT"""
    ppo: ppo.Args = dataclasses.field(default_factory=ppo.Args)
    """settings of PPO"""
    runs: Path = Path("runs/robustness")
    """folder of checkpoints and logs"""
    out: Path = page.RESULTS / "robustness"
    """path of the results without suffix: .json, .md and .png are written"""

    def __post_init__(self) -> None:
        """Refuses what would have no effect."""
        refuse_set_elsewhere(self.sft, "sft", ("out", "seed", "threads"))
        decided = ("out", "seed", "threads", "workers", "guard", "model")
        refuse_set_elsewhere(self.ppo, "ppo", decided)


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run of PPO.

    Attributes:
        part: Of the benchmark.
        seed: Of SFT and PPO.
        factor: On the learning rates.
        guard: Whether the guard is on.
        ablation: Key of :data:`ABLATIONS`.
    """

    part: Part
    seed: int
    factor: float = 1.0
    guard: bool = True
    ablation: str = "as it is"

    @property
    def name(self) -> str:
        """Of its folder and its row."""
        arm = list(ABLATIONS).index(self.ablation)
        return f"{self.part}-seed{self.seed}-x{self.factor:g}-arm{arm}"


def pretrain(args: Args, seed: int) -> dict[str, Any]:
    """Makes the SFT policy of a seed.

    Args:
        args: The command line.
        seed: Of model, problems and mistakes.

    Returns:
        What it passes on the test split, as :func:`measure` tells it.
    """
    folder = _sft(args, seed)
    if not (folder / "policy.json").is_file():
        _started(args, f"sft-seed{seed}")
        fine_tuned(dataclasses.replace(args.sft, seed=seed, threads=1, out=folder))
    return measure(args, _settings(args, Run("seeds", seed)), folder)


def whole(args: Args, run: Run) -> dict[str, Any]:
    """SFT and PPO of a seed, one after the other.

    Args:
        args: The command line.
        run: Which one.

    Returns:
        A row of the results, with what SFT's policy passes as ``"after_sft"``.
    """
    after_sft = pretrain(args, run.seed)
    return {**reinforce(args, run), "after_sft": after_sft}


def reinforce(args: Args, run: Run) -> dict[str, Any]:
    """One run of PPO, and what its policies pass.

    Args:
        args: The command line.
        run: Which one.

    Returns:
        A row of the results.
    """
    torch.set_num_threads(1)
    _started(args, run.name)
    settings = _settings(args, run)
    began = time.process_time()
    error = None
    with RunLogger(settings.out, quiet=True) as logger, make_grader(settings) as grader:
        trainer = ppo.PPO.make(settings, grader=grader, logger=logger)
        try:
            trainer.train()
        except (RunawayError, DivergedError) as gave_up:
            error = str(gave_up)
        finally:
            trainer.close()
    row: dict[str, Any] = {
        **dataclasses.asdict(run),
        "name": run.name,
        "iterations": trainer.iteration,
        "cpu_seconds": time.process_time() - began,
        "returns": trainer.guard.state.returns,
        "gave_up": error,
        "curves": _curves(settings.out),
    }
    if run.part != "ablations":
        row["last"] = measure(args, settings, settings.out / "last")
        same = trainer.guard.state.best_iteration == trainer.iteration
        row["best"] = row["last"] if same else measure(args, settings, settings.out / "policy")
    return row


def measure(args: Args, settings: ppo.Args, folder: Path) -> dict[str, Any]:
    """pass@1 of a policy on the test split, greedy and sampled.

    Args:
        args: The command line.
        settings: Of the environment, and the seed.
        folder: Of the policy.

    Returns:
        Mode -> difficulty -> rate in [0, 1], with ``"mean"`` over the difficulties.
    """
    test = held_out(settings, split="test", per_level=args.test_per_level, seed=settings.seed)
    return {
        mode: {**found.by_level(), "mean": found.mean_pass_at_1}
        for mode, found in measured(folder, settings, test, seed=settings.seed).items()
    }


def planned(args: Args, part: Part, rows: Iterable[dict[str, Any]]) -> list[Run]:
    """The runs of a part.

    Args:
        args: The command line.
        part: Which.
        rows: Of earlier parts, which say what the guard sent back.

    Returns:
        In the order in which they are started.
    """
    if part == "seeds":
        return [Run(part, seed) for seed in args.seeds]
    if part == "rates":
        return [Run(part, s, factor) for factor in args.rate_factors for s in args.rate_seeds]
    if part == "guard":
        sent_back = [r for r in rows if r["part"] in ("seeds", "rates") and r["returns"]]
        return [Run(part, r["seed"], r["factor"], guard=False) for r in sent_back]
    return [
        Run(part, seed, factor, guard=False, ablation=ablation)
        for ablation in ABLATIONS
        for factor in args.ablation_factors
        for seed in args.ablation_seeds
    ]


def _settings(args: Args, run: Run) -> ppo.Args:
    changes: dict[str, Any] = dict(ABLATIONS[run.ablation])
    if run.part == "ablations":
        changes |= {"iterations": args.ablation_iterations, "anneal": False}
    return dataclasses.replace(
        args.ppo,
        model=str(_sft(args, run.seed)),
        seed=run.seed,
        threads=1,
        workers=1,
        guard=run.guard,
        learning_rate=run.factor * args.ppo.learning_rate,
        critic_learning_rate=run.factor * args.ppo.critic_learning_rate,
        out=args.runs / run.name,
        **changes,
    )


def _sft(args: Args, seed: int) -> Path:
    return args.runs / f"sft-seed{seed}"


def _started(args: Args, name: str) -> None:
    with (args.runs / "starts.jsonl").open("a") as log:
        log.write(json.dumps({"time": time.strftime("%F %T"), "run": name}) + "\n")


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    rows = read_scalars(folder)
    return {
        name: [(int(row["step"]), round(row[name], 5)) for row in rows if name in row]
        for name in _CURVES
    }


def run(args: Args) -> None:
    """Runs what is missing and reports after each part."""
    args.runs.mkdir(parents=True, exist_ok=True)
    kept = args.out.with_suffix(".json")
    data: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    now = json.loads(_as_json(args))
    if data:
        require_same(kept, data["arguments"], now, _DECISIVE)
    before_this = args.runs / "arguments.json"
    if before_this.is_file():
        require_same(before_this, json.loads(before_this.read_text()), now, _DECISIVE)
    before_this.write_text(_as_json(args))
    rows: list[dict[str, Any]] = data.get("rows", [])
    before: dict[str, Any] = data.get("after_sft", {})
    starts: list[dict[str, Any]] = data.get("starts", [])
    for part in args.parts:
        done = {row["name"] for row in rows}
        runs = dict.fromkeys(planned(args, part, rows))
        missing = [run for run in runs if run.name not in done]
        if part != "seeds":  # several runs begin with the same SFT policy: make it first
            seeds = sorted({run.seed for run in missing})
            fits = side_by_side(args.parallel, [(_pretrained, args, seed) for seed in seeds])
            before |= {str(seed): rates for seed, rates in fits}
        do = whole if part == "seeds" else reinforce
        for row in side_by_side(args.parallel, [(do, args, run) for run in missing]):
            if "after_sft" in row:
                before[str(row["seed"])] = row.pop("after_sft")
            rows.append(row)
            print(f"{part}: {row['name']} done", flush=True)
            _write(args, rows, before, starts, data)
        _write(args, rows, before, starts, data)  # the page, where no run was missing


def _pretrained(args: Args, seed: int) -> tuple[int, dict[str, Any]]:
    return seed, pretrain(args, seed)


def _as_json(args: Args) -> str:
    named = {**dataclasses.asdict(args), "runs": "FOLDER", "out": "FOLDER"}
    return json.dumps(named, default=str) + "\n"


def _write(
    args: Args,
    rows: list[dict[str, Any]],
    before: dict[str, Any],
    starts: list[dict[str, Any]],
    data: Mapping[str, Any],
) -> None:
    rows.sort(key=lambda row: str(row["name"]))
    log = args.runs / "starts.jsonl"
    told = log.read_text().splitlines() if log.is_file() else []
    starts += [start for start in map(json.loads, told) if start not in starts]
    results = page.environment("robustness", "torch") | {
        "arguments": json.loads(_as_json(args)),
        "starts": starts,
        "after_sft": before,
        "rows": rows,
    }
    page.going_on(results, data)
    page.write(args.out, results, lines, draw, quiet=True, indent=None)


if __name__ == "__main__":
    main(lambda: run(command_line(Args)))
