"""Groups: one draw for each, minibatches of whole ones, and a prompt that is read once."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import codegym
from agents.methods.method import GroupSettings
from agents.methods.prorl import Args, ProRL
from agents.scoring import score, scored
from agents.sequences import generated_mask
from tests.agents.methods.conftest import TINY, make
from tests.agents.reads import shapes_read

SMALL = {**TINY, "episodes": 12, "num_envs": 12, "group": 3, "model_width": 128}


def _args(folder: Path, **changes: Any) -> Args:
    return Args(**{**SMALL, "out": folder, **changes})


@pytest.fixture
def trainer(grader: codegym.Grader, tmp_path: Path) -> Any:
    yield from make(ProRL, _args(tmp_path), grader, tmp_path)


def test_a_group_is_drawn_once(trainer: ProRL, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, draw = [], trainer.sampler.draw

    def counted(*args: Any) -> Any:
        drawn.append(draw(*args))
        return drawn[-1]

    monkeypatch.setattr(trainer.sampler, "draw", counted)
    played = trainer.play(0).sequences
    asked = [played.problem_id[k] for k in range(0, 12, 3)]
    assert len(drawn) == 4
    assert [name for name in asked for _ in range(3)] == list(played.problem_id)


def _rows(trainer: ProRL, seed: int = 0, **changes: Any) -> list[list[int]]:
    trainer.args = dataclasses.replace(trainer.args, **changes)
    known = type("Known", (), {})()
    known.sequences = type("Sequences", (), {"group": torch.tensor([7, 2, 7, 5, 5, 2, 7, 9])})()
    generator = torch.Generator().manual_seed(seed)
    return [rows.tolist() for rows in trainer._minibatches(known, generator)]


def test_a_minibatch_has_whole_groups(trainer: ProRL) -> None:
    groups = [[0, 2, 6], [1, 5], [3, 4], [7]]
    seen = set()
    for seed in range(20):
        rows = _rows(trainer, seed, whole_groups=True)
        assert sorted(itertools.chain(*rows)) == list(range(8))
        assert all(any(set(group) <= set(some) for some in rows) for group in groups)
        assert [sum(set(group) <= set(some) for group in groups) for some in rows] == [2, 2]
        seen.add(str(rows))
    assert len(seen) > 3, "which ones is random"
    # With more minibatches than groups, each group is a minibatch.
    assert sorted(_rows(trainer, whole_groups=True, minibatches=6)) == groups


def test_a_minibatch_is_else_of_any_episodes(trainer: ProRL) -> None:
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0)).tolist()
    assert _rows(trainer) == [order[:4], order[4:]]
    assert not GroupSettings().whole_groups


def _step(trainer: ProRL) -> tuple[Tensor, int]:
    """What an update changes in all weights, and how many tokens are read for it."""
    known = trainer.play(0).sequences
    generated = generated_mask(known.start_length, known.length, known.input_ids.shape[1])
    advantages = generated * (known.input_ids % 2 - 0.5)
    said = scored(known, score(trainer.policy, None, trainer.reference, known).logprobs)
    began = [p.detach().clone() for p in trainer.policy.parameters()]
    read = shapes_read(trainer.policy.trunk.base_model)
    trainer.update(said, advantages, torch.Generator().manual_seed(0))
    ended = [p.detach() for p in trainer.policy.parameters()]
    step = torch.cat([(b - a).flatten() for a, b in zip(began, ended, strict=True)])
    assert step.abs().max() > 1e-4
    return step, sum(rows * columns for rows, columns in read)


def test_a_prompt_that_is_read_once_changes_no_step(grader: codegym.Grader, tmp_path: Path) -> None:
    steps, tokens = [], []
    for shares in (True, False):
        folder = tmp_path / str(shares)
        for trainer in make(ProRL, _args(folder, whole_groups=True), grader, folder):
            trainer.policy.shares_prompts = trainer.reference.shares_prompts = shares
            step, read = _step(trainer)
            steps.append(step)
            tokens.append(read)
    assert tokens[0] < 0.5 * tokens[1], "four prompts for twelve programs of six tokens"
    assert torch.cosine_similarity(steps[0], steps[1], dim=0) > 0.999


def test_two_halves_make_the_step_of_a_whole(
    grader: codegym.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    for number, threads in enumerate((1, 2, 2)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        folder = tmp_path / str(number)
        steps += [_step(trainer)[0] for trainer in make(ProRL, _args(folder), grader, folder)]
    assert torch.cosine_similarity(steps[0], steps[1], dim=0) > 0.999
    assert torch.equal(steps[1], steps[2]), "whichever half ends first"
