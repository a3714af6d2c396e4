"""Kinds of labels, models that are fitted to them, and how far their scores fall.

All kinds label the same programs, so that they differ in what is asked about a prefix alone.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from agents.environments import TaskSettings, load_split, make_envs, make_grader, make_tokenizer
from agents.evaluate import evaluate, held_out
from agents.policy import CausalLMPolicy
from agents.prm import collect
from agents.prm import train as reward_model
from agents.prm.labels import kind_of
from agents.prm.model import ProcessRewardModel
from agents.prm.reinforce import ModelScorer
from agents.prm.selection import select, split_by_problem
from agents.prm.storage import LabelledResponse, read_labels
from agents.telemetry import RunLogger
from benchmarks.process_reward.scorers import Compared, Recorder, ReferenceScorer, compare
from codegym.problems import ProblemSet
from codegym.rewards import ProcessReward

__all__ = ["KINDS", "PERFECT", "Kind", "Labels", "Programs", "fit", "label", "write_programs"]

PERFECT = "perfect: the canonical program"


class Kind(NamedTuple):
    """What is asked about a prefix.

    Attributes:
        who: Completes it: the policy that wrote the program, or the strongest one that there is.
        labelling: Whether any completion passes, or how many.
        completions: K.
    """

    who: Literal["writer", "completer"]
    labelling: Literal["any", "rate"]
    completions: int


KINDS = {
    PERFECT: Kind("completer", "any", 1),  # whose answers are not looked at
    "writer, any of 20": Kind("writer", "any", 20),
    "completer, any of 1": Kind("completer", "any", 1),
    "completer, any of 5": Kind("completer", "any", 5),
    "completer, any of 20": Kind("completer", "any", 20),
    "completer, rate of 5": Kind("completer", "rate", 5),
}


class Programs(NamedTuple):
    """Programs of some policies, line by line.

    Attributes:
        written: Tokens and line ends.
        reference: Says which lines are right.
    """

    written: Recorder
    reference: ReferenceScorer

    def judge(self, model: ProcessRewardModel) -> Compared:
        """How well a model tells right lines from wrong ones."""
        scorer = ModelScorer(model.eval())
        scores = scorer(self.written.tokens, self.written.ends)
        return compare(scores, self.reference, self.written.tokens, self.written.ends)


def write_programs(policies: Sequence[Path], settings: TaskSettings, per_level: int) -> Programs:
    """One sampled program of each policy for each problem of the validation split.

    Args:
        policies: Their folders.
        settings: Say what the environment is.
        per_level: Number of problems, of each difficulty if the settings name none.
    """
    tokenizer = make_tokenizer(settings.tokenizer)
    problems = held_out(settings, split="validation", per_level=per_level, seed=0)
    recorder = Recorder()
    with make_grader(settings) as grader:
        envs = make_envs(
            settings,
            problems,
            start="empty",
            grader=grader,
            tokenizer=tokenizer,
            num_envs=min(settings.num_envs, len(problems)),
            reward=ProcessReward(recorder),
        )
        try:
            for seed, folder in enumerate(policies):
                evaluate(CausalLMPolicy.from_pretrained(folder).eval(), envs, problems, seed=seed)
        finally:
            envs.close()
    return Programs(recorder, ReferenceScorer(problems, tokenizer))


@dataclasses.dataclass(frozen=True)
class Labels:
    """Labelled programs.

    Attributes:
        responses: Policy by policy, problem by problem.
        problems: What was asked.
        tokenizer: Its name.
        vocabulary: Hash of it.
        cpu_seconds: It took to collect them, without the workers that run programs.
    """

    responses: tuple[LabelledResponse, ...]
    problems: ProblemSet
    tokenizer: str
    vocabulary: str
    cpu_seconds: float

    def summary(self) -> dict[str, Any]:
        """How many programs there are and of which kind, and what they cost.

        Returns:
            ``programs``; ``failed`` ones, and those of them that are ``recoverable`` after some
            line; ``completions``; ``executions``, of those and of the programs themselves; and
            ``mean_tokens`` that were generated for a program.
        """
        every = self.responses
        return {
            "programs": len(every),
            "failed": sum(one.kind != "correct" for one in every),
            "recoverable": sum(one.kind == "revised" for one in every),
            "completions": (completions := sum(one.completions for one in every)),
            "executions": len(every) + completions,
            "mean_tokens": float(np.mean([len(one.input_ids) - one.start_length for one in every])),
        }

    def judge(self) -> Compared:
        """What a model would tell of right and wrong lines that says exactly the labels."""
        reference = ReferenceScorer(self.problems, make_tokenizer(self.tokenizer))
        tokens, ends, labels = [], [], []
        for one in self.responses:
            pairs = zip(one.line_ends, one.labels, strict=True)
            scored = [(end + 1, label) for end, label in pairs if label]
            if scored:
                tokens.append(np.array(one.input_ids[: scored[-1][0]]))
                ends.append(np.array([end for end, _ in scored]))
                labels += [label for _, label in scored]
        return compare(labels, reference, tokens, ends)


def label(kind: str, settings: collect.Args) -> Labels:
    """Collects the labels of a kind, or reads what was collected before.

    Args:
        kind: Key of :data:`KINDS`.
        settings: Writers, completer, problems and folder.
    """
    who, labelling, completions = KINDS[kind]
    settings = dataclasses.replace(
        settings,
        completer=settings.completer if who == "completer" else None,
        labelling=labelling,
        completions=completions,
        audit=0,
    )
    before = time.process_time()
    with RunLogger(settings.out / "log", quiet=True) as logger:
        collect.collect(settings, logger)
    seconds = time.process_time() - before
    problems = load_split(settings, split="train", size=settings.problems, seed=settings.seed)
    read = read_labels(settings.out)
    vocabulary = read.manifest["vocabulary_sha256"]
    found = Labels(read.responses, problems, settings.tokenizer, vocabulary, seconds)
    if kind != PERFECT:
        return found
    reference = ReferenceScorer(problems, make_tokenizer(settings.tokenizer))
    perfect = tuple(_perfect(one, reference) for one in found.responses)
    return dataclasses.replace(found, responses=perfect)


def _perfect(one: LabelledResponse, reference: ReferenceScorer) -> LabelledResponse:
    """The same program, with labels that the canonical one gives, which cost nothing."""
    ends = np.array(one.line_ends) + 1
    right = reference([np.array(one.input_ids)], [ends])
    labels = tuple(truth if found else 0.0 for truth, found in zip(right, one.labels, strict=True))
    good = max((m for m, found in enumerate(right, 1) if found > 0), default=0)
    kind = kind_of(solved=one.kind == "correct", recoverable_lines=good)
    return dataclasses.replace(
        one, labels=labels, kind=kind, recoverable_lines=good, questions=0, completions=0
    )


def fit(
    labels: Labels, policy: Path, settings: reward_model.Args
) -> tuple[ProcessRewardModel, dict[str, Any]]:
    """A model of all of the labels; one problem in eight chooses the epoch.

    Args:
        labels: What it is fitted to.
        policy: Folder of the policy whose weights it begins with.
        settings: Epochs and rates, and whether line ends or all tokens are fitted.

    Returns:
        The model, and what became of the fit.
    """
    before = time.process_time()
    training, validation = split_by_problem(labels.responses, every=settings.validation_every)
    start = CausalLMPolicy.from_pretrained(policy)
    model = ProcessRewardModel.from_policy(start, vocabulary=labels.vocabulary)
    best = reward_model.train(model, select(training, "full"), validation, settings)
    return model, {"best_epoch": best, "fit_cpu_seconds": time.process_time() - before}
