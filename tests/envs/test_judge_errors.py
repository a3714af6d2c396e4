"""Where a problem's checker fails there is no verdict: nothing is paid, learned or counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.execution import Call, ExitReason, FakeExecutor, Observation, Request, encode_value
from codegym.grading import Grade, Grader, Verdict
from codegym.problems import Checker, Problem, ProblemSet, StdinTest
from codegym.programs.executed import ExecutedLines
from codegym.rewards import BinaryReward, WeightedReward, make_reward
from codegym.rewards.reward import checked_terms

CHECKER = Checker("def check(input, output, expected):\n    return int(output) > 0\n")
PROBLEM = Problem(
    "p", "Print a number.", "if 1:\n    print(1)\n", (StdinTest("", "1"),), checker=CHECKER
)
REFUSED, RIGHT = "print('x')", "print(1)"


def observe(request: Request) -> list[Observation]:
    if request.program != CHECKER.source:
        out = "x" if REFUSED in request.program else "1"
        lines = ExecutedLines({1})
        return [Observation(ExitReason.FINISHED, stdout=out, executed_lines=lines)]
    (call,) = request.inputs
    assert isinstance(call, Call)
    if "x" in call.args:
        return [Observation(ExitReason.EXCEPTION, error_type="ValueError", error_message="no")]
    return [Observation(ExitReason.FINISHED, answer=encode_value(True))]


class Counting:
    """Draws the only problem, and counts what it hears of."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def draw(self, rng: np.random.Generator) -> int:
        return 0

    def update(self, problem: Problem, grade: Grade) -> None:
        self.heard.append(grade.verdict.value)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


def arguments(**options: Any) -> dict[str, Any]:
    return {
        "problems": ProblemSet.of([PROBLEM]),
        "grader": Grader(FakeExecutor(observe)),
        "tokenizer": "byte",
        "context_length": 200,
        "max_new_tokens": 40,
        "start": "cccs",
        "sampler": Counting(),
        **options,
    }


def finish(env: CodeEnv, text: str) -> tuple[float, dict[str, Any]]:
    env.reset(seed=0, options={"stage": 0})
    for token in env.tokenizer.encode(text):
        env.step(token)
    _, reward, terminated, truncated, info = env.step(env.tokenizer.end_id)
    assert terminated
    assert not truncated
    return float(reward), info


@pytest.mark.parametrize("reward", ["stepcoder", "binary", "pass_ratio", "rltf"])
def test_nothing_is_paid_and_nothing_is_to_be_learned(reward: str) -> None:
    sampler = Counting()
    env = CodeEnv(**arguments(reward=reward, sampler=sampler))
    paid, info = finish(env, REFUSED)
    assert (paid, info["reward_terms"], info["verdict"]) == (0.0, {}, "judge_error")
    assert not info["loss_mask"].any()
    assert info["error_type"] == "ValueError"
    assert sampler.heard == []
    paid, info = finish(env, RIGHT)
    assert (paid, info["verdict"]) == (1.0, "accepted")
    assert info["loss_mask"].any()
    assert sampler.heard == ["accepted"]


def test_a_curriculum_does_not_count_it() -> None:
    env = CodeEnv(**arguments())
    env.reset(seed=0)
    before = env.start_states.describe(env.task.reference(PROBLEM))
    for text in (REFUSED, RIGHT):
        for token in env.tokenizer.encode(text):
            env.step(token)
        env.step(env.tokenizer.end_id)
        counted = env.start_states.describe(env.task.reference(PROBLEM)) != before
        assert counted is (text == RIGHT)
        env.reset()


def test_a_vector_environment_goes_on() -> None:
    envs = CodeVectorEnv(2, autoreset_mode="DISABLED", **arguments(start="empty"))
    envs.reset(seed=0)
    end = envs.tokenizer.end_id
    texts = [[*envs.tokenizer.encode(text), end] for text in (REFUSED, RIGHT)]
    width = max(map(len, texts))
    rewards = np.zeros(2)
    for at in range(width):
        actions = np.array([text[at] if at < len(text) else end for text in texts])
        _, paid, _, _, infos = envs.step(actions)
        rewards += paid
    assert rewards.tolist() == [0.0, 1.0]
    assert infos["verdict"][0] == "judge_error"
    assert not infos["loss_mask"][0].any()


def test_no_reward_is_asked_about_it() -> None:
    unknown = Grade(Verdict.JUDGE_ERROR, tests_passed=0, tests_total=1)

    def refuses(_grade: Grade) -> float:
        raise AssertionError

    assert checked_terms(make_reward(refuses), unknown) == {}
    both = WeightedReward({"a": (1.0, BinaryReward())})
    assert both(unknown) == {}
