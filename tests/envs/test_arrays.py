"""Whose arrays are returned, what a step allocates, and what a token of context costs."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.errors import ConfigurationError
from codegym.grading import Grader
from codegym.problems import ProblemSet

from .executors import MadeUp
from .reference import assert_same, row_of


@pytest.fixture
def arguments(problems: ProblemSet) -> Any:
    with Grader(MadeUp(problems)) as grader:
        yield {"problems": problems, "grader": grader, "tokenizer": "byte", "context_length": 200}


def test_copies_by_default(arguments: dict[str, Any]) -> None:
    for envs in (CodeVectorEnv(2, **arguments), CodeEnv(**arguments)):
        first, _ = envs.reset(seed=0)
        kept = {key: value.copy() for key, value in first.items()}
        action: Any = np.array([97, 97]) if isinstance(envs, CodeVectorEnv) else 97
        second = envs.step(action)[0]
        assert_same(first, kept)
        second["input_ids"][:] = 1  # the caller's own
        second["attention_mask"][:] = 1
        third = envs.step(action)[0]
        assert third["input_ids"].max() > 1
        assert third["attention_mask"].min() == 0


def test_without_copies_the_arrays_are_always_the_same(arguments: dict[str, Any]) -> None:
    envs = CodeVectorEnv(2, copy=False, **arguments)
    copying = CodeVectorEnv(2, **arguments)
    first, _ = envs.reset(seed=0)
    copying.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.choice([97, 98, envs.tokenizer.end_id], size=2, p=[0.5, 0.4, 0.1])
        mine, theirs = envs.step(actions), copying.step(actions)
        for key in first:
            assert mine[0][key] is first[key]
        assert_same(mine, theirs)


def test_what_same_step_returns_of_the_end_is_the_callers(arguments: dict[str, Any]) -> None:
    envs = CodeVectorEnv(
        2, copy=False, autoreset_mode=AutoresetMode.SAME_STEP, max_new_tokens=3, **arguments
    )
    envs.reset(seed=0)
    kept = []
    for letter in b"abcdefghijkl":
        obs, _, _, truncated, infos = envs.step(np.array([letter, letter]))
        if truncated.any():
            final = infos["final_obs"][0]
            kept.append((final, row_of(infos["final_obs"][:1].tolist()[0], slice(None))))
            assert (final["input_ids"] == letter).sum() >= 1
            assert not np.shares_memory(final["input_ids"], obs["input_ids"])
    assert len(kept) == 4
    for final, copied in kept:
        assert_same(final, copied)


def test_a_single_environment_without_copies(arguments: dict[str, Any]) -> None:
    env = CodeEnv(copy=False, max_new_tokens=3, **arguments)
    first, info = env.reset(seed=0)
    for letter in b"ab":
        obs, *_ = env.step(letter)
        assert obs["input_ids"] is first["input_ids"]
    last, *_ = env.step(99)
    start = info["start_length"]
    assert last["input_ids"][start : start + 3].tolist() == [97, 98, 99]
    env.reset()
    assert last["input_ids"][start : start + 3].tolist() == [97, 98, 99], "the end is a copy"


@pytest.mark.parametrize("judging", ["sync", "async"])
def test_a_step_allocates_nothing_for_the_context(arguments: dict[str, Any], judging: Any) -> None:
    peaks = []
    for context_length in (300, 30_000):
        changed = {**arguments, "context_length": context_length, "max_new_tokens": 150}
        envs = CodeVectorEnv(16, copy=False, judging=judging, **changed)
        envs.reset(seed=0)
        actions = np.full(16, 97)
        envs.step(actions)
        tracemalloc.start()
        for _ in range(20):
            envs.step(actions)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 8192
    assert abs(peaks[0] - peaks[1]) < 1024


def test_a_token_of_context_takes_nine_bytes(arguments: dict[str, Any]) -> None:
    def taken(context_length: int) -> int:
        changed = {**arguments, "context_length": context_length}
        gc.collect()
        tracemalloc.start()
        envs = CodeVectorEnv(32, copy=False, **changed)
        envs.reset(seed=0, options={"prefix": "#" * (context_length - 100), "check_prefix": False})
        envs.step(np.full(32, 97))
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        envs.close()
        return size

    per_token = (taken(4000) - taken(1000)) / 3000 / 32
    assert 9 <= per_token <= 10


@pytest.mark.parametrize("kind", [CodeEnv, CodeVectorEnv])
def test_copy_is_a_bool(arguments: dict[str, Any], kind: Any) -> None:
    count = () if kind is CodeEnv else (2,)
    with pytest.raises(ConfigurationError, match="copy must be True or False, got 1"):
        kind(*count, copy=1, **arguments)
