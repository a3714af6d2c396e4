"""A reward of your own: any function of the grade, alone or as a term beside others.

    python examples/own_reward.py

The same three programs are graded under each reward. What a reward may look at is the grade:
verdict, tests passed, executed lines, the error; never the clock, so that episodes replay exactly.
"""

from __future__ import annotations

from typing import Any

import gymnasium

import codegym
from codegym.rewards import BinaryReward, FunctionReward, StepCoderReward, WeightedReward


def careful(grade: codegym.Grade) -> dict[str, float]:
    """Pays for tests that pass, and takes half a point for a crash."""
    crashed = grade.verdict is codegym.Verdict.RUNTIME_ERROR
    return {"tests": grade.pass_ratio, "crash": -0.5 if crashed else 0.0}


REWARDS = {
    "by name": "pass_ratio",
    "a function": careful,
    "a weighted sum": WeightedReward(
        {
            "stepcoder": (1.0, StepCoderReward()),
            "bonus": (0.5, BinaryReward()),
            "careful": (0.1, FunctionReward(careful)),
        }
    ),
}


def main() -> None:
    """Grades a right, a wrong and a crashing program under each reward."""
    with codegym.LocalExecutor() as executor:  # the environments share one pool of workers
        for name, reward in REWARDS.items():
            env = gymnasium.make("CodeGen-Mini-v0", size=1, reward=reward, executor=executor)
            print(f"--- {name} ---")
            for kind in ("right", "wrong", "crashing"):
                value, info = play(env, kind)
                terms = {term: round(paid, 3) for term, paid in info["reward_terms"].items()}
                print(f"{kind:9s}{info['verdict']:14s} {value:6.3f} = {terms}")
            env.close()


def play(env: gymnasium.Env[Any, Any], kind: str) -> tuple[float, dict[str, Any]]:
    """Writes one program and returns its reward and the last step's info."""
    _, info = env.reset(seed=0)
    code_env = env.unwrapped
    assert isinstance(code_env, codegym.CodeEnv)
    problem = code_env.problems.by_id(info["problem_id"])
    texts = {
        "right": code_env.task.reference(problem).rest,
        "wrong": "    return 12345\n",
        "crashing": "    return undefined_name\n",
    }
    for token in [*code_env.tokenizer.encode(texts[kind]), code_env.tokenizer.end_id]:
        _, reward, _, _, info = env.step(token)
    return float(reward), info


if __name__ == "__main__":
    main()
