"""JSRL: three guides, when h falls, and that nothing is learned of what a guide wrote."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codegym
from agents import ppo
from agents.environments import load_split, make_tokenizer
from agents.methods import jsrl
from agents.methods.guides import ngram_guide, policy_guide
from agents.methods.jsrl import JSRL, jump_start
from agents.models import make_policy
from agents.rollout import play
from agents.telemetry import RunLogger, read_scalars
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import Problem, ProblemSet
from codegym.start_states import Reference
from tests.agents.methods.conftest import TINY

SMALL = jsrl.Args(**TINY, horizons=3, window=8, critic="none", warmup_updates=0)


@pytest.fixture(scope="module")
def problems() -> ProblemSet:
    return load_split(SMALL, split="train", size=4, seed=0)


def _reference(problem: Problem) -> Reference:
    header = make_prompt_format("auto", make_tokenizer("mini")).render(problem).header
    return Reference(problem.id, problem.canonical_solution, header)


def test_h_falls_when_success_is_near_the_best(problems: ProblemSet) -> None:
    """Windows of 8, tolerance .1: 4 of 8 is the best; then 4 of 8 is enough, 3 of 8 is not."""
    start_states, reference = jump_start(SMALL, problems), _reference(problems[0])
    rng = np.random.default_rng(0)
    horizons = []
    for passed in (4, 3, 4, 0):
        for episode in range(8):
            start = start_states.draw(reference, rng)
            start_states.update(reference, start, solved=episode < passed)
        horizons.append(start_states.draw(reference, rng).stage)
    assert horizons == [1, 1, 0, 0]


def test_h_is_drawn_at_random_if_asked(problems: ProblemSet) -> None:
    args = dataclasses.replace(
        SMALL, random_horizon=True, window=jsrl.Args.window, tolerance=jsrl.Args.tolerance
    )
    start_states, reference = jump_start(args, problems), _reference(problems[0])
    rng = np.random.default_rng(0)
    stages = []
    for _ in range(60):
        start = start_states.draw(reference, rng)
        start_states.update(reference, start, solved=True)
        stages.append(start.stage)
    assert min(stages.count(stage) for stage in range(3)) > 10


def test_the_canonical_guide_writes_the_whole_program_at_first(problems: ProblemSet) -> None:
    reference = _reference(problems[0])
    start = jump_start(SMALL, problems).draw(reference, np.random.default_rng(0))
    assert start.stage == 2
    assert reference.rest.startswith(start.prefix)
    assert reference.rest.removeprefix(start.prefix).count("\n") <= 1


def test_a_checkpoint_writes_its_likeliest_program(problems: ProblemSet, tmp_path: Path) -> None:
    """The same as a greedy rollout of the same policy from the empty start."""
    policy = make_policy(SMALL, vocab_size=512, seed=3).eval()
    policy.save_pretrained(tmp_path)
    args = dataclasses.replace(SMALL, guide="checkpoint", guide_model=str(tmp_path))
    tokenizer = make_tokenizer("mini")
    guide = policy_guide(policy, SMALL, problems)
    prompt_format = make_prompt_format("auto", tokenizer)
    for i in range(len(problems)):
        problem = problems[i]
        prompt = prompt_format.render(problem)
        ids = list(codegym.envs.prompt_tokens(prompt, tokenizer))
        written: list[int] = []
        while len(written) < SMALL.max_new_tokens:
            with torch.no_grad():
                token = int(policy(torch.tensor([[*ids, *written]]))[0, -1].argmax())
            if token == tokenizer.end_id:
                break
            written.append(token)
        assert guide(_reference(problem)) == tokenizer.decode(written)
    assert jump_start(args, problems).guide(_reference(problems[0])) == guide(
        _reference(problems[0])
    )


def test_a_table_of_long_rows_writes_one_of_the_solutions(problems: ProblemSet) -> None:
    settings = dataclasses.replace(SMALL, max_new_tokens=200)
    references = [_reference(problems[i]) for i in range(len(problems))]
    solutions = {reference.rest for reference in references}
    whole = ngram_guide(settings, problems, order=1000, seed=0)
    assert {whole(reference) for reference in references} <= solutions
    short = ngram_guide(settings, problems, order=2, seed=0)
    assert [short(r) for r in references] == [short(r) for r in references]
    assert any(short(reference) not in solutions for reference in references)
    other = ngram_guide(settings, problems, order=2, seed=1)
    assert [short(r) for r in references] != [other(r) for r in references]


@pytest.mark.parametrize("guide", ["canonical", "ngram"])
def test_nothing_is_learned_on_the_guides_tokens(
    guide: Any, grader: codegym.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = dataclasses.replace(
        SMALL, guide=guide, out=tmp_path, iterations=2, fgo=False, max_new_tokens=60
    )
    batches: list[ppo.Batch] = []
    prepare = ppo.prepare

    def kept(*given: Any) -> ppo.Batch:
        batches.append(prepare(*given))
        return batches[-1]

    monkeypatch.setattr(ppo, "prepare", kept)
    with RunLogger(tmp_path, quiet=True) as logger:
        trainer = JSRL.make(args, grader=grader, logger=logger)
        try:
            trainer.train()
        finally:
            trainer.close()
    scalars = read_scalars(tmp_path)
    assert len(scalars) == len(batches) == 2
    # An untrained policy passes nothing, so there is no best success that h could fall for.
    assert [row["jsrl/horizon"] for row in scalars] == [1.0, 1.0]
    for batch in batches:
        sequences = batch.sequences
        guided = sequences.start_length > sequences.prompt_length
        assert guided.any()
        columns = torch.arange(sequences.input_ids.shape[1])
        given = columns < sequences.start_length[:, None]
        assert not batch.policy_mask[given].any()
        assert batch.policy_mask.any()
        assert not batch.advantages[given].any()


def test_a_resumed_run_has_its_horizon(grader: codegym.Grader, tmp_path: Path) -> None:
    args = dataclasses.replace(SMALL, out=tmp_path)
    with RunLogger(tmp_path, quiet=True) as logger:
        trainer = JSRL.make(args, grader=grader, logger=logger)
        start_states: Any = trainer.start_states
        reference = _reference(trainer.problems[0])
        play(trainer.policy, trainer.envs, episodes=8, seed=0)
        for _ in range(8):
            start = start_states.draw(reference, np.random.default_rng(0))
            start_states.update(reference, start, solved=True)
        horizon = start_states.describe(reference)["stage"]
        folder = trainer.save()
        trainer.close()
        again = dataclasses.replace(args, resume=folder)
        resumed = JSRL.make(again, grader=grader, logger=logger)
        assert horizon < 2
        assert resumed.start_states.describe(reference)["stage"] == horizon
        resumed.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": "cccs"}, "start='cccs' has no effect here"),
        ({"guide": "checkpoint"}, "needs the folder of a policy"),
        ({"guide_model": "runs/sft"}, "guide_model='runs/sft' has no effect here"),
        ({"ngram": 3}, "ngram=3 has no effect here"),
        ({"guide": "ngram", "ngram": 0}, "ngram must be 1 or more"),
        ({"random_horizon": True, "window": 9}, "window=9 has no effect here"),
    ],
)
def test_what_has_no_effect_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        jsrl.Args(**{**TINY, **change})
