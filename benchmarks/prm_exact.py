"""Labels and reward model against the truth, where the truth can be computed.

A Mini problem and the typical mistakes of each of its clauses give a set of programs that can be
listed: every combination of right and wrong clauses. A policy that may write these programs only
(its probabilities, renormalised over the tokens that go on with one of them) has a probability of
finishing well from every prefix, by summing over a tree. Against it stand

- the labels of the binary search and of the exhaustive labeller, for several K. A line is good if
  its prefix *can* be finished; that never comes back, so there is a right answer;
- reward models trained on labels of several K and two selections of them, on problems that they
  were not trained on.

    python -m benchmarks.prm_exact --out benchmarks/results/prm_exact
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from agents import sft
from agents.environments import make_tokenizer
from agents.policy import CausalLMPolicy
from agents.prm import train as training
from agents.prm.labels import is_monotone, kind_of, labels_of, search_all, search_binary
from agents.prm.lines import vocabulary_hash
from agents.prm.model import ProcessRewardModel
from agents.prm.report import area_under_curve
from agents.prm.selection import Selection, select, split_by_problem
from agents.prm.storage import LabelledResponse
from agents.sequences import pad_tokens
from benchmarks import page
from benchmarks.process_reward.tree import Tree, trees
from benchmarks.runs import fine_tuned


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """The yardstick."""

    ks: tuple[int, ...] = (1, 2, 5, 10, 20, 50)
    """completions a question of the labels"""
    model_ks: tuple[int, ...] = (1, 5, 20)
    """of them, those that a reward model is trained on"""
    problems: int = 300
    """with 2-3 conditionals; a quarter of them is held out from the reward models"""
    selections: tuple[Selection, ...] = ("full", "revised")
    """of the labels, for the reward models"""
    responses: int = 8
    """programs a problem that are labelled"""
    policy: Path | None = None
    """folder of a fine-tuned policy; None: makes one"""
    sft_steps: int = 1500
    """of that"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """of the draws, and of the reward models' training"""
    threads: int = 2
    """of torch"""
    runs: Path = Path("runs/prm_exact")
    """the policy's folder"""
    out: Path = page.RESULTS / "prm_exact"
    """path of the results without suffix: .json and .md are written"""


@dataclasses.dataclass(slots=True)
class Errors:
    """Of labels, in lines."""

    lines: int = 0
    wrong: int = 0
    missed: int = 0  # labelled -1 though it can be finished
    questions: int = 0
    responses: int = 0
    not_monotone: int = 0


def label(
    tree: Tree, program: int, k: int, rng: np.random.Generator, found: dict[str, Errors]
) -> LabelledResponse:
    """Labels a program; one that failed by both ways, and counts their errors.

    Args:
        tree: Of its problem.
        program: Its index.
        k: Completions a question.
        rng: Decides them.
        found: ``"binary"`` and ``"exhaustive"``; is changed.

    Returns:
        The labels, of the binary search where it failed.
    """
    if tree.passes[program]:
        return _labelled(tree, program, recoverable_lines=len(tree.line_ends[program]))
    p = tree.at_lines(program)
    lines = len(p)
    truth = max((m for m in range(1, lines) if p[m - 1] > 0.0), default=0)
    answers: list[int] = []

    def recoverable(m: int) -> bool:
        answers.append(m)
        return bool(rng.random() < 1.0 - (1.0 - p[m - 1]) ** k)

    last = {}
    for way, search in (("binary", search_binary), ("exhaustive", search_all)):
        answers.clear()
        if way == "exhaustive":
            drawn = {m: recoverable(m) for m in range(1, lines)}
            last[way] = search(lines, drawn.__getitem__)
            monotone = is_monotone(list(drawn.values()))
        else:
            last[way], monotone = search(lines, recoverable), True
        errors = found[way]
        errors.responses += 1
        errors.lines += lines
        errors.wrong += abs(last[way] - truth)
        errors.missed += max(0, truth - last[way])
        errors.questions += len(answers)
        errors.not_monotone += not monotone
    return _labelled(tree, program, recoverable_lines=last["binary"])


def _labelled(tree: Tree, program: int, *, recoverable_lines: int) -> LabelledResponse:
    solved, lines = bool(tree.passes[program]), len(tree.line_ends[program])
    start = len(tree.prompt)
    return LabelledResponse(
        policy=0,
        problem_id=tree.problem.id,
        difficulty=tree.problem.difficulty,
        input_ids=(*tree.prompt, *tree.programs[program]),
        start_length=start,
        line_ends=tuple(start + end for end in tree.line_ends[program]),
        labels=labels_of([False] * lines, solved=solved, recoverable_lines=recoverable_lines),
        kind=kind_of(solved=solved, recoverable_lines=recoverable_lines),
        recoverable_lines=recoverable_lines,
        verdict="accepted" if solved else "wrong_answer",
        questions=0,
        completions=0,
    )


def written_programs(tree: Tree, count: int, rng: np.random.Generator) -> list[int]:
    """Programs that the policy writes."""
    drawn = rng.choice(len(tree.programs), size=count, p=tree.probability / tree.probability.sum())
    return [int(program) for program in drawn]


def judge_model(model: ProcessRewardModel, held: Sequence[Tree], k: int) -> dict[str, float]:
    """A reward model against the tree, over the lines of all programs as often as they are written.

    Args:
        model: Trained on labels of this K.
        held: Trees of other problems.
        k: Completions a question of its labels.

    Returns:
        Root mean squared errors of (score + 1) / 2 against the probability that K completions hold
        one that passes, of the model and of the best constant; area under the curve for telling
        prefixes that can be finished.
    """
    predicted, target, weight, good = [], [], [], []
    for tree in held:
        ids, _ = pad_tokens([(*tree.prompt, *tokens) for tokens in tree.programs], pad_id=0)
        with torch.inference_mode():
            scores = model(ids)
        for row, (probability, ends) in enumerate(
            zip(tree.probability.tolist(), tree.line_ends, strict=True)
        ):
            p = tree.at_lines(row)
            predicted += [(float(scores[row, len(tree.prompt) + e]) + 1.0) / 2.0 for e in ends]
            target += [1.0 - (1.0 - value) ** k for value in p]
            good += [value > 0.0 for value in p]
            weight += [probability / len(held) / len(ends)] * len(ends)
    x, y, w = map(np.array, (predicted, target, weight))
    w /= w.sum()
    mean = float((w * y).sum())
    # Lines are drawn as often as they are written: the curve takes no weights.
    draw = np.random.default_rng(0).choice(len(w), size=20_000, p=w)
    return {
        "rmse": float(np.sqrt((w * (x - y) ** 2).sum())),
        "rmse_of_mean": float(np.sqrt((w * (mean - y) ** 2).sum())),
        "auc": area_under_curve(x[draw], np.array(good)[draw]),
        "lines": float(len(w)),
    }


def main(args: Args) -> None:
    """Measures and reports."""
    results = page.environment("prm_exact", "torch")
    torch.set_num_threads(args.threads)
    folder = args.policy or args.runs / "sft"
    fine_tuned(sft.Args(steps=args.sft_steps, out=folder, threads=args.threads))
    policy = CausalLMPolicy.from_pretrained(folder).eval()
    every = list(trees(args.problems, policy))
    chance = float(np.mean([tree.success[()] for tree in every]))
    print(f"{len(every)} problems, {sum(len(t.programs) for t in every)} programs", flush=True)
    labels: dict[int, dict[str, Errors]] = {}
    models: dict[str, list[dict[str, float]]] = {}
    for k in args.ks:
        labels[k] = {"binary": Errors(), "exhaustive": Errors()}
        for seed in args.seeds:
            rng = np.random.default_rng([seed, k])
            rows = [
                label(tree, program, k, rng, labels[k])
                for tree in every
                for program in written_programs(tree, args.responses, rng)
            ]
            for selection in args.selections if k in args.model_ks else ():
                row = _model(rows, selection, every, policy, k, seed)
                models.setdefault(f"{k}, {selection}", []).append(row)
                print(f"K = {k}, {selection}, seed {seed}: {row}", flush=True)
    results |= {
        "problems": len(every),
        "programs": sum(len(tree.programs) for tree in every),
        "mean_probability_of_success": chance,
        "labels": {
            str(k): {way: dataclasses.asdict(errors) for way, errors in found.items()}
            for k, found in labels.items()
        },
        "models": models,
    }
    page.write(args.out, results, lines)


def _model(
    rows: Sequence[LabelledResponse],
    selection: Selection,
    every: Sequence[Tree],
    policy: CausalLMPolicy,
    k: int,
    seed: int,
) -> dict[str, float]:
    learned, held = split_by_problem(rows, every=4)
    names = {row.problem_id for row in held}
    vocabulary = vocabulary_hash(make_tokenizer("mini"))
    model = ProcessRewardModel.from_policy(policy, vocabulary=vocabulary)
    learned = select(learned, selection)
    training.train(model, learned, held, training.Args(epochs=4, seed=seed))
    return judge_model(model, [tree for tree in every if tree.problem.id in names], k)


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    asked = "Are labels and reward model right, where the truth can be computed?"
    yield from page.head("Labels and reward model against the truth", asked, results)
    said = {
        "problems": f"{results['problems']} of CodeGen-Mini, 2-3 conditionals",
        "programs": f"{results['programs']} in all, every one graded, so that the chance of "
        "finishing well is known for every prefix",
        "policy": "after SFT, confined to these programs; it passes with probability "
        f"{results['mean_probability_of_success']:.3f} (mean over problems)",
        "labels": "by K completions: of prefixes found by binary search, or of each prefix",
    }
    yield from page.set_up(said)
    yield from (
        "## Labels of failed programs",
        "",
        "A line is good if its prefix can be finished at all. *Wrong*: share of lines whose label "
        "is not that; *missed*: share of lines labelled -1 though they are good (the only error "
        "that sampling makes: completions are drawn from the known chance). *Not monotone*: share "
        "of programs in which a recoverable prefix follows "
        "one that was found not to be.",
        "",
    )
    columns = ["K", "binary: wrong", "missed", "questions a program"]
    columns += ["exhaustive: wrong", "missed", "questions", "not monotone"]

    def cells(found: Mapping[str, Any]) -> list[str]:
        shares = [f"{100 * found[key] / found['lines']:.1f} %" for key in ("wrong", "missed")]
        return [*shares, f"{found['questions'] / found['responses']:.2f}"]

    yield from page.table(
        columns,
        (
            [
                *(k, *cells(found["binary"]), *cells(every := found["exhaustive"])),
                f"{100 * every['not_monotone'] / every['responses']:.1f} %",
            ]
            for k, found in results["labels"].items()
        ),
    )
    yield from (
        "",
        "## Reward models on other problems",
        "",
        "Learned from all labelled programs (*full*) or from those only that failed and have a "
        "recoverable prefix (*revised*); validated, to choose the epoch, on all. "
        "*RMSE*: of (score + 1) / 2 against the probability that one of K completions passes. "
        "*AUC*: that a prefix that can be finished is scored above one that cannot. Mean (each "
        "seed).",
        "",
    )

    def mean(rows: Sequence[Mapping[str, float]], key: str) -> str:
        values = [row[key] for row in rows]
        return f"{np.mean(values):.3f} ({', '.join(f'{v:.3f}' for v in values)})"

    yield from page.table(
        ("K and selection of the labels", "RMSE", "RMSE of the best constant", "AUC"),
        (
            [name, *(mean(rows, key) for key in ("rmse", "rmse_of_mean", "auc"))]
            for name, rows in results["models"].items()
        ),
    )


if __name__ == "__main__":
    main(tyro.cli(Args))
