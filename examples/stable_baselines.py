"""Stable-Baselines3 on a codegym environment, through plain `gymnasium.make`.

    pip install -e '.[sb3]'
    python examples/stable_baselines.py

Three thousand steps of MaskablePPO: wrappers give it the last three tokens to look at and the
tokens of the solution to choose from, and episodes begin near the end of one program.
`agents/sb3_ppo.py` has many problems and solves new ones; for language models see `agents/ppo.py`.
"""

from __future__ import annotations

import statistics
from typing import Any

import gymnasium
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.monitor import Monitor

import codegym
from codegym.wrappers import AllowedTokens, RecentTokens

TOKENS = 3  # that the agent looks back
STEPS = 3072


class GivenStart(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins each episode with the same code, as one option of reset allows."""

    def __init__(self, env: gymnasium.Env[Any, Any], prefix: str) -> None:
        super().__init__(env)
        self.prefix = prefix

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Resets with the prefix beside other options."""
        return self.env.reset(seed=seed, options={**(options or {}), "prefix": self.prefix})


def make_env(problem: codegym.Problem) -> Monitor:
    """The problem, from the value that it returns on, as an environment of one-hot tokens."""
    solution = problem.canonical_solution[len(problem.starter_code) :]
    env = gymnasium.make(
        "CodeGen-Mini-v0", problems=codegym.ProblemSet.of([problem]), max_new_tokens=4
    )
    env = GivenStart(env, solution[: solution.rindex("return") + len("return")])
    env = RecentTokens(AllowedTokens(env), count=TOKENS)
    # Token ids are names, not quantities: SB3 turns MultiDiscrete into one-hot vectors.
    ids = env.observation_space
    assert isinstance(ids, gymnasium.spaces.Box)
    space = gymnasium.spaces.MultiDiscrete(ids.high + 1)
    return Monitor(gymnasium.wrappers.TransformObservation(env, lambda tokens: tokens, space))


def main() -> None:
    """Trains for some seconds and prints what the first and the last episodes earned."""
    torch.set_num_threads(1)
    problem = codegym.load_problems("mini", difficulty="introductory", size=1)[0]
    env = make_env(problem)
    agent = MaskablePPO("MlpPolicy", env, learning_rate=3e-3, n_steps=128, gamma=1.0, seed=0)
    agent.learn(STEPS)
    rewards = env.get_episode_rewards()
    print(problem.canonical_solution)
    print(f"{len(rewards)} programs in {agent.num_timesteps} steps")
    print(f"mean reward of the first 50: {statistics.fmean(rewards[:50]):5.2f}")
    print(f"mean reward of the last 50:  {statistics.fmean(rewards[-50:]):5.2f}")
    env.close()


if __name__ == "__main__":
    main()
