"""VinePPO against values that are known: by dynamic programming, and by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import tensor

import codegym
from agents.completions import Completed, Prefix
from agents.completions import state_values as completed_values
from agents.environments import load_split, make_tokenizer
from agents.lines import LineNumbers
from agents.methods import vineppo
from agents.methods.testing_ground import TestingGround
from agents.methods.vineppo import VinePPO, line_advantages, line_starts
from agents.scoring import Scored
from agents.sequences import Sequences
from agents.telemetry import RunLogger, read_scalars
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import Problem, flawed_solution
from tests.agents.methods.conftest import TINY

GROUND = TestingGround()


class _Drawn:
    """In place of completions: the numbers that the testing ground has drawn, in their order."""

    def __init__(self, passed: list[int]) -> None:
        self._passed = iter(passed)

    def judge(self, prefixes: Sequence[Prefix], count: int) -> list[Completed]:
        found = [next(self._passed) for _ in prefixes]
        return [Completed(count, n, n + GROUND.failure * (count - n)) for n in found]


def _signal(count: int) -> Any:
    outcomes = GROUND.outcomes(completions=count)
    rows = len(outcomes.weight)
    lines = torch.tensor([0] * 4 + [1, 1, 2, 2, 3, 3, 4, 4]).expand(rows, -1)
    source: Any = _Drawn(outcomes.passed.flatten().tolist())

    def estimate(rewards: torch.Tensor, known: Scored) -> Any:
        return line_advantages(source, lines, rewards, known, count, most_lines=20)

    return GROUND.signal(outcomes, estimate)


def test_the_estimate_is_unbiased_and_its_noise_falls_as_one_over_k() -> None:
    signals = {count: _signal(count) for count in (1, 2, 4)}
    for signal in signals.values():
        assert signal.gradient.tolist() == pytest.approx(GROUND.gradient.tolist(), abs=1e-6)
    noise = [signals[count].noise for count in (1, 2, 4)]
    # noise(K) = noise(infinitely many) + c / K, so the differences are c / 2 and c / 4.
    assert noise[0] - noise[1] == pytest.approx(2.0 * (noise[1] - noise[2]), rel=1e-4)
    assert noise[0] > noise[1] > noise[2]


class _Script:
    """Says of each clause in turn whether it goes wrong, as `flawed_solution` asks."""

    def __init__(self, wrong: Sequence[bool]) -> None:
        self._wrong, self.asked = wrong, 0

    def random(self) -> float:
        wrong = self.asked < len(self._wrong) and self._wrong[self.asked]
        self.asked += 1
        return 0.0 if wrong else 1.0


def _programs(problem: Problem) -> list[str]:
    """All programs that get any of the clauses wrong in the one typical way."""
    script: Any = _Script([])
    flawed_solution(problem, script)
    scripts: list[Any] = [_Script(w) for w in itertools.product((True, False), repeat=script.asked)]
    return list(dict.fromkeys(flawed_solution(problem, script) for script in scripts))


class _Grammar:
    """Completes a prefix with a program of the grammar, all that begin so being equally likely."""

    def __init__(self, programs: list[str], passes: list[bool], seed: int) -> None:
        self._programs, self._passes = programs, passes
        self._rng = np.random.default_rng(seed)
        self.decode = make_tokenizer("mini").decode

    def value(self, prefix: str) -> float:
        """By dynamic programming over the lines: the mean of the values after the next one."""
        begun = [text for text in self._programs if text.startswith(prefix)]
        nexts = [(prefix + text[len(prefix) :].partition("\n")[0] + "\n") for text in begun]
        if set(nexts) == {prefix + "\n"}:  # nothing is left to be written
            return float(self._passes[self._programs.index(begun[0])])
        shares = {following: nexts.count(following) / len(nexts) for following in set(nexts)}
        return sum(share * self.value(following) for following, share in shares.items())

    def judge(self, prefixes: Sequence[Prefix], count: int) -> list[Completed]:
        found = []
        for prefix in prefixes:
            text = self.header + self.decode(prefix.tokens)
            passes = [
                ok
                for ok, program in zip(self._passes, self._programs, strict=True)
                if program.startswith(text)
            ]
            passed = int(self._rng.choice(passes, size=count).sum())
            found.append(Completed(count, passed, float(passed)))
        return found

    header = ""


def _episode(header: str, program: str, problem: Problem) -> Sequences:
    """An episode in which this program was written behind a prompt of one token."""
    tokenizer = make_tokenizer("mini")
    tokens = [0, *tokenizer.encode(program[len(header) :]), tokenizer.end_id]
    width, one = len(tokens), torch.ones(1, dtype=torch.int64)
    nothing = torch.zeros(1, width)
    return Sequences(
        input_ids=tensor([tokens]),
        start_length=one,
        length=one * width,
        loss_mask=nothing.bool(),
        reward=nothing[:, 0],
        outcome=nothing[:, 0],
        token_rewards=nothing,
        solved=nothing[:, 0].bool(),
        truncated=nothing[:, 0].bool(),
        prompt_length=one,
        stage=one,
        num_stages=one,
        group=one,
        error_line=0 * one,
        verdict=("accepted",),
        problem_id=(problem.id,),
        difficulty=("introductory",),
        program=(program,),
    )


def test_values_of_lines_are_those_of_dynamic_programming_on_mini(grader: codegym.Grader) -> None:
    """Every mistake of a weak coder in a Mini problem, graded: values drawn, and values known."""
    args = vineppo.Args(**TINY)
    problem = load_split(args, split="train", size=4, seed=0)[0]
    tokenizer = make_tokenizer("mini")
    prompt_format = make_prompt_format("auto", tokenizer)
    programs = _programs(problem)
    passes = [grader.grade(problem, text).solved for text in programs]
    assert len(programs) >= 4
    assert 0 < sum(passes) < len(passes)
    header = prompt_format.render(problem).header
    sequences = _episode(header, problem.canonical_solution, problem)
    lines = LineNumbers(args, [problem])(sequences)
    generated = torch.arange(sequences.input_ids.shape[1])[None] >= 1
    where = line_starts(lines, generated)
    text = problem.canonical_solution
    assert int(where.sum()) == text[len(header) :].rstrip("\n").count("\n") + 1
    error: dict[int, float] = {}
    for count in (4, 16):
        squares, means = [], []
        for seed in range(60):
            grammar: Any = _Grammar(programs, passes, seed)
            grammar.header = header
            values = completed_values(grammar, sequences, where, count)[where].double()
            prefixes = [
                header + tokenizer.decode(sequences.input_ids[0, 1:t].tolist())
                for t in where[0].nonzero().flatten().tolist()
            ]
            exact = tensor([grammar.value(prefix) for prefix in prefixes]).double()
            squares.append((values - exact).square())
            means.append(values - exact)
        error[count] = float(torch.stack(squares).mean())
        assert float(torch.stack(means).mean(0).abs().max()) < 4 * (0.25 / count / 60) ** 0.5
    assert error[4] / error[16] == pytest.approx(4.0, rel=0.4)


def test_a_line_has_what_it_changed_the_value_by() -> None:
    """Two lines, V = .2 and .6, reward 1; and the second one behind the last that is valued."""
    known = GROUND.outcomes().known
    row = int(known.sequences.solved.nonzero()[0])
    known = known._replace(
        generated=known.generated[row : row + 1],
        sequences=known.sequences._replace(
            input_ids=known.sequences.input_ids[row : row + 1],
            reward=torch.ones(1),
            prompt_length=tensor([4]),
        ),
    )
    rewards = torch.zeros(1, 12)
    rewards[0, -1] = 1.0
    lines = tensor([[0] * 4 + [3, 3, 3, 3, 4, 4, 4, 4]])

    class Values:
        def judge(self, prefixes: Sequence[Prefix], count: int) -> list[Completed]:
            return [Completed(10, v, float(v)) for v in (2, 6)[: len(prefixes)]]

    source: Any = Values()
    advantages = line_advantages(source, lines, rewards, known, 10, 20).advantages
    assert advantages[0].tolist() == pytest.approx([0.0] * 4 + [0.4] * 8)
    advantages = line_advantages(source, lines, 0.5 * rewards, known, 10, 20).advantages
    assert advantages[0].tolist() == pytest.approx([0.0] * 4 + [0.4] * 4 + [-0.1] * 4)
    advantages = line_advantages(source, lines, rewards, known, 10, 1).advantages
    assert advantages[0].tolist() == pytest.approx([0.0] * 4 + [0.8] * 4 + [0.0] * 4)


def test_a_tiny_run(grader: codegym.Grader, tmp_path: Path) -> None:
    args = vineppo.Args(**TINY, completions=2, start="uniform", iterations=2, out=tmp_path)
    with RunLogger(tmp_path, quiet=True) as logger:
        trainer = VinePPO.make(args, grader=grader, logger=logger)
        try:
            trainer.train()
        finally:
            trainer.close()
    first, second = read_scalars(tmp_path)
    assert first["kl/reference_k3"] == pytest.approx(0.0, abs=1e-6)
    assert second["vineppo/completions"] > first["vineppo/completions"] >= 2 * 8
    assert trainer.critic is None
    assert second["time/episodes"] == 16


def test_no_completion_is_no_method() -> None:
    with pytest.raises(ConfigurationError, match="completions must be 1 or more, got 0"):
        vineppo.Args(completions=0)
