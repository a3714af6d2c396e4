"""What do masks of executed tokens do to the policy gradient? Its signal-to-noise ratio, measured.

A policy stays as it is and plays many batches. Of each batch, the REINFORCE gradient is computed
with several token masks. Its signal is the length of the mean over batches, its noise the spread
around it. If a mask raises (signal / noise)^2 by a factor, learning needs as many times fewer
episodes for the same certainty of direction.

Two policies: after SFT, and after half of the main job's PPO. What was expected is in
``docs/results/plans/fgo.md``, written before the runs.

    python -m benchmarks.fgo --seeds 121 122
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents import masks, ppo, sft
from agents.advantages import whiten
from agents.command import command_line, main
from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.policy import CausalLMPolicy
from agents.rollout import play
from agents.scoring import Scored, scored
from agents.sequences import token_groups
from agents.telemetry import RunLogger
from benchmarks import page
from benchmarks.fgo_report import ARMS, Arm, Products, lines
from benchmarks.runs import fine_tuned, kept_before, side_by_side
from codegym import Grader
from codegym.problems import ProblemSet

_DECISIVE = ("tests", "batches", "episodes", "iterations", "problems")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Signal-to-noise ratio of the policy gradient under token masks."""

    seeds: tuple[int, ...] = (121, 122)
    """each with its own SFT policy, PPO run and episodes"""
    tests: tuple[int, ...] = (1, 2, 3, 0)
    """tests a problem; 0: all"""
    batches: int = 40
    """gradients of each policy and number of tests"""
    episodes: int = 128
    """in a batch"""
    iterations: int = 60
    """of PPO, as in the main job, to the second policy"""
    problems: int = 2048
    """problems that the batches are drawn from"""
    parallel: int = 2
    """at a time, each with one thread"""
    runs: Path = Path("runs/fgo")
    """folder of checkpoints and logs"""
    out: Path = page.RESULTS / "fgo"
    """path of the results without suffix: .json and .md are written"""


def policies(args: Args, seed: int) -> int:
    """Makes the two policies of a seed, unless they are there; returns the seed."""
    torch.set_num_threads(1)
    start = fine_tuned(sft.Args(seed=seed, threads=1, out=args.runs / f"sft-{seed}"))
    half = args.runs / f"ppo-{seed}"
    if not (half / "last" / "policy.json").is_file():
        settings = ppo.Args(
            model=str(start),
            iterations=args.iterations,
            anneal=False,
            eval_every=0,
            seed=seed,
            threads=1,
            workers=1,
            out=half,
        )
        with RunLogger(half, quiet=True) as logger:
            ppo.run(settings, logger)
    return seed


def measure(args: Args, seed: int, phase: str, tests: int) -> dict[str, Any]:
    """Gradients of many batches of a policy.

    Args:
        args: The command line.
        seed: Of policy and episodes.
        phase: ``"sft"`` or ``"ppo"``.
        tests: Tests a problem; 0: all.

    Returns:
        A row: sums of inner products of the gradients, arm by arm, and what was played.
    """
    torch.set_num_threads(1)
    folder = args.runs / (f"sft-{seed}" if phase == "sft" else f"ppo-{seed}/last")
    settings = ppo.Args(model=str(folder), sampler="uniform", workers=1, seed=seed)
    policy = CausalLMPolicy.from_pretrained(folder).eval()
    problems = load_split(settings, split="train", size=args.problems, seed=seed)
    if tests:
        problems = problems.with_tests(tests)
    with make_grader(settings) as grader:
        gradients, executed, solved = _gradients(args, settings, policy, problems, grader)
    names = tuple(ARMS)
    products = {
        f"{one} x {other}": [
            part.tolist() for part in Products.of(gradients[one].numpy(), gradients[other].numpy())
        ]
        for one, other in [*zip(names, names, strict=True), *((names[0], n) for n in names[1:])]
    }
    return {
        "seed": seed,
        "phase": phase,
        "tests": tests,
        "executed": executed,
        "solved": solved,
        "products": products,
    }


def _gradients(
    args: Args, settings: ppo.Args, policy: CausalLMPolicy, problems: ProblemSet, grader: Grader
) -> tuple[dict[str, Tensor], float, float]:
    """(batches, parameters) float64 of each arm, share of executed tokens, share solved."""
    envs = make_envs(
        settings,
        problems,
        start="uniform",
        grader=grader,
        tokenizer=make_tokenizer(settings.tokenizer),
        num_envs=args.episodes,
    )
    found: dict[str, list[Tensor]] = {arm: [] for arm in ARMS}
    executed, solved = [], []
    try:
        for number in range(args.batches):
            seed = int(np.random.SeedSequence((settings.seed, number)).generate_state(1)[0])
            sequences = play(policy, envs, episodes=args.episodes, seed=seed).sequences
            known = scored(sequences, torch.zeros(sequences.input_ids.shape))
            for arm, gradient in batch_gradients(policy, known, seed).items():
                found[arm].append(gradient)
            executed.append(float(masks.executed(known).sum() / known.generated.sum()))
            solved.append(float(sequences.solved.float().mean()))
    finally:
        envs.close()
    stacked = {arm: torch.stack(each) for arm, each in found.items()}
    return stacked, float(np.mean(executed)), float(np.mean(solved))


def batch_gradients(policy: CausalLMPolicy, known: Scored, seed: int) -> dict[str, Tensor]:
    """The REINFORCE gradient of one batch in each arm.

    Args:
        policy: Wrote the episodes.
        known: They.
        seed: Of the random masks.

    Returns:
        Arm -> (parameters,) float64: of ``-sum_t m_t A_t log pi(t)``, divided by the sum of m.
    """
    sequences = known.sequences
    weights = [_weights(arm, known, seed) for arm in ARMS.values()]
    parameters = [p for p in policy.trunk.parameters() if p.requires_grad]
    sums = [torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float64) for _ in weights]
    for rows, *inputs in token_groups(sequences, 2048):
        logprobs = policy.score(*inputs)
        width = logprobs.shape[1]
        for k, weight in enumerate(weights):
            loss = -(weight[rows, :width] * logprobs).sum()
            last = k == len(weights) - 1
            parts = torch.autograd.grad(loss, parameters, retain_graph=not last)
            sums[k] += torch.cat([part.flatten() for part in parts]).double()
    return dict(zip(ARMS, sums, strict=True))


def _weights(arm: Arm, known: Scored, seed: int) -> Tensor:
    """(B, T) what multiplies the log-probabilities."""
    mask = _MASKS[arm.mask](known, seed)
    advantages = known.sequences.reward[:, None].expand(known.generated.shape)
    over = mask if arm.whitened_over_mask else known.generated
    return mask * whiten(advantages, over) / mask.sum().clamp(min=1)


def _random_mask(known: Scored, seed: int) -> Tensor:
    """As many generated tokens of each episode as were executed, but any of them."""
    executed, generated = masks.executed(known), known.generated
    noise = torch.rand(generated.shape, generator=torch.Generator().manual_seed(seed))
    rank = noise.masked_fill(~generated, 2.0).argsort(1).argsort(1)
    return generated & (rank < executed.sum(1, keepdim=True))


_MASKS: dict[str, Callable[[Scored, int], Tensor]] = {
    "generated": lambda known, _: known.generated,
    "executed": lambda known, _: masks.executed(known),
    "random": _random_mask,
    "not executed": lambda known, _: known.generated & ~masks.executed(known),
}


def run(args: Args) -> None:
    """Measures what is missing and reports after each row."""
    args.runs.mkdir(parents=True, exist_ok=True)
    arguments, data = kept_before(args, _DECISIVE)
    rows: list[dict[str, Any]] = data.get("rows", [])
    done = {(row["seed"], row["phase"], row["tests"]) for row in rows}
    cells = [
        cell
        for cell in itertools.product(args.seeds, ("sft", "ppo"), args.tests)
        if cell not in done
    ]
    for seed in side_by_side(
        args.parallel, [(policies, args, seed) for seed in sorted({seed for seed, *_ in cells})]
    ):
        print(f"policies of seed {seed}", flush=True)
    for row in side_by_side(args.parallel, [(measure, args, *cell) for cell in cells]):
        rows.append(row)
        rows.sort(key=lambda row: (row["phase"] != "sft", row["tests"] or 99, row["seed"]))
        print({name: row[name] for name in ("seed", "phase", "tests", "executed")}, flush=True)
        results = page.environment("fgo", "torch") | {"arguments": arguments, "rows": rows}
        page.going_on(results, data)
        page.write(args.out, results, lines, quiet=True, indent=None)


if __name__ == "__main__":
    main(lambda: run(command_line(Args)))
