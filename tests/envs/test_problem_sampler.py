"""Which problem comes next, and what a sampler of one's own is told."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from codegym.envs import (
    CodeEnv,
    CodeVectorEnv,
    ProblemSampler,
    StageSampler,
    UniformSampler,
)
from codegym.errors import ConfigurationError
from codegym.grading import Grade, Grader
from codegym.problems import Problem, ProblemSet

from .conftest import ECHO, SIGN

REST = SIGN.canonical_solution[len(SIGN.starter_code) :]


class Unsolved:
    """Draws problems that were never solved nine times as often as those that were.

    Args:
        problems: Those of the environment.
    """

    def __init__(self, problems: ProblemSet) -> None:
        self._ids = [problem.id for problem in problems]
        self.solved: set[str] = set()
        self.seen: list[tuple[str, str]] = []

    def draw(self, rng: np.random.Generator) -> int:
        weights = np.array([1.0 if one in self.solved else 9.0 for one in self._ids])
        return int(rng.choice(len(weights), p=weights / weights.sum()))

    def update(self, problem: Problem, grade: Grade) -> None:
        self.seen.append((problem.id, grade.verdict.value))
        if grade.solved:
            self.solved.add(problem.id)

    def state_dict(self) -> dict[str, Any]:
        return {"solved": sorted(self.solved)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.solved = set(state["solved"])


@pytest.fixture
def arguments(problems: ProblemSet, grader: Grader) -> dict[str, Any]:
    return {
        "problems": problems, "grader": grader, "tokenizer": "byte", "context_length": 300,
        "max_new_tokens": 120,
    }  # fmt: skip


def write(env: CodeEnv, text: str) -> str:
    for token in [*text.encode(), env.tokenizer.end_id]:
        *_, info = env.step(token)
    return str(info["verdict"])


def drawn(env: CodeEnv, count: int = 200) -> list[str]:
    env.reset(seed=0)
    return [env.reset()[1]["problem_id"] for _ in range(count)]


def test_unsolved_problems_are_drawn_more_often(
    arguments: dict[str, Any], problems: ProblemSet
) -> None:
    sampler = Unsolved(problems)
    assert isinstance(sampler, ProblemSampler)
    env = CodeEnv(sampler=sampler, **arguments)
    assert abs(drawn(env).count("sign") - 100) < 30
    while env.reset()[1]["problem_id"] != "sign":
        pass
    assert write(env, REST) == "accepted"
    assert sampler.seen == [("sign", "accepted")]
    assert drawn(env).count("sign") < 45


def test_all_sub_environments_share_one_sampler(
    arguments: dict[str, Any], problems: ProblemSet
) -> None:
    for judging in ("sync", "async"):
        sampler = Unsolved(problems)
        envs = CodeVectorEnv(
            4, sampler=sampler, autoreset_mode="DISABLED", judging=judging, **arguments
        )
        _, infos = envs.reset(seed=0)
        ids = infos["problem_id"].tolist()
        text = {"sign": REST, "echo": ECHO.canonical_solution}
        ended = np.zeros(4, dtype=bool)
        for i, one in enumerate(ids):
            envs.submit(i, [*text[one].encode(), envs.tokenizer.end_id])
        while not ended.all():
            *_, terminated, truncated, _ = envs.collect()
            ended |= terminated | truncated
        assert sampler.seen == [(one, "accepted") for one in ids], "in the order of the ends"
        assert envs.sampler is sampler
        envs.close()


def test_a_sampler_learns_only_of_problems_that_it_drew(
    arguments: dict[str, Any], problems: ProblemSet
) -> None:
    sampler = Unsolved(problems)
    env = CodeEnv(sampler=sampler, start="cccs", **arguments)
    env.reset(seed=0, options={"problem_id": "sign"})
    write(env, REST)
    assert sampler.seen == []
    info = env.reset(options={"stage": 0})[1]  # the problem is drawn, if not the stage
    write(env, "")
    assert [one for one, _ in sampler.seen] == [info["problem_id"]]


def test_snapshots_leave_the_sampler_alone_and_it_is_saved_by_itself(
    arguments: dict[str, Any], problems: ProblemSet
) -> None:
    sampler = Unsolved(problems)
    env = CodeEnv(sampler=sampler, **arguments)
    while env.reset(seed=3)[1]["problem_id"] != "sign":
        pass
    state = pickle.loads(pickle.dumps(env.save_state()))
    write(env, REST)
    env.restore_state(state)
    assert sampler.solved == {"sign"}
    other = Unsolved(problems)
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    again = CodeEnv(sampler=other, **arguments)
    assert drawn(again) == drawn(env)


@pytest.mark.parametrize("start", ["empty", "cccs"])
@pytest.mark.parametrize("sampler", ["stages", "uniform", Unsolved])
def test_copies_have_a_sampler_of_their_own(
    arguments: dict[str, Any], problems: ProblemSet, start: str, sampler: Any
) -> None:
    made = sampler if isinstance(sampler, str) else sampler(problems)
    env = CodeEnv(sampler=made, start=start, **arguments)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.sampler is not env.sampler
        assert drawn(twin) == drawn(env)
        assert len(twin.problems) == 2
        twin.close()
    assert copy.deepcopy(env).problems is env.problems


def test_the_two_of_codegym(arguments: dict[str, Any]) -> None:
    kinds = {
        ("stages", "cccs"): StageSampler, ("stages", "empty"): UniformSampler,
        ("uniform", "cccs"): UniformSampler,
    }  # fmt: skip
    for (name, start), kind in kinds.items():
        sampler = CodeEnv(sampler=name, start=start, **arguments).sampler
        assert type(sampler) is kind
        sampler.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
        with pytest.raises(ConfigurationError, match="saved state of a"):
            sampler.load_state_dict({"kind": "Unsolved"})


@pytest.mark.parametrize("index", [-1, 2, 0.0, None, True])
def test_an_index_that_is_none(arguments: dict[str, Any], problems: ProblemSet, index: Any) -> None:
    sampler: Any = Unsolved(problems)
    sampler.draw = lambda _: index
    with pytest.raises(ConfigurationError, match="index from 0 to 1, an int; Unsolved drew"):
        CodeEnv(sampler=sampler, **arguments).reset(seed=0)


@pytest.mark.parametrize("sampler", [3, Unsolved, lambda _: 0])
def test_what_is_no_sampler_is_refused(arguments: dict[str, Any], sampler: Any) -> None:
    with pytest.raises(ConfigurationError, match="sampler must be 'stages'"):
        CodeEnv(sampler=sampler, **arguments)
