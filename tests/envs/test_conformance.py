"""Every id through every check: make, make_vec, spec, Gymnasium's checker, SB3's checker."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import codegym

from .rows import TEXTS

# Several data sets have no canonical solutions to begin in.
pytestmark = pytest.mark.filterwarnings("ignore::codegym.errors.StartStateWarning")


FILES = {
    "CodeGen-Mini-v0": None,
    "CodeGen-APPSPlus-v0": "leetcode_as_appsplus.json.gz",
    "CodeGen-APPS-v0": "apps_sample.jsonl",
    "CodeGen-HumanEval-v0": "HumanEval.jsonl.gz",
    "CodeGen-MBPP-v0": "sanitized-mbpp.json",
    "CodeGen-LeetCode-v0": "LeetCodeDataset-v0.2.0-train.jsonl.gz",
    "CodeGen-LiveCodeBench-v0": "made",
    "CodeGen-DeepCoder-v0": "made",
    "CodeGen-INTELLECT3-v0": "made",
    "CodeGen-SYNTHETIC-v0": "made",
    "CodeGen-Eurus2-v0": "made",
    "CodeGen-Verl-v0": "made",
    "CodeGen-TACO-v0": "made",
    "CodeGen-CodeContests-v0": "made",
    "CodeGen-Codeforces-v0": "made",
    "CodeGen-Nemotron-v0": "made",
    "CodeGen-KodCode-v0": "made",
    "CodeGen-Custom-v0": "made",
}
WITHOUT_SOLUTIONS = {
    f"CodeGen-{name}-v0"
    for name in (
        *("LiveCodeBench", "DeepCoder", "INTELLECT3", "SYNTHETIC", "Eurus2", "Verl"),
        *("Codeforces", "Nemotron"),
    )
}
CUSTOM_ROW = {
    "id": "add",
    "description": "Add two numbers.",
    "starter_code": "def add(a, b):\n",
    "entry_point": "add",
    "canonical_solution": "def add(a, b):\n    return a + b\n",
    "tests": [{"args": [1, 2], "expected": 3}],
    "difficulty": "introductory",
}
LIVECODEBENCH_ROW = {
    "question_title": "Echo",
    "question_content": "Print the line that is read.",
    "platform": "atcoder",
    "question_id": "abc_1",
    "contest_id": "abc",
    "contest_date": "2024-01-01T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps([{"input": "a", "output": "a", "testtype": "stdin"}]),
    "private_test_cases": "[]",
    "metadata": "{}",
}


@pytest.fixture(params=[*FILES, "sample"], ids=str)
def arguments(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    env_id = request.param
    if env_id == "sample":
        return {"id": "CodeGen-APPSPlus-v0", "data": "sample"}
    file = FILES[env_id]
    if file is None:
        return {"id": env_id, "size": 20}
    if file == "made":
        rows = {"CodeGen-Custom-v0": CUSTOM_ROW, "CodeGen-LiveCodeBench-v0": LIVECODEBENCH_ROW}
        make = TEXTS[env_id]
        assert make is not None
        path = tmp_path / "rows.jsonl"
        path.write_text(json.dumps(rows[env_id]) + "\n" if env_id in rows else make())
        return {"id": env_id, "data": str(path)}
    return {"id": env_id, "data": str(request.getfixturevalue("data_dir") / file)}


def test_every_id_is_covered() -> None:
    assert set(FILES) == set(codegym.ENVIRONMENTS)


def test_checkers_find_nothing(arguments: dict[str, Any]) -> None:
    from stable_baselines3.common.env_checker import check_env as check_sb3

    env = gymnasium.make(**arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=False)
        check_sb3(env)
    env.close()


def test_spec_round_trips_through_json(arguments: dict[str, Any]) -> None:
    env = gymnasium.make(**arguments, start="cccs", limits={"cpu_seconds": 2.0})
    assert env.spec is not None
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    for one in (env, again):
        one.reset(seed=0)
    end = env.unwrapped.tokenizer.end_id  # type: ignore[attr-defined]
    np.testing.assert_equal(env.step(end), again.step(end))
    env.close()
    again.close()


@pytest.mark.parametrize("mode", [None, "sync"])
def test_make_vec(arguments: dict[str, Any], mode: str | None) -> None:
    envs = gymnasium.make_vec(**arguments, num_envs=2, vectorization_mode=mode)
    native = isinstance(envs.unwrapped, codegym.CodeVectorEnv)
    assert native == (mode is None)
    obs, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(obs)
    obs, *_ = envs.step(np.array([0, 1]))
    assert envs.observation_space.contains(obs)
    envs.close()


def test_canonical_solutions_are_accepted_through_the_environment(
    arguments: dict[str, Any],
) -> None:
    env = gymnasium.make(**arguments)
    code_env = env.unwrapped
    assert isinstance(code_env, codegym.CodeEnv)
    solved = 0
    for problem in list(code_env.problems.take(5)):
        if not problem.canonical_solution:
            continue
        env.reset(options={"problem_id": problem.id})
        for token in code_env.tokenizer.encode(code_env.task.reference(problem).rest):
            step = env.step(token)
        if not (step[2] or step[3]):
            step = env.step(code_env.tokenizer.end_id)
        assert step[4]["verdict"] == "accepted", (problem.id, step[4]["error_type"])
        solved += 1
    assert bool(solved) == (arguments["id"] not in WITHOUT_SOLUTIONS)
    env.close()


def test_module_prefix_imports_codegym() -> None:
    env = gymnasium.make("codegym:CodeGen-Mini-v0", size=3)
    env.reset(seed=0)
    env.close()


def test_spec_with_shared_objects_can_be_read_through_wrappers() -> None:
    with codegym.Grader() as grader:
        problems = codegym.load_problems("mini", size=3)
        env = gymnasium.make("CodeGen-Mini-v0", grader=grader, problems=problems)
        wrapped = codegym.wrappers.RecentTokens(env)
        assert wrapped.spec is not None
        assert wrapped.spec.kwargs["grader"] is grader


def test_unknown_arguments_suggest() -> None:
    with pytest.raises(codegym.errors.UnknownNameError, match="Did you mean 'tokenizer'"):
        gymnasium.make("CodeGen-Mini-v0", tokeniser="byte")
