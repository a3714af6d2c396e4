"""The second example: PPO on problems in APPS+'s format, through ``CodeGen-APPSPlus-v0``.

The problems are the sample that ships with codegym: five dozen, in English, with real tests. A
small model that begins from nothing and reads thirty of them does not learn to program. What it
shows is the whole path on a real data set, and how much of a solution it must be given:

1. A vocabulary of byte pairs from the training problems.
2. SFT on the canonical solutions of every other training problem.
3. PPO with CCCS start states and FGO loss masks on all training problems: SFT has not seen the
   solutions of half of them, but start states show how they begin.
4. pass@1 by stage, on the training problems that SFT has not seen, and on the validation and test
   problems, whose solutions nothing has seen; beside them, to compare, on those that SFT has seen.
   Stage 0 is the empty prefix.

Beside it stand an untrained model, and a program that completes the given code with the last lines
of the solution of the most similar training problem.

    python -m agents.apps_plus --out runs/apps_plus
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from rich.table import Table
from transformers import PreTrainedTokenizerFast

import codegym
from agents import ppo, sft
from agents.command import command_line, main, refuse_set_elsewhere, set_up_torch
from agents.engines import use_engine
from agents.environments import load_split, make_envs, make_grader, make_tokenizer, task_of
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from agents.rollout import play
from agents.telemetry import RunLogger, read_scalars
from codegym.envs import make_prompt_format
from codegym.grading import Verdict
from codegym.problems import Problem, ProblemSet
from codegym.rewards import StepCoderReward
from codegym.start_states import CurriculumOfSubtasks, Reference

__all__ = ["Args", "Rates", "copied", "train", "train_vocabulary"]

_TASK: dict[str, Any] = {
    "env_id": "CodeGen-APPSPlus-v0",
    "data": "sample",
    "context_length": 640,
}
_MAX_NEW_TOKENS = 320
_VOCABULARY = 768

Rates = dict[int, tuple[int, int]]
"""Stage -> programs that passed, programs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """PPO on the sample of CodeGen-APPSPlus-v0, in a few minutes on two CPU cores."""

    out: Path = Path("runs/apps_plus")
    """gets everything that the run writes"""
    seed: int = 0
    """of everything"""
    threads: int = 1
    """of torch, for each model that is computed"""
    samples: int = 8
    """programs for each problem and stage in the evaluation, at temperature 1"""
    sft: sft.Args = dataclasses.field(
        default_factory=lambda: sft.Args(
            **_TASK,
            problems=0,
            steps=300,
            # So few solutions are to be known by heart, or no program of 150 tokens that is drawn
            # at temperature 1 is without an error, and PPO has nothing to learn from.
            sft_learning_rate=1e-2,
            matrix_learning_rate=2e-2,
            prompt_weight=0.0,
        )
    )
    """settings of SFT"""
    ppo: ppo.Args = dataclasses.field(
        default_factory=lambda: ppo.Args(
            **_TASK,
            max_new_tokens=_MAX_NEW_TOKENS,
            problems=0,
            iterations=30,
            episodes=64,
            num_envs=64,
            learning_rate=3e-4,
            minibatches=4,
            eval_every=0,
        )
    )
    """settings of PPO"""

    def __post_init__(self) -> None:
        """Refuses what would have no effect."""
        both = ("out", "seed", "threads", "tokenizer")
        refuse_set_elsewhere(self.sft, "sft", (*both, "split"))
        refuse_set_elsewhere(self.ppo, "ppo", (*both, "model"))


def train(args: Args) -> dict[str, dict[str, Rates]]:
    """Runs the whole example.

    Args:
        args: The command line.

    Returns:
        Set of problems -> who wrote -> pass rates by stage.
    """
    set_up_torch(args.threads)
    shared: Any = {
        "seed": args.seed,
        "threads": args.threads,
        "tokenizer": str(args.out / "tokenizer"),
    }
    sft_args = dataclasses.replace(args.sft, out=args.out / "sft", **shared)
    ppo_args = dataclasses.replace(
        args.ppo, model=str(sft_args.out), out=args.out / "ppo", **shared
    )
    seen, unseen, new = split(ppo_args)
    train_vocabulary([*seen, *unseen]).save_pretrained(shared["tokenizer"])
    with RunLogger(args.out) as logger, make_grader(ppo_args) as grader:
        untrained = _untrained(sft_args)
        sft.run(sft_args, logger, problems=seen)
        with RunLogger(ppo_args.out, quiet=True) as quiet:
            ppo.run(ppo_args, quiet, screen=logger, grader=grader)
        logger.end_progress()
        writers = {
            "untrained": untrained,
            "SFT": CausalLMPolicy.from_pretrained(sft_args.out).eval(),
            "PPO": CausalLMPolicy.from_pretrained(ppo_args.out / "last").eval(),
        }
        sets = {
            "training problems that SFT has seen": seen,
            "training problems that SFT has not seen": unseen,
            "new problems": new,
        }
        results: dict[str, dict[str, Rates]] = {}
        for name, problems in sets.items():
            results[name] = {
                who: written(policy, problems, ppo_args, grader=grader, samples=args.samples)
                for who, policy in writers.items()
            }
            results[name]["copy of the nearest"] = copied(problems, [*seen, *unseen], grader)
            logger.show(_table(f"{name} ({len(problems)}), pass@1 in % by stage", results[name]))
        logger.note(_levels(ppo_args))
    data = {"arguments": dataclasses.asdict(args), "passed_of_by_stage": results}
    (args.out / "results.json").write_text(json.dumps(data, indent=1, default=str) + "\n")
    return results


def split(settings: ppo.Args) -> tuple[ProblemSet, ProblemSet, ProblemSet]:
    """Which problems SFT sees, which only PPO sees, and which nobody does.

    Args:
        settings: Of the task.

    Returns:
        Every other training problem, the others, and validation and test problems; each with all
        difficulties.
    """
    training = list(load_split(settings, split="train", size=0, seed=0))
    training.sort(key=lambda problem: (problem.difficulty or "", problem.id))
    held_out = [
        problem
        for name in ("validation", "test")
        for problem in load_split(settings, split=name, size=0, seed=0)
    ]
    return ProblemSet.of(training[::2]), ProblemSet.of(training[1::2]), ProblemSet.of(held_out)


def train_vocabulary(problems: Sequence[Problem]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of problems and solutions, in which a line break ends a token.

    So the tokens of a solution up to a line break are the same whether it ends there or goes on,
    which is what start states need.

    Args:
        problems: Of the training split.

    Returns:
        A tokenizer that ``save_pretrained`` writes to a folder.
    """
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(
                tokenizers.Regex(r"\n| {4}| ?\w+| ?[^\w\s]+|\s"), "isolated"
            ),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=["<|end|>", "<|pad|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for p in problems for text in (p.description, p.canonical_solution)]
    model.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=model, eos_token="<|end|>", pad_token="<|pad|>"
    )


def written(
    policy: CausalLMPolicy,
    problems: ProblemSet,
    settings: ppo.Args,
    *,
    grader: codegym.Grader,
    samples: int,
) -> Rates:
    """Pass rates of a policy from every stage of every problem.

    Args:
        policy: Writes the programs.
        problems: What is asked.
        settings: Of the environment, and which engine writes.
        grader: Judges.
        samples: Programs for each problem and stage.

    Returns:
        By stage.
    """
    use_engine(policy, settings)
    tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
    envs = make_envs(
        settings, problems, start=CurriculumOfSubtasks(), grader=grader, tokenizer=tokenizer
    )
    task = task_of(envs)
    starts = CurriculumOfSubtasks()
    wanted = [
        (problem.id, stage)
        for problem in problems
        for stage in range(starts.num_stages(task.reference(problem)))
        for _ in range(samples)
    ]
    n = envs.num_envs
    padded = [*wanted, *wanted[: -len(wanted) % n]]  # `play` drops what fills the last wave
    options = [
        {"problem_id": [w[0] for w in wave], "stage": [w[1] for w in wave]}
        for wave in (padded[i : i + n] for i in range(0, len(padded), n))
    ]
    try:
        sequences = play(
            policy, envs, episodes=len(wanted), seed=settings.seed, options=options
        ).sequences
    finally:
        envs.close()
    return _count(zip(sequences.stage.tolist(), sequences.solved.tolist(), strict=True))


def copied(problems: Sequence[Problem], known: Sequence[Problem], grader: codegym.Grader) -> Rates:
    """Pass rates of a program that knows the training solutions by heart and nothing else.

    The given code is completed with as many lines as are missing, from the end of the solution of
    the training problem whose text is most similar.

    Args:
        problems: What is asked.
        known: Training problems; the problem itself is left out.
        grader: Judges.

    Returns:
        By stage.
    """
    starts = CurriculumOfSubtasks()
    prompt_format = make_prompt_format("auto")
    rng = np.random.default_rng(0)
    stages, pairs = [], []
    for problem in problems:
        others = [other for other in known if other.id != problem.id]
        nearest = max(others, key=partial(_similarity, problem))
        header = prompt_format.render(problem).header
        reference = Reference(problem.id, problem.canonical_solution, header)
        for stage in range(starts.num_stages(reference)):
            given = header + starts.draw(reference, rng, stage).prefix
            missing = problem.canonical_solution[len(given) :].count("\n")
            lines = nearest.canonical_solution.splitlines(keepends=True)
            pairs.append((problem, given + "".join(lines[max(1, len(lines) - missing) :])))
            stages.append(stage)
    solved = [grade.solved for grade in grader.grade_many(pairs)]
    return _count(zip(stages, solved, strict=True))


def _untrained(settings: sft.Args) -> CausalLMPolicy:
    tokenizer = make_tokenizer(settings.tokenizer, settings.prompt_format)
    return make_policy(settings, vocab_size=tokenizer.vocab_size, seed=settings.seed)


def _similarity(one: Problem, other: Problem) -> float:
    words = [problem.description.lower().split() for problem in (one, other)]
    return difflib.SequenceMatcher(a=words[0], b=words[1], autojunk=False).ratio()


def _count(outcomes: Iterable[tuple[int, bool]]) -> Rates:
    counts: Rates = {}
    for stage, solved in sorted(outcomes):
        passed, tried = counts.get(stage, (0, 0))
        counts[stage] = (passed + int(solved), tried + 1)
    return counts


def _table(title: str, rates: Mapping[str, Rates]) -> Table:
    table = Table(title=title)
    table.add_column("")
    stages = sorted({stage for each in rates.values() for stage in each})
    for stage in stages:
        table.add_column(f"stage {stage}", justify="right")
    for who, each in rates.items():
        cells = [
            f"{100 * each[stage][0] / each[stage][1]:.1f} ({each[stage][0]} of {each[stage][1]})"
            for stage in stages
        ]
        table.add_row(who, *cells)
    return table


def _levels(settings: ppo.Args) -> str:
    """How often PPO's programs got each of the four rewards."""
    reward = StepCoderReward()
    programs: Counter[float] = Counter()
    for row in read_scalars(settings.out):
        for verdict in Verdict:
            share = row.get(f"verdict/{verdict.value}", 0.0)
            programs[reward.level(verdict)] += round(share * settings.episodes)
    counts = ", ".join(f"{level:+.1f}: {programs[level]}" for level in sorted(programs))
    return f"Rewards of PPO's {sum(programs.values())} programs: {counts}."


def _main() -> None:
    train(command_line(Args))


if __name__ == "__main__":
    main(_main)
