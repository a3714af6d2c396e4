from __future__ import annotations

import numpy as np
import pytest

from agents.policy import CausalLMPolicy
from benchmarks.intervals import mean_and_half
from benchmarks.prm_exact import Errors, judge_model, label, written_programs
from benchmarks.prm_report import lines
from benchmarks.process_reward.scorers import ComparedScorer, RandomScorer, ReferenceScorer
from benchmarks.process_reward.tree import Tree, texts, trees
from codegym.problems import load_mini
from codegym.tokenization import make_tokenizer


@pytest.fixture(scope="module")
def some() -> list[Tree]:
    policy = CausalLMPolicy.from_config_tiny(512, d=16, layers=1, heads=2, seed=1).eval()
    return list(trees(3, policy))


def test_every_combination_is_listed_once() -> None:
    problem = load_mini(difficulty="introductory", size=1)[0]
    written = texts(problem)
    assert problem.canonical_solution in written
    assert len(set(written)) == len(written) >= 2
    assert all(text.startswith(problem.starter_code) for text in written)


def test_a_tree_holds_a_distribution_and_its_sums(some: list[Tree]) -> None:
    assert some
    for tree in some:
        assert tree.probability.sum() == pytest.approx(1.0)
        assert tree.success[()] == pytest.approx(float(tree.probability @ tree.passes))
        for program, tokens in enumerate(tree.programs):
            # By brute force: of the programs that begin so, the share that passes.
            for end in tree.line_ends[program]:
                prefix = tokens[: end + 1]
                mine = np.array([other[: end + 1] == prefix for other in tree.programs])
                weight = tree.probability[mine]
                share = float((weight * tree.passes[mine]).sum() / weight.sum())
                assert tree.success[prefix] == pytest.approx(share)
            assert tree.success[tokens] == float(tree.passes[program])


def test_with_many_completions_the_labels_are_the_truth(some: list[Tree]) -> None:
    rng = np.random.default_rng(0)
    found = {"binary": Errors(), "exhaustive": Errors()}
    few = {"binary": Errors(), "exhaustive": Errors()}
    for tree in some:
        for program in range(len(tree.programs)):
            response = label(tree, program, 10**9, rng, found)
            label(tree, program, 1, rng, few)
            good = [p > 0.0 for p in tree.at_lines(program)]
            assert [one > 0 for one in response.labels] == good
            assert (response.kind == "correct") == tree.passes[program]
    failed = sum(int((~tree.passes).sum()) for tree in some)
    assert found["binary"].responses == found["exhaustive"].responses == failed > 0
    assert found["binary"].wrong == found["exhaustive"].wrong == 0
    assert found["binary"].questions < found["exhaustive"].questions
    assert few["binary"].wrong == few["binary"].missed > 0


def test_programs_are_drawn_as_often_as_the_policy_writes_them(some: list[Tree]) -> None:
    drawn = written_programs(some[0], 4000, np.random.default_rng(0))
    share = np.bincount(drawn, minlength=len(some[0].programs)) / 4000
    assert np.abs(share - some[0].probability).max() < 0.04


def test_a_model_is_judged_by_what_it_says(some: list[Tree]) -> None:
    class Oracle:
        """Says the truth (or nothing) about each prefix."""

        def __init__(self, knows: bool) -> None:
            self.knows = knows

        def __call__(self, ids: object) -> np.ndarray:
            import torch

            table = np.zeros(tuple(ids.shape))  # type: ignore[attr-defined]
            tree = next(t for t in some if len(t.programs) == len(table))
            for row in range(len(table)):
                for end, p in zip(tree.line_ends[row], tree.at_lines(row), strict=True):
                    table[row, len(tree.prompt) + end] = 2 * p - 1 if self.knows else 0.0
            return torch.as_tensor(table)  # type: ignore[return-value]

    one = [some[0]]
    truth = judge_model(Oracle(True), one, 1)  # type: ignore[arg-type]
    nothing = judge_model(Oracle(False), one, 1)  # type: ignore[arg-type]
    assert truth["rmse"] == pytest.approx(0.0, abs=1e-6)
    assert truth["auc"] == 1.0
    assert nothing["auc"] == 0.5
    assert nothing["rmse"] >= nothing["rmse_of_mean"] > 0.0


def test_random_scores_are_a_function_of_the_tokens_alone() -> None:
    scorer = RandomScorer(3)
    sequences = [np.arange(n) for n in range(1, 400)]
    ends = [np.array([len(one)]) for one in sequences]
    scores = scorer(sequences, ends)
    assert scores[::-1] == scorer(sequences[::-1], ends[::-1])
    assert scores == scorer(sequences[-1:], [np.arange(1, 400)])
    assert scores != RandomScorer(4)(sequences, ends)
    assert abs(float(np.mean(scores))) < 0.1
    assert float(np.std(scores)) == pytest.approx(1 / np.sqrt(3), rel=0.1)


def test_perfect_scores_turn_at_the_first_other_line() -> None:
    problems, tokenizer = load_mini(size=20), make_tokenizer("mini")
    scorer = ReferenceScorer(problems, tokenizer)
    for problem in problems:
        lines = problem.canonical_solution.rstrip().split("\n")
        first = len(problem.starter_code.rstrip().split("\n"))  # not in the prompt
        wrong = [*lines[: first + 1], lines[first + 1] + " + 1", *lines[first + 2 :]]
        for program, turn in ((lines, len(lines)), (wrong, first + 1)):
            texts = ["\n".join(program[: i + 1]) + "\n" for i in range(first, len(program))]
            tokens = [np.array(tokenizer.encode(text)) for text in texts]
            scores = scorer(tokens, [np.array([len(one)]) for one in tokens])
            assert scores == [1.0 if i < turn else -1.0 for i in range(first, len(program))]


def test_falls_are_those_at_the_first_other_line() -> None:
    problems, tokenizer = load_mini(size=2), make_tokenizer("mini")
    scorer = ComparedScorer(
        lambda _, ends: np.linspace(1.0, 0.0, len(ends[0])),
        ReferenceScorer(problems, tokenizer),
    )
    program = problems[0].canonical_solution
    for text in (program, program.replace("return", "return 0 +")):
        tokens = np.array(tokenizer.encode(text))
        ends = np.flatnonzero(tokens == tokenizer.encode("\n")[0])[-3:]  # of the last lines
        scorer([tokens[: ends[-1] + 1]], [ends + 1])
    assert scorer.found() == {
        "lines": 6,
        "right": 5 / 6,
        "auc": pytest.approx(4.5 / 5),  # 1, .5, 0 and 1, .5 against 0
        "falls": 0.5,
        "falls_share": 1.0,
    }


def test_the_page_tells_means_and_intervals() -> None:
    mean, half = mean_and_half([1.0, 2.0, 3.0])
    assert (mean, half) == pytest.approx((2.0, 4.303 / np.sqrt(3)), rel=1e-3)
    greedy = {"introductory": 1.0, "competition": 0.0}

    def row(arm: str, seed: int, a: int, b: int) -> dict[str, object]:
        measured = {"solved": {"a": a, "b": b}, "greedy": greedy}
        return {"arm": arm, "seed": seed, "seconds": 9.0, "programs": 128, **measured}

    audit = {"responses": 0, "not_monotone": 0, "lines": 0, "labels_differ": 0}
    kinds = {"correct": 1, "revised": 0, "wrong": 0}
    line = {"lines": 3, "good": 0.5, "mse": 0.5, "mse_of_mean": 1.0, "sign_accuracy": 1.0}
    results = {
        "command": "python -m benchmarks.prm",
        "machine": {},
        "rows": [
            row("tests only", 0, 2, 0),
            row("tests only", 1, 4, 0),
            row("dense", 0, 3, 1),
            row("dense", 1, 4, 2),
        ],
        "before": row("before", 0, 1, 0),
        "lengths": {"a": 30, "b": 120},
        "levels": {"a": "introductory", "b": "competition"},
        "compared": {
            "before": {"lines": 9, "right": 0.5, "auc": 0.8, "falls": 0.4, "falls_share": 1}
        },
        "preparation_seconds": {"labels": 3.0},
        "labels": {"responses": 1, "completions": 5, "audit": audit, **kinds},
        "models": {
            "full": {
                "training_responses": 1,
                "validation_responses": 1,
                "validation": {"all": {**line, "auc": 0.75}},
            }
        },
        "arguments": {
            "iterations": 2,
            "conditionals": (6, 8),
            "gae_lambda": 0.5,
            "seeds": (0, 1),
            "control_seeds": (0,),
            "selection": "full",
            "samples": 5,
        },
    }
    text = "\n".join(lines(results))
    # Seeds 0 and 1: 2/5 and 4/5 of "a".
    assert "| tests only | 60.0 ± 254.1 | 0.0 ± 0.0 | 30.0" in text
    assert "| after SFT | 20.0 | 0.0 | 10.0 |" in text
    assert "| tests only | 100.0 ± 0.0 | 0.0 ± 0.0 | 50.0 ± 0.0 |" in text  # greedy
    assert "CodeGen-Mini, problems with 6-8 conditionals, from the empty prefix, 2 it" in text
    # Paired: (60 - 40, 80 - 80) and (20, 40).
    assert "| dense | +10.0 ± 127.1 | +30.0 ± 127.1 |" in text
    assert "| full | 1 | all | 3 | 0.50 | 0.500 | 1.000 | 1.000 | 0.750 |" in text
    # Best of 5: "a" is always solved, "b" by both seeds of the dense arm.
    assert "| dense | 30.0 ± 127.1 | 55.0 ± 190.6 | 100.0 ± 0.0 |" in text
