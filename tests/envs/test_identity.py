"""The vector environment is as many single ones: every id, reward, start and autoreset mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import codegym
from codegym.envs import CodeVectorEnv
from codegym.grading import Grader
from codegym.problems import ProblemSet
from codegym.start_states import CurriculumOfSubtasks, JumpStart, make_start_states

from .executors import MadeUp
from .reference import SingleEnvs, assert_same
from .rows import TEXTS, problems_of
from .scorers import FORMS, process_reward

# LiveCodeBench has no canonical solutions to begin in.
pytestmark = pytest.mark.filterwarnings("ignore::codegym.errors.StartStateWarning")


N, STEPS = 3, 24
REWARDS = ("stepcoder", "binary", "pass_ratio", "rltf", *map(process_reward, FORMS))
STARTS = ("empty", "cccs", "uniform", "lines", "jsrl", "cccs, eager", "jsrl, eager")


def start_of(name: str) -> Any:
    """A start distribution; the eager ones move within a short test."""
    if name == "cccs, eager":
        return CurriculumOfSubtasks(threshold=0.1, alpha=1.0)
    if name == "jsrl, eager":
        return JumpStart(horizons=3, window=2, tolerance=1.0)
    return make_start_states(name)


def actions_of(rng: np.random.Generator, envs: CodeVectorEnv) -> np.ndarray[Any, Any]:
    """Letters, line breaks and a few stop sequences of HumanEval, and now and then the end."""
    letters = np.array(envs.tokenizer.encode("\n\n\n#defclass x=1"))
    actions = rng.choice(letters, size=N)
    actions[rng.random(N) < 0.1] = envs.tokenizer.end_id
    return actions


@pytest.fixture(scope="module", params=TEXTS)
def suite(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[str, ProblemSet]:
    folder: Path = tmp_path_factory.mktemp("rows")
    return request.param, problems_of(request.param, folder)


def test_every_id_has_rows() -> None:
    assert set(TEXTS) == set(codegym.ENVIRONMENTS)


# The reward of a case is rotated: each meets each id, each mode and each start.
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("start", STARTS)
def test_the_same_episodes(suite: tuple[str, ProblemSet], start: str, mode: AutoresetMode) -> None:
    env_id, problems = suite
    case = STARTS.index(start) + list(AutoresetMode).index(mode) + list(TEXTS).index(env_id)
    arguments: dict[str, Any] = {
        "problems": problems,
        "reward": REWARDS[case % len(REWARDS)],
        "max_new_tokens": 6,
        "context_length": 700,
    }
    with Grader(MadeUp(problems)) as grader, Grader(MadeUp(problems)) as other:
        ours = gymnasium.make_vec(
            env_id,
            num_envs=N,
            autoreset_mode=mode,
            copy=case % 2 == 0,
            start=start_of(start),
            grader=grader,
            **arguments,
        )
        assert isinstance(ours, CodeVectorEnv)
        arguments |= {"start": start_of(start), "tokenizer": ours.tokenizer, "grader": other}
        ended = compare(ours, SingleEnvs(N, mode, **arguments), mode, np.random.default_rng(case))
        assert ended >= 8
        ours.close()


def compare(
    ours: CodeVectorEnv, single: SingleEnvs, mode: AutoresetMode, rng: np.random.Generator
) -> int:
    """Steps both and compares all that they return; tells how many episodes ended."""
    assert_same(ours.reset(seed=5), single.reset(seed=5))
    ended, waiting = 0, np.zeros(N, dtype=bool)
    for _ in range(STEPS):
        actions = actions_of(rng, ours)
        mine, reference = ours.step(actions), single.step(actions)
        assert_same(mine, reference)
        done = mine[2] | mine[3]
        assert not (done & waiting).any(), "an end is told once"
        ended += int(done.sum())
        if mode is AutoresetMode.DISABLED:
            waiting |= done
            mask = waiting & (rng.random(N) < 0.8)
            if mask.any():
                waiting &= ~mask
                theirs = single.reset(mask=mask)
                assert_same(ours.reset(options={"reset_mask": mask}), theirs)
    state = single.envs[0].start_states.state_dict()
    assert ours.start_states.state_dict() == state
    return ended
