"""Stable-Baselines3 on a codegym environment, through plain ``gymnasium.make``.

Shows that the environments are ordinary Gymnasium ones. Not a way to train language models: SB3
stores single transitions and reads a window of tokens; :mod:`agents.ppo` is made for that.

    python -m agents.sb3_ppo --steps 20000
    python -m agents.sb3_ppo --masked --steps 20000     # MaskablePPO of sb3-contrib
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

import codegym
from agents.command import command_line, main
from codegym.problems import ProblemSet, load_mini
from codegym.wrappers import AllowedTokens, RecentTokens

__all__ = ["Args", "TokenEmbedding", "easy_problems", "make_env", "train"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """PPO or MaskablePPO of Stable-Baselines3 on a few easy Mini problems."""

    problems: int = 2
    """number of problems"""
    tokenizer: str = "mini"
    """"mini" or "byte" """
    window: int = 24
    """tokens that the agent sees"""
    start: str = "cccs"
    """start distribution"""
    max_new_tokens: int = 40
    """budget of an episode"""
    masked: bool = False
    """MaskablePPO: only tokens that occur in the problem's solution can be drawn"""
    steps: int = 20_000
    """environment steps"""
    seed: int = 0
    """of agent, environment and problems"""
    verbose: int = 1
    """1: SB3's own tables"""


class TokenEmbedding(BaseFeaturesExtractor):
    """Embeds a window of tokens; what SB3's default would take for real numbers are ids.

    Args:
        observation_space: Box of token ids, (window,) int64; its upper bound is the padding.
        width: Of one token's embedding.
    """

    def __init__(self, observation_space: gymnasium.spaces.Box, width: int = 16) -> None:
        window = observation_space.shape[0]
        super().__init__(observation_space, features_dim=window * width)
        self.embedding = nn.Embedding(int(observation_space.high.max()) + 1, width)

    def forward(self, observations: Tensor) -> Tensor:
        """(B, window) token ids to (B, window * width) features."""
        features: Tensor = self.embedding(observations.long())
        return features.flatten(1)


def easy_problems(size: int, seed: int) -> ProblemSet:
    """Mini problems with one conditional.

    Args:
        size: How many.
        seed: Which ones.

    Returns:
        The problems.
    """
    return load_mini(split="train", difficulty="introductory", size=size, seed=seed)


def make_env(args: Args) -> gymnasium.Env[Any, Any]:
    """The wrapped environment.

    Args:
        args: The command line.

    Returns:
        An environment that observes the last tokens and, with `masked`, tells allowed actions.
    """
    env: gymnasium.Env[Any, Any] = gymnasium.make(
        "CodeGen-Mini-v0",
        problems=easy_problems(args.problems, args.seed),
        tokenizer=args.tokenizer,
        start=args.start,
        max_new_tokens=args.max_new_tokens,
        context_length=512,
    )
    if args.masked:
        env = AllowedTokens(env)
    return Monitor(RecentTokens(env, count=args.window))


def train(args: Args) -> PPO | MaskablePPO:
    """Trains an agent.

    Args:
        args: The command line.

    Returns:
        The trained agent; its ``ep_info_buffer`` holds the last hundred episodes.
    """
    torch.set_num_threads(1)
    codegym.register_environments()
    env = make_env(args)
    agent: PPO | MaskablePPO = (MaskablePPO if args.masked else PPO)(
        "MlpPolicy",
        env,
        n_steps=512,
        batch_size=128,
        gamma=1.0,
        ent_coef=0.01,
        policy_kwargs={"features_extractor_class": TokenEmbedding},
        seed=args.seed,
        verbose=args.verbose,
    )
    try:
        agent.learn(args.steps)
    finally:
        env.close()
    return agent


def _main() -> None:
    args = command_line(Args)
    train(args)


if __name__ == "__main__":
    main(_main)
