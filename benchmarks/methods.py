"""The related methods beside PPO: one task, equal numbers of generated tokens, curves.

Each seed has an SFT policy of its own, with which all of its runs begin; all but JSRL and the last
PPO begin their episodes with the empty program. What a method writes besides its episodes
(completions, greedy programs to compare with, groups that are left out) counts. An illustration of
what runs and how it behaves, with each method's own defaults: nothing was tuned, and three seeds
carry no claim.

    python -m benchmarks.methods --seeds 131 132 133
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from agents import sft
from agents.command import command_line, main
from agents.evaluate import held_out
from agents.prm import collect
from agents.prm import train as reward_model
from agents.run_settings import RunSettings
from agents.trainer import Trainer
from benchmarks import page
from benchmarks.methods_report import draw, lines
from benchmarks.process_reward.labels import PERFECT, fit, label
from benchmarks.runs import arms_named, fine_tuned, kept_before, side_by_side
from benchmarks.token_budget import TokenBudget, count_starts, run_to_budget

__all__ = ["ARMS", "Args", "Arm"]

_DECISIVE = ("tokens", "points", "problems", "per_level", "samples", "label_problems")


class Arm(NamedTuple):
    """A method with settings.

    Attributes:
        module: With ``Args`` and the trainer.
        trainer: Its name there.
        settings: That differ from the method's defaults.
    """

    module: str
    trainer: str
    settings: Mapping[str, Any]


_EMPTY = {"start": "empty", "sampler": "uniform"}
ARMS = {
    "PPO": Arm("agents.ppo", "PPO", _EMPTY),
    # With the defaults, one iteration would use up the budget.
    "VinePPO": Arm(
        "agents.methods.vineppo",
        "VinePPO",
        {**_EMPTY, "episodes": 24, "num_envs": 24, "minibatches": 2, "completions": 3},
    ),
    "ProRL": Arm("agents.methods.prorl", "ProRL", _EMPTY),
    "RLTF": Arm("agents.methods.rltf", "RLTF", _EMPTY),
    "CodeRL": Arm("agents.methods.coderl", "CodeRL", _EMPTY),
    "JSRL": Arm("agents.methods.jsrl", "JSRL", {"sampler": "uniform"}),
    "IRCoCo": Arm("agents.methods.ircoco", "IRCoCo", _EMPTY),
    "TP-GRPO": Arm("agents.methods.tp_grpo", "TPGRPO", _EMPTY),
    "RoML": Arm("agents.methods.roml", "RoML", {"start": "empty"}),
    "Code Less, Align More": Arm("agents.methods.code_less", "CodeLess", _EMPTY),
    "Soft Q-learning": Arm("agents.methods.soft_q", "SoftQ", _EMPTY),
    "PPO with CCCS": Arm("agents.ppo", "PPO", {"start": "cccs", "sampler": "uniform"}),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Comparison of methods."""

    arms: tuple[str, ...] = tuple(ARMS)
    """which methods"""
    seeds: tuple[int, ...] = (131, 132, 133)
    """each with its own SFT policy, problems and episodes"""
    tokens: int = 300_000
    """generated tokens of each run; learning rates fall linearly to a tenth over them"""
    points: int = 5
    """evaluations on the way, at equal distances in tokens; the last one is at the end"""
    problems: int = 1024
    """training problems"""
    per_level: int = 60
    """test problems of each difficulty, the same for all runs"""
    samples: int = 2
    """sampled programs a test problem; the greedy one besides"""
    label_problems: int = 192
    """problems with a labelled program each, for the process reward model of TP-GRPO"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    runs: Path = Path("runs/methods")
    """folder of checkpoints and logs"""
    out: Path = page.RESULTS / "methods"
    """path of the results without suffix: .json, .md and .png are written"""

    def __post_init__(self) -> None:
        """Refuses arms that there are none of."""
        arms_named(self.arms, ARMS, {})


def base(args: Args, seed: int) -> int:
    """Makes the SFT policy of a seed and its reward model, unless they are there."""
    torch.set_num_threads(1)
    policy = fine_tuned(sft.Args(seed=seed, threads=1, out=args.runs / f"sft-{seed}"))
    model = _model_folder(args, seed)
    if "TP-GRPO" in args.arms and not model.is_dir():
        labels = label(
            PERFECT,
            collect.Args(
                policies=(policy,),
                completer=policy,
                problems=args.label_problems,
                responses=1,
                group=args.label_problems,
                workers=1,
                seed=seed,
                out=args.runs / f"labels-{seed}",
            ),
        )
        fitted, _ = fit(labels, policy, reward_model.Args(selection="full", seed=seed))
        fitted.save_pretrained(model)
    return seed


def learn(args: Args, arm: str, seed: int) -> dict[str, Any]:
    """One run, evaluated on the test split on the way.

    Args:
        args: The command line.
        arm: Key of :data:`ARMS`.
        seed: Of everything; names the SFT policy as well.

    Returns:
        A row of the results.
    """
    torch.set_num_threads(1)
    settings = _settings(args, arm, seed)
    method = _to_budget(getattr(importlib.import_module(ARMS[arm].module), ARMS[arm].trainer))
    done = run_to_budget(
        lambda settings, grader, logger: method.make(settings, grader=grader, logger=logger),
        settings,
        held_out(settings, split="test", per_level=args.per_level, seed=0),
        tokens=args.tokens,
        points=args.points,
        samples=args.samples,
        watched=("rollout/solved", "kl/reference_k1"),
    )
    return {"arm": arm, "seed": seed, "curve": done.curve, "cpu_seconds": done.cpu_seconds}


def _to_budget(method: type[Trainer]) -> type[TokenBudget]:
    """The same method, until its budget is used up."""
    return type(method.__name__, (TokenBudget, method), {})


def _settings(args: Args, arm: str, seed: int) -> RunSettings:
    given: dict[str, Any] = {
        "model": str(args.runs / f"sft-{seed}"),
        "problems": args.problems,
        "anneal": False,  # by tokens instead
        "guard": False,
        "eval_every": 0,
        "workers": 1,
        "seed": seed,
        "out": args.runs / f"{arm.lower().replace(' ', '-').replace(',', '')}-{seed}",
        **ARMS[arm].settings,
    }
    if arm == "TP-GRPO":
        given["reward_model"] = _model_folder(args, seed)
    made: RunSettings = importlib.import_module(ARMS[arm].module).Args(**given)
    return made


def _model_folder(args: Args, seed: int) -> Path:
    return args.runs / f"reward-model-{seed}"


def run(args: Args) -> None:
    """Runs what is missing and reports after each run."""
    args.runs.mkdir(parents=True, exist_ok=True)
    arguments, data = kept_before(args, _DECISIVE)
    rows: list[dict[str, Any]] = data.get("rows", [])
    done = {(row["arm"], row["seed"]) for row in rows}
    # Seed by seed: what is done at any moment compares all methods.
    cells = [(arm, seed) for seed in args.seeds for arm in args.arms if (arm, seed) not in done]
    seeds = sorted({seed for _, seed in cells})
    for seed in side_by_side(args.parallel, [(base, args, seed) for seed in seeds]):
        print(f"policy of seed {seed}", flush=True)
    for row in side_by_side(args.parallel, [(learn, args, *cell) for cell in cells]):
        rows.append(row)
        rows.sort(key=lambda row: (list(ARMS).index(row["arm"]), row["seed"]))
        print(f"{row['arm']}, seed {row['seed']}: {row['curve'][-1]}", flush=True)
        results = page.environment("methods", "torch")
        results |= {"arguments": arguments, "rows": rows, "starts": count_starts(args.runs)}
        page.going_on(results, data)
        page.write(args.out, results, lines, draw, quiet=True)


if __name__ == "__main__":
    main(lambda: run(command_line(Args)))
