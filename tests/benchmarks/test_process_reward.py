from __future__ import annotations

import numpy as np
import pytest

from agents.policy import CausalLMPolicy
from benchmarks.prm_exact import Errors, judge_model, label, written_programs
from benchmarks.process_reward.scorers import (
    Compared,
    RandomScorer,
    Recorder,
    ReferenceScorer,
    compare,
)
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
    recorder, reference = Recorder(), ReferenceScorer(problems, tokenizer)
    program = problems[0].canonical_solution
    assert program is not None
    for text in (program, program.replace("return", "return 0 +")):
        tokens = np.array(tokenizer.encode(text))
        ends = np.flatnonzero(tokens == tokenizer.encode("\n")[0])[-3:]  # of the last lines
        assert recorder([tokens[: ends[-1] + 1]], [ends + 1]) == [0.0] * 3
    scores = [*np.linspace(1.0, 0.0, 3)] * 2
    found = compare(scores, reference, recorder.tokens, recorder.ends)
    # The area: 1, .5, 0 and 1, .5 against 0.
    expected = Compared(1, 6, right=5 / 6, auc=4.5 / 5, fall=0.5, falls_share=1.0, error=np.nan)
    assert found == pytest.approx(expected, nan_ok=True)
    wrong = recorder.tokens[1:] * 2, recorder.ends[1:] * 2
    twice = compare([1.0, 1.0, 0.8, 1.0, 1.0, 0.2], reference, *wrong)
    # 0.2 and 0.8: half of their difference.
    assert (twice.fall, twice.error) == pytest.approx((0.5, 0.3))
    right = compare(scores[:3], reference, recorder.tokens[:1], recorder.ends[:1])
    assert right.programs == 0
    assert np.isnan([right.fall, right.falls_share, right.auc]).all()
