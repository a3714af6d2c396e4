"""A grader for all tiny runs, and the settings that make them tiny."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import codegym
from agents.environments import make_grader
from agents.methods.method import Method, MethodSettings
from agents.run_settings import RunSettings
from agents.telemetry import RunLogger, read_scalars
from agents.trainer import Trainer

TINY: dict[str, Any] = {
    "model_width": 16,
    "model_layers": 1,
    "problems": 4,
    "num_envs": 8,
    "episodes": 8,
    "max_new_tokens": 6,
    "minibatches": 2,
    "eval_every": 0,
    "anneal": False,
    "workers": 1,
}
"""Of an untrained model whose programs begin anywhere in the canonical solution."""


@pytest.fixture(scope="package")
def grader() -> Iterator[codegym.Grader]:
    with make_grader(MethodSettings(**TINY)) as grader:
        yield grader


def make(
    method: type[Method], args: MethodSettings, grader: codegym.Grader, folder: Path
) -> Iterator[Any]:
    """A trainer whose parts are to be looked at, for a fixture; closed at the end."""
    with RunLogger(folder, quiet=True) as logger:
        trainer = method.make(args, grader=grader, logger=logger)
        yield trainer
        trainer.close()


def run_and_resume(
    method: type[Trainer], args: RunSettings, grader: codegym.Grader, folder: Path
) -> tuple[Any, list[dict[str, float]]]:
    """Three iterations, and two that go on after the first; both must end the same, bit for bit.

    Returns:
        The first trainer, closed, and its scalars.
    """
    whole = dataclasses.replace(args, iterations=3, checkpoint_every=1, out=folder / "whole")
    begun = whole.out / "checkpoints" / "000001"
    trainers = []
    for part in (whole, dataclasses.replace(whole, out=folder / "part", resume=begun)):
        with RunLogger(part.out, quiet=True) as logger:
            trainer = method.make(part, grader=grader, logger=logger)
            try:
                trainer.train()
            finally:
                trainer.close()
        trainers.append(trainer)
    one, other = (trainer.policy.state_dict() for trainer in trainers)
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name
    scalars = read_scalars(whole.out)
    assert [row["step"] for row in scalars] == [1, 2, 3]
    assert scalars[0]["kl/reference_k3"] == pytest.approx(0.0, abs=1e-6)
    assert scalars[2]["time/episodes"] >= 3 * whole.num_envs
    return trainers[0], scalars
