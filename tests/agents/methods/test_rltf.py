"""RLTF: whom a penalty blames, what the buffer forgets, and what rewards are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, tensor

import codegym
from agents.environments import load_split, make_tokenizer
from agents.lines import LineNumbers
from agents.methods import rltf
from agents.methods.buffer import EpisodeBuffer, Stored
from agents.methods.rltf import RLTF, fine_feedback
from agents.methods.testing_ground import TestingGround
from agents.rewards import outcome_reward
from agents.sequences import Sequences, take
from codegym.envs import ProgramInAnswer, Prompt, make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import Problem
from tests.agents.methods.conftest import TINY, make, run_and_resume

GROUND = TestingGround()
SMALL = rltf.Args(**TINY, start="uniform", replayed=4, most_age=1)


@pytest.fixture
def trainer(grader: codegym.Grader, tmp_path: Path) -> Iterator[RLTF]:
    yield from make(RLTF, SMALL, grader, tmp_path)


def _known(verdicts: list[str], error_line: list[int]) -> Any:
    known = GROUND.outcomes().known
    sequences = take(known.sequences, torch.arange(len(verdicts)))
    return known._replace(
        generated=known.generated[: len(verdicts)],
        sequences=sequences._replace(verdict=tuple(verdicts), error_line=tensor(error_line)),
    )


def test_the_tokens_of_the_error_line_are_blamed_and_no_others() -> None:
    """Eight tokens; of the error line, two; so each pays .3 * 8 / 2 = 1.2, .3 on average."""
    lines = tensor([0, 0, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6]).expand(6, -1)
    verdicts = ["runtime_error", "compile_error", "runtime_error", "accepted"]
    known = _known([*verdicts, "wrong_answer", "time_limit"], [3, 4, 2, 0, 0, 0])
    fine = fine_feedback(lines, known, 0.3)
    assert fine[0].tolist() == pytest.approx([0.0] * 4 + [-1.2, -1.2] + [0.0] * 6)
    assert fine[1].tolist() == pytest.approx([0.0] * 6 + [-0.8] * 3 + [0.0] * 3)
    assert fine[2].tolist() == [0.0] * 12, "the line was given, not written"
    assert fine[3].tolist() == fine[4].tolist() == [0.0] * 12
    assert fine[5].tolist() == pytest.approx([0.0] * 4 + [-0.3] * 8), "the whole program is"
    assert (fine.sum(1) / 8)[[0, 1, 5]].tolist() == pytest.approx([-0.3] * 3)


def test_an_advantage_is_relative_to_the_baseline(
    trainer: RLTF, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reward 1 where the greedy program got -.3; and -.3, which broke off, where it got .4."""
    known = _known(["accepted", "runtime_error"], [0, 2])
    lines = tensor([[0] * 4 + [1, 1, 1, 1, 2, 2, 2, 2]]).expand(2, -1)
    monkeypatch.setattr(trainer, "_lines", lambda _: lines)
    trainer._baseline = tensor([-0.3, 0.4])
    advantages = trainer.estimate(outcome_reward()(known), known).advantages
    assert advantages[0].tolist() == pytest.approx([0.0] * 4 + [1.3] * 8)
    assert advantages[1].tolist() == pytest.approx([0.0] * 4 + [-0.7] * 4 + [-0.7 - 0.6] * 4)


def test_the_gradient_is_the_true_one_whatever_the_baseline(
    trainer: RLTF, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = GROUND.outcomes()
    monkeypatch.setattr(trainer, "_lines", lambda s: torch.zeros_like(s.input_ids))
    trainer._baseline = torch.full((16,), 0.25)
    signal = GROUND.signal(outcomes, trainer.estimate, trainer.mask)
    assert signal.gradient.tolist() == pytest.approx(GROUND.gradient.tolist(), abs=1e-6)


def test_the_error_line_is_the_one_that_the_grader_found(
    trainer: RLTF, grader: codegym.Grader
) -> None:
    """What an untrained policy writes is seldom Python; each program is graded once more."""
    sequences = trainer.collect().sequences
    tokenizer = make_tokenizer("mini")
    prompt_format = make_prompt_format("auto", tokenizer)
    lines = LineNumbers(SMALL, trainer.problems)(sequences)
    found = 0
    for i in range(len(sequences.reward)):
        problem = trainer.problems.by_id(sequences.problem_id[i])
        ids = sequences.input_ids[i, : int(sequences.length[i])].tolist()
        header = prompt_format.render(problem).header
        program = header + tokenizer.decode(ids[int(sequences.prompt_length[i]) :])
        grade = grader.grade(problem, program)
        assert int(sequences.error_line[i]) == (grade.error_line or 0), program
        error = (lines[i] == sequences.error_line[i]) & (lines[i] > 0)
        found += bool(error.any())
    assert found >= 2


def test_lines_are_numbered_as_the_program_is(grader: codegym.Grader) -> None:
    problem = load_split(SMALL, split="train", size=4, seed=0)[0]
    tokenizer = make_tokenizer("mini")
    header = make_prompt_format("auto", tokenizer).render(problem).header
    given, written = "    x = 1\n", "    y = 2\n    return x // 0\n"
    begun = [0, *tokenizer.encode(given)]
    tokens = [*begun, *tokenizer.encode(written), tokenizer.end_id]
    episode: Sequences = take(GROUND.outcomes().known.sequences, tensor([0]))._replace(
        input_ids=tensor([tokens]),
        prompt_length=tensor([1]),
        start_length=tensor([len(begun)]),
        length=tensor([len(tokens)]),
        problem_id=(problem.id,),
    )
    lines = LineNumbers(SMALL, [problem])(episode)[0]
    grade = grader.grade(problem, header + given + written)
    first = header.count("\n") + 2  # behind the given line
    assert grade.error_line == first + 1
    assert lines[: len(begun)].tolist() == [0] * len(begun)
    assert set(lines[len(begun) :].tolist()) == {first, first + 1}
    blamed = [
        token for token, line in zip(tokens, lines.tolist(), strict=True) if line == first + 1
    ]
    text = b"".join(map(tokenizer.token_bytes, blamed)).decode()
    assert text.strip() == "return x // 0"


def _stored(value: float) -> Stored:
    sequences = take(GROUND.outcomes().known.sequences, tensor([0, 1]))
    return Stored(sequences, tensor([value, value + 0.5]))


def test_the_buffer_holds_no_episode_beyond_its_age() -> None:
    buffer = EpisodeBuffer(2)
    assert buffer.draw(8, seed=0) is None
    seen: list[set[float]] = []
    for iteration in range(5):
        older = buffer.draw(100, seed=iteration)
        seen.append(set() if older is None else {float(v) // 1 for v in older.baseline})
        buffer.add(iteration, _stored(float(iteration)))
    assert seen == [set(), {0.0}, {0.0, 1.0}, {1.0, 2.0}, {2.0, 3.0}]
    three = buffer.draw(3, seed=1)
    assert three is not None
    assert len(set(three.baseline.tolist())) == len(three.sequences.reward) == 3, "each once"
    assert buffer.draw(0, seed=1) is None
    copy = EpisodeBuffer(2)
    copy.load_state_dict(buffer.state_dict())
    again = copy.draw(3, seed=1)
    assert again is not None
    assert torch.equal(again.baseline, three.baseline)
    none = EpisodeBuffer(0)
    none.add(0, _stored(0.0))
    assert none.draw(8, seed=0) is None


def test_a_baseline_belongs_to_its_episode(trainer: RLTF, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greedy reward of an episode is told by its start length; older ones keep theirs."""

    def greedy(played: Sequences) -> Tensor:
        return played.start_length + 100.0 * trainer.iteration

    monkeypatch.setattr(trainer, "greedy", greedy)
    first = trainer.collect().sequences
    chosen = trainer.choose(first)
    assert torch.equal(trainer._baseline, first.start_length.float())
    trainer.iteration = 1
    second = trainer.collect().sequences
    chosen = trainer.choose(second)
    assert len(chosen.reward) == 8 + 4
    expected = chosen.start_length + tensor([100.0] * 8 + [0.0] * 4)
    assert torch.equal(trainer._baseline, expected)


def test_the_anchor_makes_imitated_programs_likelier(trainer: RLTF) -> None:
    def loss() -> Tensor:
        found = trainer.anchor(16, torch.Generator().manual_seed(0))
        assert found is not None
        return found

    optimizer = torch.optim.SGD(trainer.policy.parameters(), lr=0.5)
    before = loss()
    before.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert float(loss().detach()) < float(before.detach())


def test_without_a_weight_there_is_no_anchor(grader: codegym.Grader, tmp_path: Path) -> None:
    args = rltf.Args(**TINY, imitation=0.0)
    for trainer in make(RLTF, args, grader, tmp_path):
        assert trainer.anchor(8, torch.Generator()) is None


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    _, scalars = run_and_resume(RLTF, SMALL, grader, tmp_path)
    assert all(row["loss/anchor"] > 0.0 for row in scalars)


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="most_age must be finite and at least 0"):
        rltf.Args(most_age=-1)


def test_lines_are_not_counted_in_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answers:
        def render(self, problem: Problem) -> Prompt:
            return Prompt(problem.description, answer=ProgramInAnswer())

    monkeypatch.setattr("agents.lines.make_prompt_format", lambda *_: Answers())
    with pytest.raises(ConfigurationError, match="program itself"):
        LineNumbers(SMALL, load_split(SMALL, split="train", size=1, seed=0))
