"""Does a process reward model help? Labels, models, and PPO with them, against controls.

The experiment of arXiv 2410.17621 on CodeGen-Mini, from the empty prefix. A first part makes a
baseline run, labels the programs of policies from the whole of it in several ways, fits a model to
each, and tells by how much its score falls at the first wrong line of new programs. PPO with the
model is started only if that passes a gate. Regime, arms and what was expected are in
``docs/results/plans/process_reward.md``, written before the runs.

Each seed has an SFT policy of its own, which its runs share; baseline, labels and models are those
of one seed. Results are kept row by row and not made again; a run that was cut off goes on where it
was last evaluated. Two single-threaded runs stand side by side.

    python -m benchmarks.prm --seeds 101 102 103 104 105
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from agents import sft
from agents.command import command_line, main
from agents.environments import load_split
from agents.evaluate import held_out
from agents.policy import CausalLMPolicy
from agents.prm import collect
from agents.prm import reinforce as prm
from agents.prm import train as reward_model
from agents.prm.model import ProcessRewardModel
from benchmarks import page
from benchmarks.first_errors import first_errors
from benchmarks.prm_report import arms_labels, draw, lines, passes_gate
from benchmarks.process_reward.arms import ACCOUNT, ARMS, BASE, CORE, make_trainer, model_folders
from benchmarks.process_reward.labels import KINDS, PERFECT, fit, label, write_programs
from benchmarks.runs import arms_named, fine_tuned, kept_before, side_by_side
from benchmarks.token_budget import count_starts, run_to_budget
from codegym.errors import UnknownNameError

_DECISIVE = (
    *("baseline_seed", "flaw_rate", "tokens", "points", "baseline_tokens", "baseline_points"),
    *("difficulty", "problems", "label_problems", "held_problems", "labels", "epochs", "gate"),
    *("gae_lambda", "test_problems", "samples"),
)
_WRITERS = 4
_FOR_EACH = 4  # times as many problems where each writer is judged by itself: good ones fail seldom
_TO_SPARE = 1.05  # of a longer run's budget, as programs differ in length
_WATCHED = ("rollout/solved", "reward/process", "value/explained_variance", "kl/reference_k1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Comparison of uses of a process reward model."""

    arms: tuple[str, ...] = ("core",)
    """arms by their names; "core": the first nine; "account": those that the account by
    elimination is made of; "all": all of them"""
    seeds: tuple[int, ...] = (101, 102, 103, 104, 105)
    """each with its own SFT policy, critic and episodes"""
    baseline_seed: int = 101
    """whose baseline run, labels and models all seeds have"""
    sft: Path | None = None
    """folder with sft-SEED of each seed, made there if missing; None: the one of the runs"""
    flaw_rate: float = 1.0
    """factor on the weak coder's mistakes in SFT: how sparse success is"""
    tokens: int = 240_000
    """generated tokens of each run; learning rates fall linearly to a tenth over them"""
    points: int = 3
    """evaluations on the way, at equal distances in tokens; the last one is at the end"""
    baseline_tokens: int = 1_200_000
    """generated tokens of the baseline run"""
    baseline_points: int = 6
    """the same of it; four writers are spread over them, the first and the last one included"""
    difficulty: str = "3-5"
    """conditionals of a problem"""
    problems: int = 384
    """training problems, the same for all runs"""
    label_problems: tuple[int, int] = (256, 1024)
    """with one program of each of four policies for so many training problems, all kinds of labels
    are compared; with those for so many more, the arms' kind and perfect ones"""
    held_problems: int = 100
    """validation problems; a program for each by each of those policies shows how scores fall"""
    labels: str = "completer, any of 1"
    """labels of most problems whose model the arms have"""
    epochs: int = 16
    """passes of a model over its labels"""
    gate: float = 0.7
    """how far its score must fall at the first wrong line (perfect: 2), or no run is begun"""
    gae_lambda: float = 0.95
    """of all runs; at 1, it cannot matter what the critic begins as"""
    test_problems: int = 150
    """test problems, the same for all runs"""
    samples: int = 4
    """sampled programs a test problem; the greedy one besides"""
    parallel: int = 2
    """runs at a time, each with one thread"""
    runs: Path = Path("runs/prm_arms")
    """folder of policies, labels, models and logs"""
    out: Path = page.RESULTS / "prm"
    """path of the results without suffix: .json, .md and .png are written"""

    def __post_init__(self) -> None:
        """Refuses labels and arms that there are none of."""
        if self.labels not in KINDS:
            raise UnknownNameError("kind of labels", self.labels, KINDS)
        self.chosen()

    def chosen(self) -> tuple[str, ...]:
        """The arms that are named.

        Raises:
            UnknownNameError: If one of them is none.
        """
        groups = {"core": CORE, "account": ACCOUNT, "all": tuple(ARMS)}
        return arms_named(self.arms, ARMS, groups)


def base(args: Args, seed: int) -> dict[str, Any]:
    """The SFT policy of a seed, and by which errors its greedy programs fail first.

    Args:
        args: The command line.
        seed: Of everything.

    Returns:
        ``seed`` and ``first_errors``, on validation problems.
    """
    torch.set_num_threads(1)
    fine_tuned(
        sft.Args(flaw_rate=args.flaw_rate, seed=seed, threads=1, out=_sft_folder(args, seed))
    )
    settings = _settings(args, BASE, seed)
    problems = held_out(settings, split="validation", per_level=args.held_problems, seed=0)
    policy = CausalLMPolicy.from_pretrained(_sft_folder(args, seed)).eval()
    return {"seed": seed, "first_errors": first_errors(policy, settings, problems)}


def baseline(args: Args) -> dict[str, Any]:
    """The run with tests only whose policies write and complete what is labelled.

    Returns:
        A row like those of :func:`reinforce`.
    """
    settings = dataclasses.replace(
        _settings(args, BASE, args.baseline_seed), out=args.runs / "baseline"
    )
    done = _run(args, BASE, settings, tokens=args.baseline_tokens, points=args.baseline_points)
    return {"seed": args.baseline_seed, **done}


def label_and_fit(args: Args, kind: str, problems: int) -> dict[str, Any]:
    """Labels of a kind, a model that is fitted to them, and how far both fall.

    Args:
        args: The command line.
        kind: Key of :data:`KINDS`.
        problems: For so many problems each of the writers wrote a program.

    Returns:
        A row of the results.
    """
    torch.set_num_threads(1)
    settings = _settings(args, BASE, args.baseline_seed)
    held = write_programs(_writers(args), settings, args.held_problems)
    labels = label(kind, _collecting(args, kind, problems))
    model, fitted = fit(labels, _sft_folder(args, args.baseline_seed), _fitting(args))
    model.save_pretrained(_model_folder(args, kind, problems))
    return {
        "kind": kind,
        "problems": problems,
        **labels.summary(),
        "labels": labels.judge()._asdict(),
        "model": held.judge(model)._asdict(),
        "label_cpu_seconds": labels.cpu_seconds,
        **fitted,
    }


def fit_values(args: Args) -> dict[str, Any]:
    """The critic's first weights: a model of the arms' labels, fitted from the first line end on.

    Returns:
        ``fit_cpu_seconds`` and what else is known of the fit.
    """
    torch.set_num_threads(1)
    labels = label(args.labels, _collecting(args, args.labels, max(args.label_problems)))
    settings = dataclasses.replace(_fitting(args), fit="tokens")
    model, fitted = fit(labels, _sft_folder(args, args.baseline_seed), settings)
    model.save_pretrained(args.runs / "value-model")
    return fitted


def transfer(args: Args, seed: int) -> dict[str, Any]:
    """How far the arms' model falls in programs of a seed's SFT policy.

    Args:
        args: The command line.
        seed: Of the policy; the programs are for validation problems.

    Returns:
        ``seed`` and the fields of :class:`benchmarks.process_reward.scorers.Compared`.
    """
    torch.set_num_threads(1)
    settings = _settings(args, BASE, args.baseline_seed)
    written = write_programs([_sft_folder(args, seed)], settings, args.held_problems)
    folder = _model_folder(args, args.labels, max(args.label_problems))
    found = written.judge(ProcessRewardModel.from_pretrained(folder))
    return {"seed": seed, **found._asdict()}


def by_writer(args: Args) -> list[dict[str, Any]]:
    """How far the arms' model falls in programs of each of the policies that wrote what it read.

    Returns:
        For each of them, its ``point`` of the baseline run and the fields of
        :class:`benchmarks.process_reward.scorers.Compared`, on other validation programs than those
        of the gate.
    """
    torch.set_num_threads(1)
    settings = _settings(args, BASE, args.baseline_seed)
    folder = _model_folder(args, args.labels, max(args.label_problems))
    model = ProcessRewardModel.from_pretrained(folder)
    found = []
    for point, writer in zip(_writers_points(args), _writers(args), strict=True):
        written = write_programs([writer], settings, _FOR_EACH * args.held_problems)
        found.append({"point": point, **written.judge(model)._asdict()})
    return found


def reinforce(args: Args, arm: str, seed: int, tokens: float) -> dict[str, Any]:
    """One PPO run, evaluated on the test split on the way.

    Args:
        args: The command line.
        arm: Key of :data:`ARMS`.
        seed: Of everything; names the SFT policy as well.
        tokens: Its budget.

    Returns:
        A row of the results.
    """
    found = _run(args, arm, _settings(args, arm, seed), tokens=tokens, points=args.points)
    return {"arm": arm, "seed": seed, **found}


def _run(args: Args, arm: str, settings: prm.Args, *, tokens: float, points: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    problems = load_split(settings, split="train", size=args.problems, seed=0)
    done = run_to_budget(
        lambda settings, grader, logger: make_trainer(
            ARMS[arm], settings, problems, grader, logger
        ),
        settings,
        held_out(settings, split="test", per_level=args.test_problems, seed=0),
        tokens=tokens,
        points=points,
        samples=args.samples,
        watched=_WATCHED,
    )
    return {
        "curve": done.curve,
        "by_conditionals": done.by_conditionals,
        "cpu_seconds": done.cpu_seconds,
    }


def _settings(args: Args, arm: str, seed: int) -> prm.Args:
    given: dict[str, Any] = {
        "model": str(_sft_folder(args, seed)),
        "difficulty": args.difficulty,
        "sampler": "uniform",  # the same mixture of problems in all arms
        "start": "empty",
        "reward": "binary",
        "fgo": False,
        "gae_lambda": args.gae_lambda,
        "problems": args.problems,
        "anneal": False,  # by tokens instead
        "guard": False,
        "eval_every": 0,
        "threads": 1,
        "workers": 1,
        "seed": seed,
        "out": args.runs / f"{_slug(arm)}-{seed}",
    }
    kind, problems = (args.labels, max(args.label_problems))
    model = _model_folder(args, PERFECT if ARMS[arm].of_perfect_labels else kind, problems)
    folders = model_folders(ARMS[arm], model, args.runs / "value-model")
    return prm.Args(**{**given, **ARMS[arm].settings, **folders})


def _collecting(args: Args, kind: str, problems: int) -> collect.Args:
    return collect.Args(
        policies=tuple(_writers(args)),
        completer=_writers(args)[-1],
        difficulty=args.difficulty,
        problems=problems,
        responses=1,
        group=problems,
        threads=1,
        workers=1,
        seed=0,
        out=args.runs / "labels" / f"{_slug(kind)}-{problems}",
    )


def _fitting(args: Args) -> reward_model.Args:
    return reward_model.Args(epochs=args.epochs, selection="full")


def _writers(args: Args) -> list[Path]:
    """Evenly spaced over the baseline run: its first policy, which is SFT's, to its last one."""
    return [args.runs / "baseline" / f"point-{point}" for point in _writers_points(args)]


def _writers_points(args: Args) -> list[int]:
    return [round(k * args.baseline_points / (_WRITERS - 1)) for k in range(_WRITERS)]


def _sft_folder(args: Args, seed: int) -> Path:
    return (args.sft or args.runs) / f"sft-{seed}"


def _model_folder(args: Args, kind: str, problems: int) -> Path:
    return args.runs / "models" / f"{_slug(kind)}-{problems}"


def _slug(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name)


def run(args: Args) -> None:
    """Runs what is missing and reports after each part."""
    args.runs.mkdir(parents=True, exist_ok=True)
    arguments, data = kept_before(args, _DECISIVE)
    results = page.environment("prm", "torch") | {"arguments": arguments}
    kept: dict[str, Any] = {"bases": {}, "baseline": None, "labels": [], "values": None}
    kept |= {"transfer": {}, "by_writer": [], "rows": []}
    results |= {name: data.get(name, empty) for name, empty in kept.items()}
    page.going_on(results, data)

    def save() -> None:
        results["starts"] = count_starts(args.runs)
        page.write(args.out, results, lines, draw, quiet=True)

    for done in _prepare(args, results):
        print(done, flush=True)
        save()
    if not passes_gate(results):
        print("The score does not fall as far as the gate asks, so no run of PPO is begun.")
        return
    if results["values"] is None:
        results["values"] = fit_values(args)
        save()
    if not results["by_writer"]:
        results["by_writer"] = by_writer(args)
        save()
    made = {(row["arm"], row["seed"]) for row in results["rows"]}
    # Seed by seed: what is done at any moment compares all arms.
    jobs = [
        (reinforce, args, arm, seed, _budget(args, arm, results))
        for seed in args.seeds
        for arm in args.chosen()
        if (arm, seed) not in made
    ]
    for row in side_by_side(args.parallel, jobs):
        results["rows"].append(row)
        results["rows"].sort(key=lambda row: (list(ARMS).index(row["arm"]), row["seed"]))
        print(f"{row['arm']}, seed {row['seed']}: {row['curve'][-1]}", flush=True)
        save()


def _prepare(args: Args, results: dict[str, Any]) -> Iterator[str]:
    """Policies, baseline, labels and models into `results`; yields a word about each."""
    bases: dict[str, Any] = results["bases"]
    if str(args.baseline_seed) not in bases:
        bases[str(args.baseline_seed)] = base(args, args.baseline_seed)
        yield f"SFT policy of seed {args.baseline_seed}"
    jobs: list[tuple[Any, ...]] = [] if results["baseline"] else [(baseline, args)]
    jobs += [(base, args, seed) for seed in args.seeds if str(seed) not in bases]
    for found in side_by_side(args.parallel, jobs):
        if "curve" in found:
            results["baseline"] = found
            yield f"baseline: {found['curve'][-1]}"
        else:
            bases[str(found["seed"])] = found
            yield f"SFT policy of seed {found['seed']}"
    kinds = {(row["kind"], row["problems"]) for row in results["labels"]}
    jobs = [(label_and_fit, args, *each) for each in _labelled(args) if each not in kinds]
    for row in side_by_side(args.parallel, jobs):
        results["labels"].append(row)
        results["labels"].sort(key=lambda row: (list(KINDS).index(row["kind"]), row["problems"]))
        yield f"labels {row}"
    jobs = [(transfer, args, seed) for seed in args.seeds if str(seed) not in results["transfer"]]
    for found in side_by_side(args.parallel, jobs):
        results["transfer"][str(found["seed"])] = found
        yield f"the model in programs of the SFT policy of seed {found['seed']}: {found}"


def _labelled(args: Args) -> Iterator[tuple[str, int]]:
    """Kinds of labels and numbers of problems: the arms' first, as all else waits for them."""
    few, most = args.label_problems
    yield from ((kind, most) for kind in (args.labels, PERFECT))
    yield from ((kind, few) for kind in KINDS)


def _budget(args: Args, arm: str, results: dict[str, Any]) -> float:
    """Generated tokens of a run; a longer one runs as many programs as the labels took besides."""
    if not ARMS[arm].longer:
        return args.tokens
    labels = arms_labels(results)
    assert labels is not None  # the gate was passed
    return _TO_SPARE * (args.tokens + float(labels["executions"] * labels["mean_tokens"]))


if __name__ == "__main__":
    main(lambda: run(command_line(Args)))
