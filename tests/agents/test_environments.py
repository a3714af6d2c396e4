"""The agents' settings of an environment follow from codegym's arguments and sources."""

from __future__ import annotations

import dataclasses
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import codegym
from agents import sft
from agents.environments import TaskSettings, load_split
from agents.evaluate import held_out
from codegym.envs import TASK_ARGUMENTS, TaskArguments
from codegym.errors import ConfigurationError
from codegym.problems import GeneratedSource, ProblemSet, load, load_mini

SHARED = [f.name for f in dataclasses.fields(TaskSettings) if f.name in TASK_ARGUMENTS]


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> TaskSettings:
    """Settings of a generated source that tells neither difficulties nor mistakes."""

    def generate(*, split: str, difficulty: str | None, size: int, seed: int) -> ProblemSet:
        assert difficulty is None
        return load_mini(split=split, difficulty="introductory", size=size, seed=seed)

    source = GeneratedSource(name="endless", splits=("train", "test"), generate=generate)
    monkeypatch.setitem(load._REGISTERED, "endless", source)
    monkeypatch.setitem(codegym.ENVIRONMENTS, "CodeGen-Endless-v0", {"source": "endless"})
    return TaskSettings(env_id="CodeGen-Endless-v0")


@pytest.mark.parametrize("name", SHARED)
def test_types_are_those_of_the_environment_that_a_command_line_can_say(name: str) -> None:
    def members(kind: Any) -> set[Any]:
        return set(get_args(kind)) if get_origin(kind) in (Union, types.UnionType) else {kind}

    allowed = members(get_type_hints(TaskArguments)[name])
    assert members(get_type_hints(TaskSettings)[name]) <= allowed


def test_defaults_are_those_of_codegen_mini() -> None:
    env = {name: argument.default for name, argument in TASK_ARGUMENTS.items()}
    env |= codegym.ENVIRONMENTS["CodeGen-Mini-v0"]
    settings = TaskSettings()
    differ = {name for name in SHARED if getattr(settings, name) != env[name]}
    assert differ == {"split"}
    assert len(SHARED) == 9


def test_a_generated_source_without_levels_is_one_level(endless: TaskSettings) -> None:
    assert len(held_out(endless, split="test", per_level=5)) == 5
    with pytest.raises(ConfigurationError, match="without an end"):
        load_split(endless, split="train", size=0, seed=0)
    with pytest.raises(ConfigurationError, match="read from a file"):
        dataclasses.replace(endless, data="file.json").refuse_unused_task()


def test_levels_of_a_source_are_held_out_one_by_one() -> None:
    levels = [problem.difficulty for problem in held_out(TaskSettings(), split="test", per_level=2)]
    assert levels == ["introductory"] * 2 + ["interview"] * 2 + ["competition"] * 2
    only = held_out(TaskSettings(difficulty="6-8"), split="test", per_level=2)
    assert {problem.metadata["conditionals"] for problem in only} <= {6, 7, 8}


def test_a_weak_coder_belongs_to_the_source(endless: TaskSettings) -> None:
    with pytest.raises(ConfigurationError, match="weak coder"):
        sft.Args(env_id=endless.env_id, flaw_rate=0.5)
    assert sft.Args(env_id=endless.env_id).weak_coder is None
    weak_coder = sft.Args().weak_coder
    assert weak_coder is not None
    problem = load_mini(size=1)[0]
    assert weak_coder(problem, np.random.default_rng(0), 0.0) == problem.canonical_solution
