"""Does a process reward model help? {dense reward off, on} x {value init off, on}, and controls.

The experiment of arXiv 2410.17621 (table 1) on CodeGen-Mini, from the empty prefix, where the
reward is 1 if all tests pass and else 0; of the fine-tuned policy's programs, 3 % do. One such
policy, one first PPO run, labels from four of its checkpoints, one reward model for each selection
of them; then every arm with every seed, all from the fine-tuned policy and for the same number of
iterations. Every arm has a critic with a trunk of its own, so that value init changes its first
weights and nothing else.

Controls: the pass ratio as reward; a reward model whose scores are random; one that compares with
the canonical program, as good as a reward model can be here; the reward model as a potential, which
leaves the best policy as it is.

    python -m benchmarks.prm --out benchmarks/results/prm

Runs that are finished are kept below `--runs` and not done again.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
import tyro

from agents import ppo, sft
from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.evaluate import evaluate, held_out
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.prm import collect
from agents.prm import reinforce as reinforce_prm
from agents.prm import train as reward_model
from agents.prm.__main__ import evenly
from agents.prm.reinforce import (
    ModelScorer,
    load_reward_model,
    make_dense_reward,
    make_value_init,
)
from agents.prm.selection import Selection
from agents.prm.storage import read_labels
from agents.telemetry import RunLogger
from benchmarks import page
from benchmarks.prm_report import lines
from benchmarks.process_reward.scorers import ComparedScorer, RandomScorer, ReferenceScorer
from benchmarks.runs import fine_tuned, measured, side_by_side
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet
from codegym.rewards import ProcessReward

ARMS: dict[str, dict[str, Any]] = {
    "tests only": {},
    "value init": {"value_init": "affine"},
    "dense": {"dense": "outcome"},
    "dense + value init": {"dense": "outcome", "value_init": "affine"},
    "control: pass ratio": {"reward": "pass_ratio"},
    "control: random scores": {},
    "control: perfect scores": {},
    "control: potential": {"dense": "potential"},
}
_RANDOM = "control: random scores"
_PERFECT = "control: perfect scores"
_COMPARED_ARMS = ("tests only", "dense + value init")
_COMPARED_SAMPLES = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """The 2x2 of the process reward model."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """of the runs of the 2x2"""
    control_seeds: tuple[int, ...] = (0, 1, 2)
    """of the controls' runs, some of those"""
    sft_steps: int = 4000
    """steps of supervised fine-tuning"""
    first_iterations: int = 60
    """of the run whose checkpoints are labelled"""
    iterations: int = 30
    """of each compared run"""
    conditionals: tuple[int, int] | None = (3, 5)
    """bounds of what all runs are trained and tested on, so chosen that reward is sparse; None: all
    levels, of which fine-tuning alone solves a fifth"""
    gae_lambda: float = 1.0
    """of all runs: 1 uses the critic as a baseline only, less lets it say which token failed"""
    problems: int = 384
    """training problems, the same for all"""
    label_problems: int = 128
    """of them, those that labels are collected on"""
    responses: int = 2
    """programs a problem and checkpoint that are labelled"""
    selection: Selection = "full"
    """labels that the arms' reward model learns from; models of all selections are reported"""
    test_per_level: int = 60
    """test problems a difficulty, or in all with `conditionals`"""
    samples: int = 30
    """programs for each of them"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    runs: Path = Path("runs/prm_2x2")
    """checkpoints and logs"""
    out: Path = page.RESULTS / "prm"
    """path of the results without suffix: .json and .md are written"""


def compare_with_reference(args: Args, policy: Path) -> dict[str, float]:
    """How well the reward model finds the mistakes that a policy makes in the test problems.

    Args:
        args: The command line.
        policy: Folder of who writes the programs.

    Returns:
        As :meth:`ComparedScorer.found`.
    """
    settings = _settings(args, "dense", 0)
    tokenizer = make_tokenizer(settings.tokenizer)
    test = test_problems(args, settings)
    model = load_reward_model(settings, tokenizer, device="cpu")
    assert model is not None
    scorer = ComparedScorer(ModelScorer(model.eval()), ReferenceScorer(test, tokenizer))
    with make_grader(settings) as grader:
        envs = make_envs(
            settings,
            test,
            start="empty",
            grader=grader,
            tokenizer=tokenizer,
            reward=ProcessReward(scorer),
        )
        try:
            evaluate(
                CausalLMPolicy.from_pretrained(policy).eval(),
                envs,
                test,
                samples=_COMPARED_SAMPLES,
            )
        finally:
            envs.close()
    return scorer.found()


def compare_labels_with_reference(args: Args) -> dict[str, float]:
    """What a model that says the labels would tell of the canonical programs.

    Returns:
        As :meth:`ComparedScorer.found`.
    """
    settings = _settings(args, "dense", 0)
    tokenizer = make_tokenizer(settings.tokenizer)
    problems = load_split(settings, split="train", size=args.label_problems, seed=0)
    labels: list[float] = []
    scorer = ComparedScorer(lambda *_: labels, ReferenceScorer(problems, tokenizer))
    for response in read_labels(args.runs / "labels").responses:
        tokens = np.array(response.input_ids)
        ends = [
            end for end, label in zip(response.line_ends, response.labels, strict=True) if label
        ]
        labels = [label for label in response.labels if label]
        if ends:
            scorer([tokens[: ends[-1] + 1]], [np.array(ends) + 1])
    return scorer.found()


def prepare(args: Args) -> dict[str, float]:
    """Fine-tuned policy, first run, labels and reward model; what is there is kept.

    Returns:
        Seconds of each part that was done now or earlier.
    """
    note = args.runs / "prepared.json"
    seconds: dict[str, float] = json.loads(note.read_text()) if note.is_file() else {}

    def part(name: str, do: Callable[[], object]) -> None:
        if name not in seconds:
            began = time.perf_counter()
            do()
            seconds[name] = time.perf_counter() - began
            note.write_text(json.dumps(seconds) + "\n")

    start, first = args.runs / "sft", args.runs / "first"
    labels = args.runs / "labels"

    def first_run() -> None:
        settings = dataclasses.replace(
            _settings(args, "tests only", seed=1000),
            iterations=args.first_iterations,
            threads=2,
            out=first,
            checkpoint_every=max(1, args.first_iterations // 4),
        )
        with RunLogger(first, quiet=True) as logger:
            ppo.run(settings, logger)

    def label() -> None:
        checkpoints = evenly(sorted((first / "checkpoints").iterdir()), 4)
        settings = collect.Args(
            policies=tuple(folder / "policy" for folder in checkpoints),
            problems=args.label_problems,
            difficulty=_difficulty(args),
            responses=args.responses,
            out=labels,
        )
        with RunLogger(labels / "log") as logger:
            collect.collect(settings, logger)

    def fit() -> None:
        for selection in get_args(Selection):
            settings = reward_model.Args(
                labels=labels, policy=start, selection=selection, out=_model(args, selection)
            )
            with RunLogger(settings.out) as logger:
                reward_model.run(settings, logger)

    part("fine-tuning", lambda: fine_tuned(sft.Args(steps=args.sft_steps, out=start)))
    part("first PPO run", first_run)
    part("labels", label)
    part("reward models", fit)
    return seconds


def reinforce(args: Args, arm: str, seed: int) -> dict[str, Any]:
    """One run and its evaluation on the test split.

    Args:
        args: The command line.
        arm: Key of :data:`ARMS`.
        seed: Of the run.

    Returns:
        A row of the results.
    """
    torch.set_num_threads(1)
    settings = _settings(args, arm, seed)
    kept = settings.out / "row.json"
    if kept.is_file():
        row: dict[str, Any] = json.loads(kept.read_text())
        return row
    tokenizer = make_tokenizer(settings.tokenizer)
    problems = load_split(settings, split="train", size=args.problems, seed=0)
    policy = make_policy(settings, vocab_size=tokenizer.vocab_size, seed=seed)
    model = load_reward_model(settings, tokenizer, device="cpu")
    reward: Any = make_dense_reward(settings, settings.reward, model)
    if arm == _RANDOM:
        reward = ProcessReward(RandomScorer(seed), outcome=settings.reward)
    if arm == _PERFECT:
        reward = ProcessReward(ReferenceScorer(problems, tokenizer), outcome=settings.reward)
    began = time.perf_counter()
    with make_grader(settings) as grader, RunLogger(settings.out, quiet=True) as logger:
        trainer = ppo.PPO(
            settings,
            policy=policy,
            make_critic=lambda policy: make_value_init(policy, settings, model),
            problems=problems,
            grader=grader,
            logger=logger,
            reward=reward,
        )
        try:
            trainer.train()
        finally:
            trainer.close()
    row = {"arm": arm, "seed": seed, "seconds": time.perf_counter() - began}
    row["programs"] = trainer.episodes
    row |= measure(args, settings, trainer.policy, seed)
    kept.write_text(json.dumps(row) + "\n")
    return row


def measure(
    args: Args, settings: ppo.Args, policy: CausalLMPolicy | Path, seed: int
) -> dict[str, Any]:
    """How many of the samples of each test problem pass, and how many greedy programs.

    Args:
        args: The command line.
        settings: Say what the environment is.
        policy: The policy, or its folder.
        seed: Decides the samples.

    Returns:
        ``"solved"``: problem id -> passed samples; ``"greedy"``: pass@1 of each level.
    """
    test = test_problems(args, settings)
    found = measured(policy, settings, test, seed=seed, samples=args.samples)
    solved = {name: n for level in found["sampled"].levels for name, n in level.solved.items()}
    return {"solved": solved, "greedy": found["greedy"].by_level()}


def test_problems(args: Args, settings: ppo.Args) -> ProblemSet:
    """The problems that every policy is measured on."""
    return held_out(settings, split="test", per_level=args.test_per_level, seed=0)


def _difficulty(args: Args) -> str | None:
    return None if args.conditionals is None else "{}-{}".format(*args.conditionals)


def _model(args: Args, selection: Selection) -> Path:
    return args.runs / "models" / selection


def _settings(args: Args, arm: str, seed: int) -> reinforce_prm.Args:
    common: dict[str, Any] = {
        "model": str(args.runs / "sft"),
        "problems": args.problems,
        "start": "empty",
        "reward": "binary",
        "iterations": args.iterations,
        "difficulty": _difficulty(args),
        "gae_lambda": args.gae_lambda,
        "eval_every": 0,
        "threads": 1,
        "workers": 1,
        "seed": seed,
        "out": args.runs / f"{arm.replace(': ', '-').replace(' ', '_')}-{seed}",
    }
    if ARMS[arm].keys() & {"dense", "value_init"}:
        common["reward_model"] = _model(args, args.selection)
    return reinforce_prm.Args(**{**common, **ARMS[arm]})


def main(args: Args) -> None:
    """Runs what is missing and reports."""
    if not set(args.control_seeds) <= set(args.seeds):
        raise ConfigurationError(
            f"control_seeds {args.control_seeds} must be some of seeds {args.seeds}: each control "
            "is compared with the run of the same seed."
        )
    results = page.environment("prm", "torch")
    seconds = prepare(args)
    settings = _settings(args, "tests only", 0)
    before_path = args.runs / "before.json"
    if not before_path.is_file():
        before = measure(args, settings, args.runs / "sft", seed=0)
        before_path.write_text(json.dumps(before) + "\n")
    # Arms alternate, so that a slow hour of the machine is shared.
    jobs = [
        (reinforce, args, arm, seed)
        for seed in args.seeds
        for arm in ARMS
        if seed in args.control_seeds or not arm.startswith("control")
    ]
    rows: list[dict[str, Any]] = []
    for row in side_by_side(args.parallel, jobs):
        rows.append(row)
        print(f"{len(rows)}/{len(jobs)}: {row['arm']}, seed {row['seed']}", flush=True)
    order = list(ARMS)
    rows.sort(key=lambda row: (order.index(row["arm"]), row["seed"]))
    policies = {"after SFT": args.runs / "sft"}
    policies |= {arm: _settings(args, arm, args.seeds[0]).out / "policy" for arm in _COMPARED_ARMS}
    compared = {"the labels": compare_labels_with_reference(args)}
    compared |= {name: compare_with_reference(args, folder) for name, folder in policies.items()}
    problems = test_problems(args, settings)
    tokenizer = make_tokenizer(settings.tokenizer)
    models = {how: _model(args, how) / "report.json" for how in get_args(Selection)}
    results |= {
        "arguments": {**dataclasses.asdict(args), "runs": "FOLDER", "out": "FOLDER"},
        "preparation_seconds": seconds,
        "rows": rows,
        "before": json.loads(before_path.read_text()),
        "compared": compared,
        "lengths": {p.id: len(tokenizer.encode(p.canonical_solution)) for p in problems},
        "levels": {p.id: p.difficulty for p in problems},
        "labels": collect.count(read_labels(args.runs / "labels").responses),
        "models": {how: json.loads(path.read_text()) for how, path in models.items()},
    }
    page.write(args.out, results, lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
