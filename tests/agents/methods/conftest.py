"""A grader for all tiny runs, and the settings that make them tiny."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import codegym
from agents.environments import make_grader
from agents.methods.method import MethodSettings

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
