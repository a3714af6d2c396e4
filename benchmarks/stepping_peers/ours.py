"""codegym's environments and Gymnasium's vector environments over the single one.

Judging is out of what is timed: no step that is timed ends an episode. Where whole episodes are
timed, with their ends and resets, an executor that runs nothing answers at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from benchmarks.stepping_peers.contender import Contender, Lengths
from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.execution import ExitReason, FakeExecutor, Observation
from codegym.grading import Grader
from codegym.problems import CallTest, Problem, ProblemSet
from codegym.tokenization import ByteTokenizer

__all__ = [
    "arguments",
    "asynchronous",
    "idle",
    "single",
    "synchronous",
    "vector",
    "whole_episodes",
]

LETTER = 97
_SHOWN = "# \n"
_NAME = "`f` "  # a prompt that does not name it would be given a line that does


def idle() -> FakeExecutor:
    """An executor that runs nothing: the reward is constant."""
    seen = Observation(ExitReason.FINISHED, answer=b"0", executed_lines=frozenset({1}))
    return FakeExecutor(lambda request: [seen] * len(request.inputs))


def arguments(lengths: Lengths) -> dict[str, Any]:
    """Keyword arguments of an environment of these lengths: a byte is a token."""
    problem = Problem(
        id="p",
        description=_NAME + "x" * (lengths.prompt - len(_SHOWN) - len(_NAME)),
        canonical_solution="",
        tests=(CallTest((1,), 1),),
        entry_point="f",
    )
    return {
        "problems": ProblemSet.of([problem]),
        "tokenizer": ByteTokenizer(),
        "prompt_format": "completion",
        "max_new_tokens": lengths.new,
        "context_length": lengths.context,
        "grader": Grader(idle()),
    }


def single(lengths: Lengths, *, copy: bool, wrapped: bool = False) -> Contender:
    """One environment through ``gymnasium.make``; `wrapped`: in Gymnasium's two default wrappers.

    Every id of codegym asks to be made without these.
    """
    env: gymnasium.Env[Any, Any] = gymnasium.make(
        "CodeGen-Mini-v0", copy=copy, **arguments(lengths)
    )
    if wrapped:
        env = OrderEnforcing(PassiveEnvChecker(env))
    action, step = np.int64(LETTER), env.step
    name = f"codegym single, copy={copy}" + (", wrapped" if wrapped else "")
    return Contender(
        name,
        1,
        env.reset,
        functools.partial(step, action),
        lengths.new - 1,
        env.close,
    )


def vector(lengths: Lengths, num_envs: int, *, judging: str, copy: bool) -> Contender:
    """The native vector environment through ``gymnasium.make_vec``."""
    envs = gymnasium.make_vec(
        "CodeGen-Mini-v0",
        num_envs=num_envs,
        autoreset_mode=AutoresetMode.DISABLED,
        judging=judging,
        copy=copy,
        **arguments(lengths),
    )
    return _batched(envs, f"codegym vector, {judging}, copy={copy}", lengths)


def synchronous(lengths: Lengths, num_envs: int, *, copy: bool) -> Contender:
    """Gymnasium's ``SyncVectorEnv`` over codegym's single environment without copies."""
    envs = SyncVectorEnv(_makers(lengths, num_envs), copy=copy, autoreset_mode="Disabled")
    return _batched(envs, f"Gymnasium SyncVectorEnv, copy={copy}", lengths)


def asynchronous(lengths: Lengths, num_envs: int, *, copy: bool) -> Contender:
    """Gymnasium's ``AsyncVectorEnv``: a process for each environment, shared memory."""
    envs = AsyncVectorEnv(_makers(lengths, num_envs), copy=copy, autoreset_mode="Disabled")
    return _batched(envs, f"Gymnasium AsyncVectorEnv, copy={copy}", lengths)


def whole_episodes(lengths: Lengths, num_envs: int, *, judging: str) -> Contender:
    """The vector environment through ends and resets: a step of this contender is an episode.

    All end at once, in the worst case for it: no step has less to do because of others' ends.
    """
    envs = CodeVectorEnv(
        num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
        judging="async" if judging == "async" else "sync",
        copy=False,
        **arguments(lengths),
    )
    actions = np.full(num_envs, LETTER)

    def episode() -> None:
        done = False
        while not done:
            *_, truncated, _ = envs.step(actions)
            done = bool(truncated.any())

    name = f"codegym vector, {judging}, copy=False, with ends and resets"
    width = num_envs * lengths.new
    return Contender(name, width, envs.reset, episode, 4, envs.close)


def _makers(lengths: Lengths, num_envs: int) -> Sequence[Callable[[], CodeEnv]]:
    given = arguments(lengths)

    def make() -> CodeEnv:
        return CodeEnv(copy=False, **given)

    return [make] * num_envs


def _batched(envs: Any, name: str, lengths: Lengths) -> Contender:
    actions, step = np.full(envs.num_envs, LETTER), envs.step
    return Contender(
        name,
        envs.num_envs,
        envs.reset,
        functools.partial(step, actions),
        lengths.new - 1,
        envs.close,
    )
