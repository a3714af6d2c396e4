"""How good is a policy: pass@1 and pass@k on held-out problems, by difficulty, with intervals.

Programs are written from the empty prefix in the same vector env that trains, and judged by the
same grader.

    python -m agents.evaluate --model runs/train/policy --split validation --per-level 300
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from rich.table import Table

import codegym
from agents.at_once import at_once
from agents.command import command_line, main, set_up_torch
from agents.engines import use_engine
from agents.environments import (
    ProblemSettings,
    TaskSettings,
    load_split,
    make_envs,
    make_grader,
    make_tokenizer,
)
from agents.memory import watched_memory
from agents.models import ModelSettings, make_policy
from agents.policy import CausalLMPolicy
from agents.rollout import Sampling, play
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError
from codegym.grading import pass_at_k, wilson_interval
from codegym.problems import GeneratedSource, ProblemSet
from codegym.tokenization import Tokenizer

__all__ = [
    "Evaluation",
    "LevelResult",
    "evaluate",
    "evaluation_table",
    "greedy_and_sampled",
    "held_out",
    "merged",
]

_ORDER = ("introductory", "interview", "competition")


@dataclasses.dataclass(frozen=True, slots=True)
class LevelResult:
    """One difficulty.

    Attributes:
        difficulty: The level.
        problems: Number of problems.
        samples: Programs a problem.
        pass_at: k -> probability that one of k programs passes, unbiased, mean over problems.
        low: k -> lower end of the 95 % Wilson interval over problems.
        high: k -> upper end.
        verdicts: Share of each verdict.
        mean_tokens: Generated tokens a program.
        solved: Programs that passed, for each problem id.
    """

    difficulty: str
    problems: int
    samples: int
    pass_at: Mapping[int, float]
    low: Mapping[int, float]
    high: Mapping[int, float]
    verdicts: Mapping[str, float]
    mean_tokens: float
    solved: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """All difficulties.

    Attributes:
        temperature: 0 is greedy.
        levels: From easy to hard.
        seconds: Time it took.
    """

    temperature: float
    levels: tuple[LevelResult, ...]
    seconds: float

    @property
    def mean_pass_at_1(self) -> float:
        """Mean over the levels."""
        return float(np.mean([level.pass_at[1] for level in self.levels]))

    def by_level(self, k: int = 1) -> dict[str, float]:
        """pass@k of each level."""
        return {level.difficulty: level.pass_at[k] for level in self.levels}

    def to_json(self) -> dict[str, Any]:
        """JSON-able data."""
        return {**dataclasses.asdict(self), "mean_pass_at_1": self.mean_pass_at_1}


def held_out(
    settings: ProblemSettings, *, split: str | None, per_level: int, seed: int = 0
) -> ProblemSet:
    """Problems to evaluate on: as many of each difficulty, from easy to hard.

    Args:
        settings: Source and selection.
        split: Of the problems.
        per_level: Problems a difficulty; fewer where the source has fewer.
        seed: Which ones.

    Returns:
        The problems.

    Raises:
        ConfigurationError: If `per_level` is less than 1, or no problem is left.
    """
    if per_level < 1:
        raise ConfigurationError(f"Expected a problem or more a difficulty, got {per_level}.")
    source = settings.source
    if isinstance(source, GeneratedSource):
        if settings.difficulty is not None or not source.difficulties:
            return load_split(settings, split=split, size=per_level, seed=seed)
        each = [
            load_split(
                dataclasses.replace(settings, difficulty=level),
                split=split,
                size=per_level,
                seed=seed,
            )
            for level in source.difficulties
        ]
        return ProblemSet.of(problem for problems in each for problem in problems)
    everything = load_split(settings, split=split, size=0, seed=seed).shuffle(seed)
    levels = sorted(everything.difficulties, key=_rank)
    parts = [everything.filter(difficulty=level).take(per_level) for level in levels]
    return ProblemSet.of(problem for problems in parts for problem in problems)


def evaluate(
    policy: CausalLMPolicy,
    envs: VectorEnv[Any, Any, Any],
    problems: ProblemSet,
    *,
    samples: int = 1,
    ks: Sequence[int] = (1,),
    sampling: Sampling = Sampling(),  # noqa: B008  # frozen
    seed: int = 0,
) -> Evaluation:
    """Writes and judges `samples` programs for each problem.

    Args:
        policy: Writes them.
        envs: Made for these problems, with ``start="empty"`` and without autoreset.
        problems: All are evaluated.
        samples: Programs a problem.
        ks: Which pass@k; each at most `samples`.
        sampling: Temperature 0 is greedy (one sample is then enough).
        seed: Of the sampler.

    Returns:
        Rates by difficulty.
    """
    began = time.perf_counter()
    ids = [problem_id for problem_id in problems.ids for _ in range(samples)]
    n = envs.num_envs
    # The last wave is filled up with the first problems; `play` drops what they add.
    waves = [ids[i : i + n] for i in range(0, len(ids), n)]
    waves[-1] = [*waves[-1], *(ids[i % len(ids)] for i in range(n - len(waves[-1])))]
    sequences = play(
        policy,
        envs,
        episodes=len(ids),
        seed=seed,
        sampling=sampling,
        options=[{"problem_id": wave} for wave in waves],
    ).sequences
    tokens = (sequences.length - sequences.start_length).tolist()
    solved = sequences.solved.tolist()
    levels = []
    for level in sorted(set(sequences.difficulty), key=_rank):
        rows = [i for i, difficulty in enumerate(sequences.difficulty) if difficulty == level]
        correct: dict[str, int] = {}
        for i in rows:
            name = sequences.problem_id[i]
            correct[name] = correct.get(name, 0) + int(solved[i])
        verdicts = [sequences.verdict[i] for i in rows]
        levels.append(
            _level(
                level,
                samples,
                ks,
                correct,
                verdicts={v: verdicts.count(v) / len(rows) for v in sorted(set(verdicts))},
                mean_tokens=float(np.mean([tokens[i] for i in rows])),
            )
        )
    return Evaluation(sampling.temperature, tuple(levels), time.perf_counter() - began)


def _level(
    difficulty: str,
    samples: int,
    ks: Sequence[int],
    solved: Mapping[str, int],
    *,
    verdicts: Mapping[str, float],
    mean_tokens: float,
) -> LevelResult:
    rates = {k: float(np.mean([pass_at_k(samples, c, k) for c in solved.values()])) for k in ks}
    intervals = {k: wilson_interval(rate, len(solved)) for k, rate in rates.items()}
    return LevelResult(
        difficulty=difficulty,
        problems=len(solved),
        samples=samples,
        pass_at=rates,
        low={k: interval[0] for k, interval in intervals.items()},
        high={k: interval[1] for k, interval in intervals.items()},
        verdicts=verdicts,
        mean_tokens=mean_tokens,
        solved=solved,
    )


def merged(parts: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of parts of the problems as one of all of them.

    Args:
        parts: At least one, with different problems and the same samples and k.

    Returns:
        What an evaluation of all problems gives whose programs are these; the time is that of the
        slowest part.
    """
    found = [level for part in parts for level in part.levels]
    levels = []
    for difficulty in sorted({level.difficulty for level in found}, key=_rank):
        some = [level for level in found if level.difficulty == difficulty]
        shares = [level.problems / sum(one.problems for one in some) for level in some]
        names = sorted({verdict for level in some for verdict in level.verdicts})

        def mean(values: Sequence[float], weights: Sequence[float] = shares) -> float:
            return float(np.dot(values, weights))

        levels.append(
            _level(
                difficulty,
                some[0].samples,
                tuple(some[0].pass_at),
                {name: count for level in some for name, count in level.solved.items()},
                verdicts={v: mean([level.verdicts.get(v, 0.0) for level in some]) for v in names},
                mean_tokens=mean([level.mean_tokens for level in some]),
            )
        )
    return Evaluation(parts[0].temperature, tuple(levels), max(part.seconds for part in parts))


def greedy_and_sampled(
    policy: CausalLMPolicy,
    settings: TaskSettings,
    problems: ProblemSet,
    *,
    grader: codegym.Grader,
    tokenizer: Tokenizer,
    samples: int = 1,
    ks: Sequence[int] = (1,),
    seed: int = 0,
) -> dict[str, Evaluation]:
    """What a policy passes from the empty prefix in both ways, which are written at the same time.

    A program that fails a test is not run on the others: whether it passes is known, and a program
    that never ends would be waited for again with each of them.

    Args:
        policy: Writes the programs.
        settings: Say what the environment is, and which engine writes.
        problems: All are evaluated.
        grader: Its executor and limits are what programs are judged with.
        tokenizer: Of the policy.
        samples: Sampled programs a problem; of greedy ones there is one.
        ks: Which pass@k of the samples; each at most `samples`.
        seed: Of the sampler.

    Returns:
        ``"greedy"``, and ``"sampled"`` at temperature 1.
    """
    use_engine(policy, settings)
    with contextlib.ExitStack() as stack:
        judge = stack.enter_context(
            codegym.Grader(
                grader.executor, grader.limits, coverage=False, stop_at_first_failure=True
            )
        )

        def way(sampling: Sampling, samples: int, ks: Sequence[int]) -> Callable[[], Evaluation]:
            envs = make_envs(
                settings,
                problems,
                start="empty",
                grader=judge,
                tokenizer=tokenizer,
                num_envs=_even(len(problems) * samples, settings.num_envs),
            )
            stack.callback(envs.close)
            return lambda: evaluate(
                policy, envs, problems, samples=samples, ks=ks, sampling=sampling, seed=seed
            )

        greedy, sampled = at_once(way(Sampling(0.0), 1, (1,)), way(Sampling(), samples, ks))
    return {"greedy": greedy, "sampled": sampled}


def evaluation_table(title: str, evaluations: Mapping[str, Evaluation]) -> Table:
    """pass@k of several evaluations side by side, in percent with 95 % intervals.

    Args:
        title: Of the table.
        evaluations: By the name of their row.

    Returns:
        A table of rich.
    """
    table = Table(title=title)
    table.add_column("")
    first = next(iter(evaluations.values()))
    for level in first.levels:
        table.add_column(f"{level.difficulty} (n={level.problems})", justify="right")
    table.add_column("mean", justify="right")
    for name, evaluation in evaluations.items():
        for k in evaluation.levels[0].pass_at:
            ends = [(level.pass_at[k], level.low[k], level.high[k]) for level in evaluation.levels]
            cells = [
                f"{100 * rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]" for rate, low, high in ends
            ]
            mean = 100 * float(np.mean([level.pass_at[k] for level in evaluation.levels]))
            table.add_row(f"{name} pass@{k}", *cells, f"{mean:.1f}")
    return table


def _even(episodes: int, at_most: int) -> int:
    """Sub-environments that play the episodes in as few waves as `at_most` do, all about full."""
    waves = -(-episodes // at_most)
    return -(-episodes // waves)


def _rank(difficulty: str) -> tuple[int, str]:
    return (_ORDER.index(difficulty) if difficulty in _ORDER else len(_ORDER), difficulty)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(TaskSettings, ModelSettings):
    """Evaluation of a saved policy."""

    split: str | None = "validation"
    """the test split is for figures that are published, not for choices"""
    per_level: int = 300
    """problems a difficulty"""
    samples: int = 1
    """programs a problem at temperature 1"""
    ks: tuple[int, ...] = (1,)
    """which pass@k of the samples"""
    seed: int = 0
    """of problems and sampler"""
    threads: int = 1
    """of torch, for each model that is computed"""
    device: str = "cpu"
    """of the model"""
    out: Path = Path("runs/evaluate")
    """gets evaluation.json"""

    def __post_init__(self) -> None:
        """Refuses what would have no meaning or no effect."""
        self.refuse_unused_task()
        self.refuse_unused_model()
        if not self.ks or not all(1 <= k <= self.samples for k in self.ks):
            raise ConfigurationError(
                f"pass@k of {self.samples} samples needs k from 1 to {self.samples}, got "
                f"ks={self.ks}. Raise samples."
            )


def run(args: Args, logger: RunLogger) -> dict[str, Evaluation]:
    """The command: greedy and sampled evaluation, printed and written as JSON.

    Args:
        args: The command line.
        logger: Where to report.

    Returns:
        The two evaluations.
    """
    set_up_torch(args.threads, args.device)
    tokenizer = make_tokenizer(args.tokenizer, args.prompt_format)
    policy = make_policy(args, vocab_size=tokenizer.vocab_size, seed=args.seed).to(args.device)
    problems = held_out(args, split=args.split, per_level=args.per_level, seed=args.seed)
    with make_grader(args) as grader:
        results = greedy_and_sampled(
            policy,
            args,
            problems,
            grader=grader,
            tokenizer=tokenizer,
            samples=args.samples,
            ks=args.ks,
            seed=args.seed,
        )
    logger.show(evaluation_table(f"{args.env_id}, {args.split}, pass@k in %", results))
    data = {name: result.to_json() for name, result in results.items()}
    (args.out / "evaluation.json").write_text(json.dumps(data, indent=1) + "\n")
    return results


def _main() -> None:
    args = command_line(Args)
    with RunLogger(args.out) as logger, watched_memory(args, "num_envs"):
        run(args, logger)


if __name__ == "__main__":
    main(_main)
