"""`codegym play`: one episode at the terminal, by hand or by the canonical solution."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import gymnasium
import tyro

from codegym.commands.console import Console
from codegym.commands.options import Common
from codegym.envs import CodeEnv
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.registration import ENVIRONMENTS

__all__ = ["Args", "run"]

_END = "."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(Common):
    """Plays one episode: a token is an action, the program is judged at the end.

    By hand, write the program line by line on standard input; a line with a single dot, or the end
    of the input, ends the episode. The exit status is 0 if the program was accepted, else 1.
    """

    env_id: Annotated[str, tyro.conf.Positional]
    """id of the environment; `codegym envs` lists them"""
    by: Literal["hand", "solution"] = "hand"
    """who writes: you, or the canonical solution"""
    problem: str | None = None
    """id of the problem; default: drawn"""
    stage: int | None = None
    """stage of the start state, 0 for the empty program; needs start"""
    start: str = "empty"
    """distribution of start states, such as cccs"""
    seed: int = 0
    """of the problem and the start state"""
    data: str | None = None
    """file or folder of the source, or "sample"; default: as for the environment"""


def run(args: Args, console: Console) -> int:
    """The command.

    Args:
        args: The command line.
        console: Where it prints.

    Returns:
        0 if the program was accepted, else 1.

    Raises:
        UnknownNameError: If there is no such environment, problem or start distribution.
        CodegymError: If its data cannot be had, or it cannot be played.
    """
    if args.env_id not in ENVIRONMENTS:
        raise UnknownNameError("environment", args.env_id, ENVIRONMENTS)
    arguments: dict[str, Any] = {"render_mode": "ansi", "start": args.start}
    if args.data is not None:
        arguments["data"] = args.data
    env = gymnasium.make(args.env_id, **arguments)
    try:
        return _play(env, args, console)
    finally:
        env.close()


def _play(env: gymnasium.Env[Any, Any], args: Args, console: Console) -> int:
    code_env = env.unwrapped
    assert isinstance(code_env, CodeEnv)
    options: dict[str, Any] = {}
    if args.problem is not None:
        options["problem_id"] = args.problem
    if args.stage is not None:
        options["stage"] = args.stage
    obs, info = env.reset(seed=args.seed, options=options or None)
    problem = code_env.problems.by_id(info["problem_id"])
    if args.by == "solution" and not problem.canonical_solution.strip():
        raise ConfigurationError(
            f"Problem {problem.id!r} has no canonical solution to play. Use --by hand."
        )
    tokenizer = code_env.tokenizer
    console.print(f"{args.env_id}, problem {problem.id}, stage {info['stage']}\n")
    console.print(tokenizer.decode(obs["input_ids"][: info["start_length"]]))
    if args.by == "solution":
        given = tokenizer.decode(obs["input_ids"][info["prompt_length"] : info["start_length"]])
        texts = iter([code_env.task.reference(problem).rest[len(given) :]])
    else:
        texts = _typed(console)
    tokens = (int(token) for text in texts for token in tokenizer.encode(text))
    steps, reward, terminated, truncated = 0, 0.0, False, False
    for token in itertools.chain(tokens, [tokenizer.end_id]):
        obs, paid, terminated, truncated, info = env.step(token)
        steps, reward = steps + 1, reward + float(paid)
        if terminated or truncated:
            break
    console.ansi(f"\n{env.render()}")
    outcome = {
        "problem_id": problem.id,
        "tokens": steps,
        "terminated": terminated,
        "truncated": truncated,
        "verdict": str(info["verdict"]),
        "tests_passed": int(info["tests_passed"]),
        "tests_total": int(info["tests_total"]),
        "reward": reward,
        "reward_terms": {name: float(term) for name, term in info["reward_terms"].items()},
        "tokens_of_the_loss_mask": int(info["loss_mask"].sum()),
        "program": info["program"],
    }
    console.print(
        f"reward {reward:g} ({outcome['reward_terms']}); {outcome['tokens_of_the_loss_mask']} of "
        f"{outcome['tokens']} tokens may be learned"
    )
    console.json(outcome)
    return 0 if outcome["verdict"] == "accepted" else 1


def _typed(console: Console) -> Iterator[str]:
    """Lines of standard input, up to one with a single dot."""
    if sys.stdin.isatty():
        console.print(f"--- your turn; a line with {_END!r} ends the program ---")
    for line in sys.stdin:
        if line.rstrip("\r\n") == _END:
            return
        yield line
