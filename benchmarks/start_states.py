"""Do start states help? PPO on problems with 6-8 conditionals, ten ways, equal generated tokens.

Arms, regime and what was expected are in ``docs/results/plans/start_states.md``, written before the
runs. Each seed has an SFT checkpoint of its own, which its runs share. Results are kept run by run
and not made again; a run that was cut off goes on where it was last evaluated. Two single-threaded
runs stand side by side.

    python -m benchmarks.start_states --arms all --other-flaw-rates 0.5 1.4
    python -m benchmarks.start_states --arms cccs jsrl --seeds 7 --runs runs/again --out runs/again
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from agents import ppo, sft
from agents.command import command_line, main
from agents.environments import load_split, make_tokenizer
from agents.evaluate import held_out
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.telemetry import RunLogger
from benchmarks import page
from benchmarks.first_errors import first_errors
from benchmarks.runs import arms_named, fine_tuned, kept_before, side_by_side
from benchmarks.start_state_arms import ARMS, AT_OTHER_RATES, CORE
from benchmarks.start_states_report import draw, lines
from benchmarks.token_budget import PPOToBudget, count_starts, run_to_budget
from codegym import Grader

_DECISIVE = ("flaw_rate", "tokens", "points", "difficulty", "problems", "test_problems", "samples")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Comparison of start distributions."""

    arms: tuple[str, ...] = ("core",)
    """arms by their names; "core": sparse, uniform and CCCS; "all": all ten"""
    seeds: tuple[int, ...] = (101, 102, 103, 104, 105)
    """each with its own SFT checkpoint, problems and episodes"""
    flaw_rate: float = 1.0
    """factor on the weak coder's mistakes in SFT: how sparse success is"""
    other_flaw_rates: tuple[float, ...] = ()
    """the same, of further runs of sparse and CCCS that show what depends on it"""
    tokens: int = 1_000_000
    """generated tokens of each run; learning rates fall linearly to a tenth over them"""
    points: int = 5
    """evaluations on the way, at equal distances in tokens; the last one is at the end"""
    difficulty: str = "6-8"
    """conditionals of a problem"""
    problems: int = 128
    """training problems"""
    test_problems: int = 150
    """test problems, the same for all runs"""
    samples: int = 4
    """sampled programs a test problem; the greedy one besides"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    earlier: Path | None = None
    """the .json file of an earlier comparison, whose tables the page has at its end"""
    runs: Path = Path("runs/start_states")
    """folder of checkpoints and logs"""
    out: Path = page.RESULTS / "start_states"
    """path of the results without suffix: .json, .md and .png are written"""

    def __post_init__(self) -> None:
        """Refuses arms that there are none of."""
        self.chosen()

    def chosen(self) -> tuple[str, ...]:
        """The arms that are named.

        Raises:
            UnknownNameError: If one of them is none.
        """
        return arms_named(self.arms, ARMS, {"core": CORE, "all": tuple(ARMS)})


def base(args: Args, seed: int) -> dict[str, Any]:
    """The SFT policy of a seed, and by which errors its greedy programs fail first.

    Args:
        args: The command line.
        seed: Of everything.

    Returns:
        ``seed`` and ``first_errors``, on validation problems.
    """
    torch.set_num_threads(1)
    folder = fine_tuned(
        sft.Args(flaw_rate=args.flaw_rate, seed=seed, threads=1, out=args.runs / f"sft-{seed}")
    )
    settings = _settings(args, CORE[0], seed)
    problems = held_out(settings, split="validation", per_level=args.test_problems, seed=0)
    policy = CausalLMPolicy.from_pretrained(folder).eval()
    return {"seed": seed, "first_errors": first_errors(policy, settings, problems)}


def reinforce(args: Args, arm: str, seed: int) -> dict[str, Any]:
    """One PPO run, evaluated on the test split on the way.

    Args:
        args: The command line.
        arm: Key of :data:`ARMS`.
        seed: Of everything; names the SFT checkpoint as well.

    Returns:
        A row of the results.
    """
    torch.set_num_threads(1)
    settings = _settings(args, arm, seed)
    problems = load_split(settings, split="train", size=args.problems, seed=seed)

    def make(settings: ppo.Args, grader: Grader, logger: RunLogger) -> PPOToBudget:
        tokenizer = make_tokenizer(settings.tokenizer)
        return PPOToBudget(
            settings,
            policy=make_policy(settings, vocab_size=tokenizer.vocab_size, seed=seed),
            problems=problems,
            grader=grader,
            logger=logger,
            start_states=ARMS[arm].start(),
        )

    done = run_to_budget(
        make,
        settings,
        held_out(settings, split="test", per_level=args.test_problems, seed=0),
        tokens=args.tokens,
        points=args.points,
        samples=args.samples,
        watched=_WATCHED,
    )
    return {
        "arm": arm,
        "seed": seed,
        "curve": done.curve,
        "by_conditionals": done.by_conditionals,
        "cpu_seconds": done.cpu_seconds,
    }


_WATCHED = ("curriculum/mean_stage", "rollout/solved", "policy/executed_share", "kl/reference_k1")


def _settings(args: Args, arm: str, seed: int) -> ppo.Args:
    return ppo.Args(
        model=str(args.runs / f"sft-{seed}"),
        difficulty=args.difficulty,
        sampler="uniform",  # the same mixture of problems in all arms
        fgo=ARMS[arm].fgo,
        problems=args.problems,
        anneal=False,  # by tokens instead
        guard=False,
        eval_every=0,
        threads=1,
        workers=1,
        seed=seed,
        out=args.runs / f"{arm.replace(' ', '-')}-{seed}",
    )


def run(args: Args) -> None:
    """Runs what is missing and reports after each run."""
    args.runs.mkdir(parents=True, exist_ok=True)
    arguments, data = kept_before(args, _DECISIVE)
    results = page.environment("start_states", "torch") | {"arguments": arguments}
    empty: dict[str, Any] = {"bases": {}, "rows": [], "other_rates": {}, "earlier": None}
    results |= {name: data.get(name, nothing) for name, nothing in empty.items()}
    page.going_on(results, data)
    if args.earlier is not None:
        earlier = json.loads(args.earlier.read_text())
        results["earlier"] = {name: earlier[name] for name in ("machine", "rows", "starts")}
    at_rates = [
        dataclasses.replace(args, flaw_rate=rate, runs=args.runs / f"flaw-rate-{rate:g}")
        for rate in args.other_flaw_rates
    ]

    def save() -> None:
        results["starts"] = sum(count_starts(each.runs) for each in (args, *at_rates))
        page.write(args.out, results, lines, draw, quiet=True)

    for found in _compare(args, args.chosen(), results):
        print(found, flush=True)
        save()
    for other in at_rates:
        kept = results["other_rates"].setdefault(f"{other.flaw_rate:g}", {"bases": {}, "rows": []})
        for found in _compare(other, AT_OTHER_RATES, kept):
            print(f"flaw rate {other.flaw_rate:g}: {found}", flush=True)
            save()


def _compare(args: Args, arms: Sequence[str], kept: dict[str, Any]) -> Iterator[str]:
    """Adds what is missing to ``bases`` and ``rows`` of what was kept; yields a word about each."""
    bases, rows = kept["bases"], kept["rows"]
    fits = [(base, args, seed) for seed in args.seeds if str(seed) not in bases]
    for found in side_by_side(args.parallel, fits):
        bases[str(found["seed"])] = found["first_errors"]
        yield f"SFT {found}"
    done = {(row["arm"], row["seed"]) for row in rows}
    # Seed by seed: what is done at any moment compares all arms.
    jobs = [
        (reinforce, args, arm, seed)
        for seed in args.seeds
        for arm in arms
        if (arm, seed) not in done
    ]
    for row in side_by_side(args.parallel, jobs):
        rows.append(row)
        rows.sort(key=lambda row: (list(ARMS).index(row["arm"]), row["seed"]))
        yield f"{row['arm']}, seed {row['seed']}: {row['curve'][-1]}"


if __name__ == "__main__":
    main(lambda: run(command_line(Args)))
