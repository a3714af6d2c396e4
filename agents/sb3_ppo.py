"""Stable-Baselines3 learns a small programming task through plain ``gymnasium.make``.

The task: a program of a few lines that does one step of arithmetic in each, as the prompt says
(``+ 3, * 2``). Training and new problems have no combination of steps in common. What SB3's
networks of fixed inputs need is done by one wrapper: the words of the training programs instead of
a whole vocabulary, as one-hot vectors, and a mask of those that they have at that place.
Training episodes begin before any line of the solution; what is measured begins with nothing.

This is no way to train language models: :mod:`agents.ppo` is made for that.

    python -m agents.sb3_ppo                     # MaskablePPO of sb3-contrib
    python -m agents.sb3_ppo --no-masked         # PPO, which draws from all words everywhere
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import codegym
from agents.command import command_line, main
from codegym.errors import ConfigurationError
from codegym.problems import CallTest, Problem, ProblemSet
from codegym.tokenization import make_tokenizer

__all__ = ["Args", "Point", "ProgramWords", "arithmetic", "make_env", "solved", "train"]

_TOKENIZER = "mini"
_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_NUMBERS = range(2, 8)  # each is a single token, wherever it stands
_ARGUMENTS = (-7, 0, 3, 10)
_WINDOW, _MAX_NEW_TOKENS = 31, 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """PPO or MaskablePPO of Stable-Baselines3 on arithmetic that a prompt asks for."""

    lines: int = 2
    """steps of arithmetic in a program, 1 or 2; with two there are 324 problems"""
    train_share: float = 0.6
    """of the problems; the others are new ones"""
    masked: bool = True
    """MaskablePPO: only words that a training program has at that place can be drawn"""
    start: str = "lines"
    """start distribution of training"""
    reward: str = "pass_ratio"
    """reward of training"""
    steps: int = 100_000
    """environment steps"""
    points: int = 5
    """evaluations on the way"""
    seed: int = 0
    """of agent, environments and problems"""


class Point(NamedTuple):
    """How often the agent solves new problems from the empty prefix, at some time."""

    steps: int
    solved: float


class ProgramWords(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment in the words of some programs, for agents with inputs of fixed meaning.

    Actions are the words that occur in these programs. The observation is the first tokens of
    prompt and program, each as the number of its word: 0 is padding, 1 any other token.

    Args:
        env: A ``CodeGen-...`` environment.
        problems: Their canonical programs have the words.
        width: Tokens that are observed.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], problems: ProblemSet, width: int) -> None:
        super().__init__(env)
        tokenizer = make_tokenizer(_TOKENIZER)
        programs = [
            [*tokenizer.encode(problem.canonical_solution or ""), tokenizer.end_id]
            for problem in problems
        ]
        header = len(tokenizer.encode(problems[0].starter_code))
        words = sorted({token for program in programs for token in program})
        self._tokens = np.array(words)
        self._number = np.ones(int(env.observation_space["input_ids"].high.max()) + 1, np.int64)  # type: ignore[index]
        self._number[self._tokens] = np.arange(2, len(words) + 2)
        self._legal = np.zeros((max(map(len, programs)) - header, len(words)), dtype=bool)
        for program in programs:
            for place, token in enumerate(program[header:]):
                self._legal[place, self._number[token] - 2] = True
        self._place = 0
        self.action_space = gymnasium.spaces.Discrete(len(words))
        self.observation_space = gymnasium.spaces.MultiDiscrete([len(words) + 2] * width)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.int64], dict[str, Any]]:
        """Begins an episode, perhaps in the middle of a program."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._place = int(info["start_length"]) - int(info["prompt_length"])
        return self._seen(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Writes a word."""
        seen, reward, terminated, truncated, info = self.env.step(int(self._tokens[int(action)]))
        self._place += 1
        return self._seen(seen), reward, terminated, truncated, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """(words,) bool: those that the programs have at this place."""
        legal: npt.NDArray[np.bool_] = self._legal[min(self._place, len(self._legal) - 1)]
        return legal.copy()

    def _seen(self, observation: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        width = len(self.observation_space.nvec)  # type: ignore[attr-defined]
        numbers = self._number[observation["input_ids"][:width]]
        return np.where(observation["attention_mask"][:width] > 0, numbers, 0)


def arithmetic(lines: int, seed: int, train_share: float) -> tuple[ProblemSet, ProblemSet]:
    """All problems with so many steps of arithmetic, shuffled and split.

    Args:
        lines: Steps, 1 or 2.
        seed: Of the split.
        train_share: Share of the first part.

    Returns:
        Training problems and new ones.

    Raises:
        ConfigurationError: If there is no such number of lines, or one part is empty.
    """
    if lines not in (1, 2):
        raise ConfigurationError(f"Expected 1 or 2 lines, got {lines}.")
    steps = list(itertools.product(_OPERATIONS, _NUMBERS))
    chosen = list(itertools.product(steps, repeat=lines))
    order = np.random.default_rng(seed).permutation(len(chosen))
    first = round(train_share * len(chosen))
    if not 0 < first < len(chosen):
        raise ConfigurationError(
            f"train_share={train_share} leaves nothing to train on or nothing that is new."
        )
    parts = order[:first], order[first:]
    train, new = (ProblemSet.of(_problem(chosen[i]) for i in part.tolist()) for part in parts)
    return train, new


def _problem(steps: Sequence[tuple[str, int]]) -> Problem:
    def value(x: int) -> int:
        for sign, number in steps:
            x = _OPERATIONS[sign](x, number)
        return x

    body = "".join(f"    x = x {sign} {number}\n" for sign, number in steps)
    return Problem(
        id="".join(f"{sign}{number}" for sign, number in steps),
        description=", ".join(f"{sign} {number}" for sign, number in steps),
        starter_code="def f(x):\n",
        canonical_solution=f"def f(x):\n{body}    return x\n",
        tests=tuple(CallTest((x,), value(x)) for x in _ARGUMENTS),
        entry_point="f",
    )


def make_env(problems: ProblemSet, words: ProblemSet, *, start: str, reward: str) -> ProgramWords:
    """The wrapped environment.

    Args:
        problems: What is asked.
        words: Whose programs have the words: the training problems.
        start: Start distribution.
        reward: Reward.

    Returns:
        An environment with one-hot observations and action masks, as SB3 takes them.
    """
    codegym.register_environments()
    env: gymnasium.Env[Any, Any] = gymnasium.make(
        "CodeGen-Custom-v0",
        problems=problems,
        tokenizer=_TOKENIZER,
        start=start,
        reward=reward,
        max_new_tokens=_MAX_NEW_TOKENS,
        context_length=48,
    )
    return ProgramWords(env, words, _WINDOW)


def solved(agent: PPO | MaskablePPO, problems: ProblemSet, words: ProblemSet) -> float:
    """Share of problems that the agent solves from the empty prefix, with its likeliest words.

    Args:
        agent: Writes the programs.
        problems: Each is tried once.
        words: As in training.
    """
    env = make_env(problems, words, start="empty", reward="binary")
    masked = isinstance(agent, MaskablePPO)
    passed = 0
    try:
        for problem_id in problems.ids:
            seen, _ = env.reset(options={"problem_id": problem_id})
            ended = False
            while not ended:
                masks: Any = {"action_masks": env.action_masks()} if masked else {}
                action, _ = agent.predict(seen, deterministic=True, **masks)
                seen, _, terminated, truncated, info = env.step(action)
                ended = terminated or truncated
            passed += info["verdict"] == "accepted"
    finally:
        env.close()
    return passed / len(problems)


def train(
    args: Args, note: Callable[[str], object] = print
) -> tuple[PPO | MaskablePPO, list[Point]]:
    """Trains an agent and measures it on new problems on the way.

    Args:
        args: The command line.
        note: Is told each point.

    Returns:
        The agent, and the points, the first before training.
    """
    torch.set_num_threads(1)
    problems, new = arithmetic(args.lines, args.seed, args.train_share)

    def make() -> ProgramWords:
        return make_env(problems, problems, start=args.start, reward=args.reward)

    envs = VecMonitor(DummyVecEnv([make] * 8))
    envs.seed(args.seed)
    agent: PPO | MaskablePPO = (MaskablePPO if args.masked else PPO)(
        "MlpPolicy",
        envs,
        learning_rate=3e-3,
        n_steps=256,
        batch_size=256,
        gamma=1.0,
        ent_coef=0.01,
        policy_kwargs={"net_arch": [64]},
        seed=args.seed,
    )
    points = [Point(0, solved(agent, new, problems))]
    try:
        for number in range(1, args.points + 1):
            left = args.steps * number // args.points - agent.num_timesteps
            agent.learn(max(0, left), reset_num_timesteps=False)
            points.append(Point(agent.num_timesteps, solved(agent, new, problems)))
            note(
                f"{agent.num_timesteps} steps: {100 * points[-1].solved:.0f} % of {len(new)} new "
                f"problems solved ({100 * points[0].solved:.0f} % before)"
            )
    finally:
        envs.close()
    return agent, points


def _main() -> None:
    train(command_line(Args))


if __name__ == "__main__":
    main(_main)
